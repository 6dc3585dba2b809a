//! `default`: what every new connection meets that no rule names.

use anyhow::Result;

use super::Context;
use crate::{api::wire::Base, cli::output::escape};

/// What `default` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What becomes of new connections that no rule names; without it, it is shown
    #[arg(value_name = "VERDICT", value_parser = ["accept", "drop"])]
    default: Option<String>,
    /// Drop packets that belong to no connection and can begin none
    #[arg(long, value_name = "SWITCH", value_parser = ["on", "off"])]
    drop_invalid: Option<String>,
}

impl Args {
    /// What shall change; `None` when it is only to be shown.
    fn change(&self, dry_run: bool) -> Option<Base> {
        let change = Base {
            default: self.default.clone(),
            drop_invalid: self.drop_invalid.as_ref().map(|switch| switch == "on"),
            dry_run,
            warnings: Vec::new(),
        };
        let changes = change.default.is_some() || change.drop_invalid.is_some();
        changes.then_some(change)
    }
}

/// `fw-ctl default`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let Some(change) = args.change(context.global.dry_run) else {
        let base: Base = context.client.get("/default")?;
        context.output.either(&base, in_words)?;
        return Ok(0);
    };
    let base: Base = context.client.put("/default", &change)?;
    context.warn_of_all(&base.warnings);
    context.output.done(&base, |base| match change.dry_run {
        true => format!("dry run:\n{}", in_words(base)),
        false => in_words(base),
    })?;
    Ok(0)
}

fn in_words(base: &Base) -> String {
    let default = base.default.as_deref().unwrap_or("unknown");
    let invalid = match base.drop_invalid {
        Some(true) => "on",
        Some(false) => "off",
        None => "unknown",
    };
    format!(
        "default       {}: new connections that no rule names\n\
         drop-invalid  {invalid}: packets that belong to no connection and can begin none\n",
        escape(default)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(default: Option<&str>, drop_invalid: Option<&str>) -> Args {
        Args {
            default: default.map(str::to_owned),
            drop_invalid: drop_invalid.map(str::to_owned),
        }
    }

    #[test]
    fn only_what_is_said_changes_and_nothing_said_shows_it() {
        assert_eq!(args(None, None).change(true), None);
        let drop = args(Some("drop"), None).change(false).expect("a change");
        assert_eq!(
            (drop.default.as_deref(), drop.drop_invalid, drop.dry_run),
            (Some("drop"), None, false)
        );
        let off = args(None, Some("off")).change(true).expect("a change");
        assert_eq!(
            (off.default, off.drop_invalid, off.dry_run),
            (None, Some(false), true)
        );
    }

    #[test]
    fn the_base_is_two_lines() {
        let base = Base {
            default: Some("drop".into()),
            drop_invalid: Some(true),
            ..Base::default()
        };
        assert_eq!(
            in_words(&base),
            "default       drop: new connections that no rule names\n\
             drop-invalid  on: packets that belong to no connection and can begin none\n"
        );
    }
}
