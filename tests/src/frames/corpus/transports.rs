//! What can stand behind an IP header.

use fw_common::parse::protocol;

use super::Seed;
use crate::frames::{
    Frame, SERVER_V4, SERVER_V6,
    tcp::{ACK, FIN, SYN},
};

pub const SEEDS: &[Seed] = &[
    Seed::new("tcp syn", |s| {
        Frame::new().ip(s).tcp(40000, 22, SYN).bytes()
    }),
    Seed::new("tcp ack with data", |s| {
        let frame = Frame::new().ip(s).tcp(40000, 443, ACK);
        frame.payload(b"data").bytes()
    }),
    Seed::new("tcp fin", |s| {
        Frame::new().ip(s).tcp(40000, 22, FIN).bytes()
    }),
    Seed::new("tcp without flags", |s| {
        Frame::new().ip(s).tcp(40000, 22, 0).bytes()
    }),
    Seed::new("tcp with every flag", |s| {
        Frame::new().ip(s).tcp(40000, 22, 0xff).bytes()
    }),
    Seed::new("tcp syn and fin", |s| {
        Frame::new().ip(s).tcp(40000, 22, SYN | FIN).bytes()
    }),
    Seed::new("udp", |s| {
        Frame::new().ip(s).udp(40000, 53).payload(b"data").bytes()
    }),
    Seed::new("udp without data", |s| {
        Frame::new().ip(s).udp(40000, 53).bytes()
    }),
    Seed::new("udp to port 0", |s| Frame::new().ip(s).udp(0, 0).bytes()),
    Seed::new("udp-lite", |s| {
        let frame = Frame::new().ip(s).udp_lite(40000, 53);
        frame.payload(b"data").bytes()
    }),
    Seed::new("icmp echo request", |s| {
        Frame::new().ip(s).icmp(8, 0, &[0, 1, 0, 1]).bytes()
    })
    .v4(),
    Seed::new("icmp unreachable", |s| {
        let quoted = Frame::new().ip(s).udp(40000, 53).bytes().split_off(14);
        let body = [&[0; 4], &quoted[..]].concat();
        Frame::new().ip(s).icmp(3, 4, &body).bytes()
    })
    .v4(),
    Seed::new("icmpv6 echo request", |s| {
        Frame::new().ip(s).icmp(128, 0, &[0, 1, 0, 1]).bytes()
    })
    .v6(),
    Seed::new("icmpv6 packet too big", |s| {
        let quoted = Frame::new().ip(s).udp(40000, 53).bytes().split_off(14);
        let body = [&[0, 0, 5, 0], &quoted[..]].concat();
        Frame::new().ip(s).icmp(2, 0, &body).bytes()
    })
    .v6(),
    Seed::new("sctp", |s| Frame::new().ip(s).sctp(40000, 36412).bytes()),
    Seed::new("gre with ipv4 inside", |s| {
        let frame = Frame::new().ip(s).gre().ipv4(SERVER_V4, SERVER_V4);
        frame.udp(1, 2).bytes()
    }),
    Seed::new("gre with ethernet inside", |s| {
        let frame = Frame::new().ip(s).gre().ethertype(0x6558);
        frame.payload(&[0; 14]).bytes()
    }),
    Seed::new("esp", |s| Frame::new().ip(s).esp().bytes()),
    Seed::new("ah", |s| {
        Frame::new().ip(s).authentication().udp(40000, 53).bytes()
    }),
    Seed::new("ipv4 inside", |s| {
        let frame = Frame::new().ip(s).ipv4(SERVER_V4, SERVER_V4);
        frame.udp(40000, 53).bytes()
    }),
    Seed::new("ipv6 inside", |s| {
        let frame = Frame::new().ip(s).ipv6(SERVER_V6, SERVER_V6);
        frame.udp(40000, 53).bytes()
    }),
    Seed::new("neighbour solicitation of others inside", |s| {
        let frame = Frame::new().ip(s).ipv6(SERVER_V6, SERVER_V6);
        frame.hop_limit(255).icmp(135, 0, &[0; 20]).bytes()
    }),
    Seed::new("igmp", |s| {
        let frame = Frame::new().ip(s).hop_limit(1).protocol(2);
        frame.payload(&[0x16, 0, 9, 4, 224, 0, 0, 251]).bytes()
    })
    .v4(),
    Seed::new("protocol for experiments", |s| {
        Frame::new().ip(s).protocol(253).payload(b"data").bytes()
    }),
    Seed::new("protocol 255", |s| {
        Frame::new().ip(s).protocol(255).payload(b"data").bytes()
    }),
    Seed::new("the other family's icmp", |s| {
        let other = if s.is_ipv4() {
            protocol::ICMPV6
        } else {
            protocol::ICMP
        };
        let frame = Frame::new().ip(s).hop_limit(255).protocol(other);
        frame.payload(&[135, 0, 0, 0, 0, 0, 0, 0]).bytes()
    }),
];
