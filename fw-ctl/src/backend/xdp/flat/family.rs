//! The rows of one family and which of them a change adds, rewrites and takes away.

use std::sync::Arc;

use fw_common::abi::{self, Entry};

use super::{
    super::sys::Mapped,
    address::Address,
    grace::{Grace, Limbo},
    rows::Rows,
    sweep::{Index, Key, Kind},
};
use crate::plan::Op;

/// The rows of one family.
#[derive(Debug)]
pub struct Family<A> {
    rows: Rows<A>,
    retired: Limbo<u32>,
    /// Rows of hosts that a former daemon wrote, and that are seen after the next change.
    hidden: Vec<u32>,
    used: Used,
}

/// How many rows there are of whom: each has room of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// The guard.
    pub guard: usize,
    /// Allows.
    pub allow: usize,
    /// Blocks but the detector's.
    pub block: usize,
    /// The scan detector's blocks.
    pub auto: usize,
}

impl Used {
    fn count(&mut self, kind: Kind, entry: &Entry) -> &mut usize {
        match kind {
            Kind::Guard => &mut self.guard,
            Kind::Allow => &mut self.allow,
            Kind::Block if entry.list == abi::AUTO_LIST => &mut self.auto,
            Kind::Block => &mut self.block,
        }
    }

    /// Counts a row that is there now.
    pub fn add(&mut self, kind: Kind, entry: &Entry) {
        *self.count(kind, entry) += 1;
    }

    /// Counts a row that is there no more.
    pub fn remove(&mut self, kind: Kind, entry: &Entry) {
        let count = self.count(kind, entry);
        *count = count.saturating_sub(1);
    }
}

/// A change of rows.
#[derive(Debug)]
pub struct Changes<A> {
    /// Prefixes that have no row.
    pub added: Vec<(Key<A>, Entry)>,
    /// Rows that say something else, and what they said.
    pub rewritten: Vec<(Key<A>, Entry, Entry)>,
    /// Prefixes whose row goes.
    pub removed: Vec<Key<A>>,
}

impl<A> Default for Changes<A> {
    fn default() -> Self {
        Self {
            added: Vec::new(),
            rewritten: Vec::new(),
            removed: Vec::new(),
        }
    }
}

impl<A: Address> Changes<A> {
    /// Adds what an operation comes to, with the rows as they are.
    pub fn add(&mut self, key: Key<A>, op: Op<Entry>, family: &Family<A>) {
        match (family.get(&key), op.after) {
            (None, Some(after)) => self.added.push((key, after)),
            (Some(before), Some(after)) => self.rewritten.push((key, before, after)),
            (Some(_), None) => self.removed.push(key),
            // The program has written it, in tables of its own.
            (None, None) => {}
        }
    }

    /// How many rows there will be of whom.
    pub fn count(&self, family: &Family<A>) -> Used {
        let mut used = family.used();
        for ((.., kind), entry) in &self.added {
            used.add(*kind, entry);
        }
        for ((.., kind), before, after) in &self.rewritten {
            used.remove(*kind, before);
            used.add(*kind, after);
        }
        for key in &self.removed {
            if let Some(entry) = family.get(key) {
                used.remove(key.2, &entry);
            }
        }
        used
    }
}

/// A change that the index has taken, but no packet has seen.
#[derive(Debug)]
pub struct Entered<A> {
    /// New rows.
    pub added: Vec<(Key<A>, u32)>,
    rewritten: Vec<(Key<A>, Entry, Entry)>,
    /// How many rows there are then.
    used: Used,
    /// Rows that go.
    pub removed: Vec<(Key<A>, u32)>,
}

impl<A: Address> Family<A> {
    /// Over what stands in the memory. Says too whether a former daemon died in the middle of a
    /// change: then a prefix has two rows, of which one is referred to by nobody, or a row is not seen.
    pub fn new(memory: Mapped, root: Arc<Mapped>) -> (Self, bool) {
        let (rows, torn) = Rows::new(memory, root);
        let is_torn = !torn.stale.is_empty() || !torn.hidden.is_empty();
        let mut family = Self {
            rows,
            retired: Limbo::default(),
            hidden: torn.hidden,
            used: Used::default(),
        };
        for (key, entry) in family.entries() {
            family.used.add(key.2, &entry);
        }
        family.retired.add(0, torn.stale);
        (family, is_torn)
    }

    /// Which prefix has which row.
    pub fn index(&self) -> &Index<A> {
        &self.rows.index
    }

    /// How many rows there are of whom.
    pub fn used(&self) -> Used {
        self.used
    }

    /// Rows there can be.
    pub fn capacity(&self) -> usize {
        self.rows.capacity()
    }

    /// The entry of a prefix.
    pub fn get(&self, key: &Key<A>) -> Option<Entry> {
        let row = self.rows.index.get(key)?;
        self.rows.read(row).map(|(_, entry)| entry)
    }

    /// Whether this row blocks just this address, and lies in its bucket.
    pub fn is_in_bucket(&self, address: A, row: u32) -> bool {
        self.rows.is_in_bucket(address, row)
    }

    /// All entries, in order.
    pub fn entries(&self) -> Vec<(Key<A>, Entry)> {
        let rows = self.rows.index.iter();
        rows.filter_map(|(_, row)| self.rows.read(row)).collect()
    }

    /// Takes a change into the index; `Err` with how many rows there would have to be, if there is no
    /// room. The program sees none of it.
    pub fn enter(&mut self, changes: Changes<A>, grace: &Grace) -> Result<Entered<A>, usize> {
        self.reclaim(grace);
        let used = changes.count(self);
        let wanted = changes.added.len();
        let mut added = Vec::with_capacity(wanted);
        for (key, entry) in changes.added {
            match self.take(key, entry, grace) {
                Some(row) => added.push((key, row)),
                None => {
                    self.drop_new(&added);
                    return Err(self.rows.index.len() + wanted);
                }
            }
        }
        self.rows.index.extend(added.clone());
        let removed = changes.removed.into_iter();
        let removed = removed.filter_map(|key| Some((key, self.rows.index.remove(&key)?)));
        let removed = removed.collect();
        Ok(Entered {
            added,
            rewritten: changes.rewritten,
            used,
            removed,
        })
    }

    fn take(&mut self, key: Key<A>, entry: Entry, grace: &Grace) -> Option<u32> {
        self.rows.take(key, entry).or_else(|| {
            grace.wait();
            self.reclaim(grace);
            self.rows.take(key, entry)
        })
    }

    /// Takes a change out of the index again.
    pub fn leave(&mut self, entered: Entered<A>) {
        self.rows.index.extend(entered.removed);
        for (key, _) in &entered.added {
            self.rows.index.remove(key);
        }
        self.drop_new(&entered.added);
    }

    fn drop_new(&mut self, added: &[(Key<A>, u32)]) {
        for (_, row) in added {
            self.rows.clear(*row);
        }
    }

    /// Rewrites what is there already; each row changes by one store, and needs no other place. Hides
    /// what goes from who reads the other half, which comes to be read next.
    pub fn rewrite(&self, entered: &Entered<A>) {
        for (key, row) in &entered.removed {
            self.rows.hide(*row, key);
        }
        for (key, _, after) in &entered.rewritten {
            if let Some(row) = self.rows.index.get(key) {
                self.rows.rewrite(row, key.2, *after);
            }
        }
    }

    /// The program sees the change: what it no longer refers to goes after a while.
    pub fn settle(&mut self, entered: Entered<A>, grace: &mut Grace) {
        self.used = entered.used;
        for (key, row) in &entered.added {
            self.rows.show(*row, key);
        }
        for row in std::mem::take(&mut self.hidden) {
            if let Some((key, _)) = self.rows.read(row) {
                self.rows.show(row, &key);
            }
        }
        let removed: Vec<u32> = entered.removed.into_iter().map(|(_, row)| row).collect();
        removed.iter().for_each(|row| self.rows.retire(*row));
        if !removed.is_empty() {
            self.retired.add(grace.begin(), removed);
        }
    }

    fn reclaim(&mut self, grace: &Grace) {
        for row in self.retired.take(grace) {
            self.rows.clear(row);
        }
    }
}
