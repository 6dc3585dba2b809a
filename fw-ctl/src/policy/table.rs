//! The entries of one action, and what the kernel is to hold of them.
//!
//! A prefix may stand in several lists and be covered by others, each with its own end. The
//! kernel's trie finds the longest prefix only, so each prefix carries there the latest end of all
//! that cover it; a host that has ended falls through to the trie, so its own lists are enough.

use std::collections::{BTreeMap, BTreeSet};

use fw_common::{Prefix, reason::Family};

use super::{
    entry::{Entry, ListId, Place},
    time::BootSecs,
};

/// What the kernel holds of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effective {
    /// The latest end; `None` for never.
    pub deadline: Option<BootSecs>,
    /// The list it comes from.
    pub list: ListId,
    /// Whether it only counts what it would drop.
    pub observed: bool,
}

impl Effective {
    /// What is enforced before what is observed, then the later end; at a tie `self`, which is the
    /// more specific one.
    fn or_later(self, other: Self) -> Self {
        if self.observed != other.observed {
            return if self.observed { other } else { self };
        }
        let later = match (self.deadline, other.deadline) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(own), Some(others)) => others > own,
        };
        if later { other } else { self }
    }
}

/// Entries by prefix and list. What a prefix covers follows it directly.
#[derive(Debug, Default)]
pub struct Table {
    entries: BTreeMap<Place, Entry>,
    /// How many entries have this family and length, so that only lengths in use are looked up.
    lengths: BTreeMap<(Family, u8), usize>,
    /// Entries of this list only count what they would drop.
    pub(super) observed: Option<ListId>,
}

impl Table {
    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry at a place.
    pub fn get(&self, place: Place) -> Option<&Entry> {
        self.entries.get(&place)
    }

    /// All entries, by prefix.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &Entry)> {
        self.entries.iter().map(|(place, entry)| (*place, entry))
    }

    /// Entries of exactly this prefix.
    pub fn at(&self, prefix: Prefix) -> impl Iterator<Item = (Place, &Entry)> {
        let place = |list| Place {
            prefix,
            list: ListId(list),
        };
        self.entries
            .range(place(0)..=place(u16::MAX))
            .map(|(place, entry)| (*place, entry))
    }

    /// Entries that cover the prefix, the prefix's own first, then ever shorter ones.
    pub fn covering(&self, prefix: Prefix) -> impl Iterator<Item = (Place, &Entry)> {
        self.lengths
            .range((prefix.family(), 0)..=(prefix.family(), prefix.length()))
            .rev()
            .filter_map(move |((_, length), _)| Prefix::new(prefix.address(), *length))
            .flat_map(|covering| self.at(covering))
    }

    /// Entries of this prefix and of those below it.
    pub fn below(&self, prefix: Prefix) -> impl Iterator<Item = (Place, &Entry)> {
        let first = Place {
            prefix,
            list: ListId(0),
        };
        self.entries
            .range(first..)
            .map(|(place, entry)| (*place, entry))
            .take_while(move |(place, _)| prefix.covers(&place.prefix))
    }

    /// What the kernel should hold, in order.
    pub fn effective(&self) -> Vec<(Prefix, Effective)> {
        self.sweep(None, self.iter())
    }

    /// What the kernel should hold of these prefixes and of those below them, in order; `None` for
    /// those that have no entry.
    pub fn effective_below(&self, prefixes: &BTreeSet<Prefix>) -> Vec<(Prefix, Option<Effective>)> {
        let mut rows = BTreeMap::new();
        let mut swept: Option<Prefix> = None;
        for prefix in prefixes {
            rows.entry(*prefix).or_insert(None);
            if swept.is_some_and(|root| root.covers(prefix)) {
                continue;
            }
            swept = Some(*prefix);
            let above = if prefix.is_host() {
                None
            } else {
                self.covering(*prefix)
                    .filter(|(place, _)| place.prefix != *prefix)
                    .map(|(place, entry)| self.effect(place.list, entry))
                    .reduce(Effective::or_later)
            };
            for (below, effective) in self.sweep(above, self.below(*prefix)) {
                rows.insert(below, Some(effective));
            }
        }
        rows.into_iter().collect()
    }

    /// What an entry of a list comes to.
    fn effect(&self, list: ListId, entry: &Entry) -> Effective {
        Effective {
            deadline: entry.deadline,
            list,
            observed: self.observed == Some(list),
        }
    }

    /// Walks entries in order with the chain of prefixes that cover the current one.
    fn sweep<'a>(
        &self,
        above: Option<Effective>,
        entries: impl Iterator<Item = (Place, &'a Entry)>,
    ) -> Vec<(Prefix, Effective)> {
        let mut entries = entries.peekable();
        let mut rows = Vec::new();
        let mut chain: Vec<(Prefix, Effective)> = Vec::new();
        while let Some((Place { prefix, list }, entry)) = entries.next() {
            let mut own = self.effect(list, entry);
            while let Some((place, entry)) = entries.next_if(|(place, _)| place.prefix == prefix) {
                own = own.or_later(self.effect(place.list, entry));
            }
            if prefix.is_host() {
                rows.push((prefix, own));
                continue;
            }
            while chain.last().is_some_and(|(top, _)| !top.covers(&prefix)) {
                chain.pop();
            }
            let covering = chain.last().map(|(_, effective)| *effective).or(above);
            let effective = covering.map_or(own, |covering| own.or_later(covering));
            chain.push((prefix, effective));
            rows.push((prefix, effective));
        }
        rows
    }

    pub(super) fn insert(&mut self, place: Place, entry: Entry) -> Option<Entry> {
        let before = self.entries.insert(place, entry);
        if before.is_none() {
            *self.lengths.entry(length_of(place)).or_default() += 1;
        }
        before
    }

    pub(super) fn remove(&mut self, place: Place) -> Option<Entry> {
        let before = self.entries.remove(&place)?;
        if let Some(count) = self.lengths.get_mut(&length_of(place)) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&length_of(place));
            }
        }
        Some(before)
    }
}

fn length_of(place: Place) -> (Family, u8) {
    (place.prefix.family(), place.prefix.length())
}
