//! IPv6: sorted fences, each with the first address of a leaf and a reference for each half to it.
//!
//! ```text
//! root    63 half   62..56 steps of the search   55..28 first fence   27..0 number of fences
//! fence   first address in two words; 63..32 leaf of half 1, 31..0 leaf of half 0
//! leaf    32 ranges: 32 higher words of first addresses, 32 lower ones, 32 answers
//! ```
//! There are two regions of fences, of which one is read. The first fence begins at 0; in a leaf the
//! last range is repeated to the end.

use super::Answer;

/// Words of a fence.
pub const FENCE: usize = 3;
/// Ranges in a leaf.
pub const LEAF: usize = 32;
/// The search among fences takes no more steps.
pub const MAX_STEPS: u32 = 24;

/// Bits of a fence's number.
const NUMBER: u32 = 28;

/// Memory that holds fences and leaves.
pub trait Memory {
    /// A fence: its first address, and the word with its leaves.
    fn fence(&self, number: u32) -> ([u64; 2], u64);
    /// First address of a range of a leaf.
    fn start(&self, leaf: u32, index: u32) -> [u64; 2];
    /// [`Answer`] of a range of a leaf, as a word.
    fn answer(&self, leaf: u32, index: u32) -> u64;
}

/// What the root's word says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Root {
    /// Whose leaves are read.
    pub half: u32,
    /// Where the fences begin that are read.
    pub first: u32,
    /// How many there are; 0: nothing is listed.
    pub fences: u32,
}

impl Root {
    /// As a word.
    pub const fn word(self) -> u64 {
        let steps = u32::BITS - self.fences.saturating_sub(1).leading_zeros();
        (self.half as u64) << 63
            | (steps as u64) << 56
            | (self.first as u64) << NUMBER
            | self.fences as u64
    }

    /// From a word.
    #[inline(always)]
    pub const fn of(word: u64) -> Self {
        const FENCE: u32 = (1 << NUMBER) - 1;
        Self {
            half: (word >> 63) as u32,
            first: (word >> NUMBER) as u32 & FENCE,
            fences: word as u32 & FENCE,
        }
    }

    #[inline(always)]
    const fn steps(word: u64) -> u32 {
        (word >> 56) as u32 & 127
    }
}

/// What an address comes to.
#[inline(always)]
pub fn find(memory: &impl Memory, word: u64, address: [u64; 2]) -> Answer {
    let root = Root::of(word);
    if root.fences == 0 {
        return Answer::NONE;
    }
    let steps = Root::steps(word);
    let mut fence = 0;
    for step in 0..MAX_STEPS {
        if step >= steps {
            break;
        }
        let middle = fence + (1 << ((steps - 1 - step) & 31));
        if middle < root.fences && is_before(memory.fence(root.first + middle).0, address) {
            fence = middle;
        }
    }
    let (_, leaves) = memory.fence(root.first + fence);
    let leaf = (leaves >> (root.half * 32)) as u32;
    let mut index = 0;
    for step in [16, 8, 4, 2, 1] {
        if is_before(memory.start(leaf, index + step), address) {
            index += step;
        }
    }
    Answer::of_word(memory.answer(leaf, index))
}

/// Whether a range that starts here has begun at the address.
#[inline(always)]
const fn is_before([high, low]: [u64; 2], address: [u64; 2]) -> bool {
    high < address[0] || high == address[0] && low <= address[1]
}
