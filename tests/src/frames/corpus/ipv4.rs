//! IPv4 options and fragments.

use fw_common::parse::protocol;

use super::Seed;
use crate::frames::{Frame, tcp::SYN};

/// A source's TCP packet with `WORDS` of options, so with an IHL of five more.
macro_rules! options {
    ($name:literal, $words:literal) => {
        Seed::new($name, |s| {
            let frame = Frame::new().ip(s).options($words);
            frame.tcp(40000, 22, SYN).bytes()
        })
        .v4()
    };
}

pub const SEEDS: &[Seed] = &[
    options!("ihl 6", 1),
    options!("ihl 7", 2),
    options!("ihl 8", 3),
    options!("ihl 9", 4),
    options!("ihl 10", 5),
    options!("ihl 11", 6),
    options!("ihl 12", 7),
    options!("ihl 13", 8),
    options!("ihl 14", 9),
    options!("ihl 15", 10),
    Seed::new("options in two tags", |s| {
        let frame = Frame::new().vlan(5).vlan(6).ip(s).options(10);
        frame.udp(40000, 53).bytes()
    })
    .v4(),
    Seed::new("do not fragment", |s| {
        let frame = Frame::new().ip(s).fragment(0x4000, false);
        frame.udp(40000, 53).bytes()
    })
    .v4(),
    Seed::new("reserved flag", |s| {
        let frame = Frame::new().ip(s).fragment(0x8000, false);
        frame.udp(40000, 53).bytes()
    })
    .v4(),
    Seed::new("first fragment", |s| {
        let frame = Frame::new().ip(s).fragment(0, true);
        frame.udp(40000, 53).payload(&[0; 24]).bytes()
    })
    .v4(),
    Seed::new("first fragment with options", |s| {
        let frame = Frame::new().ip(s).options(3).fragment(0, true);
        frame.tcp(40000, 22, SYN).payload(&[0; 4]).bytes()
    })
    .v4(),
    Seed::new("tiny first fragment", |s| {
        let frame = Frame::new().ip(s).fragment(0, true);
        frame.protocol(protocol::TCP).payload(&[0x9c; 8]).bytes()
    })
    .v4(),
    Seed::new("first fragment that ends a byte before the flags", |s| {
        let frame = Frame::new().ip(s).fragment(0, true);
        frame.protocol(protocol::TCP).payload(&[0x9c; 13]).bytes()
    })
    .v4(),
    Seed::new("first fragment that ends with the flags", |s| {
        let frame = Frame::new().ip(s).fragment(0, true);
        frame.protocol(protocol::TCP).payload(&[0x9c; 14]).bytes()
    })
    .v4(),
    Seed::new("tiny first fragment with options", |s| {
        let frame = Frame::new().ip(s).options(3).fragment(0, true);
        frame.protocol(protocol::TCP).payload(&[0x9c; 8]).bytes()
    })
    .v4(),
    Seed::new("fragment over the first one's ports", |s| {
        let frame = Frame::new().ip(s).fragment(1, true);
        frame.protocol(protocol::TCP).payload(&[0; 16]).bytes()
    })
    .v4(),
    Seed::new("middle fragment", |s| {
        let frame = Frame::new().ip(s).fragment(4, true);
        frame.protocol(protocol::UDP).payload(&[0; 32]).bytes()
    })
    .v4(),
    Seed::new("last fragment", |s| {
        let frame = Frame::new().ip(s).fragment(8, false);
        frame.protocol(protocol::UDP).payload(&[0; 5]).bytes()
    })
    .v4(),
    Seed::new("fragment at the highest offset", |s| {
        let frame = Frame::new().ip(s).fragment(0x1fff, false);
        frame.protocol(protocol::UDP).payload(&[0; 8]).bytes()
    })
    .v4(),
    Seed::new("later fragment whose data look like dhcp", |s| {
        let frame = Frame::new().ip(s).fragment(4, false);
        frame.udp(67, 68).bytes()
    })
    .v4(),
];
