//! The flat tables: which rows speak of an address, found in a bounded number of steps whatever is
//! listed. No trie: the address space is cut into ranges, and in each of them all addresses have the
//! same answer. Blocked hosts, of which there are most, are found by a shorter way as well.
//!
//! - [`presence`]: bits that say where nothing is listed, which ends most lookups
//! - [`hosts`]: rows of blocked hosts lie where their addresses tell
//! - [`v4`]: a word for each /20 refers to its ranges
//! - [`v6`]: sorted fences refer to leaves of ranges
//!
//! Nothing that a reader may see is ever changed in place. A change writes new ranges beside the old
//! ones, refers to them from the half that nobody reads, and exchanges the halves by one store into
//! `abi::ROOT`. So a packet meets the old policy or the new one, never a mixture.

pub mod hosts;
pub mod presence;
pub mod v4;
pub mod v6;

/// What an address comes to: numbers of rows in `abi::ROWS_V4` or `abi::ROWS_V6`; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Answer {
    /// Of the guarded prefix that covers it, or else of the longest allowed one.
    pub protect: u32,
    /// Of the longest blocked prefix that covers it.
    pub block: u32,
}

impl Answer {
    /// Nothing is listed.
    pub const NONE: Self = Self {
        protect: 0,
        block: 0,
    };

    /// In a word: the protecting row in the higher half.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        (self.protect as u64) << 32 | self.block as u64
    }

    /// From a word.
    #[inline(always)]
    pub const fn of_word(word: u64) -> Self {
        Self {
            protect: (word >> 32) as u32,
            block: word as u32,
        }
    }
}

#[cfg(test)]
mod tests;
