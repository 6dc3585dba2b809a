//! What a rule is about: a protocol and its destination ports.

use std::{fmt, str::FromStr};

/// A protocol a rule can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// `tcp`
    Tcp,
    /// `udp`
    Udp,
    /// `icmp`: ICMP in IPv4, ICMPv6 in IPv6.
    Icmp,
    /// One that has a name here, by its IANA number.
    Other(u8),
}

impl Protocol {
    /// Others. A number alone is none: `80` is meant as a port, and is not.
    const NAMED: [(&'static str, u8); 8] = [
        ("igmp", 2),
        ("ipip", 4),
        ("gre", 47),
        ("esp", 50),
        ("ah", 51),
        ("ospf", 89),
        ("vrrp", 112),
        ("sctp", 132),
    ];

    /// What the protocol of this IANA number is called, if it has a name here.
    pub fn name_of(number: u8) -> Option<&'static str> {
        match number {
            1 => Some("icmp"),
            6 => Some("tcp"),
            17 => Some("udp"),
            58 => Some("icmpv6"),
            _ => {
                let named = Self::NAMED.iter().find(|(_, known)| *known == number);
                named.map(|(name, _)| *name)
            }
        }
    }

    /// Whether it has ports a rule can name.
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("tcp"),
            Self::Udp => f.write_str("udp"),
            Self::Icmp => f.write_str("icmp"),
            Self::Other(number) => f.write_str(Self::name_of(*number).unwrap_or("unknown")),
        }
    }
}

/// A text that is no service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// No protocol of ours.
    #[error(
        "protocol {0:?} is none of tcp, udp, icmp, igmp, ipip, gre, esp, ah, ospf, vrrp, sctp; a port is written tcp/80"
    )]
    Protocol(String),
    /// Ports behind a protocol that has none.
    #[error("{0} has no ports that a rule can name")]
    NoPorts(Protocol),
    /// What is no port.
    #[error("port {0:?} is neither a number from 1 to 65535 nor a range like 8000-8100")]
    Port(String),
    /// More than netfilter takes in one rule.
    #[error("a rule names at most {max} ports, a range counts as two, these are {0}", max = Service::MAX_PORTS)]
    TooMany(usize),
}

impl FromStr for Protocol {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        let named = || Self::NAMED.iter().find(|(name, _)| *name == lower);
        match lower.as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "icmp" | "icmpv6" => Ok(Self::Icmp),
            _ => named()
                .map(|(_, number)| Self::Other(*number))
                .ok_or_else(|| ServiceError::Protocol(text.chars().take(64).collect())),
        }
    }
}

/// Ports from `first` to `last`, both included; neither is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// The lowest.
    pub first: u16,
    /// The highest.
    pub last: u16,
}

impl PortRange {
    fn parse(text: &str) -> Option<Self> {
        // What `u16` takes for a number and nobody writes: `+22`.
        let number = |text: &str| match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => text.parse::<u16>().ok().filter(|port| *port != 0),
            false => None,
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = Self {
            first: number(first)?,
            last: number(last)?,
        };
        (range.first <= range.last).then_some(range)
    }

    /// Number of ports.
    pub fn count(self) -> u32 {
        u32::from(self.last - self.first) + 1
    }

    fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => self.first.fmt(f),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// A protocol and destination ports: `tcp/22`, `tcp/80,443,8000-8100`, `udp`, `icmp`, `gre`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    protocol: Protocol,
    /// Sorted, apart from each other; empty for all ports.
    ports: Vec<PortRange>,
}

impl Service {
    /// As the `multiport` match of iptables counts them: a range is two.
    pub const MAX_PORTS: usize = 15;

    /// Its protocol.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Its ports, sorted, apart from each other; none for all of them.
    pub fn ports(&self) -> &[PortRange] {
        &self.ports
    }

    /// How many ports it names; all of them are more than any.
    pub fn width(&self) -> u32 {
        match self.ports.as_slice() {
            [] => u32::MAX,
            ports => ports.iter().map(|range| range.count()).sum(),
        }
    }

    /// Whether it names this port of this protocol; `port` is 0 for protocols without.
    pub fn matches(&self, protocol: Protocol, port: u16) -> bool {
        self.protocol == protocol
            && (self.ports.is_empty() || self.ports.iter().any(|range| range.contains(port)))
    }

    /// Ports that touch or overlap become one range.
    fn of(protocol: Protocol, mut ranges: Vec<PortRange>) -> Self {
        ranges.sort_unstable();
        let mut ports: Vec<PortRange> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match ports.last_mut() {
                Some(before) if u32::from(range.first) <= u32::from(before.last) + 1 => {
                    before.last = before.last.max(range.last);
                }
                _ => ports.push(range),
            }
        }
        Self { protocol, ports }
    }
}

impl FromStr for Service {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (protocol, ports) = match text.split_once('/') {
            Some((protocol, ports)) => (protocol.parse::<Protocol>()?, Some(ports)),
            None => (text.parse()?, None),
        };
        let Some(ports) = ports else {
            return Ok(Self::of(protocol, Vec::new()));
        };
        if !protocol.has_ports() {
            return Err(ServiceError::NoPorts(protocol));
        }
        let range = |text: &str| {
            PortRange::parse(text)
                .ok_or_else(|| ServiceError::Port(text.chars().take(64).collect()))
        };
        let ranges: Vec<PortRange> = ports.split(',').map(range).collect::<Result<_, _>>()?;
        let service = Self::of(protocol, ranges);
        let slots = |range: &PortRange| if range.count() == 1 { 1 } else { 2 };
        let slots = service.ports.iter().map(slots).sum();
        match slots > Self::MAX_PORTS {
            true => Err(ServiceError::TooMany(slots)),
            false => Ok(service),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.protocol.fmt(f)?;
        for (position, range) in self.ports.iter().enumerate() {
            f.write_str(if position == 0 { "/" } else { "," })?;
            range.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_read_and_printed_in_one_way() {
        for (typed, printed) in [
            ("tcp/22", "tcp/22"),
            ("TCP/80,443,8000-8100", "tcp/80,443,8000-8100"),
            ("udp/5,3,4,9-9", "udp/3-5,9"),
            ("tcp/1-65535", "tcp/1-65535"),
            ("udp", "udp"),
            ("icmpv6", "icmp"),
            ("gre", "gre"),
            ("SCTP", "sctp"),
        ] {
            let service: Service = typed.parse().expect(typed);
            assert_eq!(service.to_string(), printed);
            assert_eq!(printed.parse(), Ok(service));
        }
    }

    #[test]
    fn what_is_no_service_is_refused_by_name() {
        for (text, error) in [
            ("", "protocol \"\" is none of"),
            ("http/80", "protocol \"http\" is none of"),
            ("80", "protocol \"80\" is none of"),
            ("47", "protocol \"47\" is none of"),
            ("tcp/", "port \"\" is neither"),
            ("tcp/0", "port \"0\" is neither"),
            ("tcp/65536", "port \"65536\" is neither"),
            ("tcp/9-8", "port \"9-8\" is neither"),
            ("tcp/+22", "port \"+22\" is neither"),
            ("tcp/22,", "port \"\" is neither"),
            ("tcp/22 -j ACCEPT", "port \"22 -j ACCEPT\" is neither"),
            ("icmp/8", "icmp has no ports"),
            (
                "tcp/1,3,5,7,9,11,13,15,17,19,21,23,25,27,29-30",
                "these are 16",
            ),
        ] {
            let refused = text.parse::<Service>().expect_err(text).to_string();
            assert!(refused.contains(error), "{text:?}: {refused}");
        }
    }

    #[test]
    fn a_service_matches_its_ports_and_not_their_neighbours() {
        let service: Service = "tcp/22,80-90".parse().expect("a service");
        for port in [22, 80, 85, 90] {
            assert!(service.matches(Protocol::Tcp, port), "{port}");
            assert!(!service.matches(Protocol::Udp, port), "{port}");
        }
        for port in [0, 21, 23, 79, 91, 65535] {
            assert!(!service.matches(Protocol::Tcp, port), "{port}");
        }
        assert_eq!(service.width(), 12);
        let all: Service = "tcp".parse().expect("a service");
        assert!(all.matches(Protocol::Tcp, 1) && all.width() > 65535);
    }
}
