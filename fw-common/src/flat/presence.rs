//! Where nothing is listed: bits, so few that they stay in the cache of a processor.
//!
//! A clear bit means that no row speaks of the address. For IPv4 there are two for each /24, exact:
//! whether buckets know a host in it, and whether ranges are needed for it.
//! For IPv6 there is one for each /16, set by prefixes shorter than a /20, and one for each /32 under
//! a hash of it: there a set bit may be somebody else's, which costs a lookup and changes nothing.
//!
//! Other bits, one for each /16 of both families, say where nothing is guarded or allowed.
//!
//! Sources that the program has blocked itself have bits of their own, in `abi::AUTO_NEAR`.

use crate::{parse::Address, reason::Family};

/// Words in all.
pub const WORDS: u32 = PROTECTED_V6 + SHORT;
/// Words for the /24s of IPv4: they are the first ones.
pub const WORDS_V4: u32 = 1 << 19;
/// Words for what the program blocks.
pub const WORDS_AUTO: u32 = 1 << 13;

const HASHED: u32 = WORDS_V4;
const SHORT_V6: u32 = HASHED + (1 << 18);
const PROTECTED_V4: u32 = SHORT_V6 + SHORT;
const PROTECTED_V6: u32 = PROTECTED_V4 + SHORT;
/// Words for the /16s of a family.
const SHORT: u32 = 1 << 10;

/// From this length on an IPv6 prefix is known by its /32s, at most 4,096 of them.
const EXPANDED: u8 = 20;

/// Word and bit of a number.
#[inline(always)]
const fn place(first: u32, number: u32) -> (u32, u64) {
    (first + (number >> 6), 1 << (number & 63))
}

/// Spreads 32 bits over a number of `bits` bits (Fibonacci hashing, Knuth 6.4).
#[inline(always)]
const fn spread(value: u32, bits: u32) -> u32 {
    value.wrapping_mul(0x9e37_79b1) >> (32 - bits)
}

/// Of a /24: a row in its bucket blocks a host in it.
pub const HOSTS: u64 = 1;
/// Of a /24: there is something in it that only ranges know.
pub const RANGES: u64 = 2;

/// The word of the /24 of an IPv4 address, and where [`HOSTS`] and [`RANGES`] begin in it.
#[inline(always)]
pub const fn v4(address: u32) -> (u32, u32) {
    (address >> 13, (address >> 8 & 31) * 2)
}

/// Words and bits of an IPv6 address, of which the first 32 bits are given: of its /32, and of its
/// /16. If both are clear, nothing is listed.
#[inline(always)]
pub const fn v6(high: u32) -> [(u32, u64); 2] {
    [place(HASHED, spread(high, 24)), place(SHORT_V6, high >> 16)]
}

/// Word and bit of an address of which the first 32 bits are given. If it is clear, nobody guards or
/// allows the address.
#[inline(always)]
pub const fn protected(family: Family, high: u32) -> (u32, u64) {
    let first = match family {
        Family::V6 => PROTECTED_V6,
        _ => PROTECTED_V4,
    };
    place(first, high >> 16)
}

/// Word and bit in `abi::AUTO_NEAR` of a source that the program may have blocked.
#[inline(always)]
pub fn auto(source: &Address) -> (u32, u64) {
    let [a, b, c, d] = source.octets_v4();
    let high = u32::from_be_bytes([a, b, c, d]);
    let family = match source.family {
        Family::V6 => 1,
        _ => 0,
    };
    place(0, spread(high ^ family, 19))
}

/// The words and bits that an IPv6 prefix sets: `high` is the first 32 bits of its address.
pub fn places_v6(high: u32, length: u8) -> impl Iterator<Item = (u32, u64)> {
    let is_long = length >= EXPANDED;
    numbers(high, length, if is_long { 32 } else { 16 }).map(move |number| {
        let [long, short] = v6(number);
        if is_long { long } else { short }
    })
}

/// The words and bits that a guarded or allowed prefix sets.
pub fn places_protected(family: Family, high: u32, length: u8) -> impl Iterator<Item = (u32, u64)> {
    numbers(high, length, 16).map(move |number| protected(family, number))
}

/// The first 32 bits of each prefix of `width` bits that one of `length` bits covers, or is in.
fn numbers(high: u32, length: u8, width: u8) -> impl Iterator<Item = u32> {
    let step = 32 - u32::from(width);
    let first = u64::from(high >> step);
    let count = 1u64 << width.saturating_sub(length);
    (first..first + count).map(move |number| (number << step) as u32)
}
