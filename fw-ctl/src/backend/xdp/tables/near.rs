//! Presence bits, but for those that the directory keeps for ranges of IPv4. A change sets them and
//! leaves the others; at a start those go that nothing needs any more.

use std::sync::atomic::Ordering::{Relaxed, Release};

use fw_common::{
    flat::presence::{WORDS, WORDS_V4, places_protected, places_v6},
    reason::Family,
};

use super::super::{
    flat::sweep::{Index, Key, Kind},
    sys::Mapped,
};

/// Sets what new rows need, before a packet may see them.
pub fn set(near: &Mapped, v4: &[(Key<u32>, u32)], v6: &[(Key<u128>, u32)]) {
    let v4 = v4.iter().flat_map(|(key, _)| places_of_v4(*key));
    let v6 = v6.iter().flat_map(|(key, _)| places_of_v6(*key));
    for (word, bit) in v4.chain(v6) {
        near.words()[word as usize].fetch_or(bit, Release);
    }
}

/// Leaves what these rows need.
pub fn tidy(near: &Mapped, v4: &Index<u32>, v6: &Index<u128>) {
    let mut needed = vec![0; (WORDS - WORDS_V4) as usize];
    let v4 = v4.iter().flat_map(|(key, _)| places_of_v4(key));
    let v6 = v6.iter().flat_map(|(key, _)| places_of_v6(key));
    for (word, bit) in v4.chain(v6) {
        needed[(word - WORDS_V4) as usize] |= bit;
    }
    for (word, bits) in near.words()[WORDS_V4 as usize..].iter().zip(needed) {
        // A page that is not written stays as it is.
        if word.load(Relaxed) != bits {
            word.store(bits, Release);
        }
    }
}

fn places_of_v4((first, length, kind): Key<u32>) -> impl Iterator<Item = (u32, u64)> {
    protecting(kind, Family::V4, first, length)
}

fn places_of_v6((first, length, kind): Key<u128>) -> impl Iterator<Item = (u32, u64)> {
    let high = (first >> 96) as u32;
    places_v6(high, length).chain(protecting(kind, Family::V6, high, length))
}

fn protecting(
    kind: Kind,
    family: Family,
    high: u32,
    length: u8,
) -> impl Iterator<Item = (u32, u64)> {
    let places = (kind != Kind::Block).then(|| places_protected(family, high, length));
    places.into_iter().flatten()
}
