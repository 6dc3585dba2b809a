//! The same lists in netfilter. Each set-up ends with a rule that drops the rest, so that no more of
//! the stack is in the figure than what it takes to come to the rule.

use std::{io::Write as _, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use fw_common::{Prefix, reason::Family};
use fw_tests::{
    lab::{INTERFACE, namespace::Namespace},
    lists::Lists,
};

use super::ends::Seen;

/// Options of an ipset. It grows by itself from there, but not beyond `maxelem`.
pub const OPTIONS: &str = "hashsize 65536 maxelem 1048576";

/// Of IPv4 and IPv6.
const SETS: [&str; 2] = ["listed4", "listed6"];

/// A way to drop listed sources in netfilter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Netfilter {
    /// One rule in raw PREROUTING, which drops everything: nothing in iptables costs less.
    OneRule,
    /// An ipset of type hash:net in raw PREROUTING.
    Ipset,
    /// The same in INPUT, behind the rule that accepts established connections.
    Input,
    /// A set of nftables at priority raw; it holds hosts only.
    NftHash,
    /// A set of intervals of nftables at priority raw.
    NftInterval,
    /// The set of hosts, asked by the device's ingress hook.
    NftIngress,
}

impl Netfilter {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::OneRule,
        Self::NftIngress,
        Self::NftHash,
        Self::Ipset,
        Self::NftInterval,
        Self::Input,
    ];

    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneRule => "iptables raw, one rule, no list",
            Self::Ipset => "ipset hash:net, iptables raw",
            Self::Input => "ipset hash:net, INPUT, conntrack",
            Self::NftHash => "nft set, prerouting",
            Self::NftInterval => "nft interval set, prerouting",
            Self::NftIngress => "nft set, netdev ingress",
        }
    }

    /// Whether it holds prefixes too.
    pub fn holds_prefixes(self) -> bool {
        matches!(self, Self::Ipset | Self::Input | Self::NftInterval)
    }

    /// Whether its counters tell who is listed.
    pub fn tells(self) -> bool {
        self != Self::OneRule
    }

    /// Whether it comes before the routing decision, which refuses addresses that no remote host has.
    pub fn sees_everything(self) -> bool {
        self != Self::Input
    }

    /// Puts the lists and the rules in place.
    pub fn set_up(self, namespace: &Namespace, lists: &Lists) -> Result<()> {
        match self {
            Self::OneRule => restore(namespace, |_| {
                "*raw\n-A PREROUTING -j DROP\nCOMMIT\n".to_owned()
            }),
            Self::Ipset => {
                tool(namespace, "ipset restore", &sets(lists))?;
                restore(namespace, |set| {
                    format!(
                        "*raw\n\
                         -A PREROUTING -m set --match-set {set} src -j DROP\n\
                         -A PREROUTING -j DROP\n\
                         COMMIT\n"
                    )
                })
            }
            Self::Input => {
                tool(namespace, "ipset restore", &sets(lists))?;
                restore(namespace, |set| {
                    format!(
                        "*filter\n\
                         -A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n\
                         -A INPUT -m set --match-set {set} src -j DROP\n\
                         -A INPUT -j DROP\n\
                         COMMIT\n"
                    )
                })
            }
            Self::NftHash | Self::NftInterval | Self::NftIngress => {
                tool(namespace, "nft -f -", &self.ruleset(lists)).map(drop)
            }
        }
    }

    fn ruleset(self, lists: &Lists) -> String {
        let ingress = format!("ingress device {INTERFACE} priority 0");
        let prerouting = "prerouting priority raw";
        let of = |prefixes: &[Prefix]| -> Vec<Prefix> {
            let prefixes = prefixes.iter().copied();
            let held = prefixes.filter(|prefix| self.holds_prefixes() || prefix.is_host());
            held.collect()
        };
        let v4 = ("ip saddr", "ipv4_addr", of(&lists.v4));
        let v6 = ("ip6 saddr", "ipv6_addr", of(&lists.v6));
        match self {
            Self::NftIngress => table("netdev", &ingress, &[v4, v6]),
            _ => table("ip", prerouting, &[v4]) + &table("ip6", prerouting, &[v6]),
        }
    }

    /// What became of the packets of a family until now.
    pub fn seen(self, namespace: &Namespace, family: Family) -> Result<Seen> {
        let (iptables, table) = match family {
            Family::V6 => ("ip6tables", "ip6 "),
            _ => ("iptables", "ip "),
        };
        let mut counts = match self {
            Self::OneRule | Self::Ipset => {
                let rules = format!("{iptables} -t raw -nvxL PREROUTING");
                numbers_after(&tool(namespace, &rules, "")?, "\n")
            }
            Self::Input => {
                let rules = format!("{iptables} -nvxL INPUT");
                numbers_after(&tool(namespace, &rules, "")?, "\n")
            }
            Self::NftHash | Self::NftInterval | Self::NftIngress => {
                // For anything less than all of it, nft reads each element of each set first.
                let ruleset = tool(namespace, "nft --terse list ruleset", "")?;
                let mut tables = ruleset.split("table ").skip(1);
                let is_ours = |rest: &&str| self == Self::NftIngress || rest.starts_with(table);
                let table = tables.find(is_ours).context("no table")?;
                numbers_after(table, "counter packets ")
            }
        };
        let other = counts.pop().context("no rule with a counter")?;
        Ok(Seen {
            listed: counts.iter().sum(),
            other,
        })
    }
}

/// A table of nftables with a set for each of these: what is compared with it, its type, its
/// elements.
fn table(kind: &str, hook: &str, sets: &[(&str, &str, Vec<Prefix>)]) -> String {
    let mut text = format!("table {kind} bench {{\n");
    let mut rules = String::new();
    for (field, key, prefixes) in sets {
        let elements: Vec<String> = prefixes.iter().map(Prefix::to_string).collect();
        let options = match prefixes.iter().all(Prefix::is_host) {
            // Where the size is said, the kernel takes the faster of its two hash tables.
            true => format!("size {};", elements.len()),
            false => "flags interval; auto-merge;".to_owned(),
        };
        let elements = elements.join(",");
        text +=
            &format!("set {key}_listed {{ type {key}; {options} elements = {{ {elements} }} }}\n");
        rules += &format!("{field} @{key}_listed counter drop; ");
    }
    text + &format!("chain c {{ type filter hook {hook}; {rules} counter drop; }}\n}}\n")
}

/// Both families, each as `ipset save` would print it.
fn sets(lists: &Lists) -> String {
    let mut text = String::new();
    for (set, kind, prefixes) in [(SETS[0], "inet", &lists.v4), (SETS[1], "inet6", &lists.v6)] {
        text += &format!("create {set} hash:net family {kind} {OPTIONS}\n");
        for prefix in prefixes {
            text += &format!("add {set} {prefix}\n");
        }
    }
    text
}

/// Rules for both families, which ask the set of this name.
fn restore(namespace: &Namespace, rules: impl Fn(&str) -> String) -> Result<()> {
    for (program, set) in ["iptables-restore", "ip6tables-restore"].iter().zip(SETS) {
        tool(namespace, program, &rules(set))?;
    }
    Ok(())
}

/// Runs a program with this input, and gives what it printed.
fn tool(namespace: &Namespace, line: &str, input: &str) -> Result<String> {
    let mut words = line.split(' ');
    let program = words.next().unwrap_or_default();
    let mut child = namespace
        .command(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {line}"))?;
    // One that ends early says why.
    let mut stdin = child.stdin.take().context("a program without input")?;
    let written = stdin.write_all(input.as_bytes());
    drop(stdin);
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{line} failed: {}", output.status);
    written.with_context(|| format!("{line} does not read"))?;
    Ok(String::from_utf8(output.stdout)?)
}

/// The number behind each of these, where there is one.
fn numbers_after(text: &str, before: &str) -> Vec<u64> {
    let rest = text.split(before).skip(1);
    let words = rest.filter_map(|rest| rest.split_whitespace().next());
    words.filter_map(|word| word.parse().ok()).collect()
}
