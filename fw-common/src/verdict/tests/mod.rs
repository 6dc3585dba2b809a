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
    ruled: Ruled,
}

const SILENT: Ruled = Ruled {
    exceeds: 0,
    closed_by: 0,
};

const UNLISTED: Listed = Listed {
    guard: false,
    allow: None,
    block: None,
    cross: None,
    ruled: SILENT,
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

    fn ruled(&self, _packet: &Packet, _kind: scan::Kind) -> Ruled {
        self.ruled
    }

    fn crossed(&self, _packet: &Packet, _kind: scan::Kind) -> Option<u8> {
        self.cross
    }
}

/// Lists nobody, and remembers what it was asked about rules and about probes.
#[derive(Default)]
struct Counting {
    ruled: Cell<Option<scan::Kind>>,
    crossed: Cell<Option<scan::Kind>>,
}

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

    fn ruled(&self, _packet: &Packet, kind: scan::Kind) -> Ruled {
        assert_eq!(self.ruled.replace(Some(kind)), None, "asked twice");
        SILENT
    }

    fn crossed(&self, _packet: &Packet, kind: scan::Kind) -> Option<u8> {
        assert_eq!(self.crossed.replace(Some(kind)), None, "asked twice");
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
fn guard_beats_allow_beats_block_beats_a_limit_beats_a_crossing_beats_a_rule() {
    for listed in 0..64_u32 {
        let bit = |bit: u32| listed >> bit & 1;
        let entry = |at: u32, entry| (bit(at) == 1).then_some(entry);
        let tables = Listed {
            guard: bit(5) == 1,
            allow: entry(4, 5),
            block: entry(3, 9),
            cross: entry(1, 7),
            ruled: Ruled {
                exceeds: bit(2) * 11,
                closed_by: bit(0) * 12,
            },
        };
        let (reason, entry, rule) = match listed {
            32.. => (Reason::Guard, None, 0),
            16.. => (Reason::Allow, Some(5), 0),
            8.. => (Reason::Block, Some(9), 0),
            4.. => (Reason::Limit, None, 11),
            2.. => (Reason::Scan, Some(7), 0),
            1 => (Reason::Rule, None, 12),
            _ => (Reason::Default, None, 0),
        };
        for (source, family) in [(V4, Family::V4), (V6, Family::V6)] {
            let expected = Decision {
                reason,
                family,
                entry,
                rule,
            };
            assert_eq!(decide(&packet(source), &tables), expected, "{tables:?}");
        }
    }
}

#[test]
fn a_connection_that_is_too_many_is_not_counted_as_a_probe() {
    struct Limited(Counting);

    impl Tables for Limited {
        type Entry = u8;

        fn guarded(&self, source: &Address) -> bool {
            self.0.guarded(source)
        }

        fn allowed(&self, source: &Address) -> Option<u8> {
            self.0.allowed(source)
        }

        fn blocked(&self, source: &Address) -> Option<u8> {
            self.0.blocked(source)
        }

        fn ruled(&self, _packet: &Packet, _kind: scan::Kind) -> Ruled {
            Ruled {
                exceeds: 3,
                closed_by: 0,
            }
        }

        fn crossed(&self, packet: &Packet, kind: scan::Kind) -> Option<u8> {
            self.0.crossed(packet, kind)
        }
    }

    let tables = Limited(Counting::default());
    assert_eq!(decide(&packet(V4), &tables).reason, Reason::Limit);
    assert_eq!(tables.0.crossed.get(), None);
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
        assert_eq!(tables.crossed.get(), expected, "{packet:?}");
        assert_eq!(tables.ruled.get(), expected, "{packet:?}");
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
                rule: 0,
            };
            assert_eq!(decide(&packet, &tables), expected);
        }
    }
}

#[test]
fn tags_blocks_crossings_limits_and_rules_drop_and_nothing_else_does() {
    for reason in Reason::ALL {
        let drops = [
            Reason::Tags,
            Reason::Block,
            Reason::Scan,
            Reason::Limit,
            Reason::Rule,
        ];
        assert_eq!(reason.drops(), drops.contains(&reason), "{reason:?}");
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
    let ruled = (0_u32..3, 0_u32..3).prop_map(|(exceeds, closed_by)| Ruled { exceeds, closed_by });
    let fields = (any::<bool>(), entry(), entry(), entry(), ruled);
    fields.prop_map(|(guard, allow, block, cross, ruled)| Listed {
        guard,
        allow,
        block,
        cross,
        ruled,
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
    fn an_ip_packet_is_dropped_only_by_an_entry_or_a_rule(
        packet in any_packet(), tables in any_tables()
    ) {
        let decision = decide(&packet, &tables);
        if packet.kind == Kind::Ip && decision.reason.drops() {
            prop_assert!(!tables.guard && tables.allow.is_none());
            prop_assert!(decision.entry.is_some() != (decision.rule != 0));
            let rules = [tables.ruled.exceeds, tables.ruled.closed_by];
            match decision.entry {
                Some(_) => prop_assert_eq!(decision.entry, tables.block.or(tables.cross)),
                None => prop_assert!(rules.contains(&decision.rule)),
            }
        }
    }

    #[test]
    fn link_traffic_passes_whatever_the_tables_say(packet in any_packet(), tables in any_tables()) {
        if decide(&packet, &UNLISTED).reason == Reason::Link {
            prop_assert_eq!(decide(&packet, &tables).reason, Reason::Link);
        }
    }
}
