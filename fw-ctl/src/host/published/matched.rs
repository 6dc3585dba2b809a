//! Which packets a rule matches, as far as their ports tell.

use crate::detect::ports::{Ports, Protocol};

/// Sorted ranges of ports of both protocols, with a gap between each two. A ruleset has thousands
/// of them, too many for a bit a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Matched(Vec<Ports>);

impl Matched {
    /// Every packet of both protocols.
    pub(super) fn all() -> Self {
        Protocol::ALL.into_iter().map(every).collect()
    }

    /// Every packet of the protocol of this name or number, none when it has no ports.
    pub(super) fn protocol(name: &str) -> Self {
        match name {
            "tcp" | "6" => [every(Protocol::Tcp)].into_iter().collect(),
            "udp" | "17" => [every(Protocol::Udp)].into_iter().collect(),
            "all" | "0" => Self::all(),
            _ => Self::default(),
        }
    }

    /// Ports from `first` to `last` of both protocols.
    pub(super) fn range(first: u16, last: u16) -> Self {
        let both = Protocol::ALL.into_iter();
        both.map(|protocol| Ports {
            protocol,
            first,
            last,
        })
        .collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Packets of both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let pairs = self
            .0
            .iter()
            .flat_map(|a| other.0.iter().map(move |b| (a, b)));
        pairs
            .filter(|(a, b)| a.protocol == b.protocol)
            .map(|(a, b)| Ports {
                protocol: a.protocol,
                first: a.first.max(b.first),
                last: a.last.min(b.last),
            })
            .collect()
    }

    /// Packets of either.
    pub(super) fn or(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).copied().collect()
    }

    /// All other packets.
    pub(super) fn not(&self) -> Self {
        let mut rest = Self::all();
        for ports in &self.0 {
            let below = ports.first.checked_sub(1).map(|last| Ports {
                first: 0,
                last,
                ..*ports
            });
            let above = ports.last.checked_add(1).map(|first| Ports {
                first,
                last: u16::MAX,
                ..*ports
            });
            let other = Protocol::ALL
                .into_iter()
                .filter(|one| *one != ports.protocol)
                .map(every);
            rest = rest.and(&below.into_iter().chain(above).chain(other).collect());
        }
        rest
    }
}

/// Every port.
fn every(protocol: Protocol) -> Ports {
    Ports {
        protocol,
        first: 0,
        last: u16::MAX,
    }
}

/// Ranges that are turned round are empty.
impl FromIterator<Ports> for Matched {
    fn from_iter<I: IntoIterator<Item = Ports>>(all: I) -> Self {
        let mut all: Vec<_> = all
            .into_iter()
            .filter(|one| one.first <= one.last)
            .collect();
        all.sort_unstable();
        let mut merged: Vec<Ports> = Vec::new();
        for ports in all {
            match merged.last_mut() {
                Some(last)
                    if last.protocol == ports.protocol
                        && ports.first <= last.last.saturating_add(1) =>
                {
                    last.last = last.last.max(ports.last);
                }
                _ => merged.push(ports),
            }
        }
        Self(merged)
    }
}

impl IntoIterator for Matched {
    type Item = Ports;
    type IntoIter = std::vec::IntoIter<Ports>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::detect::ports::PortSet;

    /// Ranges near both ends, so that they meet, overlap and touch the ends; some are turned round.
    fn ports() -> impl Strategy<Value = Vec<Ports>> {
        let port = prop_oneof![0_u16..20, u16::MAX - 20..=u16::MAX];
        let protocol = prop_oneof![Just(Protocol::Tcp), Just(Protocol::Udp)];
        let ports = (protocol, port.clone(), port).prop_map(|(protocol, first, last)| Ports {
            protocol,
            first,
            last,
        });
        vec(ports, 0..6)
    }

    fn words(matched: &Matched) -> Vec<u64> {
        let set: PortSet = matched.clone().into_iter().collect();
        set.words().to_vec()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn it_is_what_a_set_of_bits_is(a in ports(), b in ports()) {
            let x: PortSet = a.iter().copied().filter(|one| one.first <= one.last).collect();
            let y: PortSet = b.iter().copied().filter(|one| one.first <= one.last).collect();
            let (a, b): (Matched, Matched) = (a.into_iter().collect(), b.into_iter().collect());
            let pairs = || x.words().iter().zip(y.words());
            prop_assert_eq!(words(&a.and(&b)), pairs().map(|(x, y)| x & y).collect::<Vec<_>>());
            prop_assert_eq!(words(&a.or(&b)), pairs().map(|(x, y)| x | y).collect::<Vec<_>>());
            prop_assert_eq!(words(&a.not()), x.words().iter().map(|x| !x).collect::<Vec<_>>());
            prop_assert_eq!(a.not().not(), a);
        }
    }

    #[test]
    fn a_protocol_without_ports_is_nothing() {
        assert_eq!(
            Matched::protocol("tcp").or(&Matched::protocol("17")),
            Matched::all()
        );
        assert!(Matched::protocol("sctp").is_empty());
        assert!(Matched::all().not().is_empty());
    }
}
