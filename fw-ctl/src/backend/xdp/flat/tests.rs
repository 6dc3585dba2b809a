//! Rows, ranges and references against a plain list, in memory that no program reads.

use std::{
    collections::BTreeMap,
    os::fd::AsFd as _,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use fw_common::{
    abi::{Entry, NEVER},
    flat::{
        Answer,
        presence::{self, WORDS_V4, WORDS_V6},
        v4, v6,
    },
};
use nix::{
    sys::memfd::{MFdFlags, memfd_create},
    unistd::ftruncate,
};
use proptest::prelude::*;

use super::{
    super::{sys::Mapped, tables::merged},
    family::{Changes, Family},
    grace::Grace,
    rows::Address,
    sweep::{Key, Kind, Number},
    v4::Directory,
    v6::Leaves,
};
use crate::plan::Op;

fn memory(words: usize) -> Mapped {
    let file = memfd_create("fw-ctl-test", MFdFlags::empty()).expect("a file in memory");
    ftruncate(&file, (words * 8) as i64).expect("it grows");
    Mapped::new(file.as_fd(), words).expect("it can be mapped")
}

/// The memory as the program reads it.
struct Reader {
    root: Arc<Mapped>,
    near: Arc<Mapped>,
    slots: Mapped,
    chunks: Mapped,
    fences: Mapped,
    leaves: Mapped,
}

fn word(memory: &Mapped, index: u32) -> u64 {
    memory.words()[index as usize].load(Relaxed)
}

impl v4::Memory for Reader {
    fn directory(&self, slot: u32) -> u64 {
        word(&self.slots, slot)
    }

    fn range(&self, unit: u32, index: u32) -> u64 {
        word(&self.chunks, unit * v4::UNIT as u32 + index)
    }
}

impl v6::Memory for Reader {
    fn fence(&self, number: u32) -> ([u64; 2], u64) {
        let start = number * v6::FENCE as u32;
        let [high, low, leaves] = [0, 1, 2].map(|i| word(&self.fences, start + i));
        ([high, low], leaves)
    }

    fn start(&self, leaf: u32, index: u32) -> [u64; 2] {
        let row = v6::LEAF as u32;
        [0, row].map(|part| word(&self.leaves, leaf * 3 * row + part + index))
    }

    fn answer(&self, leaf: u32, index: u32) -> u64 {
        let row = v6::LEAF as u32;
        word(&self.leaves, leaf * 3 * row + 2 * row + index)
    }
}

/// One file mapped twice: for the writer and for the reader.
fn twice(words: usize) -> [Mapped; 2] {
    let file = memfd_create("fw-ctl-test", MFdFlags::empty()).expect("a file in memory");
    ftruncate(&file, (words * 8) as i64).expect("it grows");
    [(); 2].map(|()| Mapped::new(file.as_fd(), words).expect("it can be mapped"))
}

/// Changes of one family, and what must come of them.
struct Rig<A> {
    family: Family<A>,
    list: BTreeMap<Key<A>, u32>,
    grace: Grace,
}

impl<A: Address> Rig<A> {
    fn new() -> Self {
        Self {
            family: Family::new(memory(4096 * A::STRIDE)).0,
            list: BTreeMap::new(),
            grace: Grace::default(),
        }
    }

    /// Adds what is not there, and takes away what is.
    fn turn(&mut self, keys: &[Key<A>]) -> Changes<A> {
        let mut changes = Changes::default();
        for key in keys {
            let list = self.list.len() as u16 + 1;
            let entry = Entry {
                list,
                length: key.1,
                deadline: NEVER,
                ..Entry::default()
            };
            let there = self.list.contains_key(key);
            changes.add(
                *key,
                Op {
                    prefix: fw_common::Prefix::host([0; 4].into()),
                    before: None,
                    after: (!there).then_some(entry),
                },
                &self.family,
            );
            match there {
                true => self.list.remove(key),
                false => self.list.insert(*key, u32::from(list)),
            };
        }
        changes
    }

    /// What a plain list says of an address: the numbers of rows.
    fn expected(&self, address: A) -> Answer {
        let longest = |kind| {
            let covering =
                |(first, length, of): &&Key<A>| *of == kind && address.first(*length) == *first;
            let key = self
                .list
                .keys()
                .filter(covering)
                .max_by_key(|(_, length, _)| *length);
            key.map_or(0, |key| self.family.index().get(key).expect("it has a row"))
        };
        Answer {
            protect: match longest(Kind::Guard) {
                0 => longest(Kind::Allow),
                guard => guard,
            },
            block: longest(Kind::Block),
        }
    }

    /// Addresses at which something may be wrong.
    fn places(&self) -> Vec<A> {
        let mut places = vec![A::LAST, A::LAST.first(0)];
        for (first, length, _) in self.list.keys() {
            places.extend([*first, first.last(*length)]);
            places.extend(first.last(*length).next());
        }
        places
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![1 => Just(Kind::Guard), 1 => Just(Kind::Allow), 4 => Just(Kind::Block)]
}

/// Prefixes that are near each other, so that they nest and share slots and leaves.
fn keys<A: Number + std::fmt::Debug>(
    address: impl Strategy<Value = A> + 'static,
) -> impl Strategy<Value = Vec<Key<A>>> {
    // Shorter ones touch so much that a test build takes seconds for each.
    let key = (address, A::WIDTH / 4..=A::WIDTH, kind());
    let key = key.prop_map(|(address, length, kind)| (address.first(length), length, kind));
    prop::collection::btree_set(key, 1..40).prop_map(|keys| keys.into_iter().collect())
}

fn near_v4() -> impl Strategy<Value = u32> {
    (
        0u32..4,
        0u32..3,
        0u32..16,
        prop_oneof![0u32..6, any::<u8>().prop_map(u32::from)],
    )
        .prop_map(|(a, b, c, d)| a << 30 | b << 12 | c << 8 | d)
}

fn near_v6() -> impl Strategy<Value = u128> {
    (
        0u128..3,
        0u128..4,
        0u128..64,
        prop_oneof![0u128..6, any::<u64>().prop_map(u128::from)],
    )
        .prop_map(|(a, b, c, d)| 0x2a00 << 112 | a << 96 | b << 80 | c << 64 | d)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn ipv4_ranges_say_what_a_plain_list_says(turns in prop::collection::vec(keys(near_v4()), 1..12)) {
        let root = Arc::new(memory(3));
        let near = Arc::new(memory((WORDS_V4 + WORDS_V6) as usize));
        let [slots, read_slots] = twice(v4::SLOTS as usize);
        let [chunks, read_chunks] = twice(1 << 20);
        let mut rig = Rig::<u32>::new();
        let mut directory = Directory::new(Arc::clone(&root), slots, chunks, Arc::clone(&near));
        let reader = Reader {
            root, near,
            slots: read_slots, chunks: read_chunks,
            fences: memory(1), leaves: memory(1),
        };
        for keys in turns {
            let changes = rig.turn(&keys);
            let entered = rig.family.enter(changes, &rig.grace).expect("there is room");
            let runs: Vec<_> = keys.iter()
                .map(|(first, length, _)| (v4::slot(*first), v4::slot(first.last(*length))))
                .collect();
            let runs = merged(runs);
            let swaps = directory.build(rig.family.index(), &runs, true, &rig.grace).expect("there is room");
            // Not seen before it is published, and nothing is lost when it is not.
            directory.discard(&swaps);
            let swaps = directory.build(rig.family.index(), &runs, true, &rig.grace).expect("there is room");
            directory.publish(&swaps, &mut rig.grace);
            rig.family.settle(entered, &mut rig.grace);
            for address in rig.places() {
                let half = word(&reader.root, 0) as u32;
                let expected = rig.expected(address);
                prop_assert_eq!(v4::find(&reader, half, address), expected, "{:x}", address);
                let (at, bit) = presence::v4(address);
                let is_near = word(&reader.near, at) & bit != 0;
                prop_assert!(is_near || expected == Answer::NONE, "{:x}", address);
            }
        }
        // All taken away again: nothing is referred to, and no bit is left.
        let all: Vec<_> = rig.list.keys().copied().collect();
        let changes = rig.turn(&all);
        let _entered = rig.family.enter(changes, &rig.grace).expect("there is room");
        let swaps = directory.build(rig.family.index(), &[(0, v4::SLOTS - 1)], false, &rig.grace).expect("room");
        directory.publish(&swaps, &mut rig.grace);
        prop_assert_eq!(directory.runs().count(), 0);
        rig.grace.wait();
        directory.build(rig.family.index(), &[], false, &rig.grace).expect("nothing to do");
        prop_assert_eq!(directory.fill()[0], 0);
        prop_assert!(reader.near.words()[..WORDS_V4 as usize].iter().all(|word| word.load(Relaxed) == 0));
    }

    #[test]
    fn ipv6_ranges_say_what_a_plain_list_says(turns in prop::collection::vec(keys(near_v6()), 1..24)) {
        let root = Arc::new(memory(3));
        let [fences, read_fences] = twice(1 << 14);
        let [leaves, read_leaves] = twice(1 << 16);
        let mut rig = Rig::<u128>::new();
        let mut tree = Leaves::new(Arc::clone(&root), fences, leaves);
        let reader = Reader {
            root, near: Arc::new(memory(1)),
            slots: memory(1), chunks: memory(1),
            fences: read_fences, leaves: read_leaves,
        };
        for keys in turns {
            let changes = rig.turn(&keys);
            let entered = rig.family.enter(changes, &rig.grace).expect("there is room");
            let spans = keys.iter().map(|(first, length, _)| (*first, first.last(*length)));
            let spans = merged(spans.collect());
            let swaps = tree.build(rig.family.index(), &spans, true, &rig.grace).expect("there is room");
            tree.discard(&swaps);
            let swaps = tree.build(rig.family.index(), &spans, true, &rig.grace).expect("there is room");
            tree.publish(swaps, &mut rig.grace);
            rig.family.settle(entered, &mut rig.grace);
            for address in rig.places() {
                let halves = [(address >> 64) as u64, address as u64];
                let found = v6::find(&reader, word(&reader.root, 1), halves);
                prop_assert_eq!(found, rig.expected(address), "{:x}", address);
            }
        }
    }
}
