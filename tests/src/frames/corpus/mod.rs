//! Every kind of frame a build survives, each with what the filter owes it.
//!
//! A seed is built for a source address, so that the same frame can be sent from a blocked source
//! and from a free one.

mod ipv4;
mod ipv6;
mod link;
mod malformed;
mod tags;
mod transports;

use std::net::IpAddr;

use fw_common::reason::{Family, Reason};

/// What decides about a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its source.
    BySource,
    /// It keeps the link alive.
    Link,
    /// It is not IP.
    NotIp,
    /// It has more tags than are read.
    Tags,
}

/// A frame for any source.
#[derive(Debug)]
pub struct Seed {
    /// What is special about it.
    pub name: &'static str,
    /// What decides about it.
    pub fate: Fate,
    families: &'static [Family],
    build: fn(IpAddr) -> Vec<u8>,
}

impl Seed {
    const fn new(name: &'static str, build: fn(IpAddr) -> Vec<u8>) -> Self {
        Self {
            name,
            fate: Fate::BySource,
            families: &[Family::V4, Family::V6],
            build,
        }
    }

    const fn v4(mut self) -> Self {
        self.families = &[Family::V4];
        self
    }

    const fn v6(mut self) -> Self {
        self.families = &[Family::V6];
        self
    }

    const fn fate(mut self, fate: Fate) -> Self {
        self.fate = fate;
        self
    }

    /// The frame, sent by `source`.
    pub fn frame(&self, source: IpAddr) -> Vec<u8> {
        (self.build)(source)
    }

    /// Why it gets its verdict, where `by_source` is what applies to its source.
    pub fn reason(&self, by_source: Reason) -> Reason {
        match self.fate {
            Fate::BySource => by_source,
            Fate::Link => Reason::Link,
            Fate::NotIp => Reason::NotIp,
            Fate::Tags => Reason::Tags,
        }
    }
}

/// The seeds that `source` can send.
pub fn seeds(source: IpAddr) -> impl Iterator<Item = &'static Seed> {
    let family = match source {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    };
    [
        transports::SEEDS,
        tags::SEEDS,
        ipv4::SEEDS,
        ipv6::SEEDS,
        link::SEEDS,
        malformed::SEEDS,
    ]
    .into_iter()
    .flatten()
    .filter(move |seed| seed.families.contains(&family))
}
