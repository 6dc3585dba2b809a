//! Whether anything is listed near an address: one bit for each /20, in `abi::NEAR`.
//!
//! A bit is set before a prefix that touches its /20 is written into a guard, allow or block table,
//! and stays. So where it is clear, no table needs to be asked; where it is set for nothing, asking
//! costs time and nothing else.

use crate::{abi::NEAR_WORDS, parse::Address, prefix::Prefix, reason::Family};

/// Bits of an address that choose its bit.
const LENGTH: u8 = 20;

/// Word and bit of an address.
#[inline(always)]
pub const fn place(address: &Address) -> (u32, u64) {
    let [a, b, c, ..] = address.bytes;
    let number = u32::from_be_bytes([0, a, b, c]) >> (24 - LENGTH);
    let first = match address.family {
        Family::V6 => NEAR_WORDS,
        _ => 0,
    };
    (first + (number >> 6), 1 << (number & 63))
}

/// Words that a prefix touches, each with its bits.
pub fn places(prefix: Prefix) -> impl Iterator<Item = (u32, u64)> {
    let (first, lowest) = place(&Address::from(prefix.address()));
    let (last, highest) = place(&Address::from(prefix.last()));
    (first..=last).map(move |word| {
        // From the lowest bit on, and up to the highest: in between, all of them.
        let from = if word == first {
            !(lowest - 1)
        } else {
            u64::MAX
        };
        let to = if word == last {
            highest | (highest - 1)
        } else {
            u64::MAX
        };
        (word, from & to)
    })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::net::IpAddr;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn places_of(text: &str) -> Vec<(u32, u64)> {
        places(text.parse().expect("a prefix")).collect()
    }

    #[test]
    fn a_prefix_touches_its_own_words_and_bits() {
        assert_eq!(places_of("0.0.0.0/8").len(), 64);
        assert_eq!(places_of("0.0.16.0/20"), [(0, 0b10)]);
        assert_eq!(places_of("0.0.17.9"), [(0, 0b10)]);
        assert_eq!(places_of("0.0.32.0/19"), [(0, 0b1100)]);
        assert_eq!(places_of("0.4.0.0"), [(1, 1)]);
        assert_eq!(places_of("::1"), [(NEAR_WORDS, 1)]);
        assert_eq!(places_of("0.0.0.0/0").len(), NEAR_WORDS as usize);
        let all = places_of("::/0");
        assert!(all.iter().all(|(_, bits)| *bits == u64::MAX));
        assert_eq!(all.last().map(|(word, _)| *word), Some(2 * NEAR_WORDS - 1));
    }

    proptest! {
        /// An address has its bit set by exactly the prefixes that share a /20 with it.
        #[test]
        fn every_address_of_a_prefix_finds_its_bit(
            bits: u128, v6: bool, length in 0u8..=128, other: u128,
        ) {
            let address = |bits: u128| match v6 {
                true => IpAddr::from(bits.to_be_bytes()),
                false => IpAddr::from(((bits >> 96) as u32).to_be_bytes()),
            };
            let width = if v6 { 128 } else { 32 };
            let prefix = Prefix::new(address(bits), length % (width + 1)).expect("in range");
            let inside = bits & !(u128::MAX.checked_shr(prefix.length().into()).unwrap_or(0))
                | other & u128::MAX.checked_shr(prefix.length().into()).unwrap_or(0);
            for (address, expected) in [(address(inside), true), (address(other), false)] {
                let (word, bit) = place(&address.into());
                let found = places(prefix).any(|(at, bits)| at == word && bits & bit != 0);
                let wide = Prefix::new(address, LENGTH).expect("in range");
                prop_assert_eq!(found, wide.overlaps(&prefix));
                prop_assert!(found || !expected);
            }
        }
    }
}
