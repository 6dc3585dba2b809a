extern crate std;

mod link;

use core::{
    cell::Cell,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use proptest::prelude::*;

use super::*;
use crate::abi::NO_VLAN;

const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7));

/// What the tables say of every source.
#[derive(Clone, Copy, Debug)]
struct Listed {
    guard: bool,
    allow: Option<u8>,
    block: Option<u8>,
    cross: Option<u8>,
}

const UNLISTED: Listed = Listed {
    guard: false,
    allow: None,
    block: None,
    cross: None,
};

const BLOCKED: Listed = Listed {
    block: Some(9),
    ..UNLISTED
};

impl Tables for Listed {
    type Entry = u8;

    fn guarded(&self, _source: &Address) -> bool {
        self.guard
    }

    fn allowed(&self, _source: &Address) -> Option<u8> {
        self.allow
    }

    fn blocked(&self, _source: &Address) -> Option<u8> {
        self.block
    }

    fn crossed(&self, _packet: &Packet, _kind: scan::Kind) -> Option<u8> {
        self.cross
    }
}

/// Lists nobody, and remembers what it was asked about probes.
#[derive(Default)]
struct Counting(Cell<Option<scan::Kind>>);

impl Tables for Counting {
    type Entry = u8;

    fn guarded(&self, _source: &Address) -> bool {
        false
    }

    fn allowed(&self, _source: &Address) -> Option<u8> {
        None
    }

    fn blocked(&self, _source: &Address) -> Option<u8> {
        None
    }

    fn crossed(&self, _packet: &Packet, kind: scan::Kind) -> Option<u8> {
        assert_eq!(self.0.replace(Some(kind)), None, "asked twice");
        None
    }
}

/// An ordinary packet: TCP to port 22.
fn packet(source: IpAddr) -> Packet {
    Packet {
        kind: Kind::Ip,
        source: Address::from(source),
        destination: Address::from(source),
        vlans: [NO_VLAN; 2],
        protocol: protocol::TCP,
        hop_limit: 64,
        transport: Transport::Tcp,
        tcp_flags: 2,
        source_port: 40000,
        destination_port: 22,
    }
}

fn udp(source: IpAddr, ports: (u16, u16)) -> Packet {
    Packet {
        protocol: protocol::UDP,
        transport: Transport::Udp,
        source_port: ports.0,
        destination_port: ports.1,
        ..packet(source)
    }
}

fn icmpv6(kind: u8, code: u8, hop_limit: u8) -> Packet {
    Packet {
        protocol: protocol::ICMPV6,
        transport: Transport::Icmp,
        hop_limit,
        source_port: 0,
        destination_port: u16::from_be_bytes([kind, code]),
        ..packet(V6)
    }
}

#[test]
fn guard_beats_allow_beats_block_beats_a_crossing() {
    for listed in 0..16 {
        let entry = |bit: u8, entry| (listed >> bit & 1 == 1).then_some(entry);
        let tables = Listed {
            guard: listed & 8 != 0,
            allow: entry(2, 5),
            block: entry(1, 9),
            cross: entry(0, 7),
        };
        let (reason, entry) = match listed {
            8..=15 => (Reason::Guard, None),
            4..=7 => (Reason::Allow, Some(5)),
            2..=3 => (Reason::Block, Some(9)),
            1 => (Reason::Scan, Some(7)),
            _ => (Reason::Default, None),
        };
        for (source, family) in [(V4, Family::V4), (V6, Family::V6)] {
            let expected = Decision {
                reason,
                family,
                entry,
            };
            assert_eq!(decide(&packet(source), &tables), expected, "{tables:?}");
        }
    }
}

#[test]
fn what_is_no_probe_is_not_asked_about() {
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const RST: u8 = 4;
    const ACK: u8 = 16;
    let tcp = |tcp_flags| Packet {
        tcp_flags,
        ..packet(V4)
    };
    let other = |transport| Packet {
        transport,
        ..packet(V4)
    };
    for (packet, expected) in [
        (tcp(SYN), Some(scan::Kind::Syn)),
        (tcp(0), Some(scan::Kind::Flags)),
        (tcp(FIN), Some(scan::Kind::Flags)),
        (tcp(FIN | ACK), Some(scan::Kind::Fin)),
        (udp(V6, (40000, 53)), Some(scan::Kind::Udp)),
        (other(Transport::TcpCut), Some(scan::Kind::Flags)),
        (tcp(SYN | ACK), None),
        (tcp(RST), None),
        (tcp(RST | ACK), None),
        (tcp(ACK), None),
        (other(Transport::Icmp), None),
        (other(Transport::Unknown), None),
        (icmpv6(128, 0, 64), None),
        // They keep the link.
        (udp(V4, (67, 68)), None),
        (udp(V6, (547, 546)), None),
    ] {
        let tables = Counting::default();
        let decision = decide(&packet, &tables);
        assert_eq!(tables.0.get(), expected, "{packet:?}");
        assert_eq!(decision.entry, None);
        assert!(!decision.reason.drops());
    }
}

#[test]
fn a_frame_without_a_source_asks_no_table() {
    for (kind, reason) in [
        (Kind::NotIp, Reason::NotIp),
        (Kind::Unreadable, Reason::Unreadable),
        (Kind::Tags, Reason::Tags),
    ] {
        for tables in [
            BLOCKED,
            Listed {
                guard: true,
                ..BLOCKED
            },
        ] {
            let packet = Packet {
                kind,
                source: Address::NONE,
                ..packet(V4)
            };
            let expected = Decision {
                reason,
                family: Family::None,
                entry: None,
            };
            assert_eq!(decide(&packet, &tables), expected);
        }
    }
}

#[test]
fn too_many_tags_blocks_and_crossings_drop_and_nothing_else_does() {
    for reason in Reason::ALL {
        let drops = [Reason::Tags, Reason::Block, Reason::Scan].contains(&reason);
        assert_eq!(reason.drops(), drops, "{reason:?}");
    }
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let source = prop_oneof![Just(V4), Just(V6)];
    let kind = prop_oneof![
        1 => Just(Kind::NotIp),
        1 => Just(Kind::Unreadable),
        1 => Just(Kind::Tags),
        9 => Just(Kind::Ip),
    ];
    let transport = prop_oneof![
        Just(Transport::Unknown),
        Just(Transport::Tcp),
        Just(Transport::TcpCut),
        Just(Transport::Udp),
        Just(Transport::Icmp),
    ];
    let port = || {
        prop_oneof![
            Just(67_u16),
            Just(68),
            Just(546),
            Just(547),
            Just(0x8700),
            any::<u16>(),
        ]
    };
    let hop_limit = prop_oneof![Just(1_u8), Just(255), any::<u8>()];
    let protocol = prop_oneof![Just(protocol::ICMPV6), any::<u8>()];
    let flags = any::<u8>();
    let numbers = (hop_limit, protocol, flags);
    (source, kind, transport, port(), port(), numbers).prop_map(
        |(source, kind, transport, source_port, destination_port, numbers)| Packet {
            kind,
            transport,
            hop_limit: numbers.0,
            protocol: numbers.1,
            tcp_flags: numbers.2,
            source_port,
            destination_port,
            ..packet(source)
        },
    )
}

fn any_tables() -> impl Strategy<Value = Listed> {
    let entry = any::<Option<u8>>;
    let fields = (any::<bool>(), entry(), entry(), entry());
    fields.prop_map(|(guard, allow, block, cross)| Listed {
        guard,
        allow,
        block,
        cross,
    })
}

proptest! {
    #[test]
    fn the_guarded_and_the_allowed_are_never_dropped(packet in any_packet(), tables in any_tables()) {
        let decision = decide(&packet, &tables);
        if packet.kind != Kind::Tags && (tables.guard || tables.allow.is_some()) {
            prop_assert!(!decision.reason.drops(), "{decision:?}");
        }
    }

    #[test]
    fn an_ip_packet_is_dropped_only_by_a_block_or_a_crossing(
        packet in any_packet(), tables in any_tables()
    ) {
        let decision = decide(&packet, &tables);
        if packet.kind == Kind::Ip && decision.reason.drops() {
            prop_assert!(!tables.guard && tables.allow.is_none());
            prop_assert!(decision.entry.is_some());
            prop_assert_eq!(decision.entry, tables.block.or(tables.cross));
        }
    }

    #[test]
    fn link_traffic_passes_whatever_the_tables_say(packet in any_packet(), tables in any_tables()) {
        if decide(&packet, &UNLISTED).reason == Reason::Link {
            prop_assert_eq!(decide(&packet, &tables).reason, Reason::Link);
        }
    }
}
