//! Sets of networks as commands of `nft`. Pure.
//!
//! A set is a hash of the networks of one length, asked with the source under that length's mask:
//! a set of intervals takes no network within another, and seconds for one more among 100,000.

use std::{fmt, net::IpAddr, net::Ipv4Addr, net::Ipv6Addr};

use fw_common::{Prefix, reason::Family};

use crate::{
    plan::mirror::SetName,
    policy::time::{BootSecs, Now},
};

/// Elements of one command.
const CHUNK: usize = 1_000;

/// A set: `block4_24` holds the networks of 24 bits of IPv4 that are blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SetId {
    /// What it means.
    pub name: SetName,
    family: Family,
    length: u8,
}

impl SetId {
    /// Where a network stands.
    pub fn of(name: SetName, prefix: Prefix) -> Self {
        Self {
            name,
            family: prefix.family(),
            length: prefix.length(),
        }
    }

    /// The set of this name, if it is one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let (begin, length) = text.split_once('_')?;
        let length = length.parse().ok()?;
        [Family::V4, Family::V6]
            .into_iter()
            .flat_map(|family| SetName::ALL.map(|name| (name, family)))
            .map(|(name, family)| Self {
                name,
                family,
                length,
            })
            .find(|id| id.begin() == begin)
    }

    /// The network of an element.
    pub fn prefix(self, address: IpAddr) -> Option<Prefix> {
        Prefix::new(address, self.length)
    }

    /// What asks it: the source is in one of its networks.
    pub fn lookup(self) -> String {
        let (key, all): (_, IpAddr) = match self.family {
            Family::V6 => ("ip6 saddr", Ipv6Addr::from_bits(u128::MAX).into()),
            _ => ("ip saddr", Ipv4Addr::BROADCAST.into()),
        };
        match self.prefix(all) {
            Some(mask) if !mask.is_host() => format!("{key} & {} == @{self}", mask.address()),
            _ => format!("{key} @{self}"),
        }
    }

    /// What makes it.
    pub fn add(self) -> String {
        let kind = match self.family {
            Family::V6 => "ipv6_addr",
            _ => "ipv4_addr",
        };
        format!("add set inet fwctl {self} {{ type {kind}; flags timeout; }}")
    }

    /// What empties it.
    pub fn flush(self) -> String {
        format!("flush set inet fwctl {self}")
    }

    /// Commands that put networks with their ends, of which none has passed.
    pub fn put(
        self,
        elements: &[(Prefix, Option<BootSecs>)],
        now: Now,
    ) -> impl Iterator<Item = String> {
        self.each("add", elements, move |(prefix, deadline)| {
            let timeout = deadline.map_or_else(String::new, |end| timeout(end, now));
            format!("{}{timeout}", prefix.address())
        })
    }

    /// Commands that take networks out. Each is put first: to take out what is not there, or has
    /// just ended, would be an error.
    pub fn take(self, prefixes: &[Prefix]) -> impl Iterator<Item = String> {
        let address = |prefix: &Prefix| prefix.address().to_string();
        let put = self.each("add", prefixes, address);
        put.chain(self.each("delete", prefixes, address))
    }

    fn each<T>(
        self,
        verb: &'static str,
        items: &[T],
        text: impl Fn(&T) -> String,
    ) -> impl Iterator<Item = String> {
        items.chunks(CHUNK).map(move |chunk| {
            let elements: Vec<_> = chunk.iter().map(&text).collect();
            let elements = elements.join(", ");
            format!("{verb} element inet fwctl {self} {{ {elements} }}")
        })
    }

    /// `block4`
    fn begin(self) -> String {
        format!("{}{}", self.name.name(), self.family as u8)
    }
}

impl fmt::Display for SetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.begin(), self.length)
    }
}

/// Whether a deadline has passed.
pub fn is_over(deadline: Option<BootSecs>, now: Now) -> bool {
    deadline.is_some_and(|end| left_ms(end, now) == 0)
}

fn left_ms(deadline: BootSecs, now: Now) -> u128 {
    (u128::from(deadline.0) * 1_000).saturating_sub(now.boot.as_millis())
}

/// ` timeout 1d3600s500ms`: `nft` reads no number of more than eight digits.
fn timeout(deadline: BootSecs, now: Now) -> String {
    const DAY: u128 = 86_400;
    let ms = left_ms(deadline, now);
    let (secs, ms) = (ms / 1_000, ms % 1_000);
    format!(" timeout {}d{}s{ms}ms", secs / DAY, secs % DAY)
}
