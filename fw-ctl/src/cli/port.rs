//! `port`: rules that accept or drop new connections to ports.

use anyhow::Result;
use clap::{ArgGroup, Subcommand};

use super::{
    Context,
    rules::{self, Number, RuleArgs, Verdict},
};

/// Of the rules that this verb is about.
const KIND: &str = "port";

/// What `port` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What to do with the rules.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Accept or drop new connections to a service
    #[command(after_help = "Example:\n  fw-ctl port add tcp/22 --from 198.51.100.0/24 --accept")]
    Add(Add),
    /// Show every such rule
    #[command(after_help = "Example:\n  fw-ctl port list --json")]
    List,
    /// Remove a rule
    #[command(after_help = "Example:\n  fw-ctl port del 1 --dry-run")]
    Del(Number),
}

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("what").args(["accept", "drop"]).required(true))]
struct Add {
    #[command(flatten)]
    rule: RuleArgs,
    #[command(flatten)]
    verdict: Verdict,
}

/// `fw-ctl port`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    match &args.verb {
        None | Some(Verb::List) => rules::list(KIND, context),
        Some(Verb::Add(add)) => rules::add(&add.rule.put(add.verdict.action())?, context),
        Some(Verb::Del(number)) => rules::remove(KIND, number, context),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        add: Add,
    }

    #[test]
    fn what_is_typed_is_what_is_asked_for() {
        let line = [
            "x",
            "TCP/443,80-90",
            "--drop",
            "--from=192.0.2.1-192.0.2.2",
            "--from=2001:db8::/32",
            "--ttl=1h",
            "--comment=web",
        ];
        let Add { rule, verdict } = Line::parse_from(line).add;
        let put = rule.put(verdict.action()).expect("a rule");
        assert_eq!(
            serde_json::to_value(put).expect("plain data"),
            serde_json::json!({
                "service": "tcp/80-90,443",
                "action": "drop",
                "from": ["192.0.2.1", "192.0.2.2", "2001:db8::/32"],
                "ttl_s": 3600,
                "comment": "web",
            })
        );
    }

    #[test]
    fn a_bad_source_or_comment_is_named() {
        for (argument, named) in [
            ("--from=192.0.2.0/33", "`192.0.2.0/33`: "),
            ("--from=192.0.2.1,192.0.2.2", "`192.0.2.1,192.0.2.2`: "),
            ("--comment=two\nlines", "--comment: "),
        ] {
            let Add { rule, .. } = Line::parse_from(["x", "tcp/22", "--accept", argument]).add;
            let refused = rule.put("accept").expect_err(argument).to_string();
            assert!(refused.starts_with(named), "{refused}");
        }
    }
}
