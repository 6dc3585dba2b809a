//! Countries: what the loaded program decides is what the reader library says of the address.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use anyhow::{Context as _, Result};
use fw_common::{
    Prefix,
    abi::{Entry, NEVER},
    reason::Reason,
};
use fw_ctl::{
    backend::xdp::shape::Shape,
    geo::{
        code::Code,
        compile::{Compiled, compile},
        database::Database,
        databases::{Databases, File},
        selection::Selection,
    },
    outbound::address,
    plan::{Op, Plan},
};
use fw_tests::{
    kernel::{Kernel, Program},
    world::{World, world},
};
use maxminddb::{Reader, path};

use crate::{
    random::{Rng, seed},
    report, syn,
};

/// Networks of each family.
const NETWORKS: (usize, usize) = (300_000, 100_000);
/// Addresses that are asked about, half of each family.
const ADDRESSES: usize = 1_000_000;
/// Those among them that lie at the border of a network.
const BORDERS: usize = 200_000;

fn codes(text: &str) -> BTreeSet<Code> {
    let codes = text.split_whitespace().map(str::parse);
    codes.collect::<Result<_, _>>().expect(text)
}

/// Blocks these prefixes instead of those.
fn exchange(before: &BTreeSet<Prefix>, after: &BTreeSet<Prefix>) -> Plan {
    let gone = before.difference(after).map(|prefix| (*prefix, None));
    let new = after.difference(before);
    let new = new.map(|prefix| (*prefix, Some(Entry::new(*prefix, 9, NEVER))));
    let mut ops: Vec<Op<Entry>> = gone
        .chain(new)
        .map(|(prefix, after)| Op {
            prefix,
            before: None,
            after,
        })
        .collect();
    ops.sort_unstable_by_key(|op| op.prefix);
    Plan {
        block: ops,
        ..Plan::default()
    }
}

/// Those of all lists, as the kernel has them.
fn prefixes(compiled: &Compiled) -> BTreeSet<Prefix> {
    compiled.lists.values().flatten().copied().collect()
}

/// Addresses at the borders of networks and anywhere.
fn addresses(world: &World, rng: &mut Rng) -> Vec<IpAddr> {
    let mut addresses = Vec::with_capacity(ADDRESSES);
    let (v4, v6): (Vec<&Prefix>, Vec<&Prefix>) = world
        .networks
        .iter()
        .partition(|network| network.address().is_ipv4());
    for networks in [v4, v6] {
        for number in 0..ADDRESSES / 2 {
            let network = networks[rng.below(networks.len())];
            addresses.push(match (number < BORDERS / 2, number % 4) {
                (true, 0) => network.address(),
                (true, 1) => network.last(),
                (true, 2) => beside(network.address(), false),
                (true, _) => beside(network.last(), true),
                (false, _) => anywhere(network.address().is_ipv4(), rng),
            });
        }
    }
    addresses
}

fn beside(address: IpAddr, behind: bool) -> IpAddr {
    match (address, behind) {
        (IpAddr::V4(address), true) => address.to_bits().wrapping_add(1).to_be_bytes().into(),
        (IpAddr::V4(address), false) => address.to_bits().wrapping_sub(1).to_be_bytes().into(),
        (IpAddr::V6(address), true) => address.to_bits().wrapping_add(1).to_be_bytes().into(),
        (IpAddr::V6(address), false) => address.to_bits().wrapping_sub(1).to_be_bytes().into(),
    }
}

/// Of IPv6, half in what providers have.
fn anywhere(is_v4: bool, rng: &mut Rng) -> IpAddr {
    let [high, low] = [rng.next(), rng.next()].map(u128::from);
    if is_v4 {
        return (low as u32).to_be_bytes().into();
    }
    let bits = high << 64 | low;
    let wide = [0x2400_u128, 0x2600, 0x2a00, 0x2001][rng.below(4)];
    let near = wide << 112 | bits >> 16 & (u128::MAX >> 28);
    [near, bits][rng.below(2)].to_be_bytes().into()
}

/// Whether a selection drops an address, as the reader sees it: tunnels are in no country, and what is
/// nowhere on the Internet is never outside.
fn drops(selection: &Selection, reader: &Reader<&[u8]>, address: IpAddr) -> Result<bool> {
    let is_tunnel = is_tunnel(address);
    let found: Option<&str> = match is_tunnel {
        true => None,
        false => reader
            .lookup(address)?
            .decode_path(&path!["country", "iso_code"])?,
    };
    let code: Option<Code> = found.map(str::parse).transpose()?;
    let is_named = |codes: &BTreeSet<Code>| code.is_some_and(|code| codes.contains(&code));
    let is_somewhere = is_tunnel || address::special(address).is_none();
    let is_outside = !selection.only.is_empty() && !is_named(&selection.only) && is_somewhere;
    Ok(is_named(&selection.block) || is_outside)
}

/// Teredo and 6to4.
fn is_tunnel(address: IpAddr) -> bool {
    let IpAddr::V6(address) = address else {
        return false;
    };
    matches!(address.segments(), [0x2001, 0, ..] | [0x2002, ..])
}

#[test]
fn program_says_of_a_million_addresses_what_the_reader_says() -> Result<()> {
    let world = world(NETWORKS.0, NETWORKS.1, seed());
    let reader = Reader::from_source(world.bytes.as_slice())?;
    let database = Database::parse(world.bytes.clone())?;
    assert!(database.facts.networks >= NETWORKS.0 + NETWORKS.1);
    let databases = Databases(vec![File {
        path: "world.mmdb".into(),
        database: Arc::new(database),
    }]);
    let mut kernel = Kernel::shaped(&Shape {
        // What is outside of scattered networks is many prefixes.
        ipv6: 1 << 19,
        ..Shape::default()
    })?;
    let mut rng = Rng::new(seed(), 7);
    let asked = addresses(&world, &mut rng);
    let mut held = BTreeSet::new();
    for (block, only) in [("CN RU KP IR", ""), ("", "DE AT CH"), ("DE", "US DE")] {
        let selection = Selection {
            block: codes(block),
            only: codes(only),
        };
        let compiled = compile(&selection, &databases)?;
        assert!(compiled.missing.is_empty(), "{:?}", compiled.missing);
        let wanted = prefixes(&compiled);
        kernel.apply(exchange(&held, &wanted))?;
        let mut dropped = 0;
        for address in &asked {
            let expected = drops(&selection, &reader, *address)?;
            let answer = kernel.ask(Program::Frags, &syn(*address))?;
            let is_dropped = answer.outcome.reason == Reason::Block;
            assert_eq!(
                is_dropped, expected,
                "{address}, block {block}, only {only}"
            );
            dropped += usize::from(is_dropped);
        }
        assert!(dropped > ADDRESSES / 50 && dropped < ADDRESSES);
        report(format_args!(
            "countries: block {block:?} only {only:?}: {} prefixes, {} addresses, {dropped} dropped, 0 differences",
            wanted.len(),
            asked.len(),
        ));
        held = wanted;
    }
    let all = held.len();
    kernel.apply(exchange(&held, &BTreeSet::new()))?;
    let fills = kernel.tables.fill();
    let rows = fills
        .iter()
        .find(|fill| fill.name == "block_v4")
        .context("rows")?;
    assert!(all > 0 && rows.used == 0, "nothing is left");
    Ok(())
}
