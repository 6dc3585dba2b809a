//! IPv6 extension headers and fragments.

use std::net::IpAddr;

use fw_common::parse::protocol::{self, DESTINATION, HIP, MOBILITY, SHIM6};

use super::Seed;
use crate::frames::{Frame, tcp::SYN};

const NO_NEXT_HEADER: u8 = 59;

pub const SEEDS: &[Seed] = &[
    // Linux hands it to dual-stack sockets as if it were IPv4, and answers over IPv4.
    Seed::new("from a v4-mapped address", |s| {
        let IpAddr::V4(source) = s else {
            unreachable!("a seed for IPv4 sources");
        };
        let frame = Frame::new().ip(source.to_ipv6_mapped().into());
        frame.udp(40000, 53).bytes()
    })
    .v4(),
    Seed::new("hop-by-hop", |s| {
        let frame = Frame::new().ip(s).hop_by_hop();
        frame.tcp(40000, 22, SYN).bytes()
    })
    .v6(),
    Seed::new("destination options", |s| {
        let frame = Frame::new().ip(s).destination_options();
        frame.tcp(40000, 22, SYN).bytes()
    })
    .v6(),
    Seed::new("routing", |s| {
        let frame = Frame::new().ip(s).routing();
        frame.tcp(40000, 22, SYN).bytes()
    })
    .v6(),
    Seed::new("mobility", |s| {
        let frame = Frame::new().ip(s).extension(MOBILITY, 8);
        frame.udp(40000, 53).bytes()
    })
    .v6(),
    Seed::new("hip and shim6", |s| {
        let frame = Frame::new().ip(s).extension(HIP, 40).extension(SHIM6, 8);
        frame.udp(40000, 53).bytes()
    })
    .v6(),
    Seed::new("hop-by-hop, destination, routing, fragment, ah", |s| {
        let frame = Frame::new().ip(s).hop_by_hop().destination_options();
        let frame = frame.routing().fragment(0, false).authentication();
        frame.tcp(40000, 22, SYN).bytes()
    })
    .v6(),
    Seed::new("six extension headers", |s| {
        let frame = (0..6).fold(Frame::new().ip(s), |f, _| f.destination_options());
        frame.udp(40000, 53).bytes()
    })
    .v6(),
    Seed::new("seven extension headers", |s| {
        let frame = (0..7).fold(Frame::new().ip(s), |f, _| f.destination_options());
        frame.udp(40000, 53).bytes()
    })
    .v6(),
    Seed::new("forty extension headers", |s| {
        let frame = (0..40).fold(Frame::new().ip(s), |f, _| f.destination_options());
        frame.udp(40000, 53).bytes()
    })
    .v6(),
    Seed::new("neighbour solicitation behind seven headers", |s| {
        let frame = Frame::new().ip(s).hop_limit(255);
        let frame = (0..7).fold(frame, |f, _| f.destination_options());
        frame.icmp(135, 0, &[0; 20]).bytes()
    })
    .v6(),
    Seed::new("an extension header of 1,024 bytes", |s| {
        let frame = Frame::new().ip(s).extension(DESTINATION, 1024);
        frame.udp(40000, 53).bytes()
    })
    .v6(),
    Seed::new("extension headers in two tags", |s| {
        let frame = Frame::new().vlan(5).vlan(6).ip(s);
        let frame = frame.hop_by_hop().routing();
        frame.tcp(40000, 22, SYN).bytes()
    })
    .v6(),
    Seed::new("no next header", |s| {
        let frame = Frame::new().ip(s).protocol(NO_NEXT_HEADER);
        frame.payload(&[0; 8]).bytes()
    })
    .v6(),
    Seed::new("no next header behind options", |s| {
        let frame = Frame::new().ip(s).destination_options();
        frame.protocol(NO_NEXT_HEADER).bytes()
    })
    .v6(),
    Seed::new("options that reach past the end", |s| {
        let frame = Frame::new().ip(s).protocol(DESTINATION);
        frame.payload(&[protocol::UDP, 255, 1, 4]).bytes()
    })
    .v6(),
    Seed::new("atomic fragment", |s| {
        let frame = Frame::new().ip(s).fragment(0, false);
        frame.udp(40000, 53).bytes()
    })
    .v6(),
    Seed::new("first fragment", |s| {
        let frame = Frame::new().ip(s).fragment(0, true);
        frame.udp(40000, 53).payload(&[0; 24]).bytes()
    })
    .v6(),
    Seed::new("first fragment that ends in its options", |s| {
        let frame = Frame::new().ip(s).fragment(0, true);
        let frame = frame.destination_options();
        frame.protocol(protocol::TCP).bytes()
    })
    .v6(),
    Seed::new("tiny first fragment", |s| {
        let frame = Frame::new().ip(s).fragment(0, true);
        frame.protocol(protocol::TCP).payload(&[0x9c; 8]).bytes()
    })
    .v6(),
    Seed::new("first fragment that ends a byte before the flags", |s| {
        let frame = Frame::new().ip(s).fragment(0, true);
        frame.protocol(protocol::TCP).payload(&[0x9c; 13]).bytes()
    })
    .v6(),
    Seed::new("first fragment that ends with the flags", |s| {
        let frame = Frame::new().ip(s).fragment(0, true);
        frame.protocol(protocol::TCP).payload(&[0x9c; 14]).bytes()
    })
    .v6(),
    Seed::new("tiny first fragment behind hop-by-hop", |s| {
        let frame = Frame::new().ip(s).hop_by_hop().fragment(0, true);
        frame.protocol(protocol::TCP).payload(&[0x9c; 8]).bytes()
    })
    .v6(),
    Seed::new("fragment over the first one's ports", |s| {
        let frame = Frame::new().ip(s).fragment(1, true);
        frame.protocol(protocol::TCP).payload(&[0; 16]).bytes()
    })
    .v6(),
    Seed::new("middle fragment", |s| {
        let frame = Frame::new().ip(s).fragment(4, true);
        frame.protocol(protocol::UDP).payload(&[0; 32]).bytes()
    })
    .v6(),
    Seed::new("last fragment", |s| {
        let frame = Frame::new().ip(s).fragment(8, false);
        frame.protocol(protocol::UDP).payload(&[0; 5]).bytes()
    })
    .v6(),
    Seed::new("fragment behind hop-by-hop", |s| {
        let frame = Frame::new().ip(s).hop_by_hop().fragment(3, true);
        frame.protocol(protocol::UDP).payload(&[0; 8]).bytes()
    })
    .v6(),
    Seed::new("later fragment whose data look like discovery", |s| {
        let frame = Frame::new().ip(s).hop_limit(255).fragment(4, false);
        frame.icmp(135, 0, &[0; 20]).bytes()
    })
    .v6(),
    Seed::new("later fragment whose data look like dhcpv6", |s| {
        let frame = Frame::new().ip(s).fragment(4, false);
        frame.udp(547, 546).bytes()
    })
    .v6(),
];
