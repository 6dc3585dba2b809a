extern crate std;

mod fragments;

use core::{
    cell::Cell,
    net::{Ipv4Addr, Ipv6Addr},
};
use std::{vec, vec::Vec};

use proptest::prelude::*;

use super::{protocol::*, *};

const SOURCE_V4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 7);
const TARGET_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const SOURCE_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
const TARGET_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// From port 0x1234 to port 0x0050, and enough of what follows for any transport.
const PORTS: [u8; 14] = [0x12, 0x34, 0, 0x50, 0, 0, 0, 8, 0, 0, 0, 0, 0x50, 0x12];

fn ethernet(ethertype: u16, rest: &[u8]) -> Vec<u8> {
    [&[0xee; 12], &ethertype.to_be_bytes()[..], rest].concat()
}

/// A tag's bytes, from its own type on.
fn tag(tpid: u16, control: u16) -> Vec<u8> {
    [tpid.to_be_bytes(), control.to_be_bytes()].concat()
}

/// Puts tags in front of the Ethernet type of a frame.
fn tagged(frame: &[u8], tags: &[Vec<u8>]) -> Vec<u8> {
    [&frame[..12], &tags.concat(), &frame[12..]].concat()
}

fn ipv4(ihl: u8, fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = fragment.to_be_bytes();
    let options = usize::from(ihl).saturating_sub(5) * 4;
    let packet = [
        &[0x40 | ihl, 0, 0, 0, 0, 0, high, low, 64, protocol, 0, 0][..],
        &SOURCE_V4.octets(),
        &TARGET_V4.octets(),
        &vec![0xaa; options],
        payload,
    ];
    ethernet(IPV4, &packet.concat())
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let packet = [
        &[0x60, 0, 0, 0, 0, 0, next, 255][..],
        &SOURCE_V6.octets(),
        &TARGET_V6.octets(),
        payload,
    ];
    ethernet(IPV6, &packet.concat())
}

/// An extension header of `bytes` that says it is `length` units long.
fn extension(next: u8, length: u8, bytes: usize) -> Vec<u8> {
    let mut header = vec![0; bytes];
    header[0] = next;
    header[1] = length;
    header
}

fn read(frame: &[u8]) -> Packet {
    parse(&frame)
}

fn has_ports(packet: &Packet) -> bool {
    (packet.source_port, packet.destination_port) == (0x1234, 0x0050)
}

#[test]
fn addresses_and_ports_are_read() {
    for (frame, source, target) in [
        (
            ipv4(5, 0, TCP, &PORTS),
            SOURCE_V4.into(),
            IpAddr::from(TARGET_V4),
        ),
        (ipv6(TCP, &PORTS), SOURCE_V6.into(), TARGET_V6.into()),
    ] {
        let packet = read(&frame);
        assert_eq!(packet.kind, Kind::Ip);
        assert_eq!(packet.source, Address::from(source));
        assert_eq!(packet.source.ip(), Some(source));
        assert_eq!(packet.destination.ip(), Some(target));
        assert_eq!(packet.protocol, TCP);
        assert_eq!(packet.transport, Transport::Tcp);
        assert_eq!(packet.tcp_flags, 0x12);
        assert_eq!(packet.vlans, [NO_VLAN; 2]);
        assert!(has_ports(&packet));
    }
    assert_eq!(read(&ipv4(5, 0, TCP, &[])).hop_limit, 64);
    assert_eq!(read(&ipv6(TCP, &[])).hop_limit, 255);
}

#[test]
fn a_header_that_is_cut_off_is_unknown() {
    for (protocol, needed, transport) in [
        (TCP, 14, Transport::Tcp),
        (UDP, 8, Transport::Udp),
        (ICMP, 2, Transport::Icmp),
        (ICMPV6, 2, Transport::Icmp),
    ] {
        for length in 0..=PORTS.len() {
            let payload = &PORTS[..length];
            for frame in [ipv4(5, 0, protocol, payload), ipv6(protocol, payload)] {
                let packet = read(&frame);
                let expected = match length < needed {
                    true => Transport::Unknown,
                    false => transport,
                };
                assert_eq!(packet.transport, expected, "{protocol} with {length} bytes");
                let ports = matches!(expected, Transport::Tcp | Transport::Udp);
                assert_eq!(has_ports(&packet), ports);
                assert_eq!(packet.protocol, protocol);
            }
        }
    }
}

#[test]
fn type_and_code_of_icmp_stand_for_a_port() {
    let packet = read(&ipv6(ICMPV6, &[135, 7]));
    assert_eq!((packet.source_port, packet.destination_port), (0, 0x8707));
}

#[test]
fn other_protocols_have_no_ports() {
    for protocol in [2, 4, 41, 47, 50, 51, 59, 132, 136, 253, 255] {
        let packet = read(&ipv4(5, 0, protocol, &PORTS));
        assert_eq!(packet.transport, Transport::Unknown);
        assert_eq!(packet.protocol, protocol);
        assert_eq!((packet.source_port, packet.destination_port), (0, 0));
    }
}

#[test]
fn what_is_not_ip_has_no_source() {
    for ethertype in [
        0, 46, 0x05dc, 0x0806, 0x8847, 0x8864, 0x88cc, 0x88e5, 0xffff_u16,
    ] {
        let mut frame = ipv4(5, 0, TCP, &PORTS);
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
        assert_eq!(read(&frame), Packet::EMPTY);
    }
}

#[test]
fn two_tags_are_walked_and_their_ids_kept() {
    let outer = [VLAN, QINQ, QINQ_OLD].map(|tpid| tag(tpid, 0xf005));
    for frame in [ipv4(5, 0, TCP, &PORTS), ipv6(TCP, &PORTS)] {
        for outer in &outer {
            let packet = read(&tagged(&frame, core::slice::from_ref(outer)));
            assert_eq!(packet.vlans, [5, NO_VLAN]);
            assert!(has_ports(&packet));
            let both = [outer.clone(), tag(VLAN, 0)];
            let packet = read(&tagged(&frame, &both));
            assert_eq!(packet.vlans, [5, 0]);
            assert!(has_ports(&packet));
        }
    }
}

#[test]
fn a_third_tag_is_seen_but_not_walked() {
    for count in 3..6 {
        for tpid in [VLAN, QINQ, QINQ_OLD] {
            let frame = tagged(&ipv4(5, 0, TCP, &PORTS), &vec![tag(tpid, 0); count]);
            let packet = read(&frame);
            assert_eq!(packet.kind, Kind::Tags);
            assert_eq!(packet.source, Address::NONE);
            // The two bytes of its type are enough.
            assert_eq!(read(&frame[..22]).kind, Kind::Tags);
            assert_eq!(read(&frame[..21]).kind, Kind::Unreadable);
        }
    }
}

#[test]
fn ports_are_read_behind_options() {
    for ihl in 5..=15 {
        assert!(has_ports(&read(&ipv4(ihl, 0, UDP, &PORTS))), "ihl {ihl}");
    }
    for ihl in 0..5 {
        let packet = read(&ipv4(ihl, 0, UDP, &PORTS));
        assert_eq!(packet.transport, Transport::Unknown, "ihl {ihl}");
        assert_eq!(packet.source.ip(), Some(SOURCE_V4.into()));
    }
}

#[test]
fn every_extension_header_is_walked_by_its_own_length() {
    for (number, length, bytes) in [
        (HOP_BY_HOP, 0, 8),
        (ROUTING, 2, 24),
        (DESTINATION, 255, 2048),
        (MOBILITY, 1, 16),
        (HIP, 4, 40),
        (SHIM6, 0, 8),
        // In units of four, less two.
        (AUTHENTICATION, 4, 24),
        (AUTHENTICATION, 0, 8),
        // It has no length.
        (FRAGMENT, 0, 8),
        (FRAGMENT, 99, 8),
    ] {
        let header = extension(UDP, length, bytes);
        let packet = read(&ipv6(number, &[header, PORTS.to_vec()].concat()));
        assert!(has_ports(&packet), "header {number} of {bytes} bytes");
        assert_eq!(packet.protocol, UDP);
    }
}

#[test]
fn six_extension_headers_are_walked_and_no_more() {
    for count in 1..10 {
        let mut payload = extension(DESTINATION, 0, 8).repeat(count - 1);
        payload.extend(extension(UDP, 0, 8));
        payload.extend(PORTS);
        let packet = read(&ipv6(DESTINATION, &payload));
        let walked = count <= 6;
        assert_eq!(has_ports(&packet), walked, "{count} headers");
        assert_eq!(packet.protocol == UDP, walked);
        assert_eq!(packet.source.ip(), Some(SOURCE_V6.into()));
    }
}

/// Endless, and nothing but the longest of extension headers behind two tags.
struct Endless {
    furthest: Cell<usize>,
}

impl Frame for Endless {
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.furthest.set(self.furthest.get().max(offset + N));
        let start = tagged(&ipv6(DESTINATION, &[]), &[tag(VLAN, 1), tag(VLAN, 2)]);
        // Behind the last one stands TCP, which is read the furthest.
        let next = match offset < start.len() + 5 * 2048 {
            true => DESTINATION,
            false => TCP,
        };
        let known = start.get(offset..).and_then(<[u8]>::first_chunk);
        let mut bytes = [255; N];
        if let Some(first) = bytes.first_mut() {
            *first = next;
        }
        Some(known.copied().unwrap_or(bytes))
    }
}

#[test]
fn no_frame_is_read_further_than_the_kernel_program_can() {
    /// `OFFSET_MASK` of the kernel program.
    const MASK: usize = 0x3fff;
    let frame = Endless {
        furthest: Cell::new(0),
    };
    assert_eq!(parse(&frame).transport, Transport::Tcp);
    let furthest = frame.furthest.get();
    assert_eq!(furthest, 14 + 2 * 4 + 40 + 6 * 2048 + 14);
    assert!(furthest <= MASK);
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = || prop::collection::vec(any::<u8>(), 0..80);
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..120),
        (0..16u8, any::<u16>(), any::<u8>(), payload())
            .prop_map(|(ihl, fragment, next, rest)| ipv4(ihl, fragment, next, &rest)),
        (any::<u8>(), payload()).prop_map(|(next, rest)| ipv6(next, &rest)),
        (0..4usize, any::<u16>(), payload()).prop_map(|(count, control, rest)| {
            tagged(&ipv6(HOP_BY_HOP, &rest), &vec![tag(VLAN, control); count])
        }),
    ]
}

proptest! {
    #[test]
    fn a_cut_frame_is_read_like_the_whole_or_not_at_all(frame in any_frame()) {
        let whole = read(&frame);
        for length in 0..frame.len() {
            let cut = read(&frame[..length]);
            match cut.kind {
                Kind::Unreadable => {}
                _ => prop_assert_eq!((cut.kind, cut.source), (whole.kind, whole.source)),
            }
            match cut.transport {
                Transport::Unknown => {}
                // Ports are all that is left of TCP.
                Transport::TcpCut => {
                    let ports = |packet: &Packet| (packet.source_port, packet.destination_port);
                    prop_assert_eq!(ports(&cut), ports(&whole));
                    prop_assert!(matches!(whole.transport, Transport::Tcp | Transport::TcpCut));
                }
                _ => prop_assert_eq!(cut, whole),
            }
        }
    }

    #[test]
    fn only_an_ip_packet_has_a_source(frame in any_frame()) {
        let packet = read(&frame);
        prop_assert_eq!(packet.kind == Kind::Ip, packet.source.family != Family::None);
        prop_assert_eq!(packet.kind == Kind::Ip, packet.source.ip().is_some());
    }
}

#[test]
fn a_v4_mapped_source_is_the_ipv4_address_and_its_neighbours_are_not() {
    let frame = |source: [u8; 16]| {
        let mut bytes = std::vec![0u8; 14 + 40];
        bytes[12..14].copy_from_slice(&[0x86, 0xdd]);
        bytes[14] = 0x60;
        bytes[14 + 8..14 + 24].copy_from_slice(&source);
        parse(&bytes.as_slice()).source.ip()
    };
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7];
    assert_eq!(frame(mapped), Some(IpAddr::from([192, 0, 2, 7])));
    for (at, byte) in [(0, 1), (9, 1), (10, 0xfe), (11, 0)] {
        let mut other = mapped;
        other[at] = byte;
        assert_eq!(frame(other), Some(IpAddr::from(other)));
    }
}
