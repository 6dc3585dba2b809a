//! Walks through a table in the order of its prefixes.
//!
//! What is asked for in ascending order is found by walking on where it is near, and by a look-up
//! where it is far: a change of one entry costs a look-up, a change of a million one pass.

use std::{collections::btree_map, iter::Peekable};

use fw_common::Prefix;

use super::{Effective, Table};
use crate::policy::entry::{Entry, ListId, Place};

/// Entries that are walked past before a look-up: they cost about the same.
const NEAR: usize = 32;

/// Finds entries in the order of their places.
pub struct Cursor<'a> {
    table: &'a Table,
    ahead: Peekable<btree_map::Range<'a, Place, Entry>>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(table: &'a Table) -> Self {
        Self {
            table,
            ahead: table.entries.range(..).peekable(),
        }
    }

    /// The entry at a place, which is not before the last one asked for.
    pub fn get(&mut self, place: Place) -> Option<&'a Entry> {
        let passed = (0..NEAR).take_while(|_| self.ahead.next_if(|(at, _)| **at < place).is_some());
        if passed.count() == NEAR {
            self.ahead = self.table.entries.range(place..).peekable();
        }
        let (at, entry) = self.ahead.peek()?;
        (**at == place).then_some(*entry)
    }
}

/// Walks over what the kernel should hold, with the chain of prefixes that cover the current one.
pub struct Sweep<'a> {
    table: &'a Table,
    ahead: Peekable<btree_map::Range<'a, Place, Entry>>,
    /// The last row and what covers it, the shortest first.
    chain: Vec<(Prefix, Effective)>,
}

impl<'a> Sweep<'a> {
    pub(super) fn new(table: &'a Table) -> Self {
        Self {
            table,
            ahead: table.entries.range(..).peekable(),
            chain: Vec::new(),
        }
    }

    /// Whether an entry covers this prefix, which is not before the last one asked for.
    pub fn covers(&mut self, prefix: Prefix) -> bool {
        self.seek(prefix);
        let is_held = self.peek() == Some(prefix);
        let outermost = self.chain.first();
        is_held || outermost.is_some_and(|(outermost, _)| outermost.covers(&prefix))
    }

    /// The prefix of the next row.
    pub(super) fn peek(&mut self) -> Option<Prefix> {
        self.ahead.peek().map(|(place, _)| place.prefix)
    }

    /// Passes over the rows before this prefix, to which it does not come back.
    pub(super) fn seek(&mut self, prefix: Prefix) {
        for _ in 0..NEAR {
            if self.peek().is_none_or(|next| next >= prefix) {
                return;
            }
            self.next();
        }
        let first = Place {
            prefix,
            list: ListId(0),
        };
        self.ahead = self.table.entries.range(first..).peekable();
        self.chain.clear();
        let table = self.table;
        for above in table.lengths.covering(prefix) {
            if above != prefix
                && let Some(own) = table.own(above)
            {
                self.enter(above, own);
            }
        }
    }

    /// What the kernel should hold of a prefix, by what its own entries come to.
    fn enter(&mut self, prefix: Prefix, own: Effective) -> Effective {
        while self
            .chain
            .last()
            .is_some_and(|(top, _)| !top.covers(&prefix))
        {
            self.chain.pop();
        }
        let covering = self.chain.last();
        let effective = covering.map_or(own, |(_, covering)| own.or_later(*covering));
        self.chain.push((prefix, effective));
        effective
    }
}

impl Iterator for Sweep<'_> {
    type Item = (Prefix, Effective);

    fn next(&mut self) -> Option<Self::Item> {
        let (&Place { prefix, list }, entry) = self.ahead.next()?;
        let mut own = self.table.effect(list, entry);
        while let Some((place, entry)) = self.ahead.next_if(|(place, _)| place.prefix == prefix) {
            own = own.or_later(self.table.effect(place.list, entry));
        }
        Some((prefix, self.enter(prefix, own)))
    }
}
