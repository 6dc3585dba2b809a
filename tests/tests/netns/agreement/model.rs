//! What becomes of a packet: the order of decisions as one sentence after the other, without
//! tables.

use std::{cmp::Reverse, net::IpAddr};

use fw_common::Prefix;

/// What rules are about: a service, whether it is TCP, and its ports, all of them if none is named.
pub type Service = (&'static str, bool, &'static [(u16, u16)]);
pub const SERVICES: [Service; 9] = [
    ("tcp", true, &[]),
    ("udp", false, &[]),
    ("tcp/80", true, &[(80, 80)]),
    ("tcp/443", true, &[(443, 443)]),
    (
        "tcp/80,443,8000-8100",
        true,
        &[(80, 80), (443, 443), (8000, 8100)],
    ),
    ("tcp/1-65535", true, &[(1, 65535)]),
    ("udp/53", false, &[(53, 53)]),
    ("udp/53,5000-5100", false, &[(53, 53), (5000, 5100)]),
    ("udp/5000", false, &[(5000, 5000)]),
];
/// An entry of a list.
#[derive(Clone, Debug)]
pub struct Item {
    pub prefix: Prefix,
    pub ttl: Option<&'static str>,
}

/// Long enough ago when the first packet is sent.
pub const ENDED: &str = "1s";
impl Item {
    fn names(&self, source: IpAddr) -> bool {
        self.ttl != Some(ENDED) && self.prefix.contains(source)
    }

    pub fn text(&self) -> String {
        match self.ttl {
            None => self.prefix.to_string(),
            Some(ttl) => format!("{{ prefix = \"{}\", ttl = \"{ttl}\" }}", self.prefix),
        }
    }
}

/// A rule without hours.
#[derive(Clone, Debug)]
pub struct Rule {
    pub service: Service,
    pub sources: Vec<Prefix>,
    pub drops: bool,
}

impl Rule {
    pub fn text(&self) -> String {
        let from: Vec<String> = self
            .sources
            .iter()
            .map(|from| format!("\"{from}\""))
            .collect();
        format!(
            "service = \"{}\"\naction = \"{}\"\nfrom = [{}]\n",
            self.service.0,
            if self.drops { "drop" } else { "accept" },
            from.join(", ")
        )
    }

    /// How many ports it is about.
    fn width(&self) -> u32 {
        let ports = self
            .service
            .2
            .iter()
            .map(|(first, last)| u32::from(last - first) + 1);
        match self.service.2 {
            [] => u32::MAX,
            _ => ports.sum(),
        }
    }

    /// How narrow it is for a packet that it is about.
    fn narrowness(&self, packet: &Packet) -> Option<(Reverse<u8>, u32, bool)> {
        let (_, is_tcp, ports) = self.service;
        let mut named = ports.iter().map(|(first, last)| *first..=*last);
        let is_about = is_tcp == packet.is_syn
            && (ports.is_empty() || named.any(|ports| ports.contains(&packet.port)));
        let sources = self.sources.iter();
        let covering = sources.filter(|prefix| prefix.contains(packet.source));
        let length = match self.sources.is_empty() {
            true => Some(0),
            false => covering.map(Prefix::length).max(),
        };
        let length = length.filter(|_| is_about)?;
        Some((Reverse(length), self.width(), self.drops))
    }
}

/// The first packet of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub source: IpAddr,
    pub port: u16,
    /// Else it is a datagram.
    pub is_syn: bool,
}

impl Packet {
    /// One of each protocol.
    pub fn of_each_kind(source: IpAddr) -> [Self; 2] {
        [true, false].map(|is_syn| Self {
            source,
            port: 1,
            is_syn,
        })
    }
}

/// What the operator wants.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    pub guard: Vec<Prefix>,
    pub allows: Vec<Item>,
    pub blocks: Vec<Item>,
    pub rules: Vec<Rule>,
    /// What no rule names.
    pub drops: bool,
}

impl Policy {
    /// What the addresses alone say, if they say anything.
    fn by_address(&self, source: IpAddr) -> Option<bool> {
        let names = |items: &[Item]| items.iter().any(|item| item.names(source));
        let is_guarded = self.guard.iter().any(|prefix| prefix.contains(source));
        match (is_guarded || names(&self.allows), names(&self.blocks)) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        }
    }

    /// What the narrowest rule says, if any does.
    fn by_rule(&self, packet: &Packet) -> Option<bool> {
        let rules = self.rules.iter();
        let narrowest = rules.filter_map(|rule| rule.narrowness(packet)).min()?;
        Some(narrowest.2)
    }

    /// Whether XDP drops it: of rules it knows those about TCP, and the default is not its matter.
    pub fn xdp_drops(&self, packet: &Packet) -> bool {
        let by_rule = || self.by_rule(packet).filter(|_| packet.is_syn);
        let by_address = self.by_address(packet.source);
        by_address.or_else(by_rule).unwrap_or(false)
    }

    /// Whether the mirror drops it.
    pub fn mirror_drops(&self, packet: &Packet) -> bool {
        let by_address = self.by_address(packet.source);
        let by_rule = || self.by_rule(packet);
        by_address.or_else(by_rule).unwrap_or(self.drops)
    }
}
