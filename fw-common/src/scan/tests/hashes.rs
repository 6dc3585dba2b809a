//! From addresses and ports to places in a slot and in the array.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::{collections::BTreeSet, vec::Vec};

use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn an_ipv6_source_is_its_prefix(bits in any::<u128>(), prefix in 48..=128_u8) {
        let address = Address::from(IpAddr::V6(Ipv6Addr::from_bits(bits)));
        let network = bits >> (128 - prefix) << (128 - prefix);
        prop_assert_eq!(source(&address, prefix), network.to_be_bytes());
        prop_assert_eq!(mapped(&address), bits.to_be_bytes());
    }

    #[test]
    fn an_ipv4_source_is_its_mapped_address(bits in any::<u32>(), prefix in 48..=128_u8) {
        let v4 = Ipv4Addr::from_bits(bits);
        let expected = v4.to_ipv6_mapped().octets();
        let address = Address::from(IpAddr::V4(v4));
        prop_assert_eq!(source(&address, prefix), expected);
        prop_assert_eq!(mapped(&address), expected);
    }

    #[test]
    fn every_source_has_a_slot_and_a_tag(source in any::<[u8; 16]>(), seed: u64) {
        let hash = hash(&source, seed);
        prop_assert!(slot_of(hash) < SLOTS);
        // 0 is the tag of a free slot.
        prop_assert!(tag_of(hash) != 0);
    }

    #[test]
    fn every_port_and_every_host_has_a_bit(port: u16, host in any::<[u8; 16]>(), seed: u64) {
        prop_assert!(port_bit(port, seed) < 128);
        prop_assert!(host_bit(&host, seed) < 32);
    }
}

/// A thousand seeds that look random, always the same (Vigna's SplitMix64).
fn seeds() -> impl Iterator<Item = u64> {
    (1..=1000_u64).map(|number| {
        let mut bits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    })
}

/// The fewest bits that a row of ports sets, whatever the seed, and the mean over all seeds.
fn bits_of_row(count: u16, stride: u16, first: u16) -> (u32, f64) {
    let bits: Vec<u32> = seeds()
        .map(|seed| {
            let ports = (0..count).map(|at| first + at * stride);
            let set: u128 = ports.fold(0, |set, port| set | 1 << port_bit(port, seed));
            set.count_ones()
        })
        .collect();
    let fewest = bits.iter().copied().min().expect("a thousand seeds");
    let mean = f64::from(bits.iter().sum::<u32>()) / bits.len() as f64;
    (fewest, mean)
}

/// Of 128 bits thrown for at random, 16 throws set 15.1 in the mean, and 64 set 50.5.
#[test]
fn a_row_of_ports_sets_as_many_bits_as_ports_at_random() {
    for (count, fewest_allowed) in [(16, 10), (64, 38)] {
        let ideal = 128.0 * (1.0 - (127.0_f64 / 128.0).powi(count.into()));
        for first in [1, 20, 1024] {
            for stride in [1, 2, 3, 7, 10, 16, 64, 100, 128, 256, 1000] {
                let (fewest, mean) = bits_of_row(count, stride, first);
                let row = std::format!("{count} ports from {first} by {stride}");
                assert!(fewest >= fewest_allowed, "{row}: {fewest} bits");
                assert!((mean - ideal).abs() < 0.25, "{row}: {mean} bits");
            }
        }
    }
}

#[test]
fn neighbours_share_neither_slots_nor_host_bits() {
    let hosts = (0..=255).map(|last| Address::from(IpAddr::from([198, 51, 100, last])));
    let hosts: Vec<[u8; 16]> = hosts.map(|host| mapped(&host)).collect();
    let networks = (0..=255).map(|last| (0x2001_0db8_u128 << 96 | last << 64).to_be_bytes());
    let rows = [hosts, networks.collect()];
    for seed in seeds() {
        for row in &rows {
            let slots = row.iter().map(|host| slot_of(hash(host, seed)));
            assert!(slots.collect::<BTreeSet<u32>>().len() >= 250);
            let bits = row
                .iter()
                .fold(0_u32, |set, host| set | 1 << host_bit(host, seed));
            assert!(bits.count_ones() >= 30);
        }
    }
}

#[test]
fn another_seed_is_another_place() {
    let host = mapped(&Address::from(IpAddr::from([198, 51, 100, 7])));
    let places = |of: fn(&[u8; 16], u64) -> u32| {
        let places = seeds().map(|seed| of(&host, seed));
        places.collect::<BTreeSet<u32>>().len()
    };
    assert!(places(|host, seed| slot_of(hash(host, seed))) > 990);
    assert_eq!(places(|host, seed| host_bit(host, seed).into()), 32);
    assert_eq!(places(|_, seed| port_bit(22, seed).into()), 128);
}

/// A slot is a matter of the highest bits of a hash, a tag of the lowest.
#[test]
fn sources_that_share_a_slot_differ_in_their_tags() {
    let mut counts = [0; 256];
    for bits in 0..1_u32 << 22 {
        let host = Address::from(IpAddr::from(bits.to_be_bytes()));
        let hash = hash(&mapped(&host), 0x5bd1_e995_97f4_a7c1);
        if slot_of(hash) < 64 {
            counts[usize::from(tag_of(hash))] += 1;
        }
    }
    // Some 1,024 sources in 64 slots, and 128 odd tags.
    let [even, odd] = [0, 1].map(|first| counts.iter().skip(first).step_by(2));
    assert_eq!(even.sum::<u32>(), 0);
    assert!(odd.clone().all(|count| (1..=32).contains(count)));
    assert!((900..1150).contains(&odd.sum::<u32>()));
}
