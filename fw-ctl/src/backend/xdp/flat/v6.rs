//! Writing the fences and the leaves of [`fw_common::flat::v6`].

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release},
};

use fw_common::flat::{
    Answer,
    v6::{FENCE, LEAF, Root},
};

use super::{
    super::sys::Mapped,
    address::Address as _,
    grace::{Grace, Limbo},
    sweep::{Index, Sweep},
    v4::Full,
};

/// Words of a leaf.
const LEAF_WORDS: usize = 3 * LEAF;
/// Ranges of a new leaf where there are more than one has room for: some can be added.
const FRESH: usize = 22;
/// A leaf with no more ranges than these is joined with the next one, if they fit into one.
const SPARSE: usize = 8;
/// Leaves that are kept for taking away.
const RESERVE: usize = 64;

/// Fences and leaves.
#[derive(Debug)]
pub struct Leaves {
    /// The second word is a [`Root`].
    root: Arc<Mapped>,
    fences: Mapped,
    leaves: Mapped,
    /// First address of each leaf, and its number.
    order: Vec<(u128, u32)>,
    free: Vec<u32>,
    /// From here on no leaf has been given out yet.
    fresh: u32,
    /// The change since which the other region is read by nobody.
    turned: u64,
    retired: Limbo<u32>,
    /// Leaves that must stay free.
    reserve: usize,
}

/// What is to be referred to, leaf by leaf: what comes in the place of each that changes.
#[derive(Debug, Default)]
pub struct Swaps(Vec<(usize, Vec<(u128, u32)>)>);

impl Leaves {
    /// Over what stands in the memory; a former daemon may have written it, and died half way.
    pub fn new(root: Arc<Mapped>, fences: Mapped, leaves: Mapped) -> Self {
        let mut all = Self {
            root,
            fences,
            leaves,
            order: Vec::new(),
            free: Vec::new(),
            fresh: 0,
            turned: 0,
            retired: Limbo::default(),
            reserve: 0,
        };
        let root = all.read_root();
        for number in 0..root.fences as usize {
            let [high, low, word] = all.fence(root.first as usize + number);
            let leaf = (word.load(Relaxed) >> (32 * root.half)) as u32;
            word.store(both(leaf), Release);
            let first = u128::of_words([high, low].map(|word| word.load(Relaxed)));
            all.order.push((first, leaf));
        }
        let mut used: Vec<u32> = all.order.iter().map(|(_, leaf)| *leaf).collect();
        used.sort_unstable();
        for leaf in used {
            all.free.extend(all.fresh..leaf);
            all.fresh = leaf + 1;
        }
        all
    }

    /// Leaves in use, and in all.
    pub fn fill(&self) -> [usize; 2] {
        [self.order.len(), self.capacity()]
    }

    fn capacity(&self) -> usize {
        self.leaves.words().len() / LEAF_WORDS
    }

    /// Writes leaves for these spans of addresses, which ascend; nothing refers to them yet. What
    /// `grows` leaves some room: taking away needs it too.
    pub fn build(
        &mut self,
        index: &Index<u128>,
        spans: &[(u128, u128)],
        grows: bool,
        grace: &Grace,
    ) -> Result<Swaps, Full> {
        self.reclaim(grace);
        self.reserve = if grows { RESERVE } else { 0 };
        let mut swaps = Swaps::default();
        let result = if self.order.is_empty() {
            self.build_first(index, grace, &mut swaps)
        } else {
            self.build_touched(index, spans, grace, &mut swaps)
        };
        match result {
            Ok(()) => Ok(swaps),
            Err(full) => {
                self.discard(&swaps);
                Err(full)
            }
        }
    }

    /// The first leaves.
    fn build_first(
        &mut self,
        index: &Index<u128>,
        grace: &Grace,
        swaps: &mut Swaps,
    ) -> Result<(), Full> {
        let mut ranges = Vec::new();
        if index.is_empty() {
            return Ok(());
        }
        Sweep::from(index, 0).ranges(0, u128::MAX, &mut ranges);
        swaps.0.push((0, Vec::new()));
        self.write_all(&ranges, grace, swaps)
    }

    fn build_touched(
        &mut self,
        index: &Index<u128>,
        spans: &[(u128, u128)],
        grace: &Grace,
        swaps: &mut Swaps,
    ) -> Result<(), Full> {
        let (mut ranges, mut more, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        let mut done = 0;
        for (first, last) in spans {
            let fence_of = |address| self.order.partition_point(|(start, _)| *start <= address) - 1;
            let (from, to) = (fence_of(*first).max(done), fence_of(*last));
            let mut fence = from;
            while fence <= to {
                let start = self.order[fence].0;
                Sweep::from(index, start).ranges(start, self.last(fence), &mut ranges);
                if ranges.len() <= LEAF && self.holds(self.order[fence].1, &ranges) {
                    fence += 1;
                    continue;
                }
                swaps.0.push((fence, Vec::new()));
                fence += 1;
                // A leaf that gets empty takes in what follows.
                while ranges.len() <= SPARSE && fence < self.order.len() {
                    Sweep::from(index, start).ranges(start, self.last(fence), &mut more);
                    if more.len() > FRESH {
                        break;
                    }
                    std::mem::swap(&mut ranges, &mut more);
                    gone.push((fence, Vec::new()));
                    fence += 1;
                }
                self.write_all(&ranges, grace, swaps)?;
                swaps.0.append(&mut gone);
            }
            let to = to.max(fence - 1);
            done = done.max(to + 1);
        }
        Ok(())
    }

    /// Writes ranges into as many leaves as they need, for the last swap.
    fn write_all(
        &mut self,
        ranges: &[(u128, Answer)],
        grace: &Grace,
        swaps: &mut Swaps,
    ) -> Result<(), Full> {
        let size = if ranges.len() <= LEAF { LEAF } else { FRESH };
        for part in ranges.chunks(size) {
            let leaf = self.take(grace)?;
            for (place, word) in self.leaf(leaf).iter().zip(words(part)) {
                place.store(word, Relaxed);
            }
            if let Some((_, leaves)) = swaps.0.last_mut() {
                leaves.push((part[0].0, leaf));
            }
        }
        Ok(())
    }

    /// Takes back what was built.
    pub fn discard(&mut self, swaps: &Swaps) {
        let built = swaps.0.iter().flat_map(|(_, leaves)| leaves);
        self.free.extend(built.map(|(_, leaf)| *leaf));
    }

    /// Refers to what was built, for all addresses at one moment.
    pub fn publish(&mut self, swaps: Swaps, grace: &mut Grace) {
        if swaps.0.is_empty() {
            return;
        }
        let in_place =
            swaps.0.iter().all(|(_, leaves)| leaves.len() == 1) && !self.order.is_empty();
        let old = if in_place {
            self.exchange(&swaps)
        } else {
            self.replace(swaps, grace)
        };
        let change = grace.begin();
        if !in_place {
            self.turned = change;
        }
        self.retired.add(change, old);
    }

    /// The same fences, other leaves.
    fn exchange(&mut self, swaps: &Swaps) -> Vec<u32> {
        let mut root = self.read_root();
        let shift = 32 * (root.half ^ 1);
        for (fence, leaves) in &swaps.0 {
            let [.., word] = self.fence(root.first as usize + fence);
            let kept = word.load(Relaxed) & !(u64::from(u32::MAX) << shift);
            word.store(kept | u64::from(leaves[0].1) << shift, Release);
        }
        root.half ^= 1;
        self.root.words()[1].store(root.word(), Release);
        let mut old = Vec::new();
        for (fence, leaves) in &swaps.0 {
            let [.., word] = self.fence(root.first as usize + fence);
            word.store(both(leaves[0].1), Release);
            old.push(std::mem::replace(&mut self.order[*fence].1, leaves[0].1));
        }
        old
    }

    /// Other fences, in the region that nobody reads.
    fn replace(&mut self, swaps: Swaps, grace: &Grace) -> Vec<u32> {
        if !grace.is_over(self.turned) {
            grace.wait();
        }
        let mut order = Vec::with_capacity(self.order.len() + swaps.0.len());
        let mut old = Vec::new();
        let mut swaps = swaps.0.into_iter().peekable();
        for number in 0..self.order.len().max(1) {
            match swaps.next_if(|(fence, _)| *fence == number) {
                Some((_, leaves)) => {
                    old.extend(self.order.get(number).map(|(_, leaf)| *leaf));
                    order.extend(leaves);
                }
                None => order.push(self.order[number]),
            }
        }
        let root = self.read_root();
        let first = match root.first {
            0 => self.fences.words().len() / FENCE / 2,
            _ => 0,
        };
        for (number, (address, leaf)) in order.iter().enumerate() {
            let [high, low, word] = self.fence(first + number);
            let [address_high, address_low] = address.words();
            high.store(address_high, Relaxed);
            low.store(address_low, Relaxed);
            word.store(both(*leaf), Relaxed);
        }
        let turned = Root {
            // All fences are the same for both halves; rows of hosts are not.
            half: root.half ^ 1,
            first: first as u32,
            fences: order.len() as u32,
        };
        self.root.words()[1].store(turned.word(), Release);
        self.order = order;
        old
    }

    /// The last address of a leaf.
    fn last(&self, fence: usize) -> u128 {
        let next = self.order.get(fence + 1);
        next.map_or(u128::MAX, |(next, _)| next - 1)
    }

    fn room(&self) -> usize {
        self.free.len() + self.capacity() - self.fresh as usize
    }

    fn take(&mut self, grace: &Grace) -> Result<u32, Full> {
        if self.room() <= self.reserve {
            grace.wait();
            self.reclaim(grace);
        }
        if self.room() <= self.reserve {
            return Err(Full);
        }
        if let Some(leaf) = self.free.pop() {
            return Ok(leaf);
        }
        self.fresh += 1;
        Ok(self.fresh - 1)
    }

    fn reclaim(&mut self, grace: &Grace) {
        self.free.extend(self.retired.take(grace));
    }

    /// Whether a leaf holds these ranges already.
    fn holds(&self, leaf: u32, ranges: &[(u128, Answer)]) -> bool {
        let held = self.leaf(leaf).iter().map(|word| word.load(Relaxed));
        held.eq(words(ranges))
    }

    fn leaf(&self, leaf: u32) -> &[AtomicU64] {
        let start = leaf as usize * LEAF_WORDS;
        &self.leaves.words()[start..start + LEAF_WORDS]
    }

    fn fence(&self, number: usize) -> [&AtomicU64; FENCE] {
        let start = number * FENCE;
        let words = self.fences.words();
        [&words[start], &words[start + 1], &words[start + 2]]
    }

    fn read_root(&self) -> Root {
        Root::of(self.root.words()[1].load(Relaxed))
    }
}

fn both(leaf: u32) -> u64 {
    u64::from(leaf) << 32 | u64::from(leaf)
}

/// Ranges as words of a leaf, the last one repeated to its end.
fn words(ranges: &[(u128, Answer)]) -> impl Iterator<Item = u64> {
    let range = |index: usize| ranges[index.min(ranges.len() - 1)];
    let column = move |part: fn((u128, Answer)) -> u64| (0..LEAF).map(move |i| part(range(i)));
    column(|(first, _)| first.words()[0])
        .chain(column(|(first, _)| first.words()[1]))
        .chain(column(|(_, answer)| answer.word()))
}
