//! Prefixes, asked whether they have an address in common with another.

use std::collections::BTreeSet;

use fw_common::Prefix;

#[derive(Default)]
pub(super) struct Sources(BTreeSet<Prefix>);

impl Sources {
    pub(super) fn insert(&mut self, prefix: Prefix) {
        self.0.insert(prefix);
    }

    /// Whether some address of the prefix is in one of these: two prefixes have one in common only
    /// if one covers the other. Those that it covers stand right behind it.
    pub(super) fn overlap(&self, prefix: &Prefix) -> bool {
        let inside = self.0.range(prefix..).next();
        if inside.is_some_and(|inside| prefix.covers(inside)) {
            return true;
        }
        prefix.ancestors().any(|above| self.0.contains(&above))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn they_overlap_if_one_covers_the_other(
            those in proptest::collection::vec((0_u32..64, 26_u8..=32), 0..6),
            this in (0_u32..64, 26_u8..=32),
        ) {
            let prefix = |(bits, length): (u32, u8)| {
                let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
                Prefix::new(std::net::IpAddr::V4((bits & mask).into()), length).expect("a prefix")
            };
            let (those, this): (Vec<_>, _) = (those.into_iter().map(prefix).collect(), prefix(this));
            let mut sources = Sources::default();
            those.iter().for_each(|that| sources.insert(*that));
            let expected = those.iter().any(|that| that.covers(&this) || this.covers(that));
            prop_assert_eq!(sources.overlap(&this), expected);
        }
    }
}
