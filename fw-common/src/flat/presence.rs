//! Where nothing is listed: bits, so few that they stay in the cache of a processor.
//!
//! A clear bit means that no row speaks of the address. For IPv4 there is one for each /24, exact.
//! For IPv6 there is one for each /16, set by prefixes shorter than a /20, and one for each /32 under
//! a hash of it: there a set bit may be somebody else's, which costs a lookup and changes nothing.
//!
//! Sources that the program has blocked itself have bits of their own, in `abi::AUTO_NEAR`.

use crate::{parse::Address, reason::Family};

/// Words for IPv4: a bit for each /24.
pub const WORDS_V4: u32 = 1 << 18;
/// Words for the /32s of IPv6, and behind them for the /16s.
pub const WORDS_V6: u32 = HASHED + SHORT;
/// Words for what the program blocks.
pub const WORDS_AUTO: u32 = 1 << 13;

const HASHED: u32 = 1 << 18;
const SHORT: u32 = 1 << 10;

/// From this length on an IPv6 prefix is known by its /32s, at most 4,096 of them.
const EXPANDED: u8 = 20;

/// Word and bit of a number.
#[inline(always)]
const fn place(number: u32) -> (u32, u64) {
    (number >> 6, 1 << (number & 63))
}

/// Spreads 32 bits over a number of `bits` bits (Fibonacci hashing, Knuth 6.4).
#[inline(always)]
const fn spread(value: u32, bits: u32) -> u32 {
    value.wrapping_mul(0x9e37_79b1) >> (32 - bits)
}

/// Word and bit of an IPv4 address.
#[inline(always)]
pub const fn v4(address: u32) -> (u32, u64) {
    place(address >> 8)
}

/// Words and bits of an IPv6 address, of which the first 32 bits are given: of its /32, and of its
/// /16. If both are clear, nothing is listed.
#[inline(always)]
pub const fn v6(high: u32) -> [(u32, u64); 2] {
    let (word, bit) = place(high >> 16);
    [place(spread(high, 24)), (HASHED + word, bit)]
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
    place(spread(high ^ family, 19))
}

/// The words and bits that an IPv6 prefix sets: `high` is the first 32 bits of its address.
pub fn places_v6(high: u32, length: u8) -> impl Iterator<Item = (u32, u64)> {
    let is_long = length >= EXPANDED;
    let (step, width) = if is_long { (0, 32) } else { (16, 16) };
    let first = u64::from(high >> step);
    let count = 1u64 << u8::saturating_sub(width, length);
    (first..first + count).map(move |number| {
        let [long, short] = v6((number << step) as u32);
        if is_long { long } else { short }
    })
}
