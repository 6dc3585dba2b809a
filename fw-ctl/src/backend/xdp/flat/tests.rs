//! Rows, ranges and references against a plain list, in memory that no program reads.

use std::{
    collections::BTreeMap,
    os::fd::AsFd as _,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use fw_common::{
    abi::{self, Entry, NEVER, RowV4, RowV6},
    flat::{
        Answer,
        hosts::{Place, Row},
        presence::{self, HOSTS, RANGES, WORDS, WORDS_V4},
        v4, v6,
    },
    reason::Family as Protocol,
};
use nix::{
    sys::memfd::{MFdFlags, memfd_create},
    unistd::ftruncate,
};
use proptest::prelude::*;

use super::{
    super::{
        sys::Mapped,
        tables::{changes::merged, near},
    },
    address::Address,
    family::{Changes, Family},
    grace::Grace,
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

/// One file mapped several times: for the writer, for the reader.
fn shared<const N: usize>(words: usize) -> [Mapped; N] {
    let file = memfd_create("fw-ctl-test", MFdFlags::empty()).expect("a file in memory");
    ftruncate(&file, (words * 8) as i64).expect("it grows");
    [(); N].map(|()| Mapped::new(file.as_fd(), words).expect("it can be mapped"))
}

/// So few that some buckets fill up.
const ROWS: u32 = 1024;

/// Changes of one family, and what must come of them.
struct Rig<A> {
    family: Family<A>,
    /// Its rows as the program reads them.
    rows: Mapped,
    /// For a daemon that comes after this one.
    next: Option<Mapped>,
    root: Arc<Mapped>,
    list: BTreeMap<Key<A>, u32>,
    grace: Grace,
}

impl<A: Address> Rig<A> {
    fn new(root: &Arc<Mapped>) -> Self {
        root.words()[abi::ROOT_SEED].store(1, Relaxed);
        let [memory, rows, next] = shared(ROWS as usize * A::STRIDE);
        Self {
            family: Family::new(memory, Arc::clone(root)).0,
            rows,
            next: Some(next),
            root: Arc::clone(root),
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

    /// The row of a blocked host, as the program finds it in its bucket.
    fn find<R: Row>(&self, searched: R::Address, read: fn([u64; 2]) -> R::Address) -> u32 {
        let place = Place {
            seed: 1,
            buckets: ROWS / A::Row::BUCKET,
        };
        place.find::<R>(A::half(&self.root), searched, |row| {
            let at = |index| word(&self.rows, row * A::STRIDE as u32 + index);
            let low = if A::STRIDE > 4 { at(4) } else { 0 };
            Some((at(0), read([at(3), low])))
        })
    }

    /// Whether the program finds what it should find in the bucket of an address, and nothing else.
    fn check_bucket(&self, address: A, found: u32) {
        let row = self.family.index().get(&(address, A::WIDTH, Kind::Block));
        let is_there = |row: &u32| self.family.is_in_bucket(address, *row);
        assert_eq!(found, row.filter(is_there).unwrap_or(0));
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

impl Rig<u32> {
    fn find_v4(&self, address: u32) -> u32 {
        self.find::<RowV4>(address, u32::of_words)
    }

    fn check_v4(&self, address: u32) -> u32 {
        let found = self.find_v4(address);
        self.check_bucket(address, found);
        found
    }
}

impl Rig<u128> {
    fn check_v6(&self, address: u128) {
        self.check_bucket(address, self.find::<RowV6>(address.words(), |words| words));
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
    let length = prop_oneof![2 => A::WIDTH / 4..=A::WIDTH, 1 => Just(A::WIDTH)];
    let key = (address, length, kind());
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
        let root = Arc::new(memory(abi::ROOT.capacity as usize));
        let near = Arc::new(memory(WORDS as usize));
        let [slots, read_slots] = shared(v4::SLOTS as usize);
        let [chunks, read_chunks] = shared(1 << 20);
        let mut rig = Rig::<u32>::new(&root);
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
            let swaps = directory.build(&rig.family, &runs, true, &rig.grace).expect("there is room");
            // Not seen before it is published, and nothing is lost when it is not.
            directory.discard(&swaps);
            let swaps = directory.build(&rig.family, &runs, true, &rig.grace).expect("there is room");
            near::set(&reader.near, &entered.added, &[]);
            rig.family.rewrite(&entered);
            directory.publish(&swaps, &mut rig.grace);
            // True from here on; what follows tidies up.
            for address in rig.places() { rig.check_v4(address); }
            rig.family.settle(entered, &mut rig.grace);
            for address in rig.places() {
                let half = word(&reader.root, 0) as u32;
                let expected = rig.expected(address);
                prop_assert_eq!(v4::find(&reader, half, address), expected, "{:x}", address);
                let (at, shift) = presence::v4(address);
                let near = word(&reader.near, at) >> shift & (HOSTS | RANGES);
                prop_assert!(near != 0 || expected == Answer::NONE, "{:x}", address);
                // What buckets alone are asked for, they know.
                let in_bucket = rig.check_v4(address);
                prop_assert!(near & RANGES != 0 || expected.block == in_bucket, "{:x}", address);
                prop_assert!(near != RANGES || in_bucket == 0 || expected.protect != 0, "{:x}", address);
                let (at, bit) = presence::protected(Protocol::V4, address);
                let is_protected = word(&reader.near, at) & bit != 0;
                prop_assert!(is_protected || expected.protect == 0, "{:x}", address);
            }
        }
        // All taken away again: nothing is referred to, and no bit is left.
        let all: Vec<_> = rig.list.keys().copied().collect();
        let changes = rig.turn(&all);
        let _entered = rig.family.enter(changes, &rig.grace).expect("there is room");
        let swaps = directory.build(&rig.family, &[(0, v4::SLOTS - 1)], false, &rig.grace).expect("room");
        directory.publish(&swaps, &mut rig.grace);
        prop_assert!(reader.slots.words().iter().all(|word| word.load(Relaxed) == 0));
        rig.grace.wait();
        directory.build(&rig.family, &[], false, &rig.grace).expect("nothing to do");
        prop_assert_eq!(directory.fill()[0], 0);
        prop_assert!(reader.near.words()[..WORDS_V4 as usize].iter().all(|word| word.load(Relaxed) == 0));
    }

    #[test]
    fn ipv6_ranges_say_what_a_plain_list_says(turns in prop::collection::vec(keys(near_v6()), 1..24)) {
        let root = Arc::new(memory(abi::ROOT.capacity as usize));
        let [fences, read_fences] = shared(1 << 14);
        let [leaves, read_leaves] = shared(1 << 16);
        let mut rig = Rig::<u128>::new(&root);
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
            rig.family.rewrite(&entered);
            tree.publish(swaps, &mut rig.grace);
            for address in rig.places() { rig.check_v6(address); }
            rig.family.settle(entered, &mut rig.grace);
            for address in rig.places() {
                let halves = [(address >> 64) as u64, address as u64];
                let found = v6::find(&reader, word(&reader.root, 1), halves);
                prop_assert_eq!(found, rig.expected(address), "{:x}", address);
                rig.check_v6(address);
            }
        }
    }
}

/// A daemon that is killed leaves rows that no packet sees, and rows that packets still see.
#[test]
fn a_later_daemon_takes_over_what_packets_see() {
    let root = Arc::new(memory(abi::ROOT.capacity as usize));
    let mut rig = Rig::<u32>::new(&root);
    let flip = || root.words()[0].fetch_xor(1, Relaxed);
    let host = |address| (address, 32, Kind::Block);
    let [seen, new, gone] = [1, 2, 3].map(host);
    let change = rig.turn(&[seen, gone]);
    let entered = rig.family.enter(change, &rig.grace).expect("there is room");
    flip();
    rig.family.settle(entered, &mut rig.grace);

    // Killed before the halves are exchanged.
    let change = rig.turn(&[new, gone]);
    let entered = rig.family.enter(change, &rig.grace).expect("there is room");
    rig.family.rewrite(&entered);
    let (family, is_torn) = Family::new(rig.next.take().expect("memory"), Arc::clone(&root));
    rig.family = family;
    assert!(is_torn);
    let found = |rig: &Rig<u32>| [1, 2, 3].map(|address| rig.find_v4(address) != 0);
    assert_eq!(found(&rig), [true, false, true]);

    // Its first change makes all of it true that it found.
    rig.list = [seen, new, gone].map(|key| (key, 1)).into();
    let change = rig.turn(&[gone]);
    let entered = rig.family.enter(change, &rig.grace).expect("there is room");
    rig.family.rewrite(&entered);
    assert_eq!(found(&rig), [true, false, true]);
    flip();
    assert_eq!(found(&rig), [true, true, false]);
    rig.family.settle(entered, &mut rig.grace);
    flip();
    assert_eq!(found(&rig), [true, true, false]);
}
