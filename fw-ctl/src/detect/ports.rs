//! Ports as people write them (`tcp/22`, `udp/5000-5100`), and sets of them as the kernel holds
//! them.

use std::{fmt, str::FromStr};

use fw_common::abi::PORT_WORDS;

/// A protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Both, in the order of the kernel's words.
    pub const ALL: [Self; 2] = [Self::Tcp, Self::Udp];

    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }

    /// Its first word among those of a [`PortSet`].
    const fn first_word(self) -> usize {
        match self {
            Self::Tcp => 0,
            Self::Udp => PORT_WORDS as usize,
        }
    }
}

/// One port of a protocol, or a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ports {
    /// Whose.
    pub protocol: Protocol,
    /// The lowest.
    pub first: u16,
    /// The highest; not below the lowest.
    pub last: u16,
}

impl Ports {
    /// Without the protocol: `22`, `5000-5100`.
    pub fn numbers(&self) -> String {
        match self.first == self.last {
            true => self.first.to_string(),
            false => format!("{}-{}", self.first, self.last),
        }
    }
}

/// A text that names no ports.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortsError {
    /// Not of the form at all, or port 0, or one beyond 65535.
    #[error("{0:?} is no port: write it like `tcp/22` or `udp/5000-5100`")]
    Form(String),
    /// `tcp/90-80`
    #[error("{0:?}: the last port of a range is not below its first")]
    Order(String),
}

impl FromStr for Ports {
    type Err = PortsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || PortsError::Form(text.to_owned());
        let (name, numbers) = text.split_once('/').ok_or_else(form)?;
        let named = |protocol: &Protocol| protocol.name() == name;
        let protocol = Protocol::ALL.into_iter().find(named).ok_or_else(form)?;
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let first = number(first).ok_or_else(form)?;
        let last = number(last).ok_or_else(form)?;
        if last < first {
            return Err(PortsError::Order(text.to_owned()));
        }
        Ok(Self {
            protocol,
            first,
            last,
        })
    }
}

/// Digits only, not 0.
fn number(digits: &str) -> Option<u16> {
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|port| plain && *port != 0)
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.protocol.name(), self.numbers())
    }
}

/// Any ports of both protocols, a bit for each.
#[derive(Clone, PartialEq, Eq)]
pub struct PortSet(Box<[u64]>);

/// Words of a [`PortSet`].
const WORDS: usize = 2 * PORT_WORDS as usize;

impl Default for PortSet {
    fn default() -> Self {
        Self(vec![0; WORDS].into())
    }
}

impl PortSet {
    /// The set that words of the kernel stand for; those that are missing are empty.
    pub fn from_words(words: impl IntoIterator<Item = u64>) -> Self {
        let mut set = Self::default();
        for (own, word) in set.0.iter_mut().zip(words) {
            *own = word;
        }
        set
    }

    /// As the kernel holds them: port `p` is bit `p % 64` of word `p / 64`; first the words of
    /// TCP, then as many of UDP.
    pub fn words(&self) -> &[u64] {
        &self.0
    }

    /// Adds one port.
    pub fn insert(&mut self, protocol: Protocol, port: u16) {
        let (word, bit) = place(protocol, port);
        self.0[word] |= bit;
    }

    /// Takes one port out.
    pub fn remove(&mut self, protocol: Protocol, port: u16) {
        let (word, bit) = place(protocol, port);
        self.0[word] &= !bit;
    }

    /// Whether a port is in it.
    pub fn contains(&self, protocol: Protocol, port: u16) -> bool {
        let (word, bit) = place(protocol, port);
        self.0[word] & bit != 0
    }

    /// Adds all ports of another set.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            *own |= other;
        }
    }

    /// Its ports that `other` lacks, in order.
    pub fn without(&self, other: &Self) -> impl Iterator<Item = (Protocol, u16)> {
        let words = self.0.iter().zip(&other.0).map(|(own, other)| own & !other);
        let some = words.enumerate().filter(|(_, bits)| *bits != 0);
        some.flat_map(|(word, bits)| {
            let set = (0..64).filter(move |bit| bits & (1 << bit) != 0);
            set.map(move |bit| port_at(word, bit))
        })
    }

    /// Its ports of one protocol, in order; neighbours are one range.
    pub fn ranges(&self, protocol: Protocol) -> Vec<Ports> {
        let mut ranges: Vec<Ports> = Vec::new();
        let nothing = Self::default();
        let own = self.without(&nothing).filter(|(of, _)| *of == protocol);
        for (_, port) in own {
            match ranges.last_mut() {
                Some(range) if range.last.checked_add(1) == Some(port) => range.last = port,
                _ => ranges.push(Ports {
                    protocol,
                    first: port,
                    last: port,
                }),
            }
        }
        ranges
    }
}

fn place(protocol: Protocol, port: u16) -> (usize, u64) {
    let word = protocol.first_word() + usize::from(port / 64);
    (word, 1 << (port % 64))
}

fn port_at(word: usize, bit: usize) -> (Protocol, u16) {
    let protocol = match word < Protocol::Udp.first_word() {
        true => Protocol::Tcp,
        false => Protocol::Udp,
    };
    let port = (word - protocol.first_word()) * 64 + bit;
    (protocol, port as u16)
}

impl Extend<Ports> for PortSet {
    fn extend<I: IntoIterator<Item = Ports>>(&mut self, all: I) {
        for ports in all {
            for port in ports.first..=ports.last {
                self.insert(ports.protocol, port);
            }
        }
    }
}

impl FromIterator<Ports> for PortSet {
    fn from_iter<I: IntoIterator<Item = Ports>>(all: I) -> Self {
        let mut set = Self::default();
        set.extend(all);
        set
    }
}

/// As [`Ports`] are written: `["tcp/22", "udp/5000-5100"]`.
impl fmt::Debug for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ranges = Protocol::ALL.into_iter().flat_map(|of| self.ranges(of));
        f.debug_list()
            .entries(ranges.map(|ports| ports.to_string()))
            .finish()
    }
}

#[cfg(test)]
mod tests;
