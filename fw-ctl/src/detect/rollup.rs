//! Networks of sources, and the holes that must stay open in them.

use std::collections::BTreeSet;

use fw_common::{Prefix, reason::Family};

/// The widest network that is ever blocked by itself: /24 and /48.
const fn widest(family: Family) -> u8 {
    match family {
        Family::V6 => 48,
        _ => 24,
    }
}

/// The network that a source is counted in: its /24 or /48. A source as wide as that is its own
/// network; one that is wider has none, and can never be blocked.
pub fn network(source: Prefix) -> Option<Prefix> {
    let length = widest(source.family());
    match source.length() < length {
        true => None,
        false => Prefix::new(source.address(), length),
    }
}

/// Prefixes that no automatic block may touch: whoever is guarded or allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protected(BTreeSet<Prefix>);

impl FromIterator<Prefix> for Protected {
    fn from_iter<I: IntoIterator<Item = Prefix>>(prefixes: I) -> Self {
        Self(prefixes.into_iter().collect())
    }
}

impl Protected {
    /// Whether nothing of `prefix` may be blocked.
    pub fn covers(&self, prefix: Prefix) -> bool {
        prefix.ancestors().any(|above| self.0.contains(&above))
    }

    /// What of `prefix` may be blocked: all of it, or the parts around those protected in it.
    pub fn spare(&self, prefix: Prefix) -> Vec<Prefix> {
        if self.covers(prefix) {
            return Vec::new();
        }
        let holes = self.0.range(prefix..);
        let holes: Vec<Prefix> = holes
            .take_while(|hole| prefix.covers(hole))
            .copied()
            .collect();
        carve(prefix, &holes)
    }
}

/// The prefix without the holes, in as few prefixes as there can be, in order.
pub fn carve(prefix: Prefix, holes: &[Prefix]) -> Vec<Prefix> {
    let within: Vec<Prefix> = holes
        .iter()
        .filter(|hole| hole.overlaps(&prefix))
        .copied()
        .collect();
    if within.is_empty() {
        return vec![prefix];
    }
    if within.iter().any(|hole| hole.covers(&prefix)) {
        return Vec::new();
    }
    // A hole lies below the prefix, so the prefix is no host and has two halves.
    halves(prefix)
        .flat_map(|half| carve(half, &within))
        .collect()
}

fn halves(prefix: Prefix) -> impl Iterator<Item = Prefix> {
    let length = prefix.length().saturating_add(1);
    let halves = [prefix.address(), prefix.last()];
    halves
        .into_iter()
        .filter_map(move |address| Prefix::new(address, length))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().expect("a prefix")
    }

    #[test]
    fn a_hole_in_a_network_leaves_the_parts_around_it() {
        let pieces = carve(prefix("192.0.2.0/24"), &[prefix("192.0.2.77")]);
        let shown: Vec<String> = pieces.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "192.0.2.0/26",
                "192.0.2.64/29",
                "192.0.2.72/30",
                "192.0.2.76",
                "192.0.2.78/31",
                "192.0.2.80/28",
                "192.0.2.96/27",
                "192.0.2.128/25",
            ]
        );
        assert_eq!(
            carve(prefix("2001:db8::/48"), &[prefix("2001:db8::1")]).len(),
            80
        );
    }

    #[test]
    fn whoever_is_protected_is_spared_by_whatever_covers_him() {
        let protected: Protected = ["10.0.0.0/8", "192.0.2.77", "2001:db8::1"]
            .map(prefix)
            .into_iter()
            .collect();
        for spared in ["10.1.2.0/24", "10.0.0.0/8", "192.0.2.77", "2001:db8::1"] {
            assert_eq!(protected.spare(prefix(spared)), [], "{spared}");
        }
        for whole in [
            "11.0.0.0/24",
            "192.0.2.76",
            "192.0.2.78/31",
            "2001:db8:0:1::/64",
        ] {
            assert_eq!(protected.spare(prefix(whole)), [prefix(whole)]);
        }
        assert_eq!(protected.spare(prefix("192.0.2.0/24")).len(), 8);
    }

    #[test]
    fn no_network_is_wider_than_what_may_be_blocked() {
        for (source, expected) in [
            ("192.0.2.7", Some("192.0.2.0/24")),
            ("192.0.2.0/24", Some("192.0.2.0/24")),
            ("192.0.2.0/23", None),
            ("2001:db8:1:2::/64", Some("2001:db8:1::/48")),
            ("2001:db8:1::7", Some("2001:db8:1::/48")),
            ("2001:db8::/47", None),
        ] {
            assert_eq!(network(prefix(source)), expected.map(prefix), "{source}");
        }
    }

    /// An address of 192.0.2.0/24, or one of the 256 lowest of a /48.
    fn address(v4: bool, low: u8) -> IpAddr {
        match v4 {
            true => Ipv4Addr::new(192, 0, 2, low).into(),
            false => Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, u16::from(low)).into(),
        }
    }

    proptest! {
        /// Exactly the addresses that are in no hole, each once, and as few prefixes as can be.
        #[test]
        fn carving_takes_out_the_holes_and_nothing_else(
            v4: bool,
            holes in prop::collection::vec((any::<u8>(), 0u8..6), 0..6),
        ) {
            let width = if v4 { 32 } else { 128 };
            let hole = |(low, bits): (u8, u8)| Prefix::new(address(v4, low), width - bits);
            let holes: Vec<Prefix> = holes.into_iter().filter_map(hole).collect();
            let whole = network(Prefix::host(address(v4, 0))).expect("a host has one");
            let pieces = carve(whole, &holes);
            for low in 0..=u8::MAX {
                let address = address(v4, low);
                let covering = pieces.iter().filter(|piece| piece.contains(address)).count();
                let open = holes.iter().any(|hole| hole.contains(address));
                prop_assert_eq!(covering, usize::from(!open), "{}", address);
            }
            prop_assert!(pieces.is_sorted() && pieces.iter().all(|piece| whole.covers(piece)));
            for pair in pieces.windows(2) {
                let above = Prefix::new(pair[0].address(), pair[0].length() - 1);
                let twins = above.is_some_and(|above| above.covers(&pair[1]));
                prop_assert!(!twins || pair[0].length() != pair[1].length(), "{:?}", pair);
            }
            prop_assert_eq!(Protected::from_iter(holes).spare(whole), pieces);
        }
    }
}
