//! One file: read as a whole, and looked through before anything follows from it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry as Slot},
    net::IpAddr,
};

use fw_common::Prefix;
use maxminddb::{MaxMindDbError, Reader, WithinOptions};
use serde::de::IgnoredAny;

use super::{code::Code, home::Home, ranges::Addresses};
use crate::policy::time::WallSecs;

/// Characters of what a file calls itself that are kept.
const KIND: usize = 64;

/// A file in memory, so that nothing that becomes of it on the disk is felt here.
pub struct Database {
    reader: Reader<Vec<u8>>,
    /// Records by where they stand, those that say something.
    homes: HashMap<usize, Home>,
    /// What it is.
    pub facts: Facts,
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What it calls itself: `GeoLite2-Country`; text from a file that anybody may have made.
    pub kind: String,
    /// When it was made.
    pub built: WallSecs,
    /// Networks of which it says something.
    pub networks: usize,
    /// Whether it knows countries.
    pub countries: bool,
    /// Whether it knows autonomous systems.
    pub systems: bool,
    /// Whether it knows IPv6.
    pub ipv6: bool,
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Cut off, damaged, or something else.
    #[error("it is no whole file of MaxMind's format: {}", shortened(&.0.to_string()))]
    Broken(#[from] MaxMindDbError),
    /// A good file about something else.
    #[error("{0:?} says neither country nor autonomous system of any address")]
    Layout(String),
}

impl Database {
    /// Looks through the bytes of a file.
    ///
    /// # Errors
    /// [`DatabaseError`]
    pub fn parse(bytes: Vec<u8>) -> Result<Self, DatabaseError> {
        let reader = Reader::from_source(bytes)?;
        come_to_an_end(&reader)?;
        let mut homes: HashMap<usize, Home> = HashMap::new();
        let mut networks = 0;
        for record in reader.networks(WithinOptions::default())? {
            let record = record?;
            networks += 1;
            if let Some(offset) = record.offset()
                && let Slot::Vacant(slot) = homes.entry(offset)
            {
                // All of it is looked at, also what says nothing here.
                record.decode::<IgnoredAny>()?;
                slot.insert(Home::read(&record)?);
            }
        }
        homes.retain(|_, home| !home.is_empty());
        let metadata = reader.metadata();
        let facts = Facts {
            kind: shortened(&metadata.database_type),
            built: WallSecs(i64::try_from(metadata.build_epoch).unwrap_or(i64::MAX)),
            networks,
            countries: homes.values().any(|home| home.country.is_some()),
            systems: homes.values().any(|home| home.asn.is_some()),
            ipv6: metadata.ip_version == 6,
        };
        if !facts.countries && !facts.systems {
            return Err(DatabaseError::Layout(facts.kind));
        }
        Ok(Self {
            reader,
            homes,
            facts,
        })
    }

    /// What it says of an address, and of which network around it.
    pub fn find(&self, address: IpAddr) -> Option<(&Home, Prefix)> {
        // Of IPv6 a file of IPv4 knows nothing.
        let record = self.reader.lookup(address).ok()?;
        let home = self.homes.get(&record.offset()?)?;
        let network = record.network().ok()?;
        let found = Prefix::new(network.ip(), network.prefix())?;
        // A record that stands above all of IPv4 is one of IPv6.
        let whole = Prefix::new(address, 0).filter(|whole| whole.family() != found.family());
        Some((home, whole.unwrap_or(found)))
    }

    /// The addresses of each of these codes. What answers to IPv4 in a file of IPv6 is IPv4.
    ///
    /// # Errors
    /// None that a file has which was looked through.
    pub fn addresses(
        &self,
        codes: &BTreeSet<Code>,
    ) -> Result<BTreeMap<Code, Addresses>, MaxMindDbError> {
        let mut found: BTreeMap<Code, Addresses> = BTreeMap::new();
        for record in self.reader.networks(WithinOptions::default())? {
            let record = record?;
            let Some(home) = record.offset().and_then(|offset| self.homes.get(&offset)) else {
                continue;
            };
            let mut wanted = home.codes().filter(|code| codes.contains(code)).peekable();
            if wanted.peek().is_none() {
                continue;
            }
            let network = record.network()?;
            let Some(prefix) = Prefix::new(network.ip(), network.prefix()) else {
                continue;
            };
            for code in wanted {
                let addresses = found.entry(code).or_default();
                addresses.push(prefix);
                if is_above_v4(prefix) {
                    addresses.v4 = Addresses::all().v4;
                }
            }
        }
        Ok(found)
    }
}

/// Walks through the whole tree, which a damaged file may have made a maze of: one of so many nodes has
/// as many ends, and those of IPv4 once more for each of its other names. The library's own `verify`
/// does so too, but refuses good files that do not describe themselves.
fn come_to_an_end(reader: &Reader<Vec<u8>>) -> Result<(), MaxMindDbError> {
    const NAMES_OF_V4: usize = 8;
    let every = WithinOptions::default()
        .include_aliased_networks()
        .include_networks_without_data();
    let most = (reader.metadata().node_count as usize + 1).saturating_mul(NAMES_OF_V4);
    for (count, network) in reader.networks(every)?.enumerate() {
        network?;
        if count > most {
            return Err(MaxMindDbError::invalid_database("its tree has no end"));
        }
    }
    Ok(())
}

/// Whether a network of IPv6 holds the place where files of IPv6 keep IPv4.
fn is_above_v4(prefix: Prefix) -> bool {
    matches!(prefix.address(), IpAddr::V6(address) if address.is_unspecified())
        && prefix.length() <= 96
}

fn shortened(text: &str) -> String {
    text.chars().take(KIND).collect()
}

#[cfg(test)]
mod tests;
