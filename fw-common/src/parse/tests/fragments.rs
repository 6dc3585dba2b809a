//! First fragments, later ones, and first ones that end too early.

use super::*;

#[test]
fn only_the_first_fragment_has_ports() {
    // Reserved, do not fragment, more fragments: none of them is an offset.
    for flags in 0..8 {
        let fragment = flags << 13;
        assert!(has_ports(&read(&ipv4(5, fragment, UDP, &PORTS))));
        for bit in 0..13 {
            let packet = read(&ipv4(5, fragment | 1 << bit, UDP, &PORTS));
            assert_eq!(packet.transport, Transport::Unknown);
            assert_eq!(packet.source.ip(), Some(SOURCE_V4.into()));
        }
    }
    for low in 0..16_u16 {
        let first = low < 8;
        let header = [UDP, 0, 0, low as u8, 0, 0, 0, 0];
        let packet = read(&ipv6(FRAGMENT, &[&header[..], &PORTS].concat()));
        assert_eq!(has_ports(&packet), first);
        assert_eq!(packet.protocol, UDP);
    }
}

#[test]
fn a_later_fragment_ends_the_chain() {
    let later = [DESTINATION, 0, 0, 8, 0, 0, 0, 0];
    let packet = read(&ipv6(FRAGMENT, &[&later[..], &[UDP; 16]].concat()));
    assert_eq!(packet.protocol, DESTINATION);
    assert_eq!(packet.transport, Transport::Unknown);
}

/// `nmap -f` sends the first eight bytes of TCP, and the flags in the next fragment.
#[test]
fn a_first_fragment_that_ends_between_ports_and_flags_is_cut() {
    for length in 0..=PORTS.len() {
        let payload = &PORTS[..length];
        let chain = |low| [&[TCP, 0, 0, low, 0, 0, 0, 0], payload].concat();
        let options = [&[TCP, 0, 0, 0, 0, 0, 0, 0], payload].concat();
        let first = [&[DESTINATION, 0, 0, 1, 0, 0, 0, 0], &*options].concat();
        for (frame, more) in [
            (ipv4(5, 0x2000, TCP, payload), true),
            (ipv4(15, 0x2000, TCP, payload), true),
            // Do not fragment, and the reserved bit.
            (ipv4(5, 0xc000, TCP, payload), false),
            (ipv4(5, 0, TCP, payload), false),
            (ipv6(FRAGMENT, &chain(1)), true),
            (ipv6(FRAGMENT, &first), true),
            // Reserved bits, and the last fragment of one.
            (ipv6(FRAGMENT, &chain(6)), false),
            (ipv6(FRAGMENT, &chain(0)), false),
            (ipv6(TCP, payload), false),
        ] {
            let packet = read(&frame);
            let expected = match (length, more) {
                (14, _) => Transport::Tcp,
                (4..14, true) => Transport::TcpCut,
                _ => Transport::Unknown,
            };
            assert_eq!(packet.transport, expected, "{length} bytes in {frame:02x?}");
            assert_eq!(has_ports(&packet), expected != Transport::Unknown);
            assert_eq!(packet.tcp_flags != 0, expected == Transport::Tcp);
        }
    }
}

#[test]
fn later_fragments_and_other_protocols_are_not_cut() {
    let short = &PORTS[..8];
    for offset in [1, 2, 0x1fff] {
        let packet = read(&ipv4(5, 0x2000 | offset, TCP, short));
        assert_eq!(packet.transport, Transport::Unknown);
    }
    let later = [&[TCP, 0, 0, 8 | 1, 0, 0, 0, 0], short].concat();
    assert_eq!(read(&ipv6(FRAGMENT, &later)).transport, Transport::Unknown);
    for protocol in [UDP, ICMP, 33, 132, 136] {
        let packet = read(&ipv4(5, 0x2000, protocol, &PORTS[..6]));
        assert_ne!(packet.transport, Transport::TcpCut);
        assert!(!has_ports(&packet));
    }
}
