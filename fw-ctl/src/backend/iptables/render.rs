//! The chains as text for `iptables-restore` and `ip6tables-restore`.
//!
//! All of it is made of numbers, prefixes and names of ours; nothing that people write is in it.

use std::fmt::Write as _;

use fw_common::{Prefix, reason::Family};

use super::{
    observe::{Chains, DOCKER_USER},
    sets,
};
use crate::{
    plan::{
        mirror::SetName,
        ruleset::{LimitRow, PortRow, Ruleset},
    },
    policy::{
        rate::Per,
        rule::{RuleId, Verdict},
        service::{PortRange, Protocol, Service},
    },
};

/// The chain of packets to this host.
const INPUT: &str = "FWCTL";
/// The chain of packets that this host forwards.
const FORWARD: &str = "FWCTL-FORWARD";
/// All chains of ours.
pub const OURS: [&str; 2] = [INPUT, FORWARD];

/// What keeps the link alive, as `fw_common::verdict` has it.
const LINK_V4: [&str; 1] = ["-p udp -m udp --sport 67 --dport 68"];
const LINK_V6: [&str; 10] = [
    "-p udp -m udp --sport 547 --dport 546",
    "-p ipv6-icmp -m icmp6 --icmpv6-type 133/0 -m hl --hl-eq 255",
    "-p ipv6-icmp -m icmp6 --icmpv6-type 134/0 -m hl --hl-eq 255",
    "-p ipv6-icmp -m icmp6 --icmpv6-type 135/0 -m hl --hl-eq 255",
    "-p ipv6-icmp -m icmp6 --icmpv6-type 136/0 -m hl --hl-eq 255",
    "-p ipv6-icmp -m icmp6 --icmpv6-type 137/0 -m hl --hl-eq 255",
    "-p ipv6-icmp -m icmp6 --icmpv6-type 130/0 -m hl --hl-eq 1",
    "-p ipv6-icmp -m icmp6 --icmpv6-type 131/0 -m hl --hl-eq 1",
    "-p ipv6-icmp -m icmp6 --icmpv6-type 132/0 -m hl --hl-eq 1",
    "-p ipv6-icmp -m icmp6 --icmpv6-type 143/0 -m hl --hl-eq 1",
];

/// A source that says it is an IPv4 address. The XDP program takes it for that one.
const MAPPED: &str = "-s ::ffff:0.0.0.0/96";

/// What begins no TCP connection: one that is older than the tracking of connections goes on.
const NO_SYN: &str = "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN";

/// Our chains as the ruleset says, and one jump to each, from what stands there now. One commit.
pub fn put(ruleset: &Ruleset, family: Family, standing: &Chains) -> String {
    let mut text = Text {
        family,
        observe: ruleset.observe,
        lines: format!("*filter\n:{INPUT} - [0:0]\n"),
    };
    let had_forward = standing.ours.contains(&FORWARD);
    if ruleset.forward || had_forward {
        text.line(format_args!(":{FORWARD} - [0:0]"));
    }
    text.jumps(ruleset.forward, standing);
    text.input(ruleset);
    if ruleset.forward {
        text.sources(FORWARD);
    } else if had_forward {
        text.line(format_args!("-X {FORWARD}"));
    }
    text.line(format_args!("COMMIT"));
    text.lines
}

/// Nothing of ours any more. Empty when nothing is there.
pub fn clear(standing: &Chains) -> String {
    if standing.ours.is_empty() {
        return String::new();
    }
    let mut text = String::from("*filter\n");
    for jump in &standing.jumps {
        text += &format!("-D {} {}\n", jump.chain, jump.rule);
    }
    for command in ["-F", "-X"] {
        for chain in &standing.ours {
            text += &format!("{command} {chain}\n");
        }
    }
    text + "COMMIT\n"
}

/// Whether these can be the chains that [`put`] makes: jumps in their places, and as many rules.
pub fn stands(ruleset: &Ruleset, family: Family, standing: &Chains) -> bool {
    let fresh = Chains {
        has_docker_user: standing.has_docker_user,
        ..Chains::default()
    };
    let text = put(ruleset, family, &fresh);
    let rules = text.lines().filter(|line| line.starts_with("-A ")).count();
    standing.rules.len() == rules && are_right(ruleset.forward, standing)
}

/// The chains that ours are jumped to from, and ours.
fn wanted_jumps(forward: bool, standing: &Chains) -> Vec<(&'static str, &'static str)> {
    let parent = match standing.has_docker_user {
        true => DOCKER_USER,
        false => "FORWARD",
    };
    let mut wanted = vec![("INPUT", INPUT)];
    wanted.extend(forward.then_some((parent, FORWARD)));
    wanted
}

/// Whether each jump is first in its chain, there once, and nowhere else.
fn are_right(forward: bool, standing: &Chains) -> bool {
    let wanted = wanted_jumps(forward, standing);
    standing.jumps.len() == wanted.len()
        && wanted.iter().all(|(parent, chain)| {
            standing.jumps.iter().any(|jump| {
                (jump.chain.as_str(), jump.position) == (*parent, 1)
                    && jump.rule.strip_prefix("-j ") == Some(chain)
            })
        })
}

struct Text {
    family: Family,
    observe: bool,
    lines: String,
}

impl Text {
    fn line(&mut self, line: std::fmt::Arguments) {
        // A String takes everything.
        _ = writeln!(self.lines, "{line}");
    }

    /// Leaves them alone where they are right.
    fn jumps(&mut self, forward: bool, standing: &Chains) {
        if are_right(forward, standing) {
            return;
        }
        for jump in &standing.jumps {
            self.line(format_args!("-D {} {}", jump.chain, jump.rule));
        }
        for (parent, chain) in wanted_jumps(forward, standing) {
            self.line(format_args!("-I {parent} 1 -j {chain}"));
        }
    }

    /// The order of decisions for a packet to this host.
    fn input(&mut self, ruleset: &Ruleset) {
        self.line(format_args!("-A {INPUT} -i lo -j RETURN"));
        let link: &[&str] = match self.family {
            Family::V6 => &LINK_V6,
            _ => &LINK_V4,
        };
        for matches in link {
            self.line(format_args!("-A {INPUT} {matches} -j RETURN"));
        }
        self.sources(INPUT);
        if self.family == Family::V6 {
            self.refuse(INPUT, MAPPED);
        }
        if ruleset.base.drop_invalid {
            self.refuse(INPUT, "-m conntrack --ctstate INVALID");
        }
        self.line(format_args!(
            "-A {INPUT} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
        ));
        self.line(format_args!("-A {INPUT} {NO_SYN} -j RETURN"));
        for row in &ruleset.limits {
            self.limit(row);
        }
        for row in &ruleset.ports {
            self.port(row);
        }
        if ruleset.base.default == Verdict::Drop {
            self.refuse(INPUT, "");
        }
    }

    /// What the source alone decides.
    fn sources(&mut self, chain: &str) {
        for name in SetName::ALL {
            let matches = format!("-m set --match-set {} src", sets::name(name, self.family));
            match name {
                SetName::Guard | SetName::Allow => {
                    self.line(format_args!("-A {chain} {matches} -j RETURN"));
                }
                SetName::Block => self.refuse(chain, &matches),
            }
        }
    }

    fn limit(&mut self, row: &LimitRow) {
        let Some(service) = service(&row.service, self.family) else {
            return;
        };
        let over = over(row, self.family);
        let comment = comment(row.id);
        for source in sources(row, self.family) {
            self.refuse(INPUT, &format!("{source}{service} {over} {comment}"));
        }
    }

    fn port(&mut self, row: &PortRow) {
        let is_foreign = |source: Prefix| source.family() != self.family;
        let Some(service) = service(&row.service, self.family) else {
            return;
        };
        if row.source.is_some_and(is_foreign) {
            return;
        }
        let source = row.source.map(from).unwrap_or_default();
        let matches = format!("{source}{service} {}", comment(row.id));
        match row.verdict {
            Verdict::Accept => self.line(format_args!("-A {INPUT} {matches} -j ACCEPT")),
            Verdict::Drop => self.refuse(INPUT, &matches),
        }
    }

    /// Drops what matches. When observing, it is only counted: once, where it would be dropped.
    fn refuse(&mut self, chain: &str, matches: &str) {
        let blank = if matches.is_empty() { "" } else { " " };
        let target = if self.observe { "RETURN" } else { "DROP" };
        self.line(format_args!("-A {chain}{blank}{matches} -j {target}"));
    }
}

/// So that who reads the rules finds them in ours.
fn comment(id: RuleId) -> String {
    format!("-m comment --comment \"fwctl rule {id}\"")
}

fn from(source: Prefix) -> String {
    format!("-s {source} ")
}

/// What a row of everybody, or of each of its sources, begins with. A source within another would
/// be counted twice.
fn sources(row: &LimitRow, family: Family) -> Vec<String> {
    if row.sources.is_empty() {
        return vec![String::new()];
    }
    let is_within = |source: &Prefix| {
        let mut others = row.sources.iter().filter(|other| *other != source);
        others.any(|other| other.covers(source))
    };
    row.sources
        .iter()
        .filter(|source| source.family() == family && !is_within(source))
        .map(|source| from(*source))
        .collect()
}

/// The authentication header of IPsec.
const AH: u8 = 51;

/// `None` where no packet of the family can match: in IPv6 the protocol of a packet is the one
/// behind its extension headers, of which AH is one.
fn service(service: &Service, family: Family) -> Option<String> {
    let protocol = match (service.protocol(), family) {
        (Protocol::Tcp, _) => "tcp".to_owned(),
        (Protocol::Udp, _) => "udp".to_owned(),
        (Protocol::Icmp, Family::V6) => "ipv6-icmp".to_owned(),
        (Protocol::Icmp, _) => "icmp".to_owned(),
        (Protocol::Other(AH), Family::V6) => return None,
        (Protocol::Other(number), _) => number.to_string(),
    };
    Some(match service.ports() {
        [] => format!("-p {protocol}"),
        [range] => format!("-p {protocol} -m {protocol} --dport {}", ports(range)),
        ranges => {
            let list: Vec<String> = ranges.iter().map(ports).collect();
            format!("-p {protocol} -m multiport --dports {}", list.join(","))
        }
    })
}

fn ports(range: &PortRange) -> String {
    match range.first == range.last {
        true => range.first.to_string(),
        false => format!("{}:{}", range.first, range.last),
    }
}

const MS_NS: u64 = 1_000_000;

/// What is beyond the rate. `hashlimit` drops what finds no place in its table, so the table is
/// large. It keeps the numbers of a table for as long as the name stands, so the name tells them; a
/// bucket stays until it is full again, which is less than a day.
fn over(row: &LimitRow, family: Family) -> String {
    let (rate, burst, per) = (row.rate, row.burst, row.per);
    let full_ms = (rate.interval_ns() * u64::from(burst)).div_ceil(MS_NS);
    let bits = if family == Family::V6 { 64 } else { 32 };
    let table = match per {
        Per::Source => format!(
            "--hashlimit-mode srcip --hashlimit-srcmask {bits} \
             --hashlimit-htable-size 16384 --hashlimit-htable-max 262144"
        ),
        Per::All => "--hashlimit-htable-size 16".to_owned(),
    };
    let (count, unit) = (rate.count(), rate.unit().name());
    let name = format!("fwctl-{}-{count}-{unit}-{burst}-{}", row.id, per.name());
    format!(
        "-m hashlimit --hashlimit-above {rate} --hashlimit-burst {burst} {table} \
         --hashlimit-htable-expire {full_ms} --hashlimit-name {name}"
    )
}

#[cfg(test)]
mod tests;
