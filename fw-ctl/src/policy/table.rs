//! The entries of one action, and what the kernel is to hold of them.
//!
//! A prefix may stand in several lists and be covered by others, each with its own end. The
//! kernel finds the longest prefix only, so each prefix, a host too, carries there the latest end
//! of all that cover it.

mod below;
mod counts;
mod lengths;
mod merge;
mod sweep;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::{Bound, RangeInclusive},
};

use fw_common::Prefix;

use super::{
    entry::{Entry, ListId, Place},
    time::BootSecs,
};

use below::Below;
pub use counts::Count;
use counts::Counts;
use lengths::Lengths;
pub(super) use merge::merge;
pub use sweep::{Cursor, Sweep};

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
    lengths: Lengths,
    counts: Counts,
    /// What the detector's list holds: it is asked for with every crossing, and is not to be searched
    /// for among a million others.
    detected: BTreeSet<Prefix>,
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

    /// Number of entries of a list.
    pub fn count(&self, list: ListId) -> Count {
        self.counts.of(list)
    }

    /// The entry at a place.
    pub fn get(&self, place: Place) -> Option<&Entry> {
        self.entries.get(&place)
    }

    /// For many places in ascending order.
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor::new(self)
    }

    /// All entries, by prefix.
    pub fn iter(&self) -> impl Iterator<Item = (Place, &Entry)> {
        self.entries.iter().map(|(place, entry)| (*place, entry))
    }

    /// All entries behind those of this prefix.
    pub fn after(&self, prefix: Prefix) -> impl Iterator<Item = (Place, &Entry)> {
        let last = Place {
            prefix,
            list: ListId(u16::MAX),
        };
        let behind = (Bound::Excluded(last), Bound::Unbounded);
        let rows = self.entries.range(behind);
        rows.map(|(place, entry)| (*place, entry))
    }

    /// All entries of a list, by prefix.
    pub fn of_list(&self, list: ListId) -> Box<dyn Iterator<Item = (Place, &Entry)> + '_> {
        if list != ListId::AUTO {
            return Box::new(self.iter().filter(move |(place, _)| place.list == list));
        }
        let place = move |prefix: &Prefix| Place {
            prefix: *prefix,
            list,
        };
        Box::new(self.detected.iter().filter_map(move |prefix| {
            let place = place(prefix);
            Some((place, self.get(place)?))
        }))
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
        let covering = self.lengths.covering(prefix).rev();
        covering.flat_map(|covering| self.at(covering))
    }

    /// Entries whose network address is one of these.
    pub fn within(
        &self,
        addresses: RangeInclusive<IpAddr>,
    ) -> impl Iterator<Item = (Place, &Entry)> {
        let (start, end) = addresses.into_inner();
        let covering = Prefix::host(start).ancestors();
        let shortest = covering
            .take_while(|prefix| prefix.address() == start)
            .last();
        let first = Place {
            prefix: shortest.unwrap_or(Prefix::host(start)),
            list: ListId(0),
        };
        let last = Place {
            prefix: Prefix::host(end),
            list: ListId(u16::MAX),
        };
        self.entries
            .range(first..=last)
            .map(|(place, entry)| (*place, entry))
    }

    /// What the kernel should hold, in order.
    pub fn effective(&self) -> Vec<(Prefix, Effective)> {
        self.sweep().collect()
    }

    /// What the kernel should hold of these prefixes and of those below them, in order; `None` for
    /// those that have no entry. The prefixes ascend.
    pub fn effective_below(
        &self,
        prefixes: Vec<Prefix>,
    ) -> impl Iterator<Item = (Prefix, Option<Effective>)> {
        Below::new(self.sweep(), prefixes)
    }

    /// For what the kernel should hold, in order.
    pub fn sweep(&self) -> Sweep<'_> {
        Sweep::new(self)
    }

    /// What the entries of exactly this prefix come to.
    fn own(&self, prefix: Prefix) -> Option<Effective> {
        let entries = self.at(prefix);
        entries
            .map(|(place, entry)| self.effect(place.list, entry))
            .reduce(Effective::or_later)
    }

    /// What an entry of a list comes to.
    fn effect(&self, list: ListId, entry: &Entry) -> Effective {
        Effective {
            deadline: entry.deadline(),
            list,
            observed: self.observed == Some(list),
        }
    }

    /// Makes entries stand at these places, or nothing. The places ascend; `told` hears of each what
    /// stood there, and what does now.
    pub(super) fn write(
        &mut self,
        changes: impl ExactSizeIterator<Item = (Place, Option<Entry>)>,
        mut told: impl FnMut(Place, Option<&Entry>, Option<&Entry>),
    ) {
        let Self {
            entries,
            lengths,
            counts,
            detected,
            observed: _,
        } = self;
        merge(entries, changes, |place, before, after| {
            told(*place, before, after);
            let (length, count) = (lengths.count(place.prefix), counts.at(*place));
            let is_detected = place.list == ListId::AUTO;
            match (before, after) {
                (None, Some(_)) => {
                    *length += 1;
                    *count += 1;
                    if is_detected {
                        detected.insert(place.prefix);
                    }
                }
                (Some(_), None) => {
                    *length -= 1;
                    *count -= 1;
                    if is_detected {
                        detected.remove(&place.prefix);
                    }
                }
                _ => {}
            }
        });
    }
}
