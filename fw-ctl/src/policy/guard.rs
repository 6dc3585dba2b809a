//! Who can never be dropped, and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use fw_common::Prefix;

/// Prefixes that can be guarded by name, in the configuration and with `guard add` together: half
/// of a guard table, so that there is always room for what is discovered.
pub const MAX_NAMED: usize = 2048;

/// Why a prefix is guarded. The numbers are the values in the kernel's guard tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum GuardSource {
    /// Loopback, link-local, multicast and the like: no remote host has them.
    Reserved = 1,
    /// In the configuration file.
    Configured = 2,
    /// Added with `fw-ctl guard add`.
    Added = 3,
    /// An address of this host.
    OwnAddress = 4,
    /// A next hop of a route.
    Gateway = 5,
    /// A DNS server of this host.
    Resolver = 6,
    /// The other end of a live SSH session.
    SshPeer = 7,
}

impl GuardSource {
    /// In the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Reserved,
        Self::Configured,
        Self::Added,
        Self::OwnAddress,
        Self::Gateway,
        Self::Resolver,
        Self::SshPeer,
    ];

    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Configured => "configured",
            Self::Added => "added",
            Self::OwnAddress => "own-address",
            Self::Gateway => "gateway",
            Self::Resolver => "resolver",
            Self::SshPeer => "ssh-peer",
        }
    }
}

/// The guarded prefixes. One may be guarded for several reasons and stays until the last is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    prefixes: BTreeMap<Prefix, BTreeSet<GuardSource>>,
}

impl Default for Guard {
    /// The reserved ranges are always guarded: IANA special-purpose registries (RFC 6890), as far
    /// as their addresses are of this host or this link.
    fn default() -> Self {
        let v4 = |a, b, c, d, length| Prefix::new(IpAddr::V4(Ipv4Addr::new(a, b, c, d)), length);
        let v6 = |first, last, length| {
            Prefix::new(
                IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last)),
                length,
            )
        };
        let reserved = [
            v4(0, 0, 0, 0, 8),
            v4(127, 0, 0, 0, 8),
            v4(169, 254, 0, 0, 16),
            v4(224, 0, 0, 0, 4),
            v4(255, 255, 255, 255, 32),
            v6(0, 0, 128),
            v6(0, 1, 128),
            v6(0xfe80, 0, 10),
            v6(0xff00, 0, 8),
        ];
        Self {
            prefixes: reserved
                .into_iter()
                .flatten()
                .map(|prefix| (prefix, BTreeSet::from([GuardSource::Reserved])))
                .collect(),
        }
    }
}

impl Guard {
    /// Replaces what one source guards, and says whether anything changed.
    pub fn set(&mut self, source: GuardSource, prefixes: impl IntoIterator<Item = Prefix>) -> bool {
        let before = self.clone();
        for sources in self.prefixes.values_mut() {
            sources.remove(&source);
        }
        for prefix in prefixes {
            self.prefixes.entry(prefix).or_default().insert(source);
        }
        self.prefixes.retain(|_, sources| !sources.is_empty());
        *self != before
    }

    /// What one source guards.
    pub fn of(&self, source: GuardSource) -> impl Iterator<Item = Prefix> {
        self.iter()
            .filter(move |(_, sources)| sources.contains(&source))
            .map(|(prefix, _)| prefix)
    }

    /// Every guarded prefix with its reasons.
    pub fn iter(&self) -> impl Iterator<Item = (Prefix, &BTreeSet<GuardSource>)> {
        self.prefixes
            .iter()
            .map(|(prefix, sources)| (*prefix, sources))
    }

    /// A guarded prefix that shares an address with `prefix`, and its first reason. What an
    /// operator can change is named before what is reserved.
    pub fn conflict(&self, prefix: Prefix) -> Option<(Prefix, GuardSource)> {
        let mut above: Vec<_> = prefix
            .ancestors()
            .skip(1)
            .filter_map(|above| self.prefixes.get_key_value(&above))
            .collect();
        above.reverse();
        let below = self.prefixes.range(prefix..);
        let below = below.take_while(|(guarded, _)| prefix.covers(guarded));
        above
            .into_iter()
            .chain(below)
            .filter_map(|(guarded, sources)| Some((*guarded, *sources.last()?)))
            .max_by_key(|(_, source)| *source)
    }

    /// The guarded prefixes that no other one covers, in order.
    pub fn outermost(&self) -> Vec<Prefix> {
        let mut outermost: Vec<Prefix> = Vec::new();
        for prefix in self.prefixes.keys() {
            if !outermost.last().is_some_and(|last| last.covers(prefix)) {
                outermost.push(*prefix);
            }
        }
        outermost
    }

    /// Number of guarded prefixes.
    pub fn len(&self) -> usize {
        self.prefixes.len()
    }

    /// Never: the reserved ranges are always there.
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty()
    }
}
