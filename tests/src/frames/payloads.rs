//! What stands behind IP, or beside it.

use std::net::Ipv4Addr;

use fw_common::parse::protocol;

use super::{
    CLIENT_MAC, Frame, Next, SERVER_V4, ethertype,
    fields::{Field, Network},
};

impl Frame {
    /// A header behind which nothing is named, with a checksum at `checksum`.
    fn transport(self, number: u8, bytes: &[u8], checksum: usize) -> Self {
        let mut frame = self.protocol(number);
        let at = frame.at();
        frame.open.push(Field::Checksum {
            at,
            field: at + checksum,
            // ICMP for IPv4 is the one that does not sum the addresses.
            over: frame.network.filter(|_| number != protocol::ICMP),
            protocol: number,
        });
        frame.next = Next::Nowhere;
        frame.append(bytes)
    }

    /// A TCP header without options.
    pub fn tcp(self, source: u16, destination: u16, flags: u8) -> Self {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&ports(source, destination));
        bytes[12..16].copy_from_slice(&[0x50, flags, 0x20, 0]);
        self.transport(protocol::TCP, &bytes, 16)
    }

    /// A UDP header.
    pub fn udp(self, source: u16, destination: u16) -> Self {
        let at = self.at();
        let [a, b, c, d] = ports(source, destination);
        let mut frame = self.transport(protocol::UDP, &[a, b, c, d, 0, 0, 0, 0], 6);
        frame.open.push(Field::UdpLength(at));
        frame
    }

    /// A UDP-Lite header whose checksum covers everything.
    pub fn udp_lite(self, source: u16, destination: u16) -> Self {
        const UDP_LITE: u8 = 136;
        let [a, b, c, d] = ports(source, destination);
        self.transport(UDP_LITE, &[a, b, c, d, 0, 0, 0, 0], 6)
    }

    /// An SCTP header, without a checksum.
    pub fn sctp(self, source: u16, destination: u16) -> Self {
        const SCTP: u8 = 132;
        let frame = self.protocol(SCTP).payload(&ports(source, destination));
        frame.append(&[0; 8])
    }

    /// An ICMP message, of the version of the last IP header.
    pub fn icmp(self, kind: u8, code: u8, body: &[u8]) -> Self {
        let number = match self.network {
            Some(Network::V6(_)) => protocol::ICMPV6,
            _ => protocol::ICMP,
        };
        self.transport(number, &[kind, code, 0, 0], 2).append(body)
    }

    /// A GRE header; what it carries comes next.
    pub fn gre(self) -> Self {
        const GRE: u8 = 47;
        let mut frame = self.protocol(GRE).append(&[0; 2]);
        frame.next = Next::EtherType(frame.at());
        frame.append(&[0; 2])
    }

    /// An ESP header and some of what it hides.
    pub fn esp(self) -> Self {
        const ESP: u8 = 50;
        let hidden = [&[0, 0, 1, 0, 0, 0, 0, 1][..], &[0xa5; 32]].concat();
        self.protocol(ESP).payload(&hidden)
    }

    /// An ARP request for [`SERVER_V4`].
    pub fn arp(self, sender: Ipv4Addr) -> Self {
        self.ethertype(ethertype::ARP)
            .payload(&[0, 1, 8, 0, 6, 4, 0, 1])
            .append(&CLIENT_MAC)
            .append(&sender.octets())
            .append(&[0; 6])
            .append(&SERVER_V4.octets())
    }
}

fn ports(source: u16, destination: u16) -> [u8; 4] {
    let [a, b] = source.to_be_bytes();
    let [c, d] = destination.to_be_bytes();
    [a, b, c, d]
}
