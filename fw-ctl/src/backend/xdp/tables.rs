//! All tables together: applying a plan whole or not at all.
//!
//! New rows, ranges and trie entries are written beside the old ones first; whatever has no room or
//! is refused is taken back, and no packet has seen any of it. Then one store for each family makes
//! the change true for all packets at once.

pub(super) mod changes;
mod error;
pub(super) mod near;
mod room;

use std::{
    collections::BTreeMap,
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::Ordering::{Relaxed, Release},
    },
};

use aya::Ebpf;
use fw_common::{
    Prefix,
    abi::{self, Entry},
    flat::v4::slot,
};

use super::{
    auto::Auto,
    flat::{
        family::{Entered, Family},
        grace::Grace,
        sweep::Kind,
        v4::{Directory, Swap},
        v6::{Leaves, Swaps},
    },
    load::{self, LoadError},
    shape::{Lookup, Shape},
    sys::Mapped,
    tries::Tries,
};
use crate::{
    host::random::random,
    plan::{CheckedPlan, Plan},
    policy::entry::Action,
};

use self::{
    changes::{pieces, split, touched},
    error::full,
    room::{NAMES_V4, NAMES_V6},
};
pub use self::{error::ApplyError, room::Fill};

/// Every table in the kernel.
#[derive(Debug)]
pub struct Tables {
    v4: Family<u32>,
    v6: Family<u128>,
    directory: Directory,
    leaves: Leaves,
    near: Arc<Mapped>,
    /// The third word says whether somebody is writing.
    root: Arc<Mapped>,
    tries: Tries,
    auto: Auto,
    /// What the guard rows hold; they are few and asked for with each plan.
    guarded: BTreeMap<Prefix, u32>,
    shape: Shape,
    /// A former daemon died while it wrote: ranges are made anew with the next change.
    torn: bool,
    grace: Grace,
}

impl Tables {
    /// Takes the maps out of the object, with what stands in them.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn take(object: &mut Ebpf, shape: &Shape) -> Result<Self, LoadError> {
        let root = Arc::new(load::take_mapped(object, &abi::ROOT)?);
        seed(&root)?;
        let near = Arc::new(load::take_mapped(object, &abi::NEAR)?);
        let mut mapped = |spec| load::take_mapped(object, spec);
        let (v4, torn_v4) = Family::new(mapped(&abi::ROWS_V4)?, Arc::clone(&root));
        let (v6, torn_v6) = Family::new(mapped(&abi::ROWS_V6)?, Arc::clone(&root));
        let directory = Directory::new(
            Arc::clone(&root),
            mapped(&abi::DIR_V4)?,
            mapped(&abi::CHUNKS_V4)?,
            Arc::clone(&near),
        );
        let (fences, leaves) = (mapped(&abi::FENCES_V6)?, mapped(&abi::LEAVES_V6)?);
        let leaves = Leaves::new(Arc::clone(&root), fences, leaves);
        let writing = root.words()[abi::ROOT_WRITING].load(Relaxed) != 0;
        let mut tables = Self {
            v4,
            v6,
            directory,
            leaves,
            near,
            tries: Tries::take(object, shape.lookup == Lookup::Tries)?,
            auto: Auto::take(object)?,
            guarded: BTreeMap::new(),
            shape: shape.clone(),
            torn: writing || torn_v4 || torn_v6,
            grace: Grace::default(),
            root,
        };
        let guarded = tables.rows(Kind::Guard);
        tables.guarded = guarded
            .map(|(prefix, entry)| (prefix, entry.list.into()))
            .collect();
        Ok(tables)
    }

    /// What the guard rows hold.
    pub fn guarded(&self) -> &BTreeMap<Prefix, u32> {
        &self.guarded
    }

    /// The entry of exactly this prefix.
    ///
    /// # Errors
    /// What `bpf(2)` says.
    pub fn get(&self, action: Action, prefix: Prefix) -> io::Result<Option<Entry>> {
        if action == Action::Block
            && let Some(entry) = self.auto.get(prefix)?
        {
            return Ok(Some(entry));
        }
        let kind = kind(action);
        Ok(match place(prefix) {
            Place::V4(first) => self.v4.get(&(first, prefix.length(), kind)),
            Place::V6(first) => self.v6.get(&(first, prefix.length(), kind)),
        })
    }

    /// Takes note of a block that the program has written itself.
    pub fn noticed(&mut self, prefix: Prefix) {
        self.auto.noticed(prefix);
    }

    /// Everything of one action, in order.
    ///
    /// # Errors
    /// What `bpf(2)` says.
    pub fn dump(&self, action: Action) -> io::Result<Vec<(Prefix, Entry)>> {
        let mut rows: Vec<(Prefix, Entry)> = Vec::new();
        if action == Action::Block {
            // Newer than a row of the same prefix.
            rows = self.auto.all()?;
        }
        rows.extend(self.rows(kind(action)));
        rows.sort_by_key(|(prefix, _)| *prefix);
        rows.dedup_by_key(|(prefix, _)| *prefix);
        Ok(rows)
    }

    fn rows(&self, kind: Kind) -> impl Iterator<Item = (Prefix, Entry)> {
        let v4 = self.v4.entries().into_iter();
        let v4 = v4.filter(move |((.., of), _)| *of == kind);
        let v4 = v4.filter_map(|((first, length, _), entry)| {
            Some((
                Prefix::new(IpAddr::from(first.to_be_bytes()), length)?,
                entry,
            ))
        });
        let v6 = self.v6.entries().into_iter();
        let v6 = v6.filter(move |((.., of), _)| *of == kind);
        let v6 = v6.filter_map(|((first, length, _), entry)| {
            Some((
                Prefix::new(IpAddr::from(first.to_be_bytes()), length)?,
                entry,
            ))
        });
        v4.chain(v6)
    }

    /// How full everything is.
    pub fn fill(&self) -> Vec<Fill> {
        let mut all = room::fill(&self.shape, self.v4.used(), self.v6.used());
        let [chunks, leaves] = [self.directory.fill(), self.leaves.fill()];
        for (spec, [used, capacity]) in [
            (abi::ROWS_V4, [self.v4.index().len(), self.v4.capacity()]),
            (abi::ROWS_V6, [self.v6.index().len(), self.v6.capacity()]),
            (abi::CHUNKS_V4, chunks),
            (abi::LEAVES_V6, leaves),
        ] {
            all.push(Fill {
                name: spec.name,
                used,
                capacity,
            });
        }
        all
    }

    /// Applies a plan, for all packets of a family at one moment.
    ///
    /// # Errors
    /// [`ApplyError`]; all tables are as they were, unless it is [`ApplyError::Broken`].
    pub fn apply(&mut self, plan: &CheckedPlan) -> Result<(), ApplyError> {
        self.run(plan.plan())
    }

    /// Takes back a plan that was applied.
    ///
    /// # Errors
    /// [`ApplyError`]
    pub fn revert(&mut self, plan: &CheckedPlan) -> Result<(), ApplyError> {
        self.run(&plan.plan().inverse())
    }

    /// Lets the program look only where something is listed. Some bits are set all the time; at the
    /// start those go that nothing needs any more.
    ///
    /// # Errors
    /// What `bpf(2)` says.
    pub fn tidy_near(&mut self) -> io::Result<()> {
        self.auto.tidy()?;
        near::tidy(&self.near, self.v4.index(), self.v6.index());
        Ok(())
    }

    fn run(&mut self, plan: &Plan) -> Result<(), ApplyError> {
        self.set_writing(true);
        let result = match self.write(plan) {
            Err(ApplyError::Full { table, .. }) if is_map(table) => self.write_in_turns(plan),
            result => result,
        };
        // What a former daemon left half done is so until a change succeeds.
        self.set_writing(self.torn);
        result?;
        for op in &plan.guard {
            match op.after {
                Some(source) => self.guarded.insert(op.prefix, source),
                None => self.guarded.remove(&op.prefix),
            };
        }
        Ok(())
    }

    /// Piece by piece, what leaves first: for what comes to have its room. So packets meet policies
    /// between the old one and the new one, which drop nobody that both let pass.
    fn write_in_turns(&mut self, plan: &Plan) -> Result<(), ApplyError> {
        let pieces = pieces(plan);
        for (number, piece) in pieces.iter().enumerate() {
            if let Err(error) = self.write(piece) {
                for done in pieces[..number].iter().rev() {
                    self.write(&done.inverse())?;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn set_writing(&self, writing: bool) {
        self.root.words()[abi::ROOT_WRITING].store(u64::from(writing), Release);
    }

    fn write(&mut self, plan: &Plan) -> Result<(), ApplyError> {
        let (v4, v6) = split(plan, &self.v4, &self.v6);
        room::check(&NAMES_V4, &v4, &self.v4, &self.shape, self.shape.ipv4)?;
        room::check(&NAMES_V6, &v6, &self.v6, &self.shape, self.shape.ipv6)?;
        let v4 = self.v4.enter(v4, &self.grace);
        let v4 = v4.map_err(|needed| full(&abi::ROWS_V4, self.v4.capacity(), needed))?;
        let v6 = match self.v6.enter(v6, &self.grace) {
            Ok(v6) => v6,
            Err(needed) => {
                self.v4.leave(v4);
                return Err(full(&abi::ROWS_V6, self.v6.capacity(), needed));
            }
        };
        match self.build(&v4, &v6) {
            Ok((swaps_v4, swaps_v6)) => {
                self.publish(plan, (v4, swaps_v4), (v6, swaps_v6));
                Ok(())
            }
            Err(error) => {
                self.v4.leave(v4);
                self.v6.leave(v6);
                Err(error)
            }
        }
    }

    /// Writes ranges and tries, which no packet sees yet.
    fn build(
        &mut self,
        v4: &Entered<u32>,
        v6: &Entered<u128>,
    ) -> Result<(Vec<Swap>, Swaps), ApplyError> {
        let mut runs = touched(v4, slot);
        if self.torn {
            // Also where nothing is referred to: a row may have been written, and its ranges not.
            runs = vec![(0, slot(u32::MAX))];
        }
        let grows = !v4.added.is_empty();
        let swaps_v4 = self.directory.build(&self.v4, &runs, grows, &self.grace);
        let swaps_v4 = swaps_v4.map_err(|_| {
            let [_, capacity] = self.directory.fill();
            full(&abi::CHUNKS_V4, capacity, capacity + 1)
        })?;
        let mut spans = touched(v6, |address| address);
        if self.torn {
            spans = vec![(0, u128::MAX)];
        }
        let grows = !v6.added.is_empty();
        let swaps_v6 = self
            .leaves
            .build(self.v6.index(), &spans, grows, &self.grace);
        let swaps_v6 = match swaps_v6 {
            Ok(swaps) => swaps,
            Err(_) => {
                self.directory.discard(&swaps_v4);
                let [_, capacity] = self.leaves.fill();
                return Err(full(&abi::LEAVES_V6, capacity, capacity + 1));
            }
        };
        self.tries.write(v4, v6).map_err(|refused| {
            self.directory.discard(&swaps_v4);
            self.leaves.discard(&swaps_v6);
            let (table, source) = (refused.table, refused.source);
            match refused.broken {
                false => ApplyError::Refused { table, source },
                true => ApplyError::Broken { table, source },
            }
        })?;
        Ok((swaps_v4, swaps_v6))
    }

    /// Makes it true. Nothing of this can fail.
    fn publish(
        &mut self,
        plan: &Plan,
        (v4, swaps_v4): (Entered<u32>, Vec<Swap>),
        (v6, swaps_v6): (Entered<u128>, Swaps),
    ) {
        near::set(&self.near, &v4.added, &v6.added);
        self.v4.rewrite(&v4);
        self.v6.rewrite(&v6);
        self.directory.publish(&swaps_v4, &mut self.grace);
        self.leaves.publish(swaps_v6, &mut self.grace);
        // What the program has written itself is a row now, or is to go.
        plan.block.iter().for_each(|op| self.auto.remove(op.prefix));
        self.v4.settle(v4, &mut self.grace);
        self.v6.settle(v6, &mut self.grace);
        self.torn = false;
    }
}

/// Gives the buckets of hosts a seed, unless a former daemon did.
fn seed(root: &Mapped) -> Result<(), LoadError> {
    let seed = &root.words()[abi::ROOT_SEED];
    if seed.load(Relaxed) == 0 {
        let random = random().map_err(|error| LoadError::Map {
            name: abi::ROOT.name,
            source: error.into(),
        })?;
        seed.store(random | 1, Relaxed);
    }
    Ok(())
}

/// Whether a table is a map, and not somebody's share of it.
fn is_map(table: &str) -> bool {
    abi::MAPS.iter().any(|spec| spec.name == table)
}

fn kind(action: Action) -> Kind {
    match action {
        Action::Allow => Kind::Allow,
        Action::Block => Kind::Block,
    }
}

/// The first address of a prefix.
enum Place {
    V4(u32),
    V6(u128),
}

fn place(prefix: Prefix) -> Place {
    match prefix.address() {
        IpAddr::V4(address) => Place::V4(address.to_bits()),
        IpAddr::V6(address) => Place::V6(address.to_bits()),
    }
}
