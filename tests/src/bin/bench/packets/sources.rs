//! Whose packets are sent.

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use anyhow::Result;
use fw_common::{Prefix, reason::Family};
use fw_tests::{
    frames::tcp,
    lab::{
        address::{V4, V6},
        flood::{Generator, Traffic, to},
    },
    lists::{Lists, Random},
};

/// A port of the server where somebody listens, and one where nobody does.
pub const SERVED: u16 = 443;
const CLOSED: u16 = 9;
const CLIENT: u16 = 40_000;

/// Sources that stay in the processor's nearest caches, and sources that do not.
pub const FEW: usize = 1_000;
/// See [`FEW`].
pub const MANY: usize = 1 << 16;

/// The sources of one measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sources {
    /// All addresses of IPv4; of IPv6 every /32 of 2000::/3.
    Everywhere,
    /// So many in no list.
    Free(usize),
    /// So many in no list, but something in their /24 is listed, of IPv6 in their /32.
    Near(usize),
    /// So many listed hosts.
    Hosts(usize),
    /// So many addresses inside of listed prefixes.
    Inside(usize),
    /// 16 million that probe closed ports.
    Forged,
}

/// What should become of their packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// All are dropped, because of a list.
    Listed,
    /// None is dropped because of a list.
    Unlisted,
    /// Some are.
    Mixed,
}

impl Sources {
    /// What should become of their packets.
    pub fn fate(self) -> Fate {
        match self {
            Self::Everywhere | Self::Forged => Fate::Mixed,
            Self::Free(_) | Self::Near(_) => Fate::Unlisted,
            Self::Hosts(_) | Self::Inside(_) => Fate::Listed,
        }
    }

    /// As printed.
    pub fn name(self, family: Family) -> String {
        let (all, near) = match family {
            Family::V6 => ("all of IPv6, each in another /32", "/32"),
            _ => ("all of IPv4", "/24"),
        };
        match self {
            Self::Everywhere => all.to_owned(),
            Self::Free(count) => format!("{count} not listed"),
            Self::Near(count) => {
                format!("{count} not listed, others of their {near} are")
            }
            Self::Hosts(count) => format!("listed hosts, up to {count}"),
            Self::Inside(count) => format!("{count} addresses inside of listed prefixes"),
            Self::Forged => "16 million forged, SYN to closed ports".to_owned(),
        }
    }
}

/// What is listed, to draw sources from.
pub struct Listed {
    hosts: Vec<IpAddr>,
    prefixes: Vec<Prefix>,
    /// What a source that is not listed is not in.
    avoided: HashSet<Prefix>,
}

impl Listed {
    /// Sources are drawn from what both lists have, and away from what either has.
    pub fn in_both(lists: &Lists, others: &Lists) -> Self {
        let theirs: HashSet<Prefix> = others.all().collect();
        let both = lists.all().filter(|prefix| theirs.contains(prefix));
        let (hosts, prefixes): (Vec<_>, Vec<_>) = both.partition(Prefix::is_host);
        Self {
            hosts: hosts.iter().map(Prefix::address).collect(),
            prefixes,
            avoided: lists.all().chain(others.all()).collect(),
        }
    }

    /// Packets of these sources: of connections to a served port, but for the forged ones.
    pub fn packets(&self, sources: Sources, family: Family) -> Result<Generator> {
        let frame = |port, flags| {
            let frame = to(server(family)).tcp(CLIENT, port, flags);
            frame.bytes()
        };
        let traffic = |from: &str, bits: u32| -> Result<Traffic> {
            let (from, _) = Prefix::parse(from)?;
            Ok(Traffic {
                frame: frame(SERVED, tcp::ACK),
                from,
                sources: 1 << bits,
                ports: None,
                rate: None,
            })
        };
        match (sources, family) {
            (Sources::Everywhere, Family::V6) => Generator::load(traffic("2000::/3", 29)?),
            (Sources::Everywhere, _) => Generator::load(traffic("0.0.0.0/0", 32)?),
            (Sources::Forged, _) => Generator::load(Traffic {
                frame: frame(CLOSED, tcp::SYN),
                ports: Some(1024..=32_000),
                ..traffic("16.0.0.0/4", 24)?
            }),
            _ => Generator::drawing(frame(SERVED, tcp::ACK), &self.draw(sources, family)),
        }
    }

    /// Packets of just these.
    pub fn packets_of(sources: &[IpAddr]) -> Result<Generator> {
        let frame = to(server(Family::V4)).tcp(CLIENT, SERVED, tcp::ACK);
        Generator::drawing(frame.bytes(), sources)
    }

    /// The first listed hosts of IPv4; a list is in no order.
    pub fn first_hosts(&self, count: usize) -> Vec<IpAddr> {
        let hosts = self.hosts.iter().copied();
        hosts.filter(IpAddr::is_ipv4).take(count).collect()
    }

    fn draw(&self, sources: Sources, family: Family) -> Vec<IpAddr> {
        let of_family = |prefix: &Prefix| prefix.family() == family;
        let hosts = self.hosts.iter().copied();
        let hosts: Vec<IpAddr> = hosts
            .filter(|host| of_family(&Prefix::host(*host)))
            .collect();
        let prefixes: Vec<Prefix> = self.prefixes.iter().copied().filter(of_family).collect();
        let mut random = Random(3);
        let mut drawn = |count, draw: &mut dyn FnMut(&mut Random) -> IpAddr| {
            (0..count).map(|_| draw(&mut random)).collect()
        };
        match sources {
            Sources::Everywhere | Sources::Forged => Vec::new(),
            Sources::Hosts(count) => hosts.into_iter().take(count).collect(),
            Sources::Inside(count) => drawn(count, &mut |random| {
                let prefix = prefixes[random.below(prefixes.len())];
                inside(prefix.address(), prefix.length(), random)
            }),
            Sources::Near(count) => drawn(count, &mut |random| {
                self.free(random, |random| {
                    let host = hosts[random.below(hosts.len())];
                    inside(host, if host.is_ipv4() { 24 } else { 32 }, random)
                })
            }),
            Sources::Free(count) => drawn(count, &mut |random| {
                self.free(random, |random| match family {
                    Family::V6 => inside(IpAddr::V6(Ipv6Addr::from(0x2 << 124)), 3, random),
                    // Away from what is reserved, as the lists are.
                    _ => Ipv4Addr::from(0x1000_0000 + random.next() % 0x6e00_0000).into(),
                })
            }),
        }
    }

    /// The next one that is not listed.
    fn free(&self, random: &mut Random, draw: impl Fn(&mut Random) -> IpAddr) -> IpAddr {
        loop {
            let address = draw(random);
            let mut covering = Prefix::host(address).ancestors();
            if !covering.any(|prefix| self.avoided.contains(&prefix)) {
                return address;
            }
        }
    }
}

fn server(family: Family) -> IpAddr {
    match family {
        Family::V6 => V6.server,
        _ => V4.server,
    }
}

/// Any address of a network.
fn inside(network: IpAddr, length: u8, random: &mut Random) -> IpAddr {
    match network {
        IpAddr::V4(network) => {
            let mask = u32::MAX.checked_shr(length.into()).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from(
                u32::from(network) & !mask | random.next() & mask,
            ))
        }
        IpAddr::V6(network) => {
            let mask = u128::MAX.checked_shr(length.into()).unwrap_or(0);
            let any = (0..4).fold(0, |any, _| any << 32 | u128::from(random.next()));
            IpAddr::V6(Ipv6Addr::from(u128::from(network) & !mask | any & mask))
        }
    }
}
