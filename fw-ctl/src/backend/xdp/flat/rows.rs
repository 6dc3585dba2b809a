//! The rows of one family: every listed prefix with what is said of it, in memory shared with the
//! program.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use fw_common::abi::Entry;

use super::{
    super::sys::Mapped,
    sweep::{Index, Key, Kind, Number},
};

/// An address in the words of a row.
pub trait Address: Number {
    /// Words of a row.
    const STRIDE: usize;

    /// The words behind the entry.
    fn words(self) -> [u64; 2];
    /// From these words.
    fn of_words(words: [u64; 2]) -> Self;
}

impl Address for u32 {
    const STRIDE: usize = 4;

    fn words(self) -> [u64; 2] {
        let [a, b, c, d] = self.to_ne_bytes();
        [u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0]), 0]
    }

    fn of_words([word, _]: [u64; 2]) -> Self {
        let [a, b, c, d, ..] = word.to_ne_bytes();
        Self::from_ne_bytes([a, b, c, d])
    }
}

impl Address for u128 {
    const STRIDE: usize = 6;

    fn words(self) -> [u64; 2] {
        [(self >> 64) as u64, self as u64]
    }

    fn of_words([high, low]: [u64; 2]) -> Self {
        Self::from(high) << 64 | Self::from(low)
    }
}

/// Rows in memory, found by prefix.
#[derive(Debug)]
pub struct Rows<A> {
    memory: Mapped,
    /// Numbers nobody has, the next one last.
    free: Vec<u32>,
    /// From here on no number has been given out yet.
    fresh: u32,
    /// Which prefix has which row.
    pub index: Index<A>,
    address: PhantomData<A>,
}

impl<A: Address> Rows<A> {
    /// Over what stands in the memory; a former daemon may have written it. Says too which rows
    /// speak of a prefix that another one speaks of.
    pub fn new(memory: Mapped) -> (Self, Vec<u32>) {
        let mut rows = Self {
            memory,
            free: Vec::new(),
            fresh: 1,
            index: Index::default(),
            address: PhantomData,
        };
        let count = (rows.memory.words().len() / A::STRIDE) as u32;
        let mut found = Vec::new();
        for row in 1..count {
            if let Some((key, _)) = rows.read(row) {
                rows.free.extend(rows.fresh..row);
                rows.fresh = row + 1;
                found.push((key, row));
            }
        }
        found.sort_unstable();
        let mut stale = Vec::new();
        found.dedup_by(|(key, row), (before, _)| {
            let again = key == before;
            stale.extend(again.then_some(*row));
            again
        });
        rows.index.extend(found);
        (rows, stale)
    }

    /// Rows there can be.
    pub fn capacity(&self) -> usize {
        self.memory.words().len() / A::STRIDE - 1
    }

    /// Writes a row that nothing refers to yet; `None` if there is no room.
    pub fn take(&mut self, (first, length, kind): Key<A>, entry: Entry) -> Option<u32> {
        let row = match self.free.pop() {
            Some(row) => row,
            None if (self.fresh as usize) <= self.capacity() => {
                self.fresh += 1;
                self.fresh - 1
            }
            None => return None,
        };
        let words = self.words(row);
        let [high, low] = first.words();
        words[3].store(high, Relaxed);
        if let Some(last) = words.get(4) {
            last.store(low, Relaxed);
        }
        words[1].store(entry.packets, Relaxed);
        words[2].store(entry.bytes, Relaxed);
        words[0].store(said(kind, Entry { length, ..entry }), Relaxed);
        Some(row)
    }

    /// Changes what a row says; its counters go on.
    pub fn rewrite(&self, row: u32, kind: Kind, entry: Entry) {
        self.words(row)[0].store(said(kind, entry), Relaxed);
    }

    /// Marks a row that nothing refers to any more. It says what it said to packets on their way; a
    /// later daemon takes it for free.
    pub fn retire(&self, row: u32) {
        let flags = u64::from_ne_bytes([0, 0, 0, 0, 0, 0, 0, Entry::RETIRED]);
        self.words(row)[0].fetch_or(flags, Relaxed);
    }

    /// Marks a row as nobody's. It must not be given out while a program may still read it.
    pub fn clear(&self, row: u32) {
        self.words(row)[0].store(0, Relaxed);
    }

    /// Gives a row's number back.
    pub fn give(&mut self, row: u32) {
        self.free.push(row);
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
    let [a, b, c, d, e, f, length, flags] = word.to_ne_bytes();
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
