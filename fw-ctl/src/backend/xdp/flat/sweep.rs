//! From listed prefixes to ranges of addresses with one answer each. Pure.

use std::collections::{BTreeMap, btree_map::Range};

use fw_common::flat::Answer;

/// An address as a number: `u32` or `u128`.
pub trait Number: Copy + Ord {
    /// Bits of it.
    const WIDTH: u8;
    /// The last of all.
    const LAST: Self;

    /// The one behind it; `None` behind the last.
    fn next(self) -> Option<Self>;
    /// The first address of the prefix of so many bits that it is in.
    fn first(self, length: u8) -> Self;
    /// The last address of that prefix.
    fn last(self, length: u8) -> Self;
}

macro_rules! number {
    ($type:ty, $width:literal) => {
        impl Number for $type {
            const WIDTH: u8 = $width;
            const LAST: Self = Self::MAX;

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn first(self, length: u8) -> Self {
                self & !Self::MAX.checked_shr(length.into()).unwrap_or(0)
            }

            fn last(self, length: u8) -> Self {
                self | Self::MAX.checked_shr(length.into()).unwrap_or(0)
            }
        }
    };
}

number!(u32, 32);
number!(u128, 128);

/// What a row says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Never dropped.
    Guard,
    /// Passes whatever blocks it.
    Allow,
    /// Dropped.
    Block,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Guard, Self::Allow, Self::Block];
}

/// A listed prefix: first address, length, kind. What a prefix covers follows it.
pub type Key<A> = (A, u8, Kind);

/// Listed prefixes by key, each with the number of its row.
#[derive(Debug)]
pub struct Index<A> {
    rows: BTreeMap<Key<A>, u32>,
    /// How many have each length.
    lengths: Vec<usize>,
}

impl<A: Number> Default for Index<A> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            lengths: vec![0; usize::from(A::WIDTH) + 1],
        }
    }
}

impl<A: Number> Index<A> {
    /// Rows in order.
    pub fn iter(&self) -> impl Iterator<Item = (Key<A>, u32)> {
        self.rows.iter().map(|(key, row)| (*key, *row))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The row of a prefix.
    pub fn get(&self, key: &Key<A>) -> Option<u32> {
        self.rows.get(key).copied()
    }

    /// Adds many rows that are not there.
    pub fn extend(&mut self, mut added: Vec<(Key<A>, u32)>) {
        for ((_, length, _), _) in &added {
            self.lengths[usize::from(*length)] += 1;
        }
        if added.len() < self.rows.len() / 8 {
            self.rows.extend(added);
        } else {
            added.sort_unstable();
            self.rows.append(&mut added.into_iter().collect());
        }
    }

    /// Takes a row away.
    pub fn remove(&mut self, key: &Key<A>) -> Option<u32> {
        let row = self.rows.remove(key)?;
        self.lengths[usize::from(key.1)] -= 1;
        Some(row)
    }

    /// What covers an address and begins before it, the shortest first.
    fn covering(&self, address: A) -> impl Iterator<Item = (Key<A>, u32)> {
        let lengths = self.lengths.iter().enumerate();
        lengths
            .filter(|(_, count)| **count > 0)
            .map(move |(length, _)| (address.first(length as u8), length as u8))
            .filter(move |(first, _)| *first < address)
            .flat_map(|(first, length)| Kind::ALL.map(|kind| (first, length, kind)))
            .filter_map(|key| Some((key, self.get(&key)?)))
    }
}

/// A walk through the addresses, from boundary to boundary.
pub struct Sweep<'a, A> {
    /// What begins ahead.
    ahead: Range<'a, Key<A>, u32>,
    next: Option<(Key<A>, u32)>,
    /// What covers the current address, of each kind: last address and row, the longest last.
    open: [Vec<(A, u32)>; 3],
}

impl<'a, A: Number> Sweep<'a, A> {
    /// From an address on.
    pub fn from(index: &'a Index<A>, address: A) -> Self {
        let mut sweep = Self {
            ahead: index.rows.range((address, 0, Kind::Guard)..),
            next: None,
            open: Default::default(),
        };
        index
            .covering(address)
            .for_each(|(key, row)| sweep.open(key, row));
        sweep.advance();
        sweep
    }

    /// What an address comes to, and the next one at which that may change. Addresses ascend.
    pub fn at(&mut self, address: A) -> (Answer, Option<A>) {
        while let Some((key, row)) = self.next.filter(|(key, _)| key.0 <= address) {
            self.open(key, row);
            self.advance();
        }
        let mut boundary = self.next.map(|(key, _)| key.0);
        for open in &mut self.open {
            while open.last().is_some_and(|(last, _)| *last < address) {
                open.pop();
            }
            if let Some(end) = open.last().and_then(|(last, _)| last.next()) {
                boundary = Some(boundary.map_or(end, |before| before.min(end)));
            }
        }
        (self.answer(), boundary)
    }

    fn answer(&self) -> Answer {
        let [guard, allow, block] = &self.open;
        let row = |open: &Vec<(A, u32)>| open.last().map_or(0, |(_, row)| *row);
        Answer {
            protect: match row(guard) {
                0 => row(allow),
                guard => guard,
            },
            block: row(block),
        }
    }

    fn open(&mut self, (first, length, kind): Key<A>, row: u32) {
        let open = &mut self.open[kind as usize];
        while open.last().is_some_and(|(last, _)| *last < first) {
            open.pop();
        }
        open.push((first.last(length), row));
    }

    fn advance(&mut self) {
        self.next = self.ahead.next().map(|(key, row)| (*key, *row));
    }

    /// The ranges from one address up to another one: first address and answer of each.
    pub fn ranges(&mut self, first: A, last: A, ranges: &mut Vec<(A, Answer)>) {
        ranges.clear();
        let mut address = first;
        loop {
            let (answer, boundary) = self.at(address);
            if ranges.last().is_none_or(|(_, before)| *before != answer) {
                ranges.push((address, answer));
            }
            match boundary {
                Some(next) if next <= last => address = next,
                _ => return,
            }
        }
    }
}
