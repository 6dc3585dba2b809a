//! Which entries stand together.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

use fw_common::Prefix;

use crate::policy::entry::Action;

/// Which group: the number of its row. In its order stand actions, families, addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) struct Key(i64);

/// Bit of a [`Key`]: it blocks, and does not allow.
const BLOCK: i64 = 1 << 33;
/// Bit of a [`Key`]: it is of IPv6. The bits below are the first ones of the address.
const V6: i64 = 1 << 32;

impl Key {
    /// As the database has it.
    pub(in crate::store) fn new(number: i64) -> Option<Self> {
        let most = match number & V6 {
            0 => BLOCK | i64::from(u16::MAX),
            _ => BLOCK | V6 | i64::from(u32::MAX),
        };
        (number & !most == 0).then_some(Self(number))
    }

    /// The number of its row.
    pub(in crate::store) fn number(self) -> i64 {
        self.0
    }

    /// The group of a prefix.
    pub(in crate::store) fn of(action: Action, prefix: Prefix) -> Self {
        let action = match action {
            Action::Allow => 0,
            Action::Block => BLOCK,
        };
        let address = match prefix.address() {
            IpAddr::V4(v4) => i64::from(v4.to_bits() >> 16),
            IpAddr::V6(v6) => V6 | (v6.to_bits() >> 96) as i64,
        };
        Self(action | address)
    }

    /// What its entries do.
    pub(in crate::store) fn action(self) -> Action {
        match self.0 & BLOCK {
            0 => Action::Allow,
            _ => Action::Block,
        }
    }

    fn is_v6(self) -> bool {
        self.0 & V6 != 0
    }

    /// The network addresses of its entries.
    pub(in crate::store) fn addresses(self) -> RangeInclusive<IpAddr> {
        let first = self.0 as u32;
        match self.is_v6() {
            false => {
                let address = |last: u16| Ipv4Addr::from_bits(first << 16 | u32::from(last)).into();
                address(0)..=address(u16::MAX)
            }
            true => {
                let first = u128::from(first) << 96;
                let address = |last| Ipv6Addr::from_bits(first | last).into();
                address(0)..=address(u128::MAX >> 32)
            }
        }
    }

    /// Bytes of an address that it stands for.
    pub(super) fn bytes(self) -> usize {
        match self.is_v6() {
            false => 2,
            true => 4,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = Prefix::new(*self.addresses().start(), self.bytes() as u8 * 8);
        write!(f, "{} ", self.action().name())?;
        network.map_or(Ok(()), |network| network.fmt(f))
    }
}
