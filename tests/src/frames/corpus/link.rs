//! What keeps a link alive, what only looks like it, and what is not IP.

use std::net::{IpAddr, Ipv4Addr};

use super::{Fate, Seed};
use crate::frames::{
    CLIENT_MAC, Frame, SERVER_V4, SERVER_V6,
    ethertype::{self, LLDP, MPLS, PPPOE},
};

/// A message of neighbour discovery with a target address and a link-layer option.
fn discovery(source: IpAddr, kind: u8, hop_limit: u8) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(SERVER_V6.octets());
    body.extend([1, 1]);
    body.extend(CLIENT_MAC);
    let frame = Frame::new().ip(source).hop_limit(hop_limit);
    frame.icmp(kind, 0, &body).bytes()
}

/// A listener message about one group.
fn listener(source: IpAddr, kind: u8, hop_limit: u8) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 1, 4, 0, 0, 0];
    body.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xfb]);
    let frame = Frame::new().ip(source).hop_limit(hop_limit).router_alert();
    frame.icmp(kind, 0, &body).bytes()
}

/// The server's own IPv4 packet, for frames in which it must not be found.
fn packet() -> Vec<u8> {
    let frame = Frame::new().ipv4(SERVER_V4, SERVER_V4);
    frame.udp(40000, 53).bytes().split_off(14)
}

fn v4(source: IpAddr) -> Ipv4Addr {
    match source {
        IpAddr::V4(source) => source,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

pub const SEEDS: &[Seed] = &[
    Seed::new("router solicitation", |s| discovery(s, 133, 255))
        .v6()
        .fate(Fate::Link),
    Seed::new("router advertisement", |s| discovery(s, 134, 255))
        .v6()
        .fate(Fate::Link),
    Seed::new("neighbour solicitation", |s| discovery(s, 135, 255))
        .v6()
        .fate(Fate::Link),
    Seed::new("neighbour advertisement", |s| discovery(s, 136, 255))
        .v6()
        .fate(Fate::Link),
    Seed::new("redirect", |s| discovery(s, 137, 255))
        .v6()
        .fate(Fate::Link),
    Seed::new("neighbour solicitation in a tag", |s| {
        let frame = Frame::new().vlan(5).ip(s).hop_limit(255);
        frame.icmp(135, 0, &[0; 20]).bytes()
    })
    .v6()
    .fate(Fate::Link),
    Seed::new("neighbour solicitation from beyond the link", |s| {
        discovery(s, 135, 254)
    })
    .v6(),
    Seed::new("neighbour solicitation with a code", |s| {
        let frame = Frame::new().ip(s).hop_limit(255);
        frame.icmp(135, 1, &[0; 20]).bytes()
    })
    .v6(),
    Seed::new("icmpv6 next to discovery", |s| discovery(s, 138, 255)).v6(),
    Seed::new("mld query", |s| listener(s, 130, 1))
        .v6()
        .fate(Fate::Link),
    Seed::new("mld report", |s| listener(s, 131, 1))
        .v6()
        .fate(Fate::Link),
    Seed::new("mld done", |s| listener(s, 132, 1))
        .v6()
        .fate(Fate::Link),
    Seed::new("mldv2 report", |s| listener(s, 143, 1))
        .v6()
        .fate(Fate::Link),
    Seed::new("mld query from beyond the link", |s| listener(s, 130, 2)).v6(),
    Seed::new("mld query with a hop limit of 255", |s| {
        listener(s, 130, 255)
    })
    .v6(),
    Seed::new("dhcp to a client", |s| {
        let frame = Frame::new().ip(s).udp(67, 68);
        frame.payload(&[2; 240]).bytes()
    })
    .v4()
    .fate(Fate::Link),
    Seed::new("dhcp to a client in a tag", |s| {
        let frame = Frame::new().vlan(5).ip(s).options(2).udp(67, 68);
        frame.payload(&[2; 240]).bytes()
    })
    .v4()
    .fate(Fate::Link),
    Seed::new("dhcp to a server", |s| {
        let frame = Frame::new().ip(s).udp(68, 67);
        frame.payload(&[1; 240]).bytes()
    })
    .v4(),
    Seed::new("dhcp ports in tcp", |s| {
        Frame::new().ip(s).tcp(67, 68, 2).bytes()
    })
    .v4(),
    Seed::new("dhcpv6 ports in ipv4", |s| {
        Frame::new().ip(s).udp(547, 546).bytes()
    })
    .v4(),
    Seed::new("dhcpv6 to a client", |s| {
        let frame = Frame::new().ip(s).udp(547, 546);
        frame.payload(&[7, 0, 0, 1]).bytes()
    })
    .v6()
    .fate(Fate::Link),
    Seed::new("dhcpv6 to a server", |s| {
        let frame = Frame::new().ip(s).udp(546, 547);
        frame.payload(&[1, 0, 0, 1]).bytes()
    })
    .v6(),
    Seed::new("dhcp ports in ipv6", |s| {
        Frame::new().ip(s).udp(67, 68).bytes()
    })
    .v6(),
    Seed::new("arp request", |s| Frame::new().arp(v4(s)).bytes())
        .v4()
        .fate(Fate::NotIp),
    Seed::new("arp request in two tags", |s| {
        Frame::new().vlan(5).vlan(6).arp(v4(s)).bytes()
    })
    .v4()
    .fate(Fate::NotIp),
    Seed::new("lldp", |_| {
        let frame = Frame::new().ethertype(LLDP);
        frame.payload(&[2, 7, 4, 2, 0, 0, 0, 0, 2]).bytes()
    })
    .fate(Fate::NotIp),
    Seed::new("ipv4 behind pppoe", |_| {
        let packet = packet();
        let [high, low] = (packet.len() as u16 + 2).to_be_bytes();
        let frame = Frame::new().ethertype(PPPOE);
        let frame = frame.payload(&[0x11, 0, 0, 1, high, low, 0, 0x21]);
        frame.payload(&packet).bytes()
    })
    .fate(Fate::NotIp),
    Seed::new("ipv4 behind mpls", |_| {
        let frame = Frame::new().ethertype(MPLS);
        let frame = frame.payload(&[0, 1, 1, 64]);
        frame.payload(&packet()).bytes()
    })
    .fate(Fate::NotIp),
    Seed::new("802.3 with a bridge's spanning tree", |_| {
        let frame = Frame::new().ethertype(38);
        frame.payload(&[0x42, 0x42, 3]).payload(&[0; 35]).bytes()
    })
    .fate(Fate::NotIp),
    Seed::new("802.3 with ipv4 behind snap", |_| {
        let packet = packet();
        let frame = Frame::new().ethertype(packet.len() as u16 + 8);
        let frame = frame.payload(&[0xaa, 0xaa, 3, 0, 0, 0]);
        let frame = frame.payload(&ethertype::IPV4.to_be_bytes());
        frame.payload(&packet).bytes()
    })
    .fate(Fate::NotIp),
    Seed::new("an ethernet header alone", |_| {
        Frame::new().ethertype(LLDP).bytes()
    })
    .fate(Fate::NotIp),
];
