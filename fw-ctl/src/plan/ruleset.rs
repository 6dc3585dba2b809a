//! The rules of a moment, as a layer takes them: hours are on or off, rates are numbers, and what
//! is asked first stands first.

use std::{cmp::Reverse, collections::BTreeMap, net::IpAddr};

use fw_common::Prefix;
use jiff::Timestamp;

use crate::policy::{
    rate::{Per, Rate},
    rule::{Effect, Rule, RuleId, Verdict},
    rules::{Base, Rules},
    service::{Protocol, Service},
};

/// What a layer does with packets of sources that are neither guarded nor allowed nor blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruleset {
    /// What would be dropped is only counted.
    pub observe: bool,
    /// Blocks count for forwarded packets too.
    pub forward: bool,
    /// Invalid packets and the default.
    pub base: Base,
    /// All that match are asked, before the others.
    pub limits: Vec<LimitRow>,
    /// The first that matches decides.
    pub ports: Vec<PortRow>,
}

/// New connections of these sources to this service, beyond this rate, are dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitRow {
    /// Of the rule.
    pub id: RuleId,
    /// Protocol and ports.
    pub service: Service,
    /// Whose; empty for everybody's.
    pub sources: Vec<Prefix>,
    /// How fast the bucket fills now.
    pub rate: Rate,
    /// How many it holds.
    pub burst: u32,
    /// Whose bucket.
    pub per: Per,
}

/// New connections from this source to this service are accepted or dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRow {
    /// Of the rule.
    pub id: RuleId,
    /// Protocol and ports.
    pub service: Service,
    /// Whose; `None` for everybody's.
    pub source: Option<Prefix>,
    /// What becomes of them.
    pub verdict: Verdict,
}

/// What decided about a new connection, limits left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What becomes of it.
    pub verdict: Verdict,
    /// The rule; `None` for the default.
    pub rule: Option<RuleId>,
}

impl Ruleset {
    /// What the rules come to at a moment. An adaptive limit has the rate it is at.
    pub fn of(rules: &Rules, at: Timestamp, rates: &BTreeMap<RuleId, Rate>) -> Self {
        Self {
            observe: false,
            forward: false,
            base: rules.base,
            limits: limits(rules, at, rates),
            ports: ports(rules, at),
        }
    }

    /// One line a rule, in the order they are asked.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = lines(&self.limits, &self.ports);
        if self.base.drop_invalid {
            lines.insert(0, "drop invalid".to_owned());
        }
        lines.push(format!("{} by default", self.base.default.name()));
        lines
    }

    /// What becomes of a new connection that no limit stops. `port` is 0 for protocols without.
    pub fn decide(&self, source: IpAddr, protocol: Protocol, port: u16) -> Decided {
        let names = |row: &&PortRow| {
            row.service.matches(protocol, port)
                && row.source.is_none_or(|prefix| prefix.contains(source))
        };
        match self.ports.iter().find(names) {
            Some(row) => Decided {
                verdict: row.verdict,
                rule: Some(row.id),
            },
            None => Decided {
                verdict: self.base.default,
                rule: None,
            },
        }
    }

    /// Limits that a new connection counts in.
    pub fn limits_of(
        &self,
        source: IpAddr,
        protocol: Protocol,
        port: u16,
    ) -> impl Iterator<Item = &LimitRow> {
        self.limits.iter().filter(move |row| {
            let whose = &row.sources;
            row.service.matches(protocol, port)
                && (whose.is_empty() || whose.iter().any(|prefix| prefix.contains(source)))
        })
    }

    /// What XDP can decide without state: which TCP connections rules close, and how many of
    /// everybody's are too many. The default stays where the ports of containers are known.
    pub fn pushdown(&self) -> Pushdown {
        let is_tcp = |service: &Service| service.protocol() == Protocol::Tcp;
        Pushdown {
            ports: self
                .ports
                .iter()
                .filter(|row| is_tcp(&row.service))
                .cloned()
                .collect(),
            limits: self
                .limits
                .iter()
                .filter(|row| is_tcp(&row.service) && row.sources.is_empty())
                .cloned()
                .collect(),
        }
    }
}

/// What XDP decides about a TCP SYN to an own address of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushdown {
    /// The first that matches decides; what none matches passes.
    pub ports: Vec<PortRow>,
    /// All that match are asked, before the others.
    pub limits: Vec<LimitRow>,
}

impl Pushdown {
    /// As [`Ruleset::lines`].
    pub fn lines(&self) -> Vec<String> {
        lines(&self.limits, &self.ports)
    }
}

fn lines(limits: &[LimitRow], ports: &[PortRow]) -> Vec<String> {
    let limits = limits.iter().map(|row| {
        let (service, per) = (&row.service, row.per.name());
        let whose: Vec<String> = row.sources.iter().map(ToString::to_string).collect();
        let from = match whose.is_empty() {
            true => String::new(),
            false => format!(" from {}", whose.join(",")),
        };
        format!(
            "limit {service}{from} to {} burst {} per {per} (rule {})",
            row.rate, row.burst, row.id
        )
    });
    let ports = ports.iter().map(|row| {
        let from = row.source.map(|source| format!(" from {source}"));
        format!(
            "{} {}{} (rule {})",
            row.verdict.name(),
            row.service,
            from.unwrap_or_default(),
            row.id
        )
    });
    limits.chain(ports).collect()
}

fn limits(rules: &Rules, at: Timestamp, rates: &BTreeMap<RuleId, Rate>) -> Vec<LimitRow> {
    let row = |(id, rule): (RuleId, &Rule)| match rule.effect {
        Effect::Limit(limit) if rule.is_on(at) => Some(LimitRow {
            id,
            service: rule.service.clone(),
            sources: rule.sources.clone(),
            rate: rates.get(&id).copied().unwrap_or(limit.rate),
            burst: limit.burst,
            per: limit.per,
        }),
        _ => None,
    };
    rules.iter().filter_map(row).collect()
}

/// The narrowest first.
fn ports(rules: &Rules, at: Timestamp) -> Vec<PortRow> {
    let mut rows: Vec<PortRow> = Vec::new();
    for (id, rule) in rules.iter() {
        let Some(verdict) = rule.verdict(at) else {
            continue;
        };
        let everybody = rule.sources.is_empty().then_some(None);
        let sources = rule.sources.iter().copied().map(Some);
        rows.extend(everybody.into_iter().chain(sources).map(|source| PortRow {
            id,
            service: rule.service.clone(),
            source,
            verdict,
        }));
    }
    rows.sort_by_key(|row| {
        let length = row.source.map_or(0, |source| source.length());
        (Reverse(length), row.service.width(), row.verdict, row.id)
    });
    rows
}

#[cfg(test)]
mod tests;
