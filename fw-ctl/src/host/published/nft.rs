//! What `nft` shows of its rules.

mod scope;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::Deserialize;
use serde_json::Value;

use self::scope::Scope;
use super::{rules::Rules, shown};

/// What the rules say.
pub(super) struct Nft {
    pub(super) rules: Rules,
    /// There are also rules of `iptables`, which `nft` does not show whole.
    pub(super) has_iptables: bool,
}

/// Asks `nft`; `None` when it is not installed. It shows the rules without the contents of named
/// sets, which may be lists of a million addresses, and then those few that the rules of address
/// translation need.
///
/// # Errors
/// A sentence.
pub(super) fn rules(own: &[IpAddr]) -> Result<Option<Nft>, String> {
    let Some(text) = shown("nft", &["-j", "-t", "list", "ruleset"])? else {
        return Ok(None);
    };
    let mut ruleset = Ruleset::default();
    ruleset.read(&text)?;
    for (kind, id) in ruleset.wanted() {
        let mut arguments = vec!["-j", "list", kind];
        arguments.extend(id.split(' '));
        ruleset.read(&shown("nft", &arguments)?.unwrap_or_default())?;
    }
    Ok(Some(ruleset.nft(own)))
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
    set: Option<Set>,
    map: Option<Set>,
}

#[derive(Deserialize)]
struct Chain {
    family: String,
    table: String,
    name: String,
    r#type: Option<String>,
    hook: Option<String>,
}

#[derive(Deserialize)]
struct Rule {
    family: String,
    table: String,
    chain: String,
    expr: Vec<Value>,
}

#[derive(Deserialize)]
struct Set {
    family: String,
    table: String,
    name: String,
    #[serde(default)]
    elem: Vec<Value>,
}

/// Everything by family, table and name, with a blank between each two: names have none.
#[derive(Default)]
struct Ruleset {
    /// Chains of address translation that packets from outside come to, with their tables.
    roots: Vec<(String, String)>,
    rules: Vec<Rule>,
    /// `set` or `map`, and the elements.
    sets: BTreeMap<String, (&'static str, Vec<Value>)>,
}

impl Ruleset {
    fn read(&mut self, text: &str) -> Result<(), String> {
        let listing: Listing = serde_json::from_str(text)
            .map_err(|error| format!("cannot understand what nft shows: {error}"))?;
        for object in listing.nftables {
            if let Some(chain) = object.chain
                && chain.r#type.as_deref() == Some("nat")
                && chain.hook.as_deref() == Some("prerouting")
            {
                let table = format!("{} {}", chain.family, chain.table);
                self.roots.push((format!("{table} {}", chain.name), table));
            }
            self.rules.extend(object.rule);
            for (kind, set) in [("set", object.set), ("map", object.map)] {
                if let Some(set) = set {
                    let id = format!("{} {} {}", set.family, set.table, set.name);
                    self.sets.insert(id, (kind, set.elem));
                }
            }
        }
        Ok(())
    }

    /// Rules of the tables that translate destinations, each with its table.
    fn translating(&self) -> impl Iterator<Item = (String, &Rule)> {
        let tables: BTreeSet<&String> = self.roots.iter().map(|(_, table)| table).collect();
        self.rules.iter().filter_map(move |rule| {
            let table = format!("{} {}", rule.family, rule.table);
            tables.contains(&table).then_some((table, rule))
        })
    }

    /// Sets whose elements are needed, with their kinds.
    fn wanted(&self) -> BTreeSet<(&'static str, String)> {
        let mut wanted = BTreeSet::new();
        for (table, rule) in self.translating() {
            for name in scope::sets(&rule.expr) {
                let id = format!("{table} {name}");
                if let Some((kind, _)) = self.sets.get(&id) {
                    wanted.insert((*kind, id));
                }
            }
        }
        wanted
    }

    fn nft(&self, own: &[IpAddr]) -> Nft {
        let mut rules = Rules {
            roots: self.roots.iter().map(|(root, _)| root.clone()).collect(),
            ..Rules::default()
        };
        let mut has_iptables = false;
        for (table, rule) in self.translating() {
            let scope = Scope {
                own,
                table: &table,
                sets: &self.sets,
            };
            for one in scope.rules(&rule.expr) {
                rules.add(&format!("{table} {}", rule.chain), one);
            }
            has_iptables |= rule.expr.iter().any(|part| part.get("xt").is_some());
        }
        Nft {
            rules,
            has_iptables,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by nft 1.0.6.
    const RULES: &str = include_str!("fixtures/rules.json");
    const SETS: [&str; 4] = [
        include_str!("fixtures/set-ranges.json"),
        include_str!("fixtures/set-webs.json"),
        include_str!("fixtures/map-mail.json"),
        include_str!("fixtures/map-svc.json"),
    ];
    const DOCKER: &str = include_str!("fixtures/docker.json");

    fn ruleset(text: &str) -> Ruleset {
        let mut ruleset = Ruleset::default();
        ruleset.read(text).expect("as nft prints it");
        ruleset
    }

    fn published(nft: &Nft) -> Vec<String> {
        let ports = nft.rules.published().into_iter();
        ports.map(|ports| ports.to_string()).collect()
    }

    #[test]
    fn every_way_to_name_a_port_is_understood() {
        let own = ["127.0.0.1", "192.0.2.1"].map(|text| text.parse().expect("an address"));
        let mut ruleset = ruleset(RULES);
        SETS.iter()
            .for_each(|text| ruleset.read(text).expect("as nft prints it"));
        let nft = ruleset.nft(&own);
        assert!(!nft.has_iptables);
        assert_eq!(
            published(&nft),
            [
                "tcp/0",
                "tcp/21",
                "tcp/25",
                "tcp/80-82",
                "tcp/98",
                "tcp/143",
                "tcp/443",
                "tcp/990",
                "tcp/2222",
                "tcp/3478",
                "tcp/6443",
                "tcp/8000-8010",
                "tcp/8443",
                "tcp/9000",
                "tcp/9443-9445",
                "tcp/65001-65535",
                "udp/0-3",
                "udp/53",
                "udp/600",
                "udp/602",
                "udp/3478",
                "udp/4500-4501",
                "udp/5000-5010",
            ]
        );
    }

    #[test]
    fn only_sets_that_choose_ports_are_asked_for() {
        let wanted = ruleset(RULES).wanted();
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(kind, id)| format!("{kind} {id}"))
            .collect();
        assert_eq!(
            wanted,
            [
                "map inet pub mail",
                "map inet pub svc",
                "set inet pub ranges",
                "set inet pub webs"
            ]
        );
    }

    #[test]
    fn rules_of_iptables_are_left_to_iptables() {
        let nft = ruleset(DOCKER).nft(&["192.0.2.1".parse().expect("an address")]);
        assert!(nft.has_iptables);
        assert_eq!(published(&nft), [""; 0]);
    }

    #[test]
    fn no_rules_publish_nothing_and_nonsense_is_an_error() {
        let nft = ruleset(r#"{"nftables": [{"metainfo": {"version": "1.0.6"}}]}"#).nft(&[]);
        assert_eq!((published(&nft), nft.has_iptables), (vec![], false));
        assert!(Ruleset::default().read("").is_err());
    }
}
