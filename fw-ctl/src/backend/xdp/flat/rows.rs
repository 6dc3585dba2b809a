//! The rows of one family: every listed prefix with what is said of it, in memory shared with the
//! program.

use std::{
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release},
    },
};

use fw_common::{
    abi::{self, Entry},
    flat::hosts::{Place, Row as _},
};

use super::{
    super::sys::Mapped,
    address::Address,
    sweep::{Index, Key, Kind},
};

/// Rows in memory, found by prefix.
#[derive(Debug)]
pub struct Rows<A> {
    memory: Mapped,
    root: Arc<Mapped>,
    place: Place,
    /// Which prefix has which row.
    pub index: Index<A>,
    address: PhantomData<A>,
}

/// What a former daemon left that died in the middle of a change.
#[derive(Debug, Default)]
pub struct Torn {
    /// Rows that speak of a prefix that another one speaks of.
    pub stale: Vec<u32>,
    /// Rows of hosts that the program does not see yet.
    pub hidden: Vec<u32>,
}

impl<A: Address> Rows<A> {
    /// Over what stands in the memory; a former daemon may have written it. The root has the seed.
    pub fn new(memory: Mapped, root: Arc<Mapped>) -> (Self, Torn) {
        let count = (memory.words().len() / A::STRIDE) as u32;
        let place = Place {
            seed: root.words()[abi::ROOT_SEED].load(Relaxed),
            buckets: count / A::Row::BUCKET,
        };
        root.words()[A::Row::BUCKETS].store(place.buckets.into(), Relaxed);
        let mut rows = Self {
            memory,
            root,
            place,
            index: Index::default(),
            address: PhantomData,
        };
        let mut torn = Torn::default();
        let mut found = Vec::new();
        for row in 1..count {
            match rows.read(row) {
                Some((key, _)) => {
                    torn.hidden.extend(rows.recover(row, &key).then_some(row));
                    found.push((key, row));
                }
                // Retired, and the programs of that time are long over.
                None => rows.clear_if_used(row),
            }
        }
        found.sort_unstable();
        found.dedup_by(|(key, row), (before, _)| {
            let again = key == before;
            torn.stale.extend(again.then_some(*row));
            again
        });
        rows.index.extend(found);
        (rows, torn)
    }

    /// Lets the program see a row in both halves that it sees in the one it reads. If it is a host's
    /// that it does not see: it is to see it in the other half, as it was meant to.
    fn recover(&self, row: u32, key: &Key<A>) -> bool {
        if !is_blocked_host(key) {
            return false;
        }
        let half = A::half(&self.root);
        let is_hidden = self.words(row)[0].load(Relaxed) & seen(half) == 0;
        match is_hidden {
            true => self.set_seen(row, seen(half ^ 1)),
            false => self.set_seen(row, EVERYWHERE),
        }
        is_hidden
    }

    fn clear_if_used(&self, row: u32) {
        if !self.is_free(row) {
            self.clear(row);
        }
    }

    /// Rows there can be.
    pub fn capacity(&self) -> usize {
        self.memory.words().len() / A::STRIDE - 1
    }

    /// Writes a row that nothing refers to yet; `None` if there is no room. That of a blocked host is
    /// seen from the next exchange of the halves on.
    pub fn take(&mut self, key: Key<A>, entry: Entry) -> Option<u32> {
        let row = self.free_row(&key)?;
        let (first, length, kind) = key;
        let words = self.words(row);
        let [high, low] = first.words();
        words[3].store(high, Relaxed);
        if let Some(last) = words.get(4) {
            last.store(low, Relaxed);
        }
        words[1].store(entry.packets, Relaxed);
        words[2].store(entry.bytes, Relaxed);
        let seen = match is_blocked_host(&key) {
            true => seen(A::half(&self.root) ^ 1),
            false => 0,
        };
        // Last: whoever sees it, sees its address.
        words[0].store(said(kind, Entry { length, ..entry }) | seen, Release);
        Some(row)
    }

    /// A free row in the bucket of a prefix, or the next one behind it: so they lie evenly.
    fn free_row(&self, (first, ..): &Key<A>) -> Option<u32> {
        let count = self.place.buckets * A::Row::BUCKET;
        let bucket = self.bucket(*first);
        let mut rows = (bucket..count).chain(1..bucket);
        rows.find(|row| *row != 0 && self.is_free(*row))
    }

    /// Whether this row blocks just this address, and lies in its bucket.
    pub fn is_in_bucket(&self, address: A, row: u32) -> bool {
        let bucket = self.bucket(address);
        (bucket..bucket + A::Row::BUCKET).contains(&row)
            && self.read(row).is_some_and(|(key, _)| is_blocked_host(&key))
    }

    fn bucket(&self, address: A) -> u32 {
        self.place.bucket::<A::Row>(address.searched())
    }

    fn is_free(&self, row: u32) -> bool {
        self.words(row)[0].load(Relaxed) == 0
    }

    /// Hides the row of a blocked host from who reads the other half.
    pub fn hide(&self, row: u32, key: &Key<A>) {
        if is_blocked_host(key) {
            self.set_seen(row, seen(A::half(&self.root)));
        }
    }

    /// Lets everybody see the row of a blocked host.
    pub fn show(&self, row: u32, key: &Key<A>) {
        if is_blocked_host(key) {
            self.set_seen(row, EVERYWHERE);
        }
    }

    fn set_seen(&self, row: u32, bits: u64) {
        let word = &self.words(row)[0];
        word.store(word.load(Relaxed) & !EVERYWHERE | bits, Release);
    }

    /// Changes what a row says; its counters go on.
    pub fn rewrite(&self, row: u32, kind: Kind, entry: Entry) {
        let word = &self.words(row)[0];
        word.store(said(kind, entry) | word.load(Relaxed) & EVERYWHERE, Relaxed);
    }

    /// Marks a row that nothing refers to any more. It says what it said to packets on their way; a
    /// later daemon takes it for free.
    pub fn retire(&self, row: u32) {
        self.words(row)[0].fetch_or(flags(Entry::RETIRED), Relaxed);
    }

    /// Frees a row, which no program may still read.
    pub fn clear(&self, row: u32) {
        self.words(row)[0].store(0, Relaxed);
    }

    /// What stands in a row.
    pub fn read(&self, row: u32) -> Option<(Key<A>, Entry)> {
        let words = self.words(row);
        let (kind, entry) = heard(words[0].load(Relaxed))?;
        let entry = Entry {
            packets: words[1].load(Relaxed),
            bytes: words[2].load(Relaxed),
            ..entry
        };
        let low = words.get(4).map_or(0, |word| word.load(Relaxed));
        let first = A::of_words([words[3].load(Relaxed), low]);
        Some(((first, entry.length, kind), entry))
    }

    fn words(&self, row: u32) -> &[AtomicU64] {
        let start = row as usize * A::STRIDE;
        &self.memory.words()[start..start + A::STRIDE]
    }
}

/// Whether a row of this prefix is found in its bucket.
fn is_blocked_host<A: Address>((_, length, kind): &Key<A>) -> bool {
    *length == A::WIDTH && *kind == Kind::Block
}

/// Of the first word of a row: who reads this half sees it.
const fn seen(half: u32) -> u64 {
    flags(Entry::SEEN << (half & 1))
}

/// Whoever reads sees it.
const EVERYWHERE: u64 = seen(0) | seen(1);

const fn flags(flags: u8) -> u64 {
    u64::from_ne_bytes([0, 0, 0, 0, 0, 0, 0, flags])
}

/// Deadline, list, length and flags in the first word of a row.
fn said(kind: Kind, entry: Entry) -> u64 {
    let kind = match kind {
        Kind::Guard => Entry::GUARD,
        Kind::Allow => Entry::ALLOW,
        Kind::Block => Entry::BLOCK,
    };
    let [a, b, c, d] = entry.deadline.to_ne_bytes();
    let [e, f] = entry.list.to_ne_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, entry.length, entry.flags | kind])
}

fn heard(word: u64) -> Option<(Kind, Entry)> {
    let [a, b, c, d, e, f, length, flags] = (word & !EVERYWHERE).to_ne_bytes();
    let kind = match flags & (Entry::KIND | Entry::RETIRED) {
        Entry::GUARD => Kind::Guard,
        Entry::ALLOW => Kind::Allow,
        Entry::BLOCK => Kind::Block,
        _ => return None,
    };
    let entry = Entry {
        deadline: u32::from_ne_bytes([a, b, c, d]),
        list: u16::from_ne_bytes([e, f]),
        length,
        flags: flags & !Entry::KIND,
        packets: 0,
        bytes: 0,
    };
    Some((kind, entry))
}
