//! From the files to the prefixes of a selection. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv6Addr},
};

use fw_common::Prefix;
use maxminddb::MaxMindDbError;

use super::{code::Code, databases::Databases, ranges::Addresses, selection::Selection};
use crate::{outbound::address, policy::entry::ListName};

/// Tunnels through IPv4 (Teredo, 6to4), which files show as aliases of it: who is at their other end
/// may be anywhere, so they are in no country.
const TUNNELS: [(Ipv6Addr, u8); 2] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
];

/// IPv4 as IPv6 writes it, by its place in files and as a mapped address. Packets from a mapped address
/// are decided as those of IPv4.
const V4_IN_V6: [(Ipv6Addr, u8); 2] = [
    (Ipv6Addr::UNSPECIFIED, 96),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
];

/// What a selection comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    /// Each list with its prefixes, the fewest there can be.
    pub lists: BTreeMap<ListName, Vec<Prefix>>,
    /// What no address was found of: the lists of these are not among those above.
    pub missing: BTreeSet<Code>,
}

/// The prefixes of a selection. A list of which something selected is missing is not made: half of
/// what alone shall pass would block the other half.
///
/// # Errors
/// A file is damaged in a way that it did not show when it was read.
pub fn compile(selection: &Selection, databases: &Databases) -> Result<Compiled, MaxMindDbError> {
    let mut compiled = Compiled::default();
    let wanted: BTreeSet<Code> = selection.block.union(&selection.only).copied().collect();
    let found = addresses(&wanted, databases)?;
    for code in &wanted {
        if !found.contains_key(code) {
            compiled.missing.insert(*code);
        }
    }
    for code in &selection.block {
        if let Some(addresses) = found.get(code) {
            let list = ListName::geo(code);
            compiled.lists.insert(list, addresses.prefixes());
        }
    }
    if !selection.only.is_empty() && selection.only.is_disjoint(&compiled.missing) {
        let spared = selection.only.iter().filter_map(|code| found.get(code));
        let spared = spared.fold(nowhere(), |all, addresses| all.or(addresses));
        let others = Addresses::all().minus(&spared);
        compiled
            .lists
            .insert(ListName::geo_only(), others.prefixes());
    }
    Ok(compiled)
}

/// The addresses of each code that has any.
fn addresses(
    codes: &BTreeSet<Code>,
    databases: &Databases,
) -> Result<BTreeMap<Code, Addresses>, MaxMindDbError> {
    let away = TUNNELS.into_iter().chain(V4_IN_V6).filter_map(prefix);
    let away: Addresses = away.collect();
    let (countries, systems): (BTreeSet<Code>, BTreeSet<Code>) = codes
        .iter()
        .partition(|code| matches!(code, Code::Country(_)));
    let mut found = BTreeMap::new();
    for (codes, database) in [
        (countries, databases.countries()),
        (systems, databases.systems()),
    ] {
        let Some(database) = database.filter(|_| !codes.is_empty()) else {
            continue;
        };
        let addresses = database.addresses(&codes)?.into_iter();
        let addresses = addresses.map(|(code, addresses)| (code, addresses.minus(&away)));
        found.extend(addresses.filter(|(_, addresses)| !addresses.is_empty()));
    }
    Ok(found)
}

/// Addresses that are nowhere on the Internet, so that no country has them: private, of this link,
/// multicast and the like. Tunnels are not among them.
fn nowhere() -> Addresses {
    let tunnels: Addresses = TUNNELS.into_iter().filter_map(prefix).collect();
    let special: Addresses = address::special_prefixes().collect();
    special.minus(&tunnels)
}

/// Whether an address is a tunnel's.
pub fn is_tunnel(address: IpAddr) -> bool {
    let mut tunnels = TUNNELS.into_iter().filter_map(prefix);
    tunnels.any(|tunnel| tunnel.contains(address))
}

fn prefix((address, length): (Ipv6Addr, u8)) -> Option<Prefix> {
    Prefix::new(address.into(), length)
}

#[cfg(test)]
mod tests;
