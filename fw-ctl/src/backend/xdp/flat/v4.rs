//! Writing the directory and the chunks of [`fw_common::flat::v4`].

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release},
    },
};

use fw_common::flat::{
    Answer,
    presence::{self, HOSTS, RANGES},
    v4::{self, Reference, SLOTS, UNIT},
};

use super::{
    super::sys::Mapped,
    arena::Arena,
    family::Family,
    grace::{Grace, Limbo},
    sweep::Sweep,
};

/// Directory, chunks and presence bits.
#[derive(Debug)]
pub struct Directory {
    /// The first word says which half is read.
    root: Arc<Mapped>,
    slots: Mapped,
    chunks: Mapped,
    near: Arc<Mapped>,
    arena: Arena,
    /// Chunks of one range, which many slots share: for each answer, the chunk and how many.
    uniform: HashMap<Answer, (Reference, u32)>,
    retired: Limbo<Reference>,
    /// Units that must stay free.
    reserve: u32,
}

/// Runs of slots from which on one sweep walks over what lies between them: seeking each costs more.
const MANY_RUNS: usize = 4096;

/// Units that are kept for taking away.
const RESERVE: u32 = 256;

/// What a slot is to refer to.
#[derive(Clone, Copy, Debug)]
pub struct Swap {
    slot: u32,
    old: Reference,
    new: Reference,
    /// Presence bits of its 16 /24s.
    near: u32,
}

/// The chunks do not fit.
#[derive(Debug)]
pub struct Full;

impl Directory {
    /// Over what stands in the memory; a former daemon may have written it, and died half way.
    pub fn new(root: Arc<Mapped>, slots: Mapped, chunks: Mapped, near: Arc<Mapped>) -> Self {
        let half = root.words()[0].load(Relaxed) as u32;
        let mut used: BTreeMap<Reference, u32> = BTreeMap::new();
        for word in slots.words() {
            let reference = Reference::of(word.load(Relaxed), half);
            store_if_other(word, both(reference));
            if reference != Reference::default() {
                *used.entry(reference).or_default() += 1;
            }
        }
        let units = chunks.words().len() / UNIT;
        let taken = used.keys().map(|chunk| (chunk.unit(), chunk.class()));
        let arena = Arena::new(units as u32, &taken.collect());
        let mut directory = Self {
            root,
            slots,
            chunks,
            near,
            arena,
            uniform: HashMap::new(),
            retired: Limbo::default(),
            reserve: 0,
        };
        for (chunk, users) in used {
            if let Some(answer) = directory.uniform_answer(chunk) {
                directory.uniform.insert(answer, (chunk, users));
            }
        }
        directory
    }

    /// Units of chunks in use, and in all.
    pub fn fill(&self) -> [usize; 2] {
        [self.arena.used(), self.arena.capacity()].map(|units| units as usize)
    }

    /// Writes chunks for these runs of slots, which ascend; nothing refers to them yet. What `grows`
    /// leaves some room: taking away needs it too.
    pub fn build(
        &mut self,
        family: &Family<u32>,
        runs: &[(u32, u32)],
        grows: bool,
        grace: &Grace,
    ) -> Result<Vec<Swap>, Full> {
        self.reclaim(grace);
        self.reserve = if grows { RESERVE } else { 0 };
        let mut swaps = Vec::new();
        let mut sweep = Sweep::from(family.index(), 0);
        for (first, last) in runs {
            if runs.len() < MANY_RUNS {
                sweep = Sweep::from(family.index(), v4::first(*first));
            }
            let run = (*first, *last);
            if let Err(full) = self.build_run(family, &mut sweep, run, grace, &mut swaps) {
                self.discard(&swaps);
                return Err(full);
            }
        }
        Ok(swaps)
    }

    fn build_run(
        &mut self,
        family: &Family<u32>,
        sweep: &mut Sweep<'_, u32>,
        (first, last): (u32, u32),
        grace: &Grace,
        swaps: &mut Vec<Swap>,
    ) -> Result<(), Full> {
        let (mut ranges, mut words) = (Vec::new(), Vec::new());
        let mut slot = first;
        while slot <= last {
            let (answer, boundary) = sweep.at(v4::first(slot));
            // Up to here all addresses have this answer.
            let mut end = boundary.map_or(SLOTS, v4::slot).min(last + 1);
            if end == slot {
                sweep.ranges(v4::first(slot), v4::last(slot), &mut ranges);
                if ranges.len() > 1 {
                    pad(&ranges, &mut words);
                    self.write_if_other(family, slot, &ranges, &words, grace, swaps)?;
                    slot += 1;
                    continue;
                }
                // What begins or ends here makes no difference.
                end = slot + 1;
            }
            let new = self.uniform(answer, end - slot, grace)?;
            let near = match answer {
                Answer::NONE => 0,
                _ => EVERY_24 * RANGES as u32,
            };
            for slot in slot..end {
                self.swap(slot, new, near, swaps);
            }
            slot = end;
        }
        Ok(())
    }

    fn write_if_other(
        &mut self,
        family: &Family<u32>,
        slot: u32,
        ranges: &[(u32, Answer)],
        words: &[u64],
        grace: &Grace,
        swaps: &mut Vec<Swap>,
    ) -> Result<(), Full> {
        if !self.holds(self.current(slot), words) {
            let new = self.write(words, grace)?;
            self.swap(slot, new, near(slot, ranges, family), swaps);
        }
        Ok(())
    }

    /// Takes back what was built.
    pub fn discard(&mut self, swaps: &[Swap]) {
        for swap in swaps {
            if let Some(chunk) = self.release(swap.new) {
                self.arena.give(chunk);
            }
        }
    }

    /// Refers to what was built, for all slots at one moment.
    pub fn publish(&mut self, swaps: &[Swap], grace: &mut Grace) {
        if swaps.is_empty() {
            return;
        }
        let half = self.root.words()[0].load(Relaxed) & 1;
        for swap in swaps {
            let references = match half {
                0 => u64::from(swap.new.0) << 32 | u64::from(swap.old.0),
                _ => u64::from(swap.old.0) << 32 | u64::from(swap.new.0),
            };
            self.slots.words()[swap.slot as usize].store(references, Release);
            let (word, shift) = near_place(swap.slot);
            self.near.words()[word].fetch_or(u64::from(swap.near) << shift, Release);
        }
        self.root.words()[0].store(half ^ 1, Release);
        let mut old = Vec::new();
        for swap in swaps {
            self.slots.words()[swap.slot as usize].store(both(swap.new), Release);
            let (word, shift) = near_place(swap.slot);
            let unset = u64::from(!swap.near) << shift;
            self.near.words()[word].fetch_and(!unset, Release);
            old.extend(self.release(swap.old));
        }
        self.retired.add(grace.begin(), old);
    }

    fn swap(&mut self, slot: u32, new: Reference, near: u32, swaps: &mut Vec<Swap>) {
        let old = self.current(slot);
        swaps.push(Swap {
            slot,
            old,
            new,
            near,
        });
    }

    fn current(&self, slot: u32) -> Reference {
        Reference::of(self.slots.words()[slot as usize].load(Relaxed), 0)
    }

    /// Whether a chunk holds these ranges already.
    fn holds(&self, chunk: Reference, words: &[u64]) -> bool {
        chunk != Reference::default()
            && words.len() == UNIT << chunk.class()
            && self
                .words(chunk)
                .iter()
                .zip(words)
                .all(|(held, word)| held.load(Relaxed) == *word)
    }

    /// The chunk that says the same of a whole slot, for so many slots.
    fn uniform(&mut self, answer: Answer, slots: u32, grace: &Grace) -> Result<Reference, Full> {
        if answer == Answer::NONE {
            return Ok(Reference::default());
        }
        if let Some((chunk, users)) = self.uniform.get_mut(&answer) {
            *users += slots;
            return Ok(*chunk);
        }
        let chunk = self.write(&[v4::range(0, answer); UNIT], grace)?;
        self.uniform.insert(answer, (chunk, slots));
        Ok(chunk)
    }

    /// The answer of a chunk that says the same of a whole slot.
    fn uniform_answer(&self, chunk: Reference) -> Option<Answer> {
        let words = self.words(chunk);
        let first = words[0].load(Relaxed);
        let same = words.iter().all(|word| word.load(Relaxed) == first);
        same.then(|| v4::answer(first))
    }

    /// Lets go of a chunk for one slot; gives it when it was the last.
    fn release(&mut self, chunk: Reference) -> Option<Reference> {
        if chunk == Reference::default() {
            return None;
        }
        let Some(answer) = self.uniform_answer(chunk) else {
            return Some(chunk);
        };
        let (_, users) = self.uniform.get_mut(&answer)?;
        *users -= 1;
        if *users > 0 {
            return None;
        }
        self.uniform.remove(&answer).map(|(chunk, _)| chunk)
    }

    fn write(&mut self, words: &[u64], grace: &Grace) -> Result<Reference, Full> {
        let class = (words.len() / UNIT).ilog2();
        let mut chunk = self.take(class);
        if chunk.is_none() {
            grace.wait();
            self.reclaim(grace);
            chunk = self.take(class);
        }
        let chunk = chunk.ok_or(Full)?;
        for (place, word) in self.words(chunk).iter().zip(words) {
            place.store(*word, Relaxed);
        }
        Ok(chunk)
    }

    fn take(&mut self, class: u32) -> Option<Reference> {
        let after = self.arena.used() + (1 << class) + self.reserve;
        (after <= self.arena.capacity()).then(|| self.arena.take(class))?
    }

    fn reclaim(&mut self, grace: &Grace) {
        for chunk in self.retired.take(grace) {
            self.arena.give(chunk);
        }
    }

    fn words(&self, chunk: Reference) -> &[AtomicU64] {
        let start = chunk.unit() as usize * UNIT;
        &self.chunks.words()[start..start + (UNIT << chunk.class())]
    }
}

fn both(reference: Reference) -> u64 {
    u64::from(reference.0) << 32 | u64::from(reference.0)
}

fn store_if_other(word: &AtomicU64, value: u64) {
    // A page that is not written stays as it is.
    if word.load(Relaxed) != value {
        word.store(value, Release);
    }
}

/// Ranges as words of a chunk, the last one repeated to its end.
fn pad(ranges: &[(u32, Answer)], words: &mut Vec<u64>) {
    words.clear();
    words.extend(
        ranges
            .iter()
            .map(|(address, answer)| v4::range(*address, *answer)),
    );
    let size = words.len().next_power_of_two().max(UNIT);
    words.resize(size, words[words.len() - 1]);
}

/// Presence bits of a slot with these ranges.
fn near(slot: u32, ranges: &[(u32, Answer)], family: &Family<u32>) -> u32 {
    let ends = ranges.iter().skip(1).map(|(next, _)| next - 1);
    let ends = ends.chain([v4::last(slot)]);
    let listed = ranges
        .iter()
        .zip(ends)
        .filter(|((_, answer), _)| *answer != Answer::NONE);
    listed.fold(0, |bits, ((first, answer), last)| {
        let is_host = *first == last && answer.protect == 0;
        let bit = match is_host && family.is_in_bucket(last, answer.block) {
            true => HOSTS as u32,
            false => RANGES as u32,
        };
        let [first, last] = [*first, last].map(|address| 2 * (address >> 8 & 15));
        bits | (EVERY_24 * bit) & (u32::MAX << first) & (u32::MAX >> (30 - last))
    })
}

/// The lower one of the two presence bits of each /24 of a slot.
const EVERY_24: u32 = 0x5555_5555;

/// Word of the presence bits of a slot, and the first of its 32 bits there.
fn near_place(slot: u32) -> (usize, u32) {
    let (word, shift) = presence::v4(v4::first(slot));
    (word as usize, shift)
}
