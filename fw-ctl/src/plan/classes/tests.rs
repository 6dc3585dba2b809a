use std::net::IpAddr;

use proptest::prelude::*;

use super::*;
use crate::{
    plan::ruleset::{Decided, Ruleset},
    policy::{
        rate::{Per, Rate},
        rules::Base,
        service,
    },
};

fn row(id: u32, service: &str, source: Option<&str>, verdict: Verdict) -> PortRow {
    PortRow {
        id: RuleId(id),
        service: service.parse().expect(service),
        source: source.map(|source| source.parse().expect(source)),
        verdict,
    }
}

fn limit(id: u32, service: &str) -> LimitRow {
    LimitRow {
        id: RuleId(id),
        service: service.parse().expect(service),
        sources: Vec::new(),
        rate: "10/minute".parse::<Rate>().expect("a rate"),
        burst: 5,
        per: Per::Source,
    }
}

/// Rows in the order of a ruleset.
fn sorted(mut rows: Vec<PortRow>) -> Vec<PortRow> {
    rows.sort_by_key(|row| {
        let length = row.source.map_or(0, |source| source.length());
        (
            std::cmp::Reverse(length),
            row.service.width(),
            row.verdict,
            row.id,
        )
    });
    rows
}

fn classes(ports: Vec<PortRow>, limits: Vec<LimitRow>) -> Classes {
    let pushdown = Pushdown {
        ports: sorted(ports),
        limits,
    };
    Classes::of(&pushdown, &PortSet::default()).expect("not too much")
}

impl Classes {
    fn class(&self, port: u16) -> Option<&Class> {
        let place = self.ports[usize::from(port)]?;
        Some(&self.classes[usize::from(place)])
    }

    /// As the kernel program finds it: the longest source.
    fn row(&self, source: IpAddr, port: u16) -> Option<Row> {
        let rows = &self.class(port)?.rows;
        let mut covering = Prefix::host(source).ancestors();
        covering.find_map(|prefix| rows.get(&prefix)).copied()
    }
}

#[test]
fn ports_with_the_same_rules_share_a_class_and_others_have_none() {
    let classes = classes(
        vec![
            row(1, "tcp/22", Some("10.0.0.0/8"), Verdict::Accept),
            row(2, "tcp/22,80-90", None, Verdict::Drop),
            row(3, "tcp/443", None, Verdict::Accept),
        ],
        vec![limit(4, "tcp/85")],
    );
    assert_eq!(classes.classes.len(), 3);
    assert_eq!(classes.ports[80], classes.ports[90]);
    assert_ne!(classes.ports[80], classes.ports[85]);
    assert_ne!(classes.ports[80], classes.ports[22]);
    // One that closes nothing to anybody is none.
    for port in [0, 21, 23, 79, 91, 443, 65535] {
        assert_eq!(classes.class(port), None, "{port}");
    }
    assert_eq!(classes.class(85).expect("it has rules").limits, [RuleId(4)]);
}

#[test]
fn a_rule_for_all_ports_covers_the_first_and_the_last() {
    let classes = classes(vec![row(1, "tcp", None, Verdict::Drop)], vec![]);
    assert_eq!(classes.classes.len(), 1);
    assert!(classes.ports.iter().all(|place| *place == Some(0)));
    for everybody in ["0.0.0.0/0", "::/0"] {
        let everybody = everybody.parse::<Prefix>().expect("a prefix");
        assert_eq!(classes.classes[0].rows[&everybody].rule, RuleId(1));
    }
}

#[test]
fn a_port_that_is_translated_is_left_alone() {
    let mut published = PortSet::default();
    published.insert(Protocol::Tcp, 81);
    published.insert(Protocol::Udp, 80);
    let pushdown = Pushdown {
        ports: vec![row(1, "tcp/80-82", None, Verdict::Drop)],
        limits: vec![limit(2, "tcp/81")],
    };
    let classes = Classes::of(&pushdown, &published).expect("not too much");
    assert_eq!(classes.ports[81], None);
    assert!(classes.ports[80].is_some() && classes.ports[82].is_some());
    // The class that only it would have is not made.
    assert_eq!(classes.classes.len(), 1);
}

#[test]
fn what_is_too_much_is_refused() {
    let refused = |ports, limits| {
        let pushdown = Pushdown {
            ports: sorted(ports),
            limits,
        };
        Classes::of(&pushdown, &PortSet::default())
    };
    let limits = |count| (1..=count).map(|id| limit(id, "tcp/22")).collect();
    assert!(refused(vec![], limits(4)).is_ok());
    assert_eq!(refused(vec![], limits(5)), Err(TooMuch::Limits(22)));

    let ports = |count: u32| {
        let one = |port: u32| row(port, &format!("tcp/{port}"), None, Verdict::Drop);
        (1..=count).map(one).collect()
    };
    let most = Classes::MAX as u32;
    assert!(refused(ports(most), vec![]).is_ok());
    assert_eq!(refused(ports(most + 1), vec![]), Err(TooMuch::Classes));

    // One rule for all ports stands in each class.
    let mut rows: Vec<PortRow> = ports(200);
    rows.extend((0..200_u32).map(|host| {
        let source = format!("192.0.{}.{}", host / 256, host % 256);
        row(1_000, "tcp", Some(&source), Verdict::Drop)
    }));
    assert_eq!(refused(rows, vec![]), Err(TooMuch::Rows));
}

/// Few addresses and few ports, so that much of it meets.
fn any_source() -> impl Strategy<Value = Option<Prefix>> {
    let v4 = (0_u32..4, 0_u8..=32).prop_map(|(bits, length)| {
        Prefix::new(Ipv4Addr::from_bits(0xc000_0200 | bits << 6).into(), length)
    });
    let v6 = (0_u128..4, 0_u8..=128).prop_map(|(bits, length)| {
        Prefix::new(
            Ipv6Addr::from_bits(0x2001_0db8 << 96 | bits << 63).into(),
            length,
        )
    });
    prop_oneof![Just(None), v4, v6]
}

fn any_service() -> impl Strategy<Value = Service> {
    let range = (1_u16..12, 0_u16..6).prop_map(|(first, more)| format!("{first}-{}", first + more));
    let ranges = prop::collection::vec(range, 1..4).prop_map(|ranges| ranges.join(","));
    let text = prop_oneof![
        6 => ranges.prop_map(|ranges| format!("tcp/{ranges}")),
        1 => Just("tcp/65530-65535".to_owned()),
        1 => Just("tcp".to_owned()),
    ];
    text.prop_map(|text| text.parse().expect("a service"))
}

fn any_row() -> impl Strategy<Value = PortRow> {
    let verdict = prop_oneof![Just(Verdict::Accept), Just(Verdict::Drop)];
    (1_u32..20, any_service(), any_source(), verdict).prop_map(|(id, service, source, verdict)| {
        PortRow {
            id: RuleId(id),
            service,
            source,
            verdict,
        }
    })
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0_u32..1024).prop_map(|bits| Ipv4Addr::from_bits(0xc000_0200 ^ bits).into()),
        (0_u128..8).prop_map(|bits| Ipv6Addr::from_bits(0x2001_0db8 << 96 | bits << 62).into()),
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
    ]
}

proptest! {
    #[test]
    fn the_longest_source_of_a_class_is_the_first_row_that_matches(
        rows in prop::collection::vec(any_row(), 0..20),
        services in prop::collection::vec(any_service(), 0..4),
        packets in prop::collection::vec((any_address(), prop_oneof![0_u16..20, 65528_u16..]), 60),
    ) {
        let limits: Vec<LimitRow> = (30..)
            .zip(&services)
            .map(|(id, service)| limit(id, &service.to_string()))
            .collect();
        let ruleset = Ruleset {
            observe: false,
            forward: false,
            base: Base { default: Verdict::Accept, drop_invalid: true },
            limits: limits.clone(),
            ports: sorted(rows.clone()),
        };
        let classes = classes(rows, limits);
        prop_assert!(classes.classes.iter().all(Class::stops));
        for (source, port) in packets {
            let decided = ruleset.decide(source, service::Protocol::Tcp, port);
            let row = classes.row(source, port);
            // A port that nothing closes has no class, and then its rows are left out.
            let expected = match (decided, row) {
                (Decided { rule: Some(rule), verdict }, Some(_)) => Some(Row { rule, verdict }),
                (Decided { verdict, .. }, None) => {
                    prop_assert_eq!(verdict, Verdict::Accept);
                    None
                }
                (Decided { rule: None, .. }, Some(_)) => None,
            };
            prop_assert_eq!(row, expected, "{} to port {}", source, port);
            let asked: Vec<RuleId> = ruleset
                .limits_of(source, service::Protocol::Tcp, port)
                .map(|limit| limit.id)
                .collect();
            let limits = classes.class(port).map_or(&[][..], |class| &class.limits);
            prop_assert_eq!(limits, asked);
        }
    }
}
