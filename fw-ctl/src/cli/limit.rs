//! `limit`: rules that drop new connections beyond a rate.

use anyhow::Result;
use clap::{Subcommand, builder::PossibleValuesParser, value_parser};

use super::{
    Context,
    rules::{self, Days, Number, RuleArgs},
};
use crate::{
    api::wire::RulePut,
    policy::{
        hours::Times,
        rate::{Limit, Per, Rate},
    },
};

/// Of the rules that this verb is about.
const KIND: &str = "limit";

/// What `limit` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What to do with the rules.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Drop new connections to a service that come faster than a rate
    #[command(after_help = "Example:\n  fw-ctl limit add tcp/443 --rate 10/minute --burst 20")]
    Add(Box<Add>),
    /// Show every such rule and the rate it has now
    #[command(after_help = "Example:\n  fw-ctl limit list")]
    List,
    /// Remove a rule
    #[command(after_help = "Example:\n  fw-ctl limit del 1 --dry-run")]
    Del(Number),
}

#[derive(Debug, clap::Args)]
struct Add {
    #[command(flatten)]
    rule: RuleArgs,
    /// New connections in a second, minute, hour or day: 10/minute
    #[arg(long, value_name = "RATE")]
    rate: Rate,
    /// Connections beyond the rate that are let through at once; 5 by default
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=i64::from(Limit::MAX_BURST)))]
    burst: Option<u32>,
    /// Who has a rate of their own: each source (each /64 of IPv6), or all together
    #[arg(long, value_name = "WHO", default_value = "source",
        value_parser = PossibleValuesParser::new([Per::Source.name(), Per::All.name()]))]
    per: String,
    /// Learn what is usual, go down to the floor under load and up to the ceiling after it
    #[arg(long, requires_all = ["floor", "ceiling"])]
    adaptive: bool,
    /// The lowest rate, in the unit of --rate
    #[arg(long, value_name = "RATE", requires = "adaptive")]
    floor: Option<Rate>,
    /// The highest rate, in the unit of --rate
    #[arg(long, value_name = "RATE", requires = "adaptive")]
    ceiling: Option<Rate>,
    /// Only from then until then: 09:00-17:00; 22:00-06:00 goes over midnight
    #[arg(long, value_name = "HOURS")]
    hours: Option<Times>,
    #[command(flatten)]
    days: Days,
}

impl Add {
    fn put(&self) -> Result<RulePut> {
        let bound =
            |rate: Option<Rate>| rate.filter(|_| self.adaptive).map(|rate| rate.to_string());
        let rule = RulePut {
            rate: Some(self.rate.to_string()),
            burst: self.burst,
            per: Some(self.per.clone()),
            floor: bound(self.floor),
            ceiling: bound(self.ceiling),
            ..self.rule.put("limit")?
        };
        Ok(self.days.put(self.hours, rule))
    }
}

/// `fw-ctl limit`
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

    fn put(arguments: &[&str]) -> serde_json::Value {
        let line = [&["x", "tcp/443", "--rate", "60/min"], arguments].concat();
        let put = Line::parse_from(line).add.put().expect("a rule");
        serde_json::to_value(put).expect("plain data")
    }

    #[test]
    fn what_is_typed_is_what_is_asked_for() {
        let mut expected = json!({
            "service": "tcp/443",
            "action": "limit",
            "rate": "60/minute",
            "per": "source",
        });
        assert_eq!(put(&[]), expected);
        expected["per"] = "all".into();
        expected["burst"] = 20.into();
        expected["hours"] = "22:00-06:00".into();
        expected["days"] = "mon-tue,sun".into();
        let arguments = [
            "--per=all",
            "--burst=20",
            "--hours=22:00-6:00",
            "--days=sun-tue",
        ];
        assert_eq!(put(&arguments), expected);
    }

    #[test]
    fn an_adaptive_limit_has_its_bounds() {
        let put = put(&["--adaptive", "--floor=10/m", "--ceiling=100/minute"]);
        assert_eq!(
            (&put["floor"], &put["ceiling"]),
            (&json!("10/minute"), &json!("100/minute"))
        );
    }
}
