//! What keeps the link alive.

use super::*;

fn reason(packet: &Packet) -> Reason {
    decide(packet, &BLOCKED).reason
}

#[test]
fn discovery_from_this_link_passes_though_blocked() {
    for kind in 0..=255 {
        let discovery = (133..=137).contains(&kind);
        let expected = match discovery {
            true => Reason::Link,
            false => Reason::Block,
        };
        assert_eq!(reason(&icmpv6(kind, 0, 255)), expected, "type {kind}");
        // A router took one off, so it comes from beyond the link.
        assert_eq!(reason(&icmpv6(kind, 0, 254)), Reason::Block);
        assert_eq!(reason(&icmpv6(kind, 1, 255)), Reason::Block);
    }
}

#[test]
fn listener_messages_of_this_link_pass_though_blocked() {
    for kind in 0..=255 {
        let expected = match kind {
            130..=132 | 143 => Reason::Link,
            _ => Reason::Block,
        };
        assert_eq!(reason(&icmpv6(kind, 0, 1)), expected, "type {kind}");
        assert_eq!(reason(&icmpv6(kind, 0, 2)), Reason::Block);
        assert_eq!(reason(&icmpv6(kind, 0, 0)), Reason::Block);
        assert_eq!(reason(&icmpv6(kind, 1, 1)), Reason::Block);
    }
}

#[test]
fn discovery_is_icmpv6_in_ipv6() {
    let solicitation = icmpv6(135, 0, 255);
    for other in [
        Packet {
            protocol: protocol::ICMP,
            ..solicitation
        },
        Packet {
            source: Address::from(V4),
            ..solicitation
        },
        Packet {
            transport: Transport::Unknown,
            ..solicitation
        },
        Packet {
            transport: Transport::Udp,
            ..solicitation
        },
    ] {
        assert_eq!(reason(&other), Reason::Block, "{other:?}");
    }
}

#[test]
fn dhcp_to_a_client_passes_though_blocked() {
    let link = [(V4, (67, 68)), (V6, (547, 546))];
    let ports = [67, 68, 546, 547];
    for source in [V4, V6] {
        for ports in ports.map(|from| ports.map(|to| (from, to))).concat() {
            let expected = match link.contains(&(source, ports)) {
                true => Reason::Link,
                false => Reason::Block,
            };
            assert_eq!(reason(&udp(source, ports)), expected, "{ports:?}");
            for transport in [Transport::Tcp, Transport::Icmp, Transport::Unknown] {
                let other = Packet {
                    transport,
                    ..udp(source, ports)
                };
                assert_eq!(reason(&other), Reason::Block, "{other:?}");
            }
        }
    }
}

#[test]
fn a_crossing_never_costs_the_link_its_traffic() {
    let crossing = Listed {
        cross: Some(7),
        ..UNLISTED
    };
    for link in [
        udp(V4, (67, 68)),
        udp(V6, (547, 546)),
        icmpv6(135, 0, 255),
        icmpv6(143, 0, 1),
    ] {
        assert_eq!(decide(&link, &crossing).reason, Reason::Link);
    }
    assert_eq!(decide(&udp(V4, (67, 69)), &crossing).reason, Reason::Scan);
}
