//! A frame's headers, read through [`Frame`] so that the kernel program and the host run the same
//! code.
//!
//! Sources: IEEE 802.1Q, RFC 791 (IPv4), RFC 8200 (IPv6), RFC 4302 (AH).

use core::net::IpAddr;

use crate::{abi::NO_VLAN, reason::Family};

/// Read access to a frame, from its Ethernet header on.
pub trait Frame {
    /// The `N` bytes at `offset`, if the frame has them all.
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]>;
}

/// A frame in memory.
impl Frame for &[u8] {
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.get(offset..)?.first_chunk().copied()
    }
}

/// VLAN tags that are walked.
pub const MAX_TAGS: usize = 2;
/// Extension headers that are walked. Behind the last one the protocol stays unknown, the source
/// does not.
pub const MAX_EXTENSIONS: usize = 6;

/// IANA protocol numbers that are told apart.
pub mod protocol {
    #![expect(missing_docs, reason = "the names are the IANA's")]
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const DESTINATION: u8 = 60;
    pub const MOBILITY: u8 = 135;
    pub const HIP: u8 = 139;
    pub const SHIM6: u8 = 140;
}

const VLAN: u16 = 0x8100;
const QINQ: u16 = 0x88a8;
const QINQ_OLD: u16 = 0x9100;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// A source or destination as it stands in a header. Unlike [`IpAddr`] it has no uninitialised byte,
/// which the verifier of the kernel would refuse to see copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Address {
    /// Its bytes in wire order, of which an IPv4 address takes the first four and the rest is zero;
    /// in words, or the kernel program would copy them one by one.
    words: [u64; 2],
    /// [`Family::None`] where there is no address.
    pub family: Family,
}

impl Address {
    /// No address.
    pub const NONE: Self = Self {
        family: Family::None,
        words: [0; 2],
    };

    #[inline(always)]
    const fn v4([a, b, c, d]: [u8; 4]) -> Self {
        Self {
            family: Family::V4,
            words: [u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0]), 0],
        }
    }

    #[inline(always)]
    const fn v6(bytes: [u8; 16]) -> Self {
        Self::new(Family::V6, bytes)
    }

    /// From its [`Self::bytes`].
    #[inline(always)]
    pub const fn new(family: Family, [a, b, c, d, e, f, g, h, rest @ ..]: [u8; 16]) -> Self {
        let high = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
        Self {
            family,
            words: [high, u64::from_ne_bytes(rest)],
        }
    }

    /// A v4-mapped address (`::ffff:a.b.c.d`) is the IPv4 address it stands for: Linux delivers
    /// such packets to dual-stack sockets, and answers over IPv4.
    #[inline(always)]
    const fn canonical(self) -> Self {
        match (self.words[0], self.words[1].to_ne_bytes()) {
            (0, [0, 0, 0xff, 0xff, a, b, c, d]) => Self::v4([a, b, c, d]),
            _ => self,
        }
    }

    /// All of them in wire order: an IPv4 address takes the first four, the rest is zero.
    #[inline(always)]
    pub const fn bytes(&self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h] = self.words[0].to_ne_bytes();
        let [i, j, k, l, m, n, o, p] = self.words[1].to_ne_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// [`Self::bytes`], eight at a time.
    #[inline(always)]
    pub const fn words(&self) -> [u64; 2] {
        self.words
    }

    /// The first four bytes: the address, if it is IPv4.
    #[inline(always)]
    pub const fn octets_v4(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.words[0].to_ne_bytes();
        [a, b, c, d]
    }

    /// An IPv6 address as two numbers, the higher half first.
    #[inline(always)]
    pub const fn halves(&self) -> [u64; 2] {
        [u64::from_be(self.words[0]), u64::from_be(self.words[1])]
    }

    /// As the type the controller works with.
    pub fn ip(&self) -> Option<IpAddr> {
        match self.family {
            Family::None => None,
            Family::V4 => Some(self.octets_v4().into()),
            Family::V6 => Some(self.bytes().into()),
        }
    }
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::v4(v4.octets()),
            IpAddr::V6(v6) => Self::v6(v6.octets()),
        }
    }
}

/// How far a frame could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Neither IPv4 nor IPv6.
    NotIp,
    /// Ends before its source address.
    Unreadable,
    /// More than [`MAX_TAGS`] VLAN tags.
    Tags,
    /// An IP packet.
    Ip,
}

/// What stands behind the IP headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Another protocol, a later fragment, or cut off.
    Unknown,
    /// A TCP header.
    Tcp,
    /// Hidden behind more than [`MAX_EXTENSIONS`] extension headers.
    Chain,
    /// The ports of a TCP header in a first fragment that ends before the flags.
    TcpCut,
    /// A UDP header.
    Udp,
    /// ICMP or ICMPv6, by the packet's protocol.
    Icmp,
}

/// The headers of a frame. What could not be read is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// How far it could be read; the addresses are there for [`Kind::Ip`] only.
    pub kind: Kind,
    /// Source address.
    pub source: Address,
    /// Destination address; zero when the frame ends before it.
    pub destination: Address,
    /// VLAN ids, outer first; [`NO_VLAN`] where there is none.
    pub vlans: [u16; MAX_TAGS],
    /// Protocol behind the extension headers, as far as they could be walked.
    pub protocol: u8,
    /// TTL or hop limit.
    pub hop_limit: u8,
    /// What the fields below are read from.
    pub transport: Transport,
    /// FIN to CWR, as in byte 13 of a TCP header.
    pub tcp_flags: u8,
    /// Of TCP and UDP, in machine order.
    pub source_port: u16,
    /// Of TCP and UDP, in machine order; type and code of an ICMP message.
    pub destination_port: u16,
}

impl Packet {
    const EMPTY: Self = Self {
        kind: Kind::NotIp,
        source: Address::NONE,
        destination: Address::NONE,
        vlans: [NO_VLAN; MAX_TAGS],
        protocol: 0,
        hop_limit: 0,
        transport: Transport::Unknown,
        tcp_flags: 0,
        source_port: 0,
        destination_port: 0,
    };
}

/// Reads the headers of `frame`.
#[inline(always)]
pub fn parse(frame: &impl Frame) -> Packet {
    let mut packet = Packet::EMPTY;
    parse_into(frame, &mut packet);
    packet
}

/// As [`parse`], into memory that the caller has.
#[inline(always)]
pub fn parse_into(frame: &impl Frame, packet: &mut Packet) {
    *packet = Packet::EMPTY;
    packet.kind = read_frame(frame, packet);
}

#[inline(always)]
fn read_frame(frame: &impl Frame, packet: &mut Packet) -> Kind {
    let Some(mut ethertype) = frame.read(12).map(u16::from_be_bytes) else {
        return Kind::Unreadable;
    };
    let mut offset = 14;
    let mut tags = 0;
    while is_tag(ethertype) {
        if tags == MAX_TAGS {
            return Kind::Tags;
        }
        let Some([high, low, next_high, next_low]) = frame.read(offset) else {
            return Kind::Unreadable;
        };
        packet.vlans[tags] = u16::from_be_bytes([high, low]) & 0x0fff;
        ethertype = u16::from_be_bytes([next_high, next_low]);
        offset += 4;
        tags += 1;
    }
    let read = match ethertype {
        IPV4 => ipv4(frame, offset, packet),
        IPV6 => {
            let read = ipv6(frame, offset, packet);
            // Last, or the verifier would walk the extension headers once for each family.
            packet.source = packet.source.canonical();
            read
        }
        _ => return Kind::NotIp,
    };
    match read {
        Some(()) => Kind::Ip,
        None => Kind::Unreadable,
    }
}

#[inline(always)]
fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, VLAN | QINQ | QINQ_OLD)
}

#[inline(always)]
fn ipv4(frame: &impl Frame, start: usize, packet: &mut Packet) -> Option<()> {
    packet.source = Address::v4(frame.read(start + 12)?);
    if let Some(destination) = frame.read(start + 16) {
        packet.destination = Address::v4(destination);
    }
    let [version_ihl] = frame.read(start)?;
    let [fragment_high, fragment_low, hop_limit, protocol] = frame.read(start + 6)?;
    packet.hop_limit = hop_limit;
    packet.protocol = protocol;

    let header = usize::from(version_ihl & 0x0f) * 4;
    let fragment_offset = u16::from_be_bytes([fragment_high, fragment_low]) & 0x1fff;
    if header >= 20 && fragment_offset == 0 {
        transport(frame, start + header, fragment_high & 0x20 != 0, packet);
    }
    Some(())
}

#[inline(always)]
fn ipv6(frame: &impl Frame, start: usize, packet: &mut Packet) -> Option<()> {
    packet.source = Address::v6(frame.read(start + 8)?);
    if let Some(destination) = frame.read(start + 24) {
        packet.destination = Address::v6(destination);
    }
    let [mut protocol, hop_limit] = frame.read(start + 6)?;
    packet.hop_limit = hop_limit;
    packet.protocol = protocol;

    let mut offset = start + 40;
    let mut more_fragments = false;
    for _ in 0..MAX_EXTENSIONS {
        if !is_extension(protocol) {
            break;
        }
        let [next, length, fragment_high, fragment_low] = match frame.read(offset) {
            Some(bytes) => bytes,
            None => return Some(()),
        };
        let fragment_offset = u16::from_be_bytes([fragment_high, fragment_low]) & 0xfff8;
        more_fragments |= protocol == protocol::FRAGMENT && fragment_low & 1 != 0;
        let later_fragment = protocol == protocol::FRAGMENT && fragment_offset != 0;
        offset += match protocol {
            protocol::FRAGMENT => 8,
            protocol::AUTHENTICATION => (usize::from(length) + 2) * 4,
            _ => (usize::from(length) + 1) * 8,
        };
        protocol = next;
        packet.protocol = protocol;
        if later_fragment {
            return Some(());
        }
    }
    if is_extension(protocol) {
        packet.transport = Transport::Chain;
        return Some(());
    }
    transport(frame, offset, more_fragments, packet);
    Some(())
}

#[inline(always)]
fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::AUTHENTICATION
            | protocol::DESTINATION
            | protocol::MOBILITY
            | protocol::HIP
            | protocol::SHIM6
    )
}

/// Fills in what follows the IP headers; a header that is cut off stays unknown.
#[inline(always)]
fn transport(frame: &impl Frame, offset: usize, more_fragments: bool, packet: &mut Packet) {
    match packet.protocol {
        protocol::TCP => match (frame.read(offset), frame.read(offset + 13)) {
            (Some(ports), Some([flags])) => {
                packet.transport = Transport::Tcp;
                packet.tcp_flags = flags;
                set_ports(packet, ports);
            }
            (Some(ports), None) if more_fragments => {
                packet.transport = Transport::TcpCut;
                set_ports(packet, ports);
            }
            _ => {}
        },
        protocol::UDP => {
            if let (Some(ports), Some([_, _])) = (frame.read(offset), frame.read(offset + 6)) {
                packet.transport = Transport::Udp;
                set_ports(packet, ports);
            }
        }
        protocol::ICMP | protocol::ICMPV6 => {
            if let Some(message) = frame.read(offset) {
                packet.transport = Transport::Icmp;
                packet.destination_port = u16::from_be_bytes(message);
            }
        }
        _ => {}
    }
}

#[inline(always)]
fn set_ports(packet: &mut Packet, [a, b, c, d]: [u8; 4]) {
    packet.source_port = u16::from_be_bytes([a, b]);
    packet.destination_port = u16::from_be_bytes([c, d]);
}

#[cfg(test)]
mod tests;
