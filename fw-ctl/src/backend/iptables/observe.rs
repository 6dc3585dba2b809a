//! Reads what `iptables-save`, `ipset list -t` and `ipset save` print.

use std::time::Duration;

use fw_common::Prefix;

use super::{render::OURS, sets};
use crate::{plan::mirror::Element, policy::time::Now};

/// What is ours in the table `filter` of a family, and where it is jumped to from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chains {
    /// Chains of ours.
    pub ours: Vec<&'static str>,
    /// Their rules, as printed, in order.
    pub rules: Vec<String>,
    /// Every rule of another chain that goes to one of ours.
    pub jumps: Vec<Jump>,
    /// Docker lets the administrator's rules begin in a chain of its own.
    pub has_docker_user: bool,
}

/// A rule that leads to a chain of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jump {
    /// The chain it stands in.
    pub chain: String,
    /// Its place there; the first is 1.
    pub position: usize,
    /// As printed, behind the chain's name: `-j FWCTL`.
    pub rule: String,
}

impl Chains {
    /// Reads what `iptables-save -t filter` prints, of both variants and both families.
    pub fn read(text: &str) -> Self {
        let mut chains = Self::default();
        let mut last = ("", 0);
        for line in text.lines() {
            if let Some(chain) = line.strip_prefix(':') {
                let name = chain.split(' ').next().unwrap_or_default();
                chains
                    .ours
                    .extend(OURS.into_iter().find(|ours| *ours == name));
                chains.has_docker_user |= name == DOCKER_USER;
            } else if let Some((chain, rule)) = appended(line) {
                last = (chain, if last.0 == chain { last.1 + 1 } else { 1 });
                if OURS.contains(&chain) {
                    chains.rules.push(line.to_owned());
                } else if leads_to_us(rule) {
                    chains.jumps.push(Jump {
                        chain: chain.to_owned(),
                        position: last.1,
                        rule: rule.to_owned(),
                    });
                }
            }
        }
        chains
    }

    /// As people would look for it, with the program's name before each line.
    pub fn lines(&self, tool: &str) -> impl Iterator<Item = String> {
        let jumps = self.jumps.iter().map(move |jump| {
            let Jump {
                chain,
                position,
                rule,
            } = jump;
            format!("{tool} jump {chain} {position} {rule}")
        });
        let ours = self
            .ours
            .iter()
            .map(move |chain| format!("{tool} -N {chain}"));
        let rules = self.rules.iter().map(move |rule| format!("{tool} {rule}"));
        jumps.chain(ours).chain(rules)
    }
}

/// Where Docker leaves place for rules about forwarded packets.
pub const DOCKER_USER: &str = "DOCKER-USER";

/// Chain and rule of a line that adds one.
fn appended(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix("-A ")?;
    Some(rest.split_once(' ').unwrap_or((rest, "")))
}

/// A target that is a chain is printed last. A comment with a blank in it is printed in quotes, so
/// none can end like this.
fn leads_to_us(rule: &str) -> bool {
    let mut words = rule.rsplit(' ');
    let (target, option) = (words.next().unwrap_or_default(), words.next());
    OURS.contains(&target) && matches!(option, Some("-j" | "-g"))
}

/// What `ipset list -t` says of a set whose name could be ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// `hash:net`
    pub kind: String,
    /// What it was made with, without what grows by itself: `family inet maxelem 65536 timeout 0`.
    pub options: String,
    /// Elements, with those that have just ended.
    pub count: usize,
}

/// Options that depend on the elements or on chance.
const CHANGING: [&str; 2] = ["hashsize", "initval"];

/// Reads what `ipset list -t` prints: sets that are named like ours, sorted by name.
pub fn headers(text: &str) -> Vec<Header> {
    let mut headers: Vec<Header> = Vec::new();
    for line in text.lines() {
        let Some((field, value)) = line.split_once(": ") else {
            continue;
        };
        if field == "Name" {
            headers.push(Header {
                name: value.to_owned(),
                ..Header::default()
            });
        } else if let Some(header) = headers.last_mut() {
            match field {
                "Type" => header.kind = value.to_owned(),
                "Header" => header.options = lasting(value),
                "Number of entries" => header.count = value.trim().parse().unwrap_or(0),
                _ => {}
            }
        }
    }
    headers.retain(|header| sets::is_ours(&header.name));
    headers.sort_by(|one, other| one.name.cmp(&other.name));
    headers
}

fn lasting(options: &str) -> String {
    let mut words = options.split_whitespace();
    let mut lasting: Vec<&str> = Vec::new();
    while let Some(word) = words.next() {
        match CHANGING.contains(&word) {
            true => drop(words.next()),
            false => lasting.push(word),
        }
    }
    lasting.join(" ")
}

/// Reads what `ipset save NAME` prints.
pub fn elements(text: &str, now: Now) -> Vec<Element> {
    let element = |line: &str| {
        let mut words = line.strip_prefix("add ")?.split_whitespace().skip(1);
        let prefix: Prefix = words.next()?.parse().ok()?;
        let secs = match (words.next(), words.next()) {
            (Some("timeout"), Some(secs)) => secs.parse().ok()?,
            _ => 0,
        };
        let deadline = (secs != 0).then(|| now.after(Duration::from_secs(secs)));
        Some(Element { prefix, deadline })
    };
    text.lines().filter_map(element).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::time::{BootSecs, WallSecs};

    /// Printed by iptables-nft-save and iptables-legacy-save 1.8.9.
    const SAVES: [&str; 2] = [
        include_str!("fixtures/nft.save"),
        include_str!("fixtures/legacy.save"),
    ];

    #[test]
    fn our_chains_and_every_way_into_them_are_found_in_what_both_variants_print() {
        for save in SAVES {
            let chains = Chains::read(save);
            assert_eq!(chains.ours, ["FWCTL", "FWCTL-FORWARD"]);
            let lines: Vec<String> = chains.lines("iptables").collect();
            assert_eq!(
                lines,
                [
                    "iptables jump INPUT 2 -j FWCTL",
                    "iptables jump FORWARD 1 -j FWCTL-FORWARD",
                    "iptables jump DOCKER-USER 3 -s 192.0.2.0/24 -m comment --comment -j -g FWCTL",
                    "iptables -N FWCTL",
                    "iptables -N FWCTL-FORWARD",
                    "iptables -A FWCTL -i lo -j RETURN",
                    "iptables -A FWCTL",
                    "iptables -A FWCTL-FORWARD -m set --match-set fwctl-block4 src -j DROP",
                ],
                "{save}"
            );
            assert!(chains.has_docker_user);
        }
    }

    #[test]
    fn where_nothing_is_ours_nothing_is_found() {
        let save = "*filter\n:INPUT ACCEPT [0:0]\n:FWCTLX - [0:0]\n\
                    -A INPUT -j FWCTLX\n-A INPUT -m comment --comment \"x -j FWCTL\"\n\
                    -A INPUT -m comment --comment FWCTL\n-A FWCTLX -j DROP\nCOMMIT\n";
        assert_eq!(Chains::read(save), Chains::default());
        assert_eq!(Chains::read(""), Chains::default());
    }

    /// Printed by ipset 7.17.
    const LIST: &str = include_str!("fixtures/list.ipset");
    const SAVE: &str = include_str!("fixtures/block4.ipset");

    #[test]
    fn sets_are_told_apart_by_what_does_not_change_by_itself() {
        let header = |name: &str, kind: &str, options: &str, count| Header {
            name: name.to_owned(),
            kind: kind.to_owned(),
            options: options.to_owned(),
            count,
        };
        let net = |name: &str, family: &str, count| {
            let options = format!("family {family} maxelem 16777216 timeout 0 bucketsize 12");
            header(name, "hash:net", &options, count)
        };
        assert_eq!(
            headers(LIST),
            [
                net("fwctl-block4", "inet", 2),
                net("fwctl-block6", "inet6", 1),
                header(
                    "fwctl-block6-new",
                    "hash:ip",
                    "family inet6 maxelem 65536 bucketsize 12",
                    0
                ),
            ]
        );
    }

    #[test]
    fn elements_are_read_with_what_is_left_of_their_time() {
        let now = Now {
            boot: Duration::from_secs(1_000),
            wall: WallSecs(0),
        };
        let element = |prefix: &str, deadline: Option<u32>| Element {
            prefix: prefix.parse().expect("a prefix"),
            deadline: deadline.map(BootSecs),
        };
        let mut found = elements(SAVE, now);
        found.sort_unstable();
        assert_eq!(
            found,
            [
                element("10.0.0.0/8", Some(1_099)),
                element("10.0.0.1", None),
            ]
        );
    }
}
