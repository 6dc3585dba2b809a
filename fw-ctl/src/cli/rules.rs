//! What `port`, `limit` and `schedule` share: rules as they are typed, added, shown and removed.

mod show;
mod typed;

use anyhow::Result;

use crate::{
    api::wire::{Items, Rule, RuleAdded, RulePut},
    cli::{Context, address, client::with_query, note::Note},
    policy::{
        hours::{self, Times},
        service::Service,
    },
};

#[cfg(test)]
pub(super) use show::tests as examples;
pub use show::{describe, table};

/// What every rule takes.
#[derive(Debug, clap::Args)]
pub struct RuleArgs {
    /// Protocol and ports: tcp/22, tcp/80,443,8000-8100, udp/53, tcp, icmp, gre, esp, ah, sctp
    #[arg(value_name = "SERVICE", value_parser = typed::service)]
    service: Service,
    /// Only connections from this host, network, or range `a-b`; may be repeated
    #[arg(long, value_name = "PREFIX")]
    from: Vec<String>,
    #[command(flatten)]
    note: Note,
}

impl RuleArgs {
    /// The rule with this action, always on.
    pub fn put(&self, action: &str) -> Result<RulePut> {
        Ok(RulePut {
            service: self.service.to_string(),
            action: action.to_owned(),
            from: address::all_prefixes(&self.from)?,
            ttl_s: self.note.ttl_s(),
            comment: self.note.comment()?,
            ..RulePut::default()
        })
    }
}

/// What becomes of a new connection.
#[derive(Debug, clap::Args)]
#[group(id = "verdict", multiple = false)]
pub struct Verdict {
    /// Let them pass
    #[arg(long)]
    accept: bool,
    /// Drop them
    #[arg(long)]
    drop: bool,
}

impl Verdict {
    /// The action; `accept` unless told otherwise.
    pub const fn action(&self) -> &'static str {
        match self.drop {
            true => "drop",
            false => "accept",
        }
    }
}

/// The days that hours are of, and the clock they are read from.
#[derive(Debug, clap::Args)]
pub struct Days {
    /// Days of the week: mon-fri, sat,sun; every day by default
    #[arg(long, value_name = "DAYS", requires = "hours")]
    days: Option<hours::Days>,
    /// Time zone: Europe/Berlin; UTC by default
    #[arg(long, value_name = "ZONE", requires = "hours", value_parser = typed::zone)]
    zone: Option<String>,
}

impl Days {
    /// The rule at these hours of these days.
    pub fn put(&self, times: Option<Times>, rule: RulePut) -> RulePut {
        RulePut {
            hours: times.map(|times| times.to_string()),
            days: self.days.map(|days| days.to_string()),
            zone: self.zone.clone(),
            ..rule
        }
    }
}

/// A rule by its number.
#[derive(Debug, clap::Args)]
pub struct Number {
    /// Number of the rule
    #[arg(value_name = "ID", value_parser = typed::number)]
    id: u32,
}

/// Adds a rule.
pub fn add(put: &RulePut, context: &Context) -> Result<u8> {
    let path = with_query("/rules", &[context.dry_run()]);
    let added: RuleAdded = context.client.post(&path, put)?;
    context.warn_of_all(&added.warnings);
    let dry_run = context.global.dry_run;
    context.output.done(&added, |added| told(added, dry_run))?;
    Ok(0)
}

/// `rule 3: accept tcp/22, without end`
fn told(added: &RuleAdded, dry_run: bool) -> String {
    let RuleAdded { rule, changed, .. } = added;
    let dry_run = if dry_run { "dry run: " } else { "" };
    let known = if *changed { "" } else { " is there already" };
    format!("{dry_run}rule {}{known}: {}", rule.id, describe(rule))
}

/// Shows the rules of one kind.
pub fn list(kind: &str, context: &Context) -> Result<u8> {
    let of_kind = fetch(context)?.items.into_iter();
    let found = Items::all(of_kind.filter(|rule| rule.kind == kind).collect());
    context.output.either(&found, |found| table(&found.items))?;
    Ok(0)
}

/// Removes a rule of one kind.
pub fn remove(kind: &str, number: &Number, context: &Context) -> Result<u8> {
    let query = [("kind", Some(kind.to_owned())), context.dry_run()];
    let path = with_query(&format!("/rules/{}", number.id), &query);
    context.changed(&context.client.delete(&path)?)
}

/// Every rule.
pub fn fetch(context: &Context) -> Result<Items<Rule>> {
    context.client.get("/rules")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_added_rule_is_told_with_its_number_and_one_that_was_there_as_such() {
        let mut added = RuleAdded {
            rule: examples::rule(3, "tcp/22", "accept"),
            changed: true,
            warnings: Vec::new(),
        };
        assert_eq!(told(&added, false), "rule 3: accept tcp/22, without end");
        assert!(told(&added, true).starts_with("dry run: rule 3: accept"));
        added.changed = false;
        assert!(told(&added, false).starts_with("rule 3 is there already: accept"));
    }
}
