//! What the rows of each family differ in.

use std::sync::atomic::Ordering::Relaxed;

use fw_common::{
    abi::{RowV4, RowV6},
    flat::{
        hosts::{Place, Row},
        v6::Root,
    },
};

use super::{super::sys::Mapped, sweep::Number};

/// An address in the words of a row.
pub trait Address: Number {
    /// Words of a row.
    const STRIDE: usize;
    /// Rows of a bucket.
    const BUCKET: u32;
    /// By how much the number of buckets is shifted in its word of the root.
    const SHIFT: u32;

    /// The first row of the bucket of an address.
    fn bucket(self, place: Place) -> u32;
    /// Which half the program reads.
    fn half(root: &Mapped) -> u32;
    /// The words behind the entry.
    fn words(self) -> [u64; 2];
    /// From these words.
    fn of_words(words: [u64; 2]) -> Self;
}

impl Address for u32 {
    const STRIDE: usize = size_of::<RowV4>() / 8;
    const BUCKET: u32 = RowV4::BUCKET;
    const SHIFT: u32 = 0;

    fn bucket(self, place: Place) -> u32 {
        place.bucket::<RowV4>(self)
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
    const STRIDE: usize = size_of::<RowV6>() / 8;
    const BUCKET: u32 = RowV6::BUCKET;
    const SHIFT: u32 = 32;

    fn bucket(self, place: Place) -> u32 {
        place.bucket::<RowV6>(self.words())
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
