//! Frames as they stand on the wire: a builder, and the corpus both rings send.

pub mod corpus;
mod fields;
mod payloads;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fw_common::parse::protocol;

use self::fields::{Field, Network};

/// Whom every frame of the corpus is for.
pub const SERVER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
/// Who sends it.
pub const CLIENT_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
/// Destination of IPv4 frames.
pub const SERVER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Destination of IPv6 frames.
pub const SERVER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// Type fields of Ethernet.
pub mod ethertype {
    #![expect(missing_docs, reason = "the names are the IEEE's")]
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const MPLS: u16 = 0x8847;
    pub const PPPOE: u16 = 0x8864;
    pub const QINQ: u16 = 0x88a8;
    pub const LLDP: u16 = 0x88cc;
    pub const QINQ_OLD: u16 = 0x9100;
}

/// TCP flags.
pub mod tcp {
    #![expect(missing_docs, reason = "the names are those of RFC 9293")]
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
    pub const PSH: u8 = 8;
    pub const ACK: u8 = 16;
    pub const URG: u8 = 32;
}

/// A frame, built from the outside inwards: each call appends a header and names it in the one
/// before. Lengths and checksums are filled in at the end, so that a real stack takes the frame.
#[derive(Clone, Debug)]
pub struct Frame {
    bytes: Vec<u8>,
    next: Next,
    network: Option<Network>,
    open: Vec<Field>,
}

/// Where the number of the next header goes.
#[derive(Clone, Copy, Debug)]
enum Next {
    EtherType(usize),
    Protocol(usize),
    Nowhere,
}

impl Default for Frame {
    fn default() -> Self {
        Self::new()
    }
}

impl Frame {
    /// The Ethernet header, from [`CLIENT_MAC`] to [`SERVER_MAC`].
    pub fn new() -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend(SERVER_MAC);
        bytes.extend(CLIENT_MAC);
        bytes.extend([0; 2]);
        Self {
            bytes,
            next: Next::EtherType(12),
            network: None,
            open: Vec::new(),
        }
    }

    /// The complete frame.
    pub fn bytes(mut self) -> Vec<u8> {
        for field in self.open.iter().rev() {
            field.fill(&mut self.bytes);
        }
        self.bytes
    }

    fn at(&self) -> usize {
        self.bytes.len()
    }

    fn append(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// What stands behind is not named anywhere.
    pub fn payload(mut self, bytes: &[u8]) -> Self {
        self.next = Next::Nowhere;
        self.append(bytes)
    }

    /// Names what follows an Ethernet header, a tag or GRE.
    pub fn ethertype(mut self, number: u16) -> Self {
        if let Next::EtherType(at) = self.next {
            self.bytes[at..at + 2].copy_from_slice(&number.to_be_bytes());
        }
        self
    }

    /// Names what follows an IP or extension header.
    pub fn protocol(mut self, number: u8) -> Self {
        if let Next::Protocol(at) = self.next {
            self.bytes[at] = number;
        }
        self
    }

    /// A tag of any kind.
    pub fn tag(self, tpid: u16, vlan: u16) -> Self {
        let mut tagged = self.ethertype(tpid).append(&vlan.to_be_bytes());
        tagged.next = Next::EtherType(tagged.at());
        tagged.append(&[0; 2])
    }

    /// An 802.1Q tag.
    pub fn vlan(self, vlan: u16) -> Self {
        self.tag(ethertype::VLAN, vlan)
    }

    /// An IP header towards the server, of the family of `source`.
    pub fn ip(self, source: IpAddr) -> Self {
        match source {
            IpAddr::V4(source) => self.ipv4(source, SERVER_V4),
            IpAddr::V6(source) => self.ipv6(source, SERVER_V6),
        }
    }

    /// An IPv4 header; inside another IP header it makes IP in IP.
    pub fn ipv4(self, source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        let mut frame = self.ethertype(ethertype::IPV4).protocol(4);
        let at = frame.at();
        frame.network = Some(Network::V4(at));
        frame.next = Next::Protocol(at + 9);
        frame.open.push(Field::Ipv4(at));
        frame
            .append(&[0x45, 0, 0, 0, 0, 7, 0, 0, 64, 0, 0, 0])
            .append(&source.octets())
            .append(&destination.octets())
    }

    /// An IPv6 header; inside another IP header it makes 6in4.
    pub fn ipv6(self, source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        let mut frame = self.ethertype(ethertype::IPV6).protocol(41);
        let at = frame.at();
        frame.network = Some(Network::V6(at));
        frame.next = Next::Protocol(at + 6);
        frame.open.push(Field::Ipv6(at));
        frame
            .append(&[0x60, 0, 0, 0, 0, 0, 0, 64])
            .append(&source.octets())
            .append(&destination.octets())
    }

    /// TTL or hop limit of the last IP header.
    pub fn hop_limit(mut self, limit: u8) -> Self {
        match self.network {
            Some(Network::V4(at)) => self.bytes[at + 8] = limit,
            Some(Network::V6(at)) => self.bytes[at + 7] = limit,
            None => {}
        }
        self
    }

    /// `words` times four bytes of IPv4 options, right behind the header.
    pub fn options(mut self, words: u8) -> Self {
        if let Some(Network::V4(at)) = self.network {
            self.bytes[at] += words;
        }
        const NO_OPERATION: u8 = 1;
        let options = vec![NO_OPERATION; usize::from(words) * 4];
        self.append(&options)
    }

    /// Makes the packet a fragment, `offset` in units of eight bytes: for IPv4 in its header, for
    /// IPv6 with a header of its own.
    pub fn fragment(mut self, offset: u16, more: bool) -> Self {
        match self.network {
            Some(Network::V4(at)) => {
                let field = (offset | u16::from(more) << 13).to_be_bytes();
                self.bytes[at + 6..at + 8].copy_from_slice(&field);
                self
            }
            Some(Network::V6(_)) => {
                let [high, low] = (offset << 3 | u16::from(more)).to_be_bytes();
                self.header(protocol::FRAGMENT, &[0, 0, high, low, 0, 0, 0, 9])
            }
            None => self,
        }
    }

    /// A header of which the first byte names the next one.
    fn header(self, number: u8, bytes: &[u8]) -> Self {
        let mut frame = self.protocol(number);
        frame.next = Next::Protocol(frame.at());
        frame.append(bytes)
    }

    /// An IPv6 extension header of `length` bytes, a multiple of eight from 8 to 2,048, filled
    /// with options that are to be skipped.
    pub fn extension(self, number: u8, length: usize) -> Self {
        let mut bytes = vec![0, (length / 8 - 1) as u8];
        while bytes.len() < length {
            const SKIP: u8 = 0x1e;
            // Multiples of eight in the middle always leave room for the two bytes of the last.
            let data = (length - bytes.len() - 2).min(246);
            bytes.extend([SKIP, data as u8]);
            bytes.resize(bytes.len() + data, 0);
        }
        self.header(number, &bytes)
    }

    /// Hop-by-hop options.
    pub fn hop_by_hop(self) -> Self {
        self.extension(protocol::HOP_BY_HOP, 8)
    }

    /// Hop-by-hop options with a router alert, as MLD carries (RFC 2710).
    pub fn router_alert(self) -> Self {
        self.header(protocol::HOP_BY_HOP, &[0, 0, 5, 2, 0, 0, 1, 0])
    }

    /// Destination options.
    pub fn destination_options(self) -> Self {
        self.extension(protocol::DESTINATION, 8)
    }

    /// A routing header of an unknown type with no segments left, which every node skips.
    pub fn routing(self) -> Self {
        self.header(protocol::ROUTING, &[0, 0, 253, 0, 0, 0, 0, 0])
    }

    /// An authentication header with a check value of 12 bytes.
    pub fn authentication(self) -> Self {
        let mut bytes = [0; 24];
        bytes[1] = 4;
        bytes[7] = 1;
        self.header(protocol::AUTHENTICATION, &bytes)
    }
}
