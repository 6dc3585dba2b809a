//! A policy as plain lists, read from one end to the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use anyhow::Result;
use fw_common::{
    Prefix,
    abi::{Entry, NEVER},
    parse::{Address, Packet},
    scan,
    verdict::{Ruled, Tables},
};
use fw_ctl::{
    plan::{
        Op, Plan,
        ruleset::{LimitRow, Pushdown},
    },
    policy::{
        rate::Per,
        rule::{RuleId, Verdict},
        service::Protocol,
    },
};
use fw_tests::{
    frames::{SERVER_V4, SERVER_V6},
    kernel::Kernel,
};

/// What is blocked or allowed.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub prefix: Prefix,
    pub list: u16,
    pub deadline: u32,
}

/// What a kernel is to do.
#[derive(Debug, Default)]
pub struct Policy {
    pub guard: Vec<Prefix>,
    pub allow: Vec<Rule>,
    pub block: Vec<Rule>,
    /// In the order they are asked.
    pub rules: Pushdown,
}

impl Policy {
    /// One that blocks these for ever.
    pub fn blocking(prefixes: impl IntoIterator<Item = Prefix>) -> Self {
        let rule = |prefix| Rule {
            prefix,
            list: 1,
            deadline: NEVER,
        };
        Self {
            block: prefixes.into_iter().map(rule).collect(),
            ..Self::default()
        }
    }

    /// Limits that name a port, in order.
    pub fn limits(&self, port: u16) -> impl Iterator<Item = &LimitRow> {
        let limits = self.rules.limits.iter();
        limits.filter(move |limit| limit.service.matches(Protocol::Tcp, port))
    }

    /// Every prefix it names.
    pub fn prefixes(&self) -> Vec<Prefix> {
        let rules = self.allow.iter().chain(&self.block);
        let listed = rules.map(|rule| rule.prefix);
        let ruled = self.rules.ports.iter().filter_map(|row| row.source);
        self.guard
            .iter()
            .copied()
            .chain(listed)
            .chain(ruled)
            .collect()
    }

    /// Writes it as the controller does, as one change: a prefix with the latest deadline of all that
    /// cover it, because only the longest is found.
    pub fn write(&self, kernel: &mut Kernel) -> Result<()> {
        self.put(kernel, Some(1), |rules, rule| {
            let from = latest(rules, rule.prefix).unwrap_or(rule);
            Some(Entry::new(rule.prefix, from.list, from.deadline))
        })
    }

    /// Undoes [`Self::write`].
    pub fn erase(&self, kernel: &mut Kernel) -> Result<()> {
        self.put(kernel, None, |_, _| None)
    }

    fn put(
        &self,
        kernel: &mut Kernel,
        guarded: Option<u32>,
        after: impl Fn(&[Rule], &Rule) -> Option<Entry>,
    ) -> Result<()> {
        let guard: BTreeSet<Prefix> = self.guard.iter().copied().collect();
        let entries = |rules: &[Rule]| {
            let rows = rules.iter().map(|rule| (rule.prefix, after(rules, rule)));
            let rows: BTreeMap<Prefix, Option<Entry>> = rows.collect();
            rows.into_iter()
                .map(|(prefix, after)| op(prefix, after))
                .collect()
        };
        kernel.apply(Plan {
            guard: guard
                .into_iter()
                .map(|prefix| op(prefix, guarded))
                .collect(),
            allow: entries(&self.allow),
            block: entries(&self.block),
        })
    }
}

fn op<V>(prefix: Prefix, after: Option<V>) -> Op<V> {
    Op {
        prefix,
        before: None,
        after,
    }
}

/// The rules for prefixes that cover this one.
fn covering(rules: &[Rule], prefix: Prefix) -> impl Iterator<Item = &Rule> {
    let covers = move |rule: &&Rule| rule.prefix.covers(&prefix);
    rules.iter().filter(covers)
}

/// The one of them that ends last; of several, the longest prefix.
fn latest(rules: &[Rule], prefix: Prefix) -> Option<&Rule> {
    covering(rules, prefix).max_by_key(|rule| (rule.deadline, rule.prefix.length()))
}

/// A policy at a moment.
pub struct Moment<'a> {
    pub policy: &'a Policy,
    /// Second of boot time.
    pub now: u32,
    /// Connections that came out of each bucket. They fill so slowly that none comes back.
    pub spent: &'a Spent,
}

/// By rule and source; without one for a bucket that is everybody's.
pub type Spent = BTreeMap<(RuleId, Option<Prefix>), u32>;

/// The bucket of a source.
pub fn bucket(limit: &LimitRow, source: IpAddr) -> (RuleId, Option<Prefix>) {
    let length = match source {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 64,
    };
    let source = match limit.per {
        Per::Source => Prefix::new(source, length),
        Per::All => None,
    };
    (limit.id, source)
}

impl Moment<'_> {
    fn live(&self, rule: &Rule) -> bool {
        rule.deadline == NEVER || self.now < rule.deadline
    }

    /// List, deadline and prefix length of what decides about a source: the longest prefix that
    /// covers it, which carries the latest deadline.
    fn find(&self, rules: &[Rule], source: IpAddr) -> Option<(u16, u32, u8)> {
        let host = Prefix::host(source);
        let longest = covering(rules, host)
            .map(|rule| rule.prefix.length())
            .max()?;
        let latest = latest(rules, host).filter(|rule| self.live(rule))?;
        Some((latest.list, latest.deadline, longest))
    }

    /// As [`Self::find`], which may find something exactly when any rule that lives holds the
    /// source.
    fn found(&self, rules: &[Rule], source: &Address) -> Option<(u16, u32, u8)> {
        let source = source.ip()?;
        let found = self.find(rules, source);
        let any = rules
            .iter()
            .any(|rule| self.live(rule) && rule.prefix.contains(source));
        assert_eq!(found.is_some(), any, "{source} in {rules:?}");
        found
    }
}

impl Tables for Moment<'_> {
    type Entry = (u16, u32, u8);

    fn guarded(&self, source: &Address) -> bool {
        let source = source.ip();
        source.is_some_and(|source| self.policy.guard.iter().any(|p| p.contains(source)))
    }

    fn allowed(&self, source: &Address) -> Option<Self::Entry> {
        self.found(&self.policy.allow, source)
    }

    fn blocked(&self, source: &Address) -> Option<Self::Entry> {
        self.found(&self.policy.block, source)
    }

    fn ruled(&self, packet: &Packet, kind: scan::Kind) -> Ruled {
        let Some(source) = packet.source.ip().filter(|_| kind == scan::Kind::Syn) else {
            return Ruled::default();
        };
        let destination = scan::mapped(&packet.destination);
        let own = [SERVER_V4.into(), SERVER_V6.into()];
        if !own
            .map(|own: IpAddr| scan::mapped(&own.into()))
            .contains(&destination)
        {
            return Ruled::default();
        }
        let port = packet.destination_port;
        let exceeded = self.policy.limits(port).find(|limit| {
            let spent = self.spent.get(&bucket(limit, source));
            spent.is_some_and(|spent| *spent >= limit.burst)
        });
        let mut rows = self.policy.rules.ports.iter();
        let row = rows.find(|row| {
            row.service.matches(Protocol::Tcp, port)
                && row.source.is_none_or(|prefix| prefix.contains(source))
        });
        Ruled {
            exceeds: exceeded.map_or(0, |limit| limit.id.0),
            closed_by: match row {
                Some(row) if row.verdict == Verdict::Drop => row.id.0,
                _ => 0,
            },
        }
    }

    /// Nobody watches for scans.
    fn crossed(&self, _packet: &Packet, _kind: scan::Kind) -> Option<Self::Entry> {
        None
    }
}
