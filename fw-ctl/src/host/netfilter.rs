//! Which of netfilter's tools this host uses: its rules tell, or what is installed.

use std::fs;

use serde::Deserialize;

use super::{
    describe,
    tool::{ToolError, show},
};

pub use super::nfnetlink::generation;

/// Where the mirror of the policy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `iptables` over nftables, with `ipset`.
    IptablesNft,
    /// `iptables` of the older kind, with `ipset`.
    IptablesLegacy,
    /// `nft`
    Nftables,
    /// Nowhere.
    None,
}

/// What somebody else keeps in one of the three. What is ours does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// There are rules, or a chain drops what no rule names.
    pub any: bool,
    /// They are about packets to this host, among others.
    pub input: bool,
}

/// What is live on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Rules of the older iptables.
    pub legacy: Rules,
    /// Rules of iptables over nftables.
    pub iptables_nft: Rules,
    /// Rules of other tables of nftables.
    pub native: Rules,
    /// What `iptables --version` prints, if it is installed.
    pub iptables: Option<String>,
    /// Whether `iptables-nft` is installed.
    pub has_iptables_nft: bool,
    /// Whether `iptables-legacy` is installed.
    pub has_iptables_legacy: bool,
    /// Whether `ipset` is installed.
    pub has_ipset: bool,
    /// Whether `nft` is installed.
    pub has_nft: bool,
    /// What could not be found out, one sentence each.
    pub problems: Vec<String>,
}

/// The tables of legacy iptables that are in use, and what shows them. Asking it about a table
/// that is not there would make it.
pub(super) const LEGACY: [(&str, &str); 2] = [
    (
        "/proc/thread-self/net/ip_tables_names",
        "iptables-legacy-save",
    ),
    (
        "/proc/thread-self/net/ip6_tables_names",
        "ip6tables-legacy-save",
    ),
];

/// What shows rules of iptables over nftables, by the family it is called there.
const NFT: [(&str, &str); 2] = [("ip", "iptables-nft-save"), ("ip6", "ip6tables-nft-save")];

/// Looks, and changes nothing by looking. Blocks while tools run.
pub fn live() -> Live {
    let mut problems = Vec::new();
    let mut ask = |tool: &str, arguments: &[&str]| match show(tool, arguments) {
        Ok(text) => Some(text),
        Err(ToolError::Missing { .. }) => None,
        Err(error) => {
            problems.push(describe(&error));
            None
        }
    };
    let iptables = ask("iptables", &["--version"]).map(|text| text.trim_end().to_owned());
    let tools = ["iptables-nft", "iptables-legacy", "ipset", "nft"];
    let [has_iptables_nft, has_iptables_legacy, has_ipset, has_nft] =
        tools.map(|tool| ask(tool, &["--version"]).is_some());

    let is_in_use = |names: &str| fs::read_to_string(names).is_ok_and(|names| !names.is_empty());
    let mut legacy = Rules::default();
    for (_, save) in LEGACY.into_iter().filter(|(names, _)| is_in_use(names)) {
        legacy.merge(saved(&ask(save, &[]).unwrap_or_default()).rules);
    }
    let mut iptables_nft = Rules::default();
    let mut kept = Vec::new();
    for (family, save) in NFT {
        let saved = saved(&ask(save, &[]).unwrap_or_default());
        iptables_nft.merge(saved.rules);
        kept.extend(saved.tables.into_iter().map(|table| (family, table)));
    }
    let listed = ask("nft", &["-j", "-t", "list", "ruleset"]);
    let native = listed.map(|text| native(&text, &kept)).transpose();
    let native = native.unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    Live {
        legacy,
        iptables_nft,
        native: native.unwrap_or_default(),
        iptables,
        has_iptables_nft,
        has_iptables_legacy,
        has_ipset,
        has_nft,
        problems,
    }
}

/// Where the mirror belongs, and a sentence that says why: where somebody keeps rules already, else
/// what `iptables` means here. What lacks a tool gives way to nftables.
pub fn choose(live: &Live) -> (Choice, String) {
    let (wanted, why) = preferred(live);
    let lacks = match wanted {
        Choice::IptablesNft if !live.has_iptables_nft => Some("iptables-nft"),
        Choice::IptablesLegacy if !live.has_iptables_legacy => Some("iptables-legacy"),
        Choice::IptablesNft | Choice::IptablesLegacy if !live.has_ipset => Some("ipset"),
        Choice::Nftables if !live.has_nft => Some("nft"),
        _ => None,
    };
    let (choice, mut why) = match lacks {
        None => (wanted, why),
        Some(tool) if live.has_nft => (
            Choice::Nftables,
            format!("{why}, but {tool} is not installed, and nft is"),
        ),
        Some(tool) => (
            Choice::None,
            format!("{why}, but {tool} is not installed: install nftables, or iptables and ipset"),
        ),
    };
    for problem in &live.problems {
        why += &format!("; {problem}");
    }
    (choice, why)
}

/// What goes with the rules that are there, whatever is installed.
fn preferred(live: &Live) -> (Choice, String) {
    let older = live
        .iptables
        .as_ref()
        .is_some_and(|version| !version.contains("nf_tables"));
    let newer = match live.iptables_nft {
        Rules { any: false, .. } => Choice::Nftables,
        // Of the two that share the kernel's tables, iptables, unless only the other filters.
        rules if live.native.input && !rules.input && live.legacy.any => Choice::Nftables,
        _ => Choice::IptablesNft,
    };
    let input = live.iptables_nft.input || live.native.input;
    let (choice, why) = match (live.legacy.any, live.iptables_nft.any, live.native.any) {
        (false, true, _) => (newer, "iptables over nftables has rules here"),
        (false, false, true) => (newer, "nftables has rules here"),
        (true, false, false) => (Choice::IptablesLegacy, "legacy iptables has rules here"),
        (true, ..) => match (live.legacy.input, input) {
            (true, false) => (Choice::IptablesLegacy, MIXED),
            (false, true) => (newer, MIXED),
            _ if older => (Choice::IptablesLegacy, MIXED),
            _ => (newer, MIXED),
        },
        _ => match &live.iptables {
            None => (Choice::Nftables, "nothing has rules here"),
            Some(_) if older => (Choice::IptablesLegacy, MEANT),
            Some(_) => (Choice::IptablesNft, MEANT),
        },
    };
    (choice, why.to_owned())
}

const MIXED: &str =
    "warning: both legacy iptables and nftables have rules here, and packets must pass both";
const MEANT: &str = "nothing has rules here, and this is what iptables stands for";

impl Rules {
    fn merge(&mut self, other: Self) {
        self.any |= other.any;
        self.input |= other.input;
    }
}

/// What `iptables-save` prints.
#[derive(Default)]
struct Saved {
    /// Tables that are iptables' own, by name.
    tables: Vec<String>,
    rules: Rules,
}

fn saved(text: &str) -> Saved {
    let mut saved = Saved::default();
    let mut table = "";
    let mut foreign = Vec::new();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let chain = match words.as_slice() {
            // # Table `filter' contains incompatible base-chains, use 'nft' tool to list them.
            ["#", "Table", name, rest @ ..]
                if rest.iter().any(|word| word.starts_with("incompatible")) =>
            {
                foreign.push(name.trim_matches(['`', '\'']).to_owned());
                continue;
            }
            ["-A", chain, ..] if !is_ours(&words) => chain,
            [chain, "DROP", ..] => chain.trim_start_matches(':'),
            _ => {
                if let Some(name) = line.strip_prefix('*') {
                    table = name;
                    saved.tables.push(name.to_owned());
                }
                continue;
            }
        };
        saved.rules.any = true;
        saved.rules.input |= (table, chain) == ("filter", "INPUT");
    }
    saved.tables.retain(|table| !foreign.contains(table));
    saved
}

/// A rule in a chain of ours, or one that leads there.
fn is_ours(words: &[&str]) -> bool {
    let is_chain = |name: &&str| ["FWCTL", "FWCTL-FORWARD"].contains(name);
    words.get(1).is_some_and(is_chain)
        || words
            .windows(2)
            .any(|pair| pair[0] == "-j" && is_chain(&pair[1]))
}

#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Object>,
}

/// One of these, or something that plays no part.
#[derive(Deserialize)]
struct Object {
    chain: Option<Chain>,
    rule: Option<Rule>,
}

#[derive(Deserialize)]
struct Chain {
    family: String,
    table: String,
    hook: Option<String>,
    policy: Option<String>,
}

#[derive(Deserialize)]
struct Rule {
    family: String,
    table: String,
}

/// What `nft` shows of tables that are neither ours nor `kept` by iptables. A table that has rules
/// and a chain for packets to this host is about them.
fn native(text: &str, kept: &[(&str, String)]) -> Result<Rules, String> {
    let listing: Listing = serde_json::from_str(text)
        .map_err(|error| format!("cannot understand what nft shows: {error}"))?;
    let is_foreign = |family: &str, table: &str| {
        ["ip", "ip6", "inet"].contains(&family)
            && (family, table) != ("inet", "fwctl")
            && !kept
                .iter()
                .any(|(of, name)| (*of, name.as_str()) == (family, table))
    };
    let mut ruled = Vec::new();
    let mut entered = Vec::new();
    for object in &listing.nftables {
        if let Some(rule) = &object.rule {
            ruled.push((&rule.family, &rule.table));
        }
        if let Some(chain) = &object.chain {
            let table = (&chain.family, &chain.table);
            if chain.policy.as_deref() == Some("drop") {
                ruled.push(table);
            }
            if chain.hook.as_deref() == Some("input") {
                entered.push(table);
            }
        }
    }
    ruled.retain(|(family, table)| is_foreign(family, table));
    Ok(Rules {
        any: !ruled.is_empty(),
        input: ruled.iter().any(|table| entered.contains(table)),
    })
}

#[cfg(test)]
mod tests;
