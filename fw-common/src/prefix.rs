//! An IPv4 or IPv6 network.

mod text;

use core::{
    cmp::Ordering,
    fmt,
    net::{AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr},
    num::ParseIntError,
    str::FromStr,
};

use crate::reason::Family;

/// A network with its host bits cleared.
///
/// Ordered by family, address, length: what a prefix covers follows it directly.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// Why a text is no prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrefixError {
    /// The part before the slash is no address.
    Address(AddrParseError),
    /// The part behind the slash is no number.
    Length(ParseIntError),
    /// The length is beyond the family's width.
    TooLong {
        /// As given.
        length: u8,
        /// Bits of an address.
        width: u8,
    },
    /// `fe80::1%eth0`: a zone means something on one host only.
    Zone,
    /// `::ffff:192.0.2.1`: packets from it are decided as those of the IPv4 address.
    Mapped(Ipv4Addr),
}

impl fmt::Display for PrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(_) => f.write_str("not an IPv4 or IPv6 address"),
            Self::Length(_) => f.write_str("the prefix length is not a number from 0 to 128"),
            Self::TooLong { length, width } => {
                write!(
                    f,
                    "prefix length {length} is beyond the {width} bits of the address"
                )
            }
            Self::Zone => f.write_str("zone ids (`%eth0`) are not part of a packet's address"),
            Self::Mapped(address) => write!(
                f,
                "a v4-mapped address is treated as its IPv4 address, write {address} instead"
            ),
        }
    }
}

impl core::error::Error for PrefixError {}

impl Prefix {
    /// The network of `address` with `length` bits; host bits are cleared. `None` when `length`
    /// is beyond the address.
    pub const fn new(address: IpAddr, length: u8) -> Option<Self> {
        if length > width(address) {
            return None;
        }
        let address = match address {
            IpAddr::V4(v4) => {
                let mask = match length {
                    0 => 0,
                    _ => u32::MAX << (32 - length),
                };
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & mask))
            }
            IpAddr::V6(v6) => {
                let mask = match length {
                    0 => 0,
                    _ => u128::MAX << (128 - length),
                };
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
        };
        Some(Self { address, length })
    }

    /// The single address.
    pub const fn host(address: IpAddr) -> Self {
        Self {
            address,
            length: width(address),
        }
    }

    /// Reads `address` or `address/length`. The second value says whether host bits were set and
    /// have been cleared, which a user should be told.
    ///
    /// # Errors
    /// [`PrefixError`]; zone ids and v4-mapped addresses are refused too.
    pub fn parse(text: &str) -> Result<(Self, bool), PrefixError> {
        let (address, length) = text::read(text).map_or_else(|| read(text), Ok)?;
        if let IpAddr::V6(v6) = address
            && let Some(v4) = v6.to_ipv4_mapped()
        {
            return Err(PrefixError::Mapped(v4));
        }
        let width = width(address);
        let length = length.unwrap_or(width);
        let prefix = Self::new(address, length).ok_or(PrefixError::TooLong { length, width })?;
        Ok((prefix, prefix.address != address))
    }

    /// First address.
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// Bits of the network part.
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// Last address.
    pub const fn last(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(v4) => {
                let hosts = match self.length {
                    32 => 0,
                    length => u32::MAX >> length,
                };
                IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() | hosts))
            }
            IpAddr::V6(v6) => {
                let hosts = match self.length {
                    128 => 0,
                    length => u128::MAX >> length,
                };
                IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() | hosts))
            }
        }
    }

    /// Family of its addresses.
    pub const fn family(&self) -> Family {
        match self.address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// Whether it is a single address.
    pub const fn is_host(&self) -> bool {
        self.length == width(self.address)
    }

    /// Whether every address of `other` is in it.
    pub fn covers(&self, other: &Self) -> bool {
        self.length <= other.length && Self::new(other.address, self.length) == Some(*self)
    }

    /// Whether `address` is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.covers(&Self::host(address))
    }

    /// Whether they share an address; then one covers the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.covers(other) || other.covers(self)
    }

    /// Itself and everything that covers it, longest first.
    pub fn ancestors(self) -> impl Iterator<Item = Self> {
        (0..=self.length)
            .rev()
            .filter_map(move |length| Self::new(self.address, length))
    }
}

/// Reads what may be written in any way, and says what is wrong with it.
fn read(text: &str) -> Result<(IpAddr, Option<u8>), PrefixError> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    if address.contains('%') {
        return Err(PrefixError::Zone);
    }
    let address = address.parse().map_err(PrefixError::Address)?;
    let length = length.map(str::parse).transpose();
    Ok((address, length.map_err(PrefixError::Length)?))
}

const fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// What derived code would say, but of numbers instead of one group after the other: sorting a
/// million takes two thirds of the time.
impl Ord for Prefix {
    fn cmp(&self, other: &Self) -> Ordering {
        let addresses = match (self.address, other.address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => a.to_bits().cmp(&b.to_bits()),
            (IpAddr::V6(a), IpAddr::V6(b)) => a.to_bits().cmp(&b.to_bits()),
            (IpAddr::V4(_), IpAddr::V6(_)) => Ordering::Less,
            (IpAddr::V6(_), IpAddr::V4(_)) => Ordering::Greater,
        };
        addresses.then(self.length.cmp(&other.length))
    }
}

impl PartialOrd for Prefix {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Self::host(address)
    }
}

/// As [`Prefix::parse`], with host bits cleared in silence.
impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text).map(|(prefix, _)| prefix)
    }
}

/// A host without its length, as people write it: `192.0.2.1`, `192.0.2.0/24`.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = (!self.is_host()).then_some(self.length);
        match (text::Written::of(self.address, length), length) {
            (Some(written), _) => f.pad(written.text()),
            (None, None) => self.address.fmt(f),
            (None, Some(length)) => write!(f, "{}/{length}", self.address),
        }
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
