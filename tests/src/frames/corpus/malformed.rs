//! Lengths that lie and headers that are cut off, behind a source that can be read.

use std::net::IpAddr;

use super::Seed;
use crate::frames::{Frame, SERVER_V4, SERVER_V6, tcp::SYN};

/// A UDP packet to be damaged: Ethernet 14, IP 20 or 40, UDP 8, data 16 bytes.
fn packet(source: IpAddr) -> Vec<u8> {
    let frame = Frame::new().ip(source).udp(40000, 53);
    frame.payload(&[0; 16]).bytes()
}

fn with(mut frame: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    frame
}

/// The frame without its last bytes.
fn without(mut frame: Vec<u8>, bytes: usize) -> Vec<u8> {
    frame.truncate(frame.len() - bytes);
    frame
}

/// An IHL that is too small for a header.
macro_rules! ihl {
    ($name:literal, $ihl:literal) => {
        Seed::new($name, |s| with(packet(s), 14, &[0x40 | $ihl])).v4()
    };
}

pub const SEEDS: &[Seed] = &[
    ihl!("ihl 0", 0),
    ihl!("ihl 1", 1),
    ihl!("ihl 2", 2),
    ihl!("ihl 3", 3),
    ihl!("ihl 4", 4),
    Seed::new("ihl past the end", |s| {
        let frame = with(packet(s), 14, &[0x4f]);
        without(frame, 20)
    })
    .v4(),
    Seed::new("version 5 in ipv4", |s| with(packet(s), 14, &[0x55])).v4(),
    Seed::new("version 4 in ipv6", |s| with(packet(s), 14, &[0x45])).v6(),
    Seed::new("total length 0", |s| with(packet(s), 16, &[0, 0])).v4(),
    Seed::new("total length under the header", |s| {
        with(packet(s), 16, &[0, 19])
    })
    .v4(),
    Seed::new("total length past the end", |s| {
        with(packet(s), 16, &[0xff, 0xff])
    })
    .v4(),
    Seed::new("wrong header checksum", |s| with(packet(s), 24, &[0, 1])).v4(),
    Seed::new("payload length 0", |s| with(packet(s), 18, &[0, 0])).v6(),
    Seed::new("payload length past the end", |s| {
        with(packet(s), 18, &[0xff, 0xff])
    })
    .v6(),
    Seed::new("hop limit 0", |s| {
        Frame::new().ip(s).hop_limit(0).udp(40000, 53).bytes()
    }),
    Seed::new("padding to the shortest frame", |s| {
        let mut frame = Frame::new().ip(s).tcp(40000, 22, SYN).bytes();
        frame.resize(frame.len().max(60), 0);
        frame
    }),
    Seed::new("a trailer", |s| [packet(s), vec![0xa5; 33]].concat()),
    Seed::new("ip header alone", |s| without(packet(s), 24)),
    Seed::new("ports alone", |s| without(packet(s), 20)),
    Seed::new("half a port", |s| without(packet(s), 23)),
    Seed::new("tcp cut off before its flags", |s| {
        without(Frame::new().ip(s).tcp(40000, 22, SYN).bytes(), 8)
    }),
    Seed::new("tcp data offset 0", |s| {
        let frame = Frame::new().ip(s).tcp(40000, 22, SYN).bytes();
        let at = frame.len() - 8;
        with(frame, at, &[0])
    }),
    Seed::new("tcp data offset past the end", |s| {
        let frame = Frame::new().ip(s).tcp(40000, 22, SYN).bytes();
        let at = frame.len() - 8;
        with(frame, at, &[0xf0])
    }),
    Seed::new("udp length 0", |s| {
        let frame = packet(s);
        let at = frame.len() - 20;
        with(frame, at, &[0, 0])
    }),
    Seed::new("udp length past the end", |s| {
        let frame = packet(s);
        let at = frame.len() - 20;
        with(frame, at, &[0xff, 0xff])
    }),
    Seed::new("icmp type alone", |s| {
        without(Frame::new().ip(s).icmp(135, 0, &[]).bytes(), 3)
    }),
    Seed::new("dhcp cut off in its ports", |s| {
        without(Frame::new().ip(s).udp(67, 68).bytes(), 5)
    })
    .v4(),
    Seed::new("extension header cut off", |s| {
        let frame = Frame::new().ip(s).destination_options();
        without(frame.bytes(), 6)
    })
    .v6(),
    Seed::new("ipv4 cut off behind its source", |s| {
        let frame = Frame::new().ip(s).bytes();
        without(frame, SERVER_V4.octets().len())
    })
    .v4(),
    Seed::new("ipv6 cut off behind its source", |s| {
        let frame = Frame::new().ip(s).bytes();
        without(frame, SERVER_V6.octets().len())
    })
    .v6(),
];
