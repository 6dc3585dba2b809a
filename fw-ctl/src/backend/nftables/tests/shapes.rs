//! All that can be said.

use super::*;

#[test]
fn every_shape_of_a_rule_and_of_a_set_is_taken() {
    alone(|| {
        let mut mirror = Nftables::new();
        let v4 = (0..=32).map(|length| Prefix::new([203, 0, 113, 255].into(), length));
        let v6 = (0..=128).map(|length| Prefix::new([0xfd00, 0, 0, 1, 2, 3, 4, 5].into(), length));
        let all: Vec<_> = v4.chain(v6).flatten().collect();
        let block = all.iter().map(|prefix| Element {
            prefix: *prefix,
            deadline: None,
        });
        let services = [
            "tcp",
            "udp/53",
            "tcp/1-65535",
            "icmp",
            "igmp",
            "gre",
            "sctp",
        ];
        let sources = [
            None,
            Some("0.0.0.0/0"),
            Some("::/0"),
            Some("192.0.2.1"),
            Some("2001:db8::/32"),
        ];
        let rows = services
            .iter()
            .flat_map(|service| sources.iter().map(move |source| port(9, service, *source)));
        let dropped = rows.clone().map(|row| PortRow {
            verdict: Verdict::Drop,
            ..row
        });
        let everybody = ["0.0.0.0/0", "10.0.0.0/8", "::/0", "2001:db8::/32"];
        let shapes = |rate, burst| {
            [Per::All, Per::Source].into_iter().flat_map(move |per| {
                [&[][..], &["10.0.0.0/8"], &everybody]
                    .map(|sources| limit(burst, sources, rate, burst, per))
            })
        };
        let limits: Vec<_> = shapes("10000/second", 10_000)
            .chain(shapes("1/day", 1))
            .collect();
        for observe in [false, true] {
            let ruleset = Ruleset {
                observe,
                forward: true,
                limits: limits.clone(),
                ports: rows.clone().chain(dropped.clone()).collect(),
                ..ruleset()
            };
            let observed = apply(&mut mirror, &whole(block.clone().collect(), ruleset));
            assert_eq!(observed.counts[&SetName::Block], all.len());
            let drops = observed.lines.iter().filter(|line| line.ends_with(" drop"));
            assert_eq!(drops.count() == 0, observe);
        }
        let mut found = held(&mut mirror, SetName::Block);
        found.sort_unstable();
        let mut expected: Vec<_> = block.collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
    });
}
