//! Every outcome a packet can have, under the name that status, metrics and logs print.

use crate::iface;

/// Why a packet got its verdict. The numbers are part of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Neither IPv4 nor IPv6: passes.
    NotIp = 0,
    /// Headers cut off before the source address: passes, and the kernel discards it.
    Unreadable = 1,
    /// Neighbour and router discovery, MLD, DHCP to a client: passes.
    Link = 2,
    /// The source is guarded: passes.
    Guard = 3,
    /// The source is allowed: passes.
    Allow = 4,
    /// The source is blocked: dropped.
    Block = 5,
    /// More VLAN tags than are read: dropped. The kernel peels priority tags without a bound
    /// (`__netif_receive_skb_core`), so such a frame would carry any source past us.
    Tags = 6,
    /// Nothing names the source: passes.
    Default = 7,
    /// The packet that made its source cross the threshold of the scan detector: dropped.
    Scan = 8,
    /// A new connection beyond the limit of a rule: dropped.
    Limit = 9,
    /// A new connection to a port that a rule closes to its source: dropped.
    Rule = 10,
}

impl Reason {
    /// In the order of their numbers.
    pub const ALL: [Self; 11] = [
        Self::NotIp,
        Self::Unreadable,
        Self::Link,
        Self::Guard,
        Self::Allow,
        Self::Block,
        Self::Tags,
        Self::Default,
        Self::Scan,
        Self::Limit,
        Self::Rule,
    ];

    /// The reason with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Whether the packet is dropped (in observe mode: would be).
    #[inline(always)]
    pub const fn drops(self) -> bool {
        matches!(
            self,
            Self::Block | Self::Tags | Self::Scan | Self::Limit | Self::Rule
        )
    }

    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotIp => "not-ip",
            Self::Unreadable => "unreadable",
            Self::Link => "link",
            Self::Guard => "guard",
            Self::Allow => "allow",
            Self::Block => "block",
            Self::Tags => "tags",
            Self::Default => "default",
            Self::Scan => "scan",
            Self::Limit => "limit",
            Self::Rule => "rule",
        }
    }
}

/// Address family of a packet. The numbers are part of the ABI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Family {
    /// No IP header was read.
    None = 0,
    /// IPv4.
    V4 = 4,
    /// IPv6.
    V6 = 6,
}

impl Family {
    /// In the order of their counters.
    pub const ALL: [Self; 3] = [Self::None, Self::V4, Self::V6];

    /// The family with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|family| *family as u8 == number)
    }

    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

/// What happened to a packet: the place of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outcome {
    /// Why.
    pub reason: Reason,
    /// Of which family.
    pub family: Family,
    /// A drop that passed because observe mode is on.
    pub observed: bool,
}

impl Outcome {
    /// How many there are.
    pub const COUNT: usize = Reason::ALL.len() * Family::ALL.len() * 2;

    /// Position among all outcomes.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        let family = match self.family {
            Family::None => 0,
            Family::V4 => 1,
            Family::V6 => 2,
        };
        (self.reason as u32 * Family::ALL.len() as u32 + family) * 2 + self.observed as u32
    }

    /// Position in `COUNTERS`, for a slot of [`iface`].
    #[inline(always)]
    pub const fn index_in(self, slot: u32) -> u32 {
        self.index() * iface::SLOTS + slot
    }

    /// All of them, in the order of their counters.
    pub fn all() -> impl Iterator<Item = Self> {
        Reason::ALL.into_iter().flat_map(|reason| {
            Family::ALL.into_iter().flat_map(move |family| {
                [false, true].into_iter().map(move |observed| Self {
                    reason,
                    family,
                    observed,
                })
            })
        })
    }

    /// What became of the packet: `pass`, `drop`, or `observe` (would have been dropped).
    pub const fn action(self) -> &'static str {
        match (self.reason.drops(), self.observed) {
            (false, _) => "pass",
            (true, false) => "drop",
            (true, true) => "observe",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_counter_of_its_own_and_in_order() {
        for (position, outcome) in Outcome::all().enumerate() {
            assert_eq!(outcome.index() as usize, position, "{outcome:?}");
        }
        assert_eq!(Outcome::all().count(), Outcome::COUNT);
        let places = Outcome::all()
            .flat_map(|outcome| (0..iface::SLOTS).map(move |slot| outcome.index_in(slot)));
        assert!(places.eq(0..iface::SLOTS * Outcome::COUNT as u32));
    }

    #[test]
    fn every_reason_and_family_has_a_name_of_its_own() {
        for (position, reason) in Reason::ALL.iter().enumerate() {
            let others = &Reason::ALL[..position];
            assert!(others.iter().all(|other| other.name() != reason.name()));
        }
        for (position, family) in Family::ALL.iter().enumerate() {
            let others = &Family::ALL[..position];
            assert!(others.iter().all(|other| other.name() != family.name()));
        }
    }

    #[test]
    fn an_observed_drop_is_told_from_a_drop_and_from_a_pass() {
        for outcome in Outcome::all() {
            let passes = [
                Reason::NotIp,
                Reason::Unreadable,
                Reason::Link,
                Reason::Guard,
                Reason::Allow,
                Reason::Default,
            ];
            let action = match (passes.contains(&outcome.reason), outcome.observed) {
                (true, _) => "pass",
                (false, true) => "observe",
                (false, false) => "drop",
            };
            assert_eq!(outcome.action(), action, "{outcome:?}");
        }
    }

    #[test]
    fn numbers_lead_back_to_their_reason_and_family() {
        for reason in Reason::ALL {
            assert_eq!(Reason::from_number(reason as u8), Some(reason));
        }
        assert_eq!(Reason::from_number(Reason::ALL.len() as u8), None);
        for family in Family::ALL {
            assert_eq!(Family::from_number(family as u8), Some(family));
        }
        assert_eq!(Family::from_number(5), None);
    }
}
