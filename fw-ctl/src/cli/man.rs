//! `man`: the manual pages, from the same words as `--help`.

use anyhow::Result;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;

use crate::{
    api::wire::ProblemBody,
    cli::{Context, failure::bad_input},
};

/// What `man` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The verb, with its own verb; the page of all of them by default
    #[arg(value_name = "VERB")]
    verbs: Vec<String>,
}

/// `fw-ctl man`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let mut page = Vec::new();
    Man::new(command(&args.verbs)?).render(&mut page)?;
    context.output.data(&String::from_utf8(page)?)?;
    Ok(0)
}

/// The command of this verb, which knows its whole name.
fn command(verbs: &[String]) -> Result<Command, ProblemBody> {
    let mut command = super::Args::command();
    command.build();
    verbs.iter().try_fold(command, |command, verb| {
        let found = command.find_subcommand(verb).cloned();
        found.ok_or_else(|| {
            let whole = command.get_display_name().unwrap_or("fw-ctl");
            bad_input(format!("{} has no verb {verb:?}", whole.replace('-', " ")))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(verbs: &[&str]) -> Result<String, ProblemBody> {
        let verbs: Vec<String> = verbs.iter().map(ToString::to_string).collect();
        let mut page = Vec::new();
        let written = Man::new(command(&verbs)?).render(&mut page);
        written.expect("memory takes everything");
        Ok(String::from_utf8(page).expect("text"))
    }

    #[test]
    fn every_verb_has_a_page_with_its_example() {
        assert!(page(&[]).expect("a page").contains("fw\\-ctl\\-block"));
        let add = page(&["token", "add"]).expect("a page");
        assert!(add.contains(".TH fw-ctl-token-add"), "{add}");
        assert!(add.contains("grafana"), "{add}");
        assert!(page(&["token", "frobnicate"]).is_err());
    }
}
