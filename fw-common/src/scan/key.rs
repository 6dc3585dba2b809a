//! What a source, a port and a destination are known by.

use crate::{
    abi::{AutoV6, SLOTS},
    parse::Address,
    reason::Family,
};

/// Bits of its address that make one source: 32 of IPv4, `v6_prefix` of IPv6, and all of them if
/// the source is in the /64 of its destination. There it is a neighbour among others.
#[inline(always)]
pub const fn length_of(source: &Address, destination: &Address, v6_prefix: u16) -> u8 {
    match (source.family, destination.family) {
        (Family::V6, Family::V6) => {
            let ([ours, _], [theirs, _]) = (destination.halves(), source.halves());
            if ours == theirs { 128 } else { v6_prefix as u8 }
        }
        (Family::V6, _) => v6_prefix as u8,
        _ => 32,
    }
}

/// The bytes a source is known by: an IPv4 address v4-mapped (RFC 4291, section 2.5.5.2), of an
/// IPv6 address the first `length` bits.
#[inline(always)]
pub fn source(address: &Address, length: u8) -> [u8; 16] {
    match address.family {
        Family::V6 => {
            let [high, low] = first(address.halves(), length);
            joined(high, low)
        }
        _ => mapped(address),
    }
}

/// Key in `AUTO_V6` of the first `length` bits of an IPv6 address.
#[inline(always)]
pub fn auto_key(address: &Address, length: u8) -> AutoV6 {
    let [high, low] = first(address.halves(), length);
    [u64::from(length), high, low]
}

/// The first `length` bits; the others are 0.
#[inline(always)]
const fn first([high, low]: [u64; 2], length: u8) -> [u64; 2] {
    match length {
        0 => [0, 0],
        1..64 => [high & (u64::MAX << (64 - length)), 0],
        64 => [high, 0],
        _ => [high, low & (u64::MAX << (128 - length))],
    }
}

/// An address in 16 bytes: IPv4 v4-mapped, IPv6 as it is.
#[inline(always)]
pub fn mapped(address: &Address) -> [u8; 16] {
    match address.family {
        Family::V6 => address.bytes(),
        _ => {
            let [a, b, c, d] = address.octets_v4();
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
        }
    }
}

/// An address as two numbers, the higher half first.
#[inline(always)]
const fn halves(bytes: &[u8; 16]) -> [u64; 2] {
    match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(high), Some(low)) => [u64::from_be_bytes(*high), u64::from_be_bytes(*low)],
        _ => [0; 2],
    }
}

#[inline(always)]
fn joined(high: u64, low: u64) -> [u8; 16] {
    let ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]) =
        (high.to_be_bytes(), low.to_be_bytes());
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// Odd, with bits spread evenly: multiplied with, every bit moves the high ones.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// 32 bits that nobody can choose without the seed.
#[inline(always)]
pub fn hash(bytes: &[u8; 16], seed: u64) -> u32 {
    let [high, low] = halves(bytes);
    (mix(high, low, seed) >> 32) as u32
}

/// 64 bits that nobody can choose without the seed; the high ones are the better ones.
#[inline(always)]
pub(crate) const fn mix(high: u64, low: u64, seed: u64) -> u64 {
    let mut hash = (high ^ seed).wrapping_mul(SPREAD);
    hash ^= hash >> 32;
    hash = (hash ^ low).wrapping_mul(seed | 1);
    hash ^= hash >> 29;
    hash.wrapping_mul(SPREAD)
}

/// The slot of a source, by its [`hash`].
#[inline(always)]
pub const fn slot_of(hash: u32) -> u32 {
    hash >> (32 - SLOTS.trailing_zeros())
}

/// The tag of a source, by its [`hash`]: of the bits that do not choose the slot, and never 0.
#[inline(always)]
pub const fn tag_of(hash: u32) -> u8 {
    hash as u8 | 1
}

/// Which of 128 bits stands for a port.
#[inline(always)]
pub fn port_bit(port: u16, seed: u64) -> u8 {
    let mut hash = (u64::from(port) ^ seed).wrapping_mul(SPREAD);
    hash ^= hash >> 32;
    (hash.wrapping_mul(seed | 1) >> 57) as u8
}

/// Which of 32 bits stands for a destination, given its [`mapped`] bytes.
#[inline(always)]
pub fn host_bit(destination: &[u8; 16], seed: u64) -> u8 {
    (hash(destination, !seed) >> 27) as u8
}
