//! How many entries each list has, so that nobody walks over a million to know.

use std::net::IpAddr;

use fw_common::Prefix;

use crate::policy::entry::{ListId, Place};

/// Entries of one list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Of IPv4.
    pub ipv4: usize,
    /// Of IPv6.
    pub ipv6: usize,
}

impl Count {
    /// Of both families.
    pub const fn all(self) -> usize {
        self.ipv4 + self.ipv6
    }

    fn of(&mut self, prefix: Prefix) -> &mut usize {
        match prefix.address() {
            IpAddr::V4(_) => &mut self.ipv4,
            IpAddr::V6(_) => &mut self.ipv6,
        }
    }
}

/// By the numbers of the lists, which are given from 1 on.
#[derive(Debug, Default)]
pub(super) struct Counts(Vec<Count>);

impl Counts {
    /// The number of entries of this place's list and family.
    pub(super) fn at(&mut self, place: Place) -> &mut usize {
        let list = usize::from(place.list.0);
        if self.0.len() <= list {
            self.0.resize(list + 1, Count::default());
        }
        self.0[list].of(place.prefix)
    }

    /// The number of entries of a list.
    pub(super) fn of(&self, list: ListId) -> Count {
        let count = self.0.get(usize::from(list.0));
        count.copied().unwrap_or_default()
    }
}
