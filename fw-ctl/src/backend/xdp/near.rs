//! The bits that say where anything is listed at all: see [`fw_common::near`].

use std::{io, os::fd::AsFd as _, sync::atomic::Ordering};

use aya::maps::MapData;
use fw_common::{Prefix, abi::NEAR, near};

use super::sys::Mapped;

/// The bits, in memory shared with the program.
#[derive(Debug)]
pub struct Near(Mapped);

impl Near {
    /// Over the open map.
    ///
    /// # Errors
    /// What `mmap(2)` says.
    pub fn new(map: &MapData) -> io::Result<Self> {
        Mapped::new(map.fd().as_fd(), NEAR.capacity as usize).map(Self)
    }

    /// Sets the bits of a prefix; before it is written into a table.
    pub fn add(&self, prefix: Prefix) {
        for (word, bits) in near::places(prefix) {
            self.0.words()[word as usize].fetch_or(bits, Ordering::Release);
        }
    }

    /// Clears the bits that none of these prefixes needs, and sets those they do.
    pub fn retain(&self, prefixes: impl Iterator<Item = Prefix>) {
        let mut needed = vec![0; NEAR.capacity as usize];
        for (word, bits) in prefixes.flat_map(near::places) {
            needed[word as usize] |= bits;
        }
        for (word, bits) in self.0.words().iter().zip(needed) {
            word.fetch_or(bits, Ordering::Release);
            word.fetch_and(bits, Ordering::Release);
        }
    }
}
