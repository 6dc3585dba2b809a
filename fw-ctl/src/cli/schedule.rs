//! `schedule`: rules that accept or drop at hours of the week.

use anyhow::Result;
use clap::Subcommand;

use super::{
    Context,
    rules::{self, Days, Number, RuleArgs, Verdict},
};
use crate::{api::wire::RulePut, policy::hours::Times};

/// Of the rules that this verb is about.
const KIND: &str = "schedule";

/// What `schedule` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What to do with the rules.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Accept new connections to a service at these hours and drop them at others; with --drop,
    /// drop them at these hours
    #[command(
        after_help = "Example:\n  fw-ctl schedule add tcp/8080 --hours 09:00-17:00 --days mon-fri --zone Europe/Berlin"
    )]
    Add(Add),
    /// Show every such rule and when it changes next, by its own clock
    #[command(after_help = "Example:\n  fw-ctl schedule list")]
    List,
    /// Remove a rule
    #[command(after_help = "Example:\n  fw-ctl schedule del 1 --dry-run")]
    Del(Number),
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    rule: RuleArgs,
    #[command(flatten)]
    verdict: Verdict,
    /// From when until when: 09:00-17:00; 22:00-06:00 goes over midnight
    #[arg(long, value_name = "HOURS")]
    hours: Times,
    #[command(flatten)]
    days: Days,
}

impl Add {
    fn put(&self) -> Result<RulePut> {
        let rule = self.rule.put(self.verdict.action())?;
        Ok(self.days.put(Some(self.hours), rule))
    }
}

/// `fw-ctl schedule`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    match &args.verb {
        None | Some(Verb::List) => rules::list(KIND, context),
        Some(Verb::Add(add)) => rules::add(&add.put()?, context),
        Some(Verb::Del(number)) => rules::remove(KIND, number, context),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        add: Add,
    }

    #[test]
    fn hours_accept_unless_told_to_drop() {
        let put = |arguments: &[&str]| {
            let line = [&["x", "tcp/8080", "--hours", "9:00-17:00"], arguments].concat();
            let put = Line::parse_from(line).add.put().expect("a rule");
            serde_json::to_value(put).expect("plain data")
        };
        let mut expected = json!({
            "service": "tcp/8080",
            "action": "accept",
            "hours": "09:00-17:00",
        });
        assert_eq!(put(&[]), expected);
        assert_eq!(put(&["--accept"]), expected);
        expected["action"] = "drop".into();
        expected["days"] = "mon-fri".into();
        expected["zone"] = "Europe/Berlin".into();
        let arguments = ["--drop", "--days=Mon-FRI", "--zone=Europe/Berlin"];
        assert_eq!(put(&arguments), expected);
    }
}
