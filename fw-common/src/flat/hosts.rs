//! Blocked hosts: their rows lie where their addresses tell, so a packet of one finds its row without
//! the ranges.
//!
//! A bucket is 128 bytes of rows, two lines of cache that processors fetch together. Where a bucket is
//! full the row lies elsewhere, and ranges lead to it: they know every row, in whatever bucket. So
//! addresses that somebody chose to fall into one bucket, which the seed makes hard, are found no
//! slower than prefixes are.

use crate::{
    abi::{Entry, ROOT_BUCKETS, RowV4, RowV6},
    scan::mix,
};

/// Bytes of a bucket.
const BUCKET: usize = 128;

/// A row, as far as a search has to know it.
pub trait Row: Sized {
    /// Its address.
    type Address: Copy + PartialEq;

    /// Rows in a bucket.
    const BUCKET: u32 = (BUCKET / size_of::<Self>()) as u32;
    /// Length of a host.
    const WIDTH: u8;
    /// The word of `abi::ROOT` with the number of buckets.
    const BUCKETS: usize;

    /// Its address.
    fn address(&self) -> Self::Address;
    /// 64 bits that nobody can choose without the seed; the high ones are the better ones.
    fn hash(address: Self::Address, seed: u64) -> u64;
}

/// Where rows are, in the words of `abi::ROOT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of the hash.
    pub seed: u64,
    /// Buckets of the family; 0: none.
    pub buckets: u32,
}

impl Place {
    /// The first row of the bucket of an address.
    #[inline(always)]
    pub fn bucket<R: Row>(self, address: R::Address) -> u32 {
        let hash = R::hash(address, self.seed) >> 32;
        ((hash * u64::from(self.buckets)) >> 32) as u32 * R::BUCKET
    }

    /// The row that blocks just this address, if it lies in its bucket; 0 if not. `read` gives the first
    /// word of a row and its address.
    #[inline(always)]
    pub fn find<R: Row>(
        self,
        half: u32,
        address: R::Address,
        read: impl Fn(u32) -> Option<(u64, R::Address)>,
    ) -> u32 {
        let first = self.bucket::<R>(address);
        for index in 0..R::BUCKET {
            let row = first.wrapping_add(index);
            if let Some((word, other)) = read(row)
                && other == address
                && blocks::<R>(word, half)
            {
                return row;
            }
        }
        0
    }
}

/// Whether a row that begins with this word blocks one host, for who reads this half.
#[inline(always)]
fn blocks<R: Row>(word: u64, half: u32) -> bool {
    let [.., length, flags] = word.to_ne_bytes();
    let seen = Entry::SEEN << (half & 1);
    length == R::WIDTH && flags & (Entry::KIND | Entry::RETIRED | seen) == Entry::BLOCK | seen
}

impl Row for RowV4 {
    type Address = u32;

    const WIDTH: u8 = 32;
    const BUCKETS: usize = ROOT_BUCKETS[0];

    #[inline(always)]
    fn address(&self) -> u32 {
        self.address
    }

    #[inline(always)]
    fn hash(address: u32, seed: u64) -> u64 {
        mix(u64::from(address), 0, seed)
    }
}

impl Row for RowV6 {
    type Address = [u64; 2];

    const WIDTH: u8 = 128;
    const BUCKETS: usize = ROOT_BUCKETS[1];

    #[inline(always)]
    fn address(&self) -> [u64; 2] {
        self.address
    }

    #[inline(always)]
    fn hash([high, low]: [u64; 2], seed: u64) -> u64 {
        mix(high, low, seed)
    }
}
