//! IPv4: the directory has a word for each /20, with a reference for each half, to the chunk that
//! holds the ranges of this /20.
//!
//! ```text
//! directory word   63..32 reference of half 1   31..0 reference of half 0
//! reference        31..28 class                 27..0 first unit; 0: nothing is listed in this /20
//! chunk            1 << class units of 4 words, at a multiple of its size
//! range            63..52 first address         51..26 protecting row       25..0 blocking row
//! ```
//! The first range of a chunk begins at 0; behind the last one it is repeated to the end of the chunk.
//! So finding a range takes a step for each class, two more in the unit, and no count.

use super::Answer;

/// Bits of an address that choose the directory's word.
pub const LENGTH: u8 = 20;
/// Words of the directory.
pub const SLOTS: u32 = 1 << LENGTH;
/// Ranges in a unit.
pub const UNIT: usize = 4;
/// The largest class: a range for each of 4,096 addresses, and one.
pub const MAX_CLASS: u32 = 11;
/// Bits of a row's number.
pub const ROW_BITS: u32 = 26;

const HOST_BITS: u32 = 32 - LENGTH as u32;
const START: u32 = 64 - HOST_BITS;
const FIRST_UNIT: u32 = (1 << 28) - 1;

/// Memory that holds the directory and the chunks.
pub trait Memory {
    /// A word of the directory.
    fn directory(&self, slot: u32) -> u64;
    /// A range of a unit.
    fn range(&self, unit: u32, index: u32) -> u64;
}

/// Where the ranges of a /20 are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference(pub u32);

impl Reference {
    /// To a chunk of `1 << class` units.
    pub const fn new(class: u32, unit: u32) -> Self {
        Self(class << 28 | unit)
    }

    /// Logarithm of the number of units.
    #[inline(always)]
    pub const fn class(self) -> u32 {
        self.0 >> 28
    }

    /// The first one.
    #[inline(always)]
    pub const fn unit(self) -> u32 {
        self.0 & FIRST_UNIT
    }

    /// That of a half, in a word of the directory.
    #[inline(always)]
    pub const fn of(word: u64, half: u32) -> Self {
        Self((word >> ((half & 1) * 32)) as u32)
    }
}

/// The slot of an address.
#[inline(always)]
pub const fn slot(address: u32) -> u32 {
    address >> HOST_BITS
}

/// The first address of a slot.
pub const fn first(slot: u32) -> u32 {
    slot << HOST_BITS
}

/// The last address of a slot.
pub const fn last(slot: u32) -> u32 {
    first(slot) | ((1 << HOST_BITS) - 1)
}

/// A range from this address on.
pub const fn range(address: u32, answer: Answer) -> u64 {
    ((address as u64) << START) | (answer.protect as u64) << ROW_BITS | answer.block as u64
}

/// What a range says.
#[inline(always)]
pub const fn answer(range: u64) -> Answer {
    const ROW: u32 = (1 << ROW_BITS) - 1;
    Answer {
        protect: (range >> ROW_BITS) as u32 & ROW,
        block: range as u32 & ROW,
    }
}

/// What an address comes to in this half.
#[inline(always)]
pub fn find(memory: &impl Memory, half: u32, address: u32) -> Answer {
    let reference = Reference::of(memory.directory(slot(address)), half);
    if reference.0 == 0 {
        return Answer::NONE;
    }
    let wanted = u64::from(address & (u32::MAX >> LENGTH));
    let starts_before = |range: u64| range >> START <= wanted;
    let mut unit = reference.unit();
    for step in 0..MAX_CLASS {
        if step >= reference.class() {
            break;
        }
        let middle = unit + (1 << (reference.class() - 1 - step));
        if starts_before(memory.range(middle, 0)) {
            unit = middle;
        }
    }
    let mut index = 0;
    if starts_before(memory.range(unit, 2)) {
        index = 2;
    }
    if starts_before(memory.range(unit, index + 1)) {
        index += 1;
    }
    answer(memory.range(unit, index))
}
