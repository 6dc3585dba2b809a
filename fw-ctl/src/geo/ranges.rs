//! Sets of addresses, as ranges. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fw_common::{Prefix, reason::Family};
use ipnet::{Ipv4Subnets, Ipv6Subnets};

/// Addresses of one family as numbers: first and last of each range. They ascend, and between two
/// there is always an address that is in none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges(Vec<(u128, u128)>);

impl Ranges {
    /// Adds a range that does not begin before the last one.
    pub fn push(&mut self, first: u128, last: u128) {
        match self.0.last_mut() {
            Some((_, before)) if before.checked_add(1).is_none_or(|next| first <= next) => {
                *before = last.max(*before);
            }
            _ => self.0.push((first, last)),
        }
    }

    /// Whether no address is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        let mut all = [self.0.as_slice(), &other.0].concat();
        all.sort_unstable();
        let mut ranges = Self::default();
        for (first, last) in all {
            ranges.push(first, last);
        }
        ranges
    }

    /// What is in it and not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        let mut left = Self::default();
        let mut holes = other.0.iter().peekable();
        for &(first, last) in &self.0 {
            let mut begin = Some(first);
            while holes.next_if(|(_, end)| *end < first).is_some() {}
            while let Some(start) = begin
                && let Some(&&(hole, end)) = holes.peek()
                && hole <= last
            {
                if start < hole {
                    left.push(start, hole - 1);
                }
                if end > last {
                    begin = None;
                } else {
                    holes.next();
                    begin = end.checked_add(1).filter(|next| *next <= last);
                }
            }
            if let Some(start) = begin {
                left.push(start, last);
            }
        }
        left
    }

    /// The fewest prefixes that are the same, in order.
    fn prefixes(&self, family: Family) -> impl Iterator<Item = Prefix> {
        self.0.iter().flat_map(move |(first, last)| {
            let prefixes: Box<dyn Iterator<Item = Option<Prefix>>> = match family {
                Family::V4 => {
                    // Numbers of IPv4 have 32 bits.
                    let [first, last] = [*first, *last].map(|bits| Ipv4Addr::from(bits as u32));
                    Box::new(
                        Ipv4Subnets::new(first, last, 0)
                            .map(|net| Prefix::new(net.addr().into(), net.prefix_len())),
                    )
                }
                _ => {
                    let [first, last] = [*first, *last].map(Ipv6Addr::from);
                    Box::new(
                        Ipv6Subnets::new(first, last, 0)
                            .map(|net| Prefix::new(net.addr().into(), net.prefix_len())),
                    )
                }
            };
            prefixes.flatten()
        })
    }
}

/// Addresses of both families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Of IPv4.
    pub v4: Ranges,
    /// Of IPv6.
    pub v6: Ranges,
}

impl Addresses {
    /// Adds a prefix that is not before the last one of its family.
    pub fn push(&mut self, prefix: Prefix) {
        let number = |address: IpAddr| match address {
            IpAddr::V4(address) => address.to_bits().into(),
            IpAddr::V6(address) => address.to_bits(),
        };
        let ranges = match prefix.family() {
            Family::V4 => &mut self.v4,
            _ => &mut self.v6,
        };
        ranges.push(number(prefix.address()), number(prefix.last()));
    }

    /// All there are.
    pub fn all() -> Self {
        let all = |address: IpAddr| Prefix::new(address, 0);
        let families = [
            all(Ipv4Addr::UNSPECIFIED.into()),
            all(Ipv6Addr::UNSPECIFIED.into()),
        ];
        families.into_iter().flatten().collect()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Those in either.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            v4: self.v4.or(&other.v4),
            v6: self.v6.or(&other.v6),
        }
    }

    /// Those in it that are not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self {
            v4: self.v4.minus(&other.v4),
            v6: self.v6.minus(&other.v6),
        }
    }

    /// The fewest prefixes that are the same, in order.
    pub fn prefixes(&self) -> Vec<Prefix> {
        let v4 = self.v4.prefixes(Family::V4);
        v4.chain(self.v6.prefixes(Family::V6)).collect()
    }
}

/// Prefixes in any order.
impl FromIterator<Prefix> for Addresses {
    fn from_iter<I: IntoIterator<Item = Prefix>>(prefixes: I) -> Self {
        let mut prefixes: Vec<Prefix> = prefixes.into_iter().collect();
        prefixes.sort_unstable();
        let mut addresses = Self::default();
        for prefix in prefixes {
            addresses.push(prefix);
        }
        addresses
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn addresses(text: &str) -> Addresses {
        let prefixes = text.split_whitespace().map(str::parse);
        prefixes.collect::<Result<_, _>>().expect(text)
    }

    fn text(addresses: &Addresses) -> String {
        let prefixes = addresses.prefixes();
        let texts: Vec<String> = prefixes.iter().map(ToString::to_string).collect();
        texts.join(" ")
    }

    #[test]
    fn neighbours_are_one_prefix_and_what_is_covered_is_none() {
        for (given, expected) in [
            ("192.0.2.0/25 192.0.2.128/25", "192.0.2.0/24"),
            ("192.0.2.128/25 192.0.3.0/25", "192.0.2.128/25 192.0.3.0/25"),
            ("192.0.2.7 192.0.2.0/24", "192.0.2.0/24"),
            ("0.0.0.0/1 128.0.0.0/1 ::/1 8000::/1", "0.0.0.0/0 ::/0"),
            ("255.255.255.255 ::", "255.255.255.255 ::"),
        ] {
            assert_eq!(text(&addresses(given)), expected, "{given}");
        }
    }

    #[test]
    fn what_is_taken_out_leaves_the_rest_also_at_both_ends() {
        for (from, what, left) in [
            ("192.0.2.0/30", "192.0.2.1", "192.0.2.0 192.0.2.2/31"),
            ("192.0.2.0/30", "192.0.2.0 192.0.2.3", "192.0.2.1 192.0.2.2"),
            ("192.0.2.0/24", "192.0.0.0/16", ""),
            ("192.0.2.0/24 192.0.4.0/24", "192.0.0.0/21", ""),
            ("192.0.2.0/24", "192.0.1.0/24 192.0.3.0/24", "192.0.2.0/24"),
            ("::/0", "::/1", "8000::/1"),
            ("::/0 0.0.0.0/0", "8000::/1 128.0.0.0/1", "0.0.0.0/1 ::/1"),
        ] {
            assert_eq!(
                text(&addresses(from).minus(&addresses(what))),
                left,
                "{from} {what}"
            );
        }
        let all = Addresses::all();
        assert!(all.minus(&all).is_empty());
        assert_eq!(all.minus(&Addresses::default()), all);
    }

    /// Ranges of small numbers, which touch and overlap.
    fn ranges() -> impl Strategy<Value = Vec<(u8, u8)>> {
        prop::collection::vec((any::<u8>(), any::<u8>()), 0..12)
    }

    fn of(ranges: &[(u8, u8)]) -> Ranges {
        let ordered = |(a, b): &(u8, u8)| ((*a).min(*b), (*a).max(*b));
        let mut ranges: Vec<_> = ranges.iter().map(ordered).collect();
        ranges.sort_unstable();
        let mut made = Ranges::default();
        for (first, last) in ranges {
            // At the very end, where the number behind the last one does not exist.
            let shifted = |byte: u8| u128::MAX - 255 + u128::from(byte);
            made.push(shifted(first), shifted(last));
        }
        made
    }

    fn contains(ranges: &Ranges, byte: u8) -> bool {
        let number = u128::MAX - 255 + u128::from(byte);
        let mut ranges = ranges.0.iter();
        ranges.any(|(first, last)| (*first..=*last).contains(&number))
    }

    proptest! {
        #[test]
        fn each_address_is_in_what_it_should_be_in(a in ranges(), b in ranges()) {
            let (a, b) = (of(&a), of(&b));
            let (or, minus) = (a.or(&b), a.minus(&b));
            for byte in 0..=255 {
                let in_both = (contains(&a, byte), contains(&b, byte));
                prop_assert_eq!(contains(&or, byte), in_both.0 || in_both.1);
                prop_assert_eq!(contains(&minus, byte), in_both.0 && !in_both.1);
            }
            for ranges in [&or, &minus] {
                let apart = ranges.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0);
                prop_assert!(apart, "{:?}", ranges);
            }
            let prefixes: Vec<Prefix> = or.prefixes(Family::V6).collect();
            prop_assert_eq!(prefixes.into_iter().collect::<Addresses>().v6, or);
        }
    }
}
