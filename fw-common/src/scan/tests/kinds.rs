//! Which packets are probes.

use core::net::IpAddr;

use super::*;
use crate::{abi::NO_VLAN, parse};

fn packet(transport: Transport, tcp_flags: u8) -> Packet {
    Packet {
        kind: parse::Kind::Ip,
        source: Address::from(IpAddr::from([198, 51, 100, 7])),
        destination: Address::from(IpAddr::from([192, 0, 2, 1])),
        vlans: [NO_VLAN; 2],
        protocol: parse::protocol::TCP,
        hop_limit: 64,
        transport,
        tcp_flags,
        source_port: 40000,
        destination_port: 22,
    }
}

/// By ACK, RST, SYN and FIN, as they stand in RFC 9293, section 3.1, from the left: what a host
/// that has no connection with the sender makes of the segment.
const TABLE: [(u8, Option<Kind>); 16] = [
    // No stack sends a segment without SYN, RST or ACK.
    (0b0000, Some(Kind::Flags)),
    (0b0001, Some(Kind::Flags)),
    // Opens a connection.
    (0b0010, Some(Kind::Syn)),
    // Opens and closes at once: never sent, and stacks differ in their answer.
    (0b0011, Some(Kind::Flags)),
    // Refuses, or answers to somebody who uses our address.
    (0b0100, None),
    (0b0101, None),
    // Opens and refuses at once.
    (0b0110, Some(Kind::Flags)),
    (0b0111, Some(Kind::Flags)),
    // Data, or an acknowledgement.
    (0b1000, None),
    // The last words of a connection; Maimon's probe, if there was none.
    (0b1001, Some(Kind::Fin)),
    // Accepts a connection.
    (0b1010, None),
    (0b1011, Some(Kind::Flags)),
    // Refuses what was sent, or gives up.
    (0b1100, None),
    (0b1101, None),
    (0b1110, Some(Kind::Flags)),
    (0b1111, Some(Kind::Flags)),
];

/// PSH, URG and the bits of ECN (RFC 3168) say nothing of what a segment does.
#[test]
fn every_combination_of_tcp_flags_is_a_probe_or_an_answer() {
    for (number, (bits, expected)) in (0_u8..).zip(TABLE) {
        assert_eq!(number, bits);
        let [fin, syn, rst, ack] = [0, 1, 2, 3].map(|bit| bits >> bit & 1);
        let byte = fin | syn << 1 | rst << 2 | ack << 4;
        for others in 0..16 {
            let [psh, urg, ece, cwr] = [0, 1, 2, 3].map(|bit| others >> bit & 1);
            let flags = byte | psh << 3 | urg << 5 | ece << 6 | cwr << 7;
            let found = kind(&packet(Transport::Tcp, flags));
            assert_eq!(found, expected, "{flags:08b}");
        }
    }
}

#[test]
fn without_tcp_flags_the_transport_alone_says_what_a_packet_is() {
    for flags in 0..=255 {
        for (transport, expected) in [
            (Transport::Udp, Some(Kind::Udp)),
            (Transport::TcpCut, Some(Kind::Flags)),
            (Transport::Icmp, None),
            (Transport::Unknown, None),
        ] {
            assert_eq!(kind(&packet(transport, flags)), expected, "{transport:?}");
        }
    }
}

#[test]
fn each_kind_has_a_bit_of_its_own() {
    let bits = [Kind::Syn, Kind::Udp, Kind::Flags, Kind::Fin].map(|kind| kind as u8);
    let all = bits.into_iter().chain([Kind::BAIT]);
    let distinct = all.clone().fold(0, |seen, bit| seen | bit);
    assert_eq!(distinct.count_ones() as usize, all.count());
}

#[test]
fn a_chain_of_headers_that_nobody_sends_is_enough_by_itself() {
    assert_eq!(kind(&packet(Transport::Chain, 0)), Some(Kind::Chain));
    let highest = 64 * ONE;
    assert!(Kind::Chain.weight() > highest);
    assert!(Kind::Flags.weight() < 3 * ONE);
}
