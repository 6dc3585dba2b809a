//! Ports with the same rules, as the kernel program looks them up.
//!
//! Rows that are asked one after the other would take the program a walk through all of them. But
//! they stand in the order of the longest source, so for one port the first that matches is the
//! longest that matches: a trie finds it. Ports that the same rows name share a class.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
};

use fw_common::{Prefix, abi};

use super::ruleset::{LimitRow, PortRow, Pushdown};
use crate::{
    detect::ports::{PortSet, Protocol},
    policy::{
        rule::{RuleId, Verdict},
        service::Service,
    },
};

/// What rules say of the ports of a class.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class {
    /// By source: the longest one decides.
    pub rows: BTreeMap<Prefix, Row>,
    /// Rules whose limits are asked, in order.
    pub limits: Vec<RuleId>,
}

/// What becomes of the connections of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The rule that says so.
    pub rule: RuleId,
    /// What it says.
    pub verdict: Verdict,
}

/// All classes, and which port is of which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    /// No two are the same, and each stops something.
    pub classes: Vec<Class>,
    /// For each TCP port, its place among them; `None` where nothing is stopped.
    pub ports: Vec<Option<u16>>,
}

/// More than the kernel program takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// Ports are told apart too finely.
    #[error("the rules divide the ports into more than {} classes", Classes::MAX)]
    Classes,
    /// Rows of all classes together.
    #[error(
        "the rules have more than {} sources in all classes of ports",
        Classes::MAX_ROWS
    )]
    Rows,
    /// Limits of one port.
    #[error("more than {max} limits name port {0}", max = abi::CLASS_LIMITS)]
    Limits(u16),
}

const PORTS: u32 = 1 << 16;

impl Classes {
    /// Half of what the kernel holds, so that new ones find room beside the old.
    pub const MAX: usize = abi::CLASS_COUNT as usize / 2 - 1;
    /// As [`Classes::MAX`], of rows.
    pub const MAX_ROWS: usize = abi::CLASS_V4.capacity as usize / 2;

    /// The classes of these rules. Connections to ports that are translated and so go elsewhere
    /// (`published`) are none of this host's.
    ///
    /// # Errors
    /// [`TooMuch`]
    pub fn of(pushdown: &Pushdown, published: &PortSet) -> Result<Self, TooMuch> {
        let mut found = Self {
            classes: Vec::new(),
            ports: vec![None; PORTS as usize],
        };
        let mut places = BTreeMap::new();
        let mut rows = 0;
        let mut named = Named::of(pushdown);
        let edges = named.edges();
        let ends = edges.keys().copied().skip(1).chain([PORTS]);
        for ((begin, changes), end) in edges.iter().zip(ends) {
            named.change(changes);
            let own = |port: &u32| !published.contains(Protocol::Tcp, *port as u16);
            let mut ports = (*begin..end).filter(own).peekable();
            let Some(first) = ports.peek().copied() else {
                continue;
            };
            let class = named.class();
            if class.limits.len() > abi::CLASS_LIMITS {
                return Err(TooMuch::Limits(first as u16));
            }
            if !class.stops() {
                continue;
            }
            let place = *places.entry(class.clone()).or_insert_with(|| {
                rows += class.rows.len();
                found.classes.push(class);
                found.classes.len() as u16 - 1
            });
            if found.classes.len() > Self::MAX {
                return Err(TooMuch::Classes);
            }
            if rows > Self::MAX_ROWS {
                return Err(TooMuch::Rows);
            }
            for port in ports {
                found.ports[port as usize] = Some(place);
            }
        }
        Ok(found)
    }
}

impl Class {
    /// Whether there is a connection that it stops.
    fn stops(&self) -> bool {
        let drops = |row: &Row| row.verdict == Verdict::Drop;
        !self.limits.is_empty() || self.rows.values().any(drops)
    }
}

/// A row for everybody is one of each family.
fn sources(row: &PortRow) -> impl Iterator<Item = Prefix> {
    let everybody = [
        Prefix::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        Prefix::new(Ipv6Addr::UNSPECIFIED.into(), 0),
    ];
    let all = match row.source {
        Some(source) => [Some(source), None],
        None => everybody,
    };
    all.into_iter().flatten()
}

/// The services that name a port, and what they bring.
struct Named<'a> {
    services: Vec<&'a Service>,
    /// Whether each names the port.
    named: Vec<bool>,
    /// Each with the place of its service.
    rows: Vec<(usize, &'a PortRow)>,
    /// As `rows`.
    limits: Vec<(usize, &'a LimitRow)>,
}

/// By port: services that begin to name ports there (`true`), or no longer do.
type Edges = BTreeMap<u32, Vec<(usize, bool)>>;

impl<'a> Named<'a> {
    fn of(Pushdown { ports, limits }: &'a Pushdown) -> Self {
        let all = ports.iter().map(|row| &row.service);
        let all = all.chain(limits.iter().map(|limit| &limit.service));
        let services: BTreeSet<&Service> = all.collect();
        let services: Vec<&Service> = services.into_iter().collect();
        let place = |service| {
            services
                .binary_search(&service)
                .unwrap_or_else(|place| place)
        };
        Self {
            named: vec![false; services.len()],
            rows: ports.iter().map(|row| (place(&row.service), row)).collect(),
            limits: limits
                .iter()
                .map(|row| (place(&row.service), row))
                .collect(),
            services,
        }
    }

    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (place, service) in self.services.iter().enumerate() {
            let mut edge = |at, begins| edges.entry(at).or_default().push((place, begins));
            if service.ports().is_empty() {
                edge(0, true);
            }
            for range in service.ports() {
                edge(range.first.into(), true);
                edge(u32::from(range.last) + 1, false);
            }
        }
        edges
    }

    fn change(&mut self, changes: &[(usize, bool)]) {
        for (place, named) in changes {
            self.named[*place] = *named;
        }
    }

    fn class(&self) -> Class {
        let mut class = Class::default();
        for (_, row) in self.rows.iter().filter(|(service, _)| self.named[*service]) {
            for source in sources(row) {
                class.rows.entry(source).or_insert(Row {
                    rule: row.id,
                    verdict: row.verdict,
                });
            }
        }
        let limits = self.limits.iter();
        let limits = limits.filter(|(service, _)| self.named[*service]);
        class.limits = limits.map(|(_, limit)| limit.id).collect();
        class
    }
}

#[cfg(test)]
mod tests;
