//! Which units of the chunks are free. Chunks are given out in sizes that are powers of two, each at
//! a multiple of its size, so that a small one never straddles two cache lines. Pure.

use std::collections::BTreeSet;

use fw_common::flat::v4::{MAX_CLASS, Reference};

/// The units of a table. Unit 0 is never given out: a reference to it means nothing.
#[derive(Debug)]
pub struct Arena {
    units: u32,
    /// From here on nothing has been given out yet.
    fresh: u32,
    /// Free chunks of each class.
    free: Vec<Vec<u32>>,
    used: u32,
}

impl Arena {
    /// All units free, but those in use.
    pub fn new(units: u32, used: &BTreeSet<(u32, u32)>) -> Self {
        let mut arena = Self {
            units,
            fresh: 0,
            free: vec![Vec::new(); MAX_CLASS as usize + 1],
            used: 0,
        };
        arena.skip_to(1);
        for (unit, class) in used {
            arena.skip_to(*unit);
            arena.fresh = unit + (1 << class);
            arena.used += 1 << class;
        }
        arena
    }

    /// Units that are given out.
    pub fn used(&self) -> u32 {
        self.used
    }

    /// Units in all.
    pub fn capacity(&self) -> u32 {
        self.units
    }

    /// A chunk of a class; `None` if there is no room.
    pub fn take(&mut self, class: u32) -> Option<Reference> {
        let unit = self.take_free(class).or_else(|| self.take_fresh(class));
        let unit = unit.or_else(|| {
            self.join();
            self.take_free(class)
        })?;
        self.used += 1 << class;
        Some(Reference::new(class, unit))
    }

    /// Takes a chunk back.
    pub fn give(&mut self, chunk: Reference) {
        self.used -= 1 << chunk.class();
        self.free[chunk.class() as usize].push(chunk.unit());
    }

    /// A free chunk of this class, or half of one of the next.
    fn take_free(&mut self, class: u32) -> Option<u32> {
        let found = (class..=MAX_CLASS).find(|class| !self.free[*class as usize].is_empty())?;
        let unit = self.free[found as usize].pop()?;
        for half in class..found {
            self.free[half as usize].push(unit + (1 << half));
        }
        Some(unit)
    }

    fn take_fresh(&mut self, class: u32) -> Option<u32> {
        let size = 1 << class;
        let unit = self.fresh.next_multiple_of(size);
        if unit + size > self.units {
            return None;
        }
        self.skip_to(unit);
        self.fresh = unit + size;
        Some(unit)
    }

    /// Joins free chunks that lie beside each other.
    fn join(&mut self) {
        let free = std::mem::replace(&mut self.free, vec![Vec::new(); MAX_CLASS as usize + 1]);
        let classes = free.iter().enumerate();
        let mut chunks: Vec<(u32, u32)> = classes
            .flat_map(|(class, units)| units.iter().map(move |unit| (*unit, unit + (1 << class))))
            .collect();
        chunks.sort_unstable();
        let end = self.fresh;
        let mut chunks = chunks.into_iter().peekable();
        while let Some((first, mut last)) = chunks.next() {
            while let Some((_, next)) = chunks.next_if(|(next, _)| *next == last) {
                last = next;
            }
            self.fresh = first;
            self.skip_to(last);
        }
        self.fresh = end;
    }

    /// Puts what lies before a unit among the free chunks.
    fn skip_to(&mut self, unit: u32) {
        while self.fresh < unit {
            let aligned = self.fresh.trailing_zeros().min(MAX_CLASS);
            let fits = (unit - self.fresh).ilog2();
            let class = aligned.min(fits);
            if self.fresh > 0 {
                self.free[class as usize].push(self.fresh);
            }
            self.fresh += 1 << class;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Chunks never overlap, lie at multiples of their size, and all room comes back.
        #[test]
        fn chunks_lie_beside_each_other(steps in prop::collection::vec((0u32..5, any::<bool>()), 1..400)) {
            let mut arena = Arena::new(512, &BTreeSet::new());
            let mut held: BTreeMap<u32, Reference> = BTreeMap::new();
            for (class, give) in steps {
                if give && let Some((_, chunk)) = held.pop_first() {
                    arena.give(chunk);
                } else if let Some(chunk) = arena.take(class) {
                    prop_assert_eq!(chunk.unit() % (1 << class), 0);
                    prop_assert!(chunk.unit() > 0 && chunk.unit() + (1 << class) <= 512);
                    let before = held.range(..=chunk.unit()).next_back();
                    prop_assert!(before.is_none_or(|(unit, other)| unit + (1 << other.class()) <= chunk.unit()));
                    let after = held.range(chunk.unit()..).next();
                    prop_assert!(after.is_none_or(|(unit, _)| chunk.unit() + (1 << class) <= *unit));
                    held.insert(chunk.unit(), chunk);
                }
                let used: u32 = held.values().map(|chunk| 1 << chunk.class()).sum();
                prop_assert_eq!(arena.used(), used);
            }
            // Found again by a start.
            let used: BTreeSet<_> = held.values().map(|chunk| (chunk.unit(), chunk.class())).collect();
            let mut again = Arena::new(512, &used);
            prop_assert_eq!(again.used(), arena.used());
            while let Some(chunk) = again.take(0) {
                let mut taken = used.iter().map(|(unit, class)| *unit..unit + (1 << class));
                prop_assert!(!taken.any(|units| units.contains(&chunk.unit())), "{:?}", chunk);
            }
            prop_assert_eq!(again.used(), 511);
        }
    }
}
