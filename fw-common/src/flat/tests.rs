extern crate std;

use core::net::IpAddr;
use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::{
    hosts::{Place, Row as _},
    presence, v4, v6, *,
};
use crate::{
    abi::{Entry, RowV4},
    parse::Address,
    prefix::Prefix,
    reason::Family,
};

/// One slot with these ranges, in a chunk of its class.
struct Slot(Vec<u64>);

impl v4::Memory for Slot {
    fn directory(&self, slot: u32) -> u64 {
        let class = (self.0.len() / v4::UNIT).ilog2();
        match slot {
            7 => u64::from(v4::Reference::new(class, 1 << class).0) << 32,
            _ => 0,
        }
    }

    fn range(&self, unit: u32, index: u32) -> u64 {
        let first = self.0.len() / v4::UNIT;
        self.0[(unit as usize - first) * v4::UNIT + index as usize]
    }
}

fn row(block: u32) -> Answer {
    Answer { protect: 3, block }
}

#[test]
fn an_ipv4_range_reaches_to_the_next_one() {
    let starts = [0, 1, 17, 255, 256, 4094, 4095];
    let mut words: Vec<u64> = starts
        .iter()
        .map(|start| v4::range(*start, row(start + 1)))
        .collect();
    words.resize(8, words[6]);
    let slot = Slot(words);
    for low in 0..4096 {
        let start = starts
            .iter()
            .rev()
            .find(|start| **start <= low)
            .expect("the first is 0");
        assert_eq!(
            v4::find(&slot, 1, v4::first(7) + low),
            row(start + 1),
            "{low}"
        );
        assert_eq!(v4::find(&slot, 0, v4::first(7) + low), Answer::NONE);
    }
    assert_eq!(v4::find(&slot, 1, v4::last(7) + 1), Answer::NONE);
    assert_eq!(v4::find(&slot, 1, v4::first(7) - 1), Answer::NONE);
}

#[test]
fn a_chunk_of_the_largest_class_has_a_range_for_each_address() {
    let size = v4::UNIT << v4::MAX_CLASS;
    let range = |index: usize| v4::range(index.min(4095) as u32, row(index.min(4095) as u32));
    let slot = Slot((0..size).map(range).collect());
    for low in 0..4096 {
        assert_eq!(v4::find(&slot, 1, v4::first(7) + low), row(low));
    }
}

/// Fences with one leaf each.
struct Tree(Vec<(u128, Vec<(u128, Answer)>)>);

impl v6::Memory for Tree {
    fn fence(&self, number: u32) -> ([u64; 2], u64) {
        let number = number - 1000;
        (halves(self.0[number as usize].0), u64::from(number) << 32)
    }

    fn start(&self, leaf: u32, index: u32) -> [u64; 2] {
        let ranges = &self.0[leaf as usize].1;
        halves(ranges[(index as usize).min(ranges.len() - 1)].0)
    }

    fn answer(&self, leaf: u32, index: u32) -> u64 {
        let ranges = &self.0[leaf as usize].1;
        ranges[(index as usize).min(ranges.len() - 1)].1.word()
    }
}

fn halves(address: u128) -> [u64; 2] {
    [(address >> 64) as u64, address as u64]
}

proptest! {
    #[test]
    fn an_ipv6_range_reaches_to_the_next_one(
        starts in prop::collection::btree_set(any::<u128>(), 0..200),
        leaf in 1usize..=v6::LEAF,
        others in prop::collection::vec(any::<u128>(), 20),
    ) {
        let mut starts: Vec<u128> = starts.into_iter().collect();
        starts.insert(0, 0);
        starts.dedup();
        let ranges: Vec<_> = starts.iter().zip(1..).map(|(start, n)| (*start, row(n))).collect();
        let tree = Tree(ranges.chunks(leaf).map(|part| (part[0].0, part.to_vec())).collect());
        let root = v6::Root { half: 1, first: 1000, fences: tree.0.len() as u32 };
        prop_assert_eq!(v6::Root::of(root.word()), root);
        let beside = starts.iter().flat_map(|start| [start.wrapping_sub(1), *start, start.wrapping_add(1)]);
        for address in beside.chain(others) {
            let found = v6::find(&tree, root.word(), halves(address));
            let expected = starts.partition_point(|start| *start <= address);
            prop_assert_eq!(found, row(expected as u32), "{:x}", address);
        }
        prop_assert_eq!(v6::find(&tree, 0, halves(5)), Answer::NONE);
    }

    /// Every address of a prefix finds a bit that the prefix has set.
    #[test]
    fn every_address_of_an_ipv6_prefix_finds_its_bit(bits: u128, length in 0u8..=128, other: u128) {
        let prefix = Prefix::new(IpAddr::from(bits.to_be_bytes()), length).expect("in range");
        let host_bits = u128::MAX.checked_shr(length.into()).unwrap_or(0);
        let inside = (bits & !host_bits | other & host_bits) >> 96;
        let first = match prefix.address() {
            IpAddr::V6(address) => (address.to_bits() >> 96) as u32,
            IpAddr::V4(_) => unreachable!("it is IPv6"),
        };
        let asked = presence::v6(inside as u32);
        let set: Vec<_> = presence::places_v6(first, length).collect();
        prop_assert!(set.len() <= 65_536);
        prop_assert!(asked.iter().any(|place| set.contains(place)));
        let words = presence::WORDS_V4..presence::WORDS;
        prop_assert!(set.iter().all(|(word, _)| words.contains(word)));
        for family in [Family::V4, Family::V6] {
            let asked = presence::protected(family, inside as u32);
            let mut set = presence::places_protected(family, first, length);
            prop_assert!(set.any(|place| place == asked));
        }
    }

    /// A row is found in its bucket, by who may see it, and only as what it is.
    #[test]
    fn a_host_is_found_in_its_bucket(address: u32, seed: u64, place in 0u32..4, half in 0u32..2, other: u32) {
        let hosts = Place { seed, buckets: 1000 };
        let at = hosts.bucket::<RowV4>(address) + place;
        prop_assert!(at < 4000);
        let word = |length, flags| u64::from_ne_bytes([0, 0, 0, 0, 0, 0, length, flags]);
        let seen = Entry::SEEN << half;
        let find = |word: u64, address, half| {
            hosts.find::<RowV4>(half, address, |row| {
                (row == at).then_some((word, address)).or(Some((0, 0)))
            })
        };
        prop_assert_eq!(find(word(32, Entry::BLOCK | Entry::OBSERVED | seen), address, half), at);
        prop_assert_eq!(find(word(32, Entry::BLOCK | seen), address, half ^ 1), 0);
        for wrong in [
            word(32, Entry::BLOCK),
            word(32, Entry::BLOCK | Entry::RETIRED | seen),
            word(32, Entry::ALLOW | seen),
            word(31, Entry::BLOCK | seen),
        ] {
            prop_assert_eq!(find(wrong, address, half), 0);
        }
        let found = hosts.find::<RowV4>(half, other, |_| Some((word(32, Entry::BLOCK | seen), address)));
        prop_assert!(found == 0 || other == address);
        prop_assert_eq!(Place { seed, buckets: 0 }.bucket::<RowV4>(address), 0);
    }
}

#[test]
fn hosts_that_follow_each_other_lie_evenly() {
    let hosts = Place {
        seed: 7,
        buckets: 4096,
    };
    let mut filled = vec![0; 4096];
    for address in 0x0a00_0000..0x0a00_0000 + 8192 {
        filled[(hosts.bucket::<RowV4>(address) / RowV4::BUCKET) as usize] += 1;
    }
    let overflow: u32 = filled
        .iter()
        .map(|count: &u32| count.saturating_sub(4))
        .sum();
    // By chance, two to a bucket: 2 % have no room in it (Poisson).
    assert!(overflow < 8192 * 4 / 100, "{overflow}");
}

#[test]
fn few_bits_are_set_for_a_prefix() {
    let count = |length| presence::places_v6(0x2a00_0000, length).count();
    assert_eq!([128, 64, 32, 29, 20].map(count), [1, 1, 1, 8, 4096]);
    assert_eq!([19, 16, 12, 0].map(count), [1, 1, 16, 65_536]);
    let all: Vec<_> = presence::places_v6(0, 0).collect();
    let first = all[0].0;
    let mut words = vec![0u64; 1024];
    for (word, bit) in all {
        words[(word - first) as usize] |= bit;
    }
    assert!(words.iter().all(|word| *word == u64::MAX));
}

#[test]
fn sources_of_both_families_have_places_of_their_own() {
    let place =
        |text: &str| presence::auto(&Address::from(text.parse::<IpAddr>().expect("an address")));
    assert_ne!(place("1.2.3.4"), place("1.2.3.5"));
    assert_eq!(place("2001:db8::1"), place("2001:db8:5::7"));
    assert_ne!(place("2001:db8::1"), place("2001:db9::1"));
    assert!(place("255.255.255.255").0 < presence::WORDS_AUTO);
}
