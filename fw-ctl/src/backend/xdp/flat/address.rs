//! What the rows of each family differ in.

use std::sync::atomic::Ordering::Relaxed;

use fw_common::{
    abi::{RowV4, RowV6},
    flat::{hosts::Row, v6::Root},
};

use super::{super::sys::Mapped, sweep::Number};

/// An address in the words of a row.
pub trait Address: Number {
    /// The row of a prefix.
    type Row: Row;

    /// Words of a row.
    const STRIDE: usize = size_of::<Self::Row>() / 8;

    /// As the program searches for it.
    fn searched(self) -> <Self::Row as Row>::Address;
    /// Which half the program reads.
    fn half(root: &Mapped) -> u32;
    /// The words behind the entry.
    fn words(self) -> [u64; 2];
    /// From these words.
    fn of_words(words: [u64; 2]) -> Self;
}

impl Address for u32 {
    type Row = RowV4;

    fn searched(self) -> u32 {
        self
    }

    fn half(root: &Mapped) -> u32 {
        root.words()[0].load(Relaxed) as u32 & 1
    }

    fn words(self) -> [u64; 2] {
        let [a, b, c, d] = self.to_ne_bytes();
        [u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0]), 0]
    }

    fn of_words([word, _]: [u64; 2]) -> Self {
        let [a, b, c, d, ..] = word.to_ne_bytes();
        Self::from_ne_bytes([a, b, c, d])
    }
}

impl Address for u128 {
    type Row = RowV6;

    fn searched(self) -> [u64; 2] {
        self.words()
    }

    fn half(root: &Mapped) -> u32 {
        Root::of(root.words()[1].load(Relaxed)).half
    }

    fn words(self) -> [u64; 2] {
        [(self >> 64) as u64, self as u64]
    }

    fn of_words([high, low]: [u64; 2]) -> Self {
        Self::from(high) << 64 | Self::from(low)
    }
}
