//! Chains, and the state of limits, as commands of `nft`. Pure.
//!
//! No text of a user gets into them: a rule is known by its number.

use std::collections::BTreeSet;

use fw_common::{Prefix, reason::Family};

use super::sets::SetId;
use crate::{
    plan::{
        mirror::SetName,
        ruleset::{LimitRow, PortRow, Ruleset},
    },
    policy::{
        rate::Per,
        rule::Verdict,
        service::{PortRange, Protocol, Service},
    },
};

/// Without these the link itself fails, whoever sends them: as `fw_common::verdict` has it.
const KEEPS_LINK: [&str; 4] = [
    "meta nfproto ipv4 udp sport 67 udp dport 68 return",
    "meta nfproto ipv6 udp sport 547 udp dport 546 return",
    "icmpv6 type 133-137 icmpv6 code 0 ip6 hoplimit 255 return",
    "icmpv6 type { 130, 131, 132, 143 } icmpv6 code 0 ip6 hoplimit 1 return",
];

/// Buckets of one limit. A source that finds no room is not limited.
const BUCKETS: u32 = 65_535;

/// Commands that turn the chains of one ruleset, none for a fresh table, into those of another.
/// Limits that stay keep their buckets.
pub fn change(before: Option<&Ruleset>, after: &Ruleset, sets: &BTreeSet<SetId>) -> Vec<String> {
    let known = before.map(states).unwrap_or_default();
    let wanted = states(after);
    let mut commands = vec!["flush chain inet fwctl fwctl".to_owned()];
    commands.extend(wanted.difference(&known).map(State::add));
    let rule = |rule| format!("add rule inet fwctl fwctl {rule}");
    commands.extend(input(after, sets).into_iter().map(rule));

    let forwarded = before.is_some_and(|before| before.forward);
    if forwarded {
        commands.push("flush chain inet fwctl forward".to_owned());
    }
    if after.forward {
        commands.push(base("forward"));
        let rule = |rule| format!("add rule inet fwctl forward {rule}");
        commands.extend(asked(after, sets).map(rule));
    } else if forwarded {
        commands.push("delete chain inet fwctl forward".to_owned());
    }
    commands.extend(known.difference(&wanted).map(State::delete));
    commands
}

/// What makes a chain that netfilter calls: just before the filters of others, so that what is
/// dropped here costs them nothing. What is accepted here still goes through theirs.
pub fn base(hook: &str) -> String {
    format!(
        "add chain inet fwctl {hook} {{ type filter hook {hook} priority filter - 1; policy accept; }}"
    )
}

/// The rules for packets to this host, in order.
fn input(ruleset: &Ruleset, sets: &BTreeSet<SetId>) -> Vec<String> {
    let drop = dropping(ruleset);
    let mut rules = vec![r#"iif "lo" return"#.to_owned()];
    rules.extend(KEEPS_LINK.map(str::to_owned));
    rules.extend(asked(ruleset, sets));
    // The kernel program takes such a source for the IPv4 one, which is another family's here.
    rules.push(format!("ip6 saddr ::ffff:0:0/96 {drop}"));
    if ruleset.base.drop_invalid {
        rules.push(format!("ct state invalid {drop}"));
    }
    rules.push("ct state established,related accept".to_owned());
    // A connection that is older than our tracking goes on.
    rules.push("tcp flags & (fin | syn | rst | ack) != syn return".to_owned());
    rules.extend(ruleset.limits.iter().flat_map(|row| limit(row, drop)));
    rules.extend(ruleset.ports.iter().map(|row| port(row, drop)));
    if ruleset.base.default == Verdict::Drop {
        rules.push(drop.to_owned());
    }
    rules
}

/// The rules that ask the sets. Their order is that of [`SetName`].
fn asked(ruleset: &Ruleset, sets: &BTreeSet<SetId>) -> impl Iterator<Item = String> {
    let drop = dropping(ruleset);
    sets.iter().map(move |id| match id.name {
        SetName::Guard | SetName::Allow => format!("{} return", id.lookup()),
        SetName::Block => format!("{} {drop}", id.lookup()),
    })
}

/// What drops, or counts what would be dropped: once, where it would be.
fn dropping(ruleset: &Ruleset) -> &'static str {
    match ruleset.observe {
        true => "counter return",
        false => "counter drop",
    }
}

fn port(row: &PortRow, drop: &str) -> String {
    let source = row.source.map_or_else(String::new, |prefix| {
        format!("{} saddr {prefix} ", key(prefix.family()))
    });
    let verdict = match row.verdict {
        Verdict::Accept => "accept",
        Verdict::Drop => drop,
    };
    let (service, id) = (service(&row.service), row.id);
    format!("{source}{service} {verdict} comment \"rule {id}\"")
}

/// One rule for everybody, or one for each family that is named or has buckets of its own.
fn limit(row: &LimitRow, drop: &str) -> Vec<String> {
    let rule = |source: String, family| {
        let (service, state, id) = (service(&row.service), State::of(row, family), row.id);
        let (key, rate) = (key(family), rate(row));
        let exceeds = match (row.per, family) {
            (Per::All, _) => format!("limit name \"{}\"", state.name),
            (Per::Source, Family::V6) => {
                let network = "ip6 saddr & ffff:ffff:ffff:ffff::";
                format!("update @{} {{ {network} limit {rate} }}", state.name)
            }
            (Per::Source, _) => format!("update @{} {{ {key} saddr limit {rate} }}", state.name),
        };
        format!("{source}{service} {exceeds} {drop} comment \"rule {id}\"")
    };
    match (row.sources.as_slice(), row.per) {
        ([], Per::All) => vec![rule(String::new(), Family::None)],
        ([], Per::Source) => FAMILIES.map(|family| rule(String::new(), family)).into(),
        (sources, _) => FAMILIES
            .into_iter()
            .filter_map(|family| Some(rule(whose(sources, family)?, family)))
            .collect(),
    }
}

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// The sources of one family: those within another are left out, as `nft` may refuse them.
fn whose(sources: &[Prefix], family: Family) -> Option<String> {
    let within = |one: &Prefix| sources.iter().any(|all| all != one && all.covers(one));
    let named: Vec<_> = sources
        .iter()
        .filter(|one| one.family() == family && !within(one))
        .map(Prefix::to_string)
        .collect();
    let key = key(family);
    (!named.is_empty()).then(|| format!("{key} saddr {{ {} }} ", named.join(", ")))
}

fn key(family: Family) -> &'static str {
    match family {
        Family::V6 => "ip6",
        _ => "ip",
    }
}

fn service(service: &Service) -> String {
    let ports: Vec<_> = service.ports().iter().map(PortRange::to_string).collect();
    match (service.protocol(), ports.as_slice()) {
        (Protocol::Icmp, _) => "meta l4proto { icmp, ipv6-icmp }".to_owned(),
        (Protocol::Other(number), _) => format!("meta l4proto {number}"),
        (protocol, []) => format!("meta l4proto {protocol}"),
        (protocol, ports) => format!("{protocol} dport {{ {} }}", ports.join(", ")),
    }
}

fn rate(row: &LimitRow) -> String {
    format!("rate over {} burst {} packets", row.rate, row.burst)
}

/// What a limit remembers in the table. Its numbers are in the name: with other numbers it is
/// another.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct State {
    kind: &'static str,
    name: String,
    body: String,
}

impl State {
    /// One bucket for all, or the set of the buckets of one family.
    fn of(row: &LimitRow, family: Family) -> Self {
        let numbers = format!(
            "{}_{}_{}",
            row.rate.count(),
            row.rate.unit().name(),
            row.burst
        );
        // A bucket that nobody has taken from for so long is full, and need not be remembered.
        let fill_secs = row.rate.interval_ns() * u64::from(row.burst) / 1_000_000_000 + 1;
        match row.per {
            Per::All => Self {
                kind: "limit",
                name: format!("limit_{}_{numbers}", row.id),
                body: format!("{};", rate(row)),
            },
            Per::Source => Self {
                kind: "set",
                name: format!("limit{}_{}_{numbers}", family as u8, row.id),
                body: format!(
                    "type ipv{}_addr; size {BUCKETS}; flags dynamic,timeout; timeout {fill_secs}s;",
                    family as u8
                ),
            },
        }
    }

    fn add(&self) -> String {
        let Self { kind, name, body } = self;
        format!("add {kind} inet fwctl {name} {{ {body} }}")
    }

    fn delete(&self) -> String {
        format!("delete {} inet fwctl {}", self.kind, self.name)
    }
}

/// All that the limits of a ruleset remember.
fn states(ruleset: &Ruleset) -> BTreeSet<State> {
    let both = |row| FAMILIES.map(|family| State::of(row, family));
    ruleset.limits.iter().flat_map(both).collect()
}

#[cfg(test)]
mod tests;
