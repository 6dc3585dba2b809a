//! Which prefix lengths are in use, so that no others are looked up.

use std::net::IpAddr;

use fw_common::Prefix;

/// How many entries have each length.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    v4: Vec<usize>,
    v6: Vec<usize>,
}

impl Lengths {
    /// The number of entries of this prefix's family and length.
    pub(super) fn count(&mut self, prefix: Prefix) -> &mut usize {
        let counts = match prefix.address() {
            IpAddr::V4(_) => &mut self.v4,
            IpAddr::V6(_) => &mut self.v6,
        };
        let length = usize::from(prefix.length());
        if counts.len() <= length {
            counts.resize(length + 1, 0);
        }
        &mut counts[length]
    }

    /// The prefix and all that cover it, of lengths in use, the shortest first.
    pub(super) fn covering(&self, prefix: Prefix) -> impl DoubleEndedIterator<Item = Prefix> {
        let counts = match prefix.address() {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        (0..=prefix.length())
            .filter(|length| {
                counts
                    .get(usize::from(*length))
                    .is_some_and(|count| *count > 0)
            })
            .filter_map(move |length| Prefix::new(prefix.address(), length))
    }
}
