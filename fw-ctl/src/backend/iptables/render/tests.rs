use proptest::prelude::*;

use super::*;
use crate::{
    backend::iptables::observe::Jump,
    policy::{rate::Rate, rules::Base},
};

const NOTHING: Ruleset = Ruleset {
    observe: false,
    forward: false,
    base: Base {
        default: Verdict::Accept,
        drop_invalid: true,
    },
    limits: Vec::new(),
    ports: Vec::new(),
};

fn port(id: u32, service: &str, source: &str, verdict: Verdict) -> PortRow {
    PortRow {
        id: RuleId(id),
        service: service.parse().expect(service),
        source: (!source.is_empty()).then(|| source.parse().expect(source)),
        verdict,
    }
}

fn limit(id: u32, service: &str, sources: &[&str], rate: &str, burst: u32, per: Per) -> LimitRow {
    LimitRow {
        id: RuleId(id),
        service: service.parse().expect(service),
        sources: sources
            .iter()
            .map(|text| text.parse().expect(text))
            .collect(),
        rate: rate.parse().expect(rate),
        burst,
        per,
    }
}

/// A ruleset with something of everything.
fn full() -> Ruleset {
    Ruleset {
        forward: true,
        base: Base {
            default: Verdict::Drop,
            drop_invalid: true,
        },
        limits: vec![
            limit(3, "tcp/22", &[], "10/minute", 20, Per::Source),
            limit(
                4,
                "udp",
                &["10.0.0.0/8", "10.1.0.0/16", "192.0.2.1", "2001:db8::/32"],
                "7/day",
                5,
                Per::All,
            ),
        ],
        ports: vec![
            port(5, "tcp/22", "192.0.2.0/24", Verdict::Accept),
            port(6, "tcp/22", "2001:db8::/32", Verdict::Accept),
            port(7, "tcp/80,443,8000-8100", "", Verdict::Accept),
            port(8, "icmp", "", Verdict::Accept),
            port(9, "ah", "", Verdict::Accept),
            port(10, "gre", "", Verdict::Accept),
            port(11, "udp/1-65535", "", Verdict::Drop),
        ],
        ..NOTHING
    }
}

#[test]
fn an_empty_policy_asks_the_sets_and_accepts_what_is_established() {
    assert_eq!(
        put(&NOTHING, Family::V4, &Chains::default()),
        "*filter\n\
         :FWCTL - [0:0]\n\
         -I INPUT 1 -j FWCTL\n\
         -A FWCTL -i lo -j RETURN\n\
         -A FWCTL -p udp -m udp --sport 67 --dport 68 -j RETURN\n\
         -A FWCTL -m set --match-set fwctl-guard4 src -j RETURN\n\
         -A FWCTL -m set --match-set fwctl-allow4 src -j RETURN\n\
         -A FWCTL -m set --match-set fwctl-block4 src -j DROP\n\
         -A FWCTL -m conntrack --ctstate INVALID -j DROP\n\
         -A FWCTL -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A FWCTL -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN\n\
         COMMIT\n"
    );
}

#[test]
fn everything_in_ipv6() {
    let mut link = String::new();
    for matches in LINK_V6 {
        link += &format!("-A FWCTL {matches} -j RETURN\n");
    }
    let expected = format!(
        "*filter\n\
         :FWCTL - [0:0]\n\
         :FWCTL-FORWARD - [0:0]\n\
         -I INPUT 1 -j FWCTL\n\
         -I FORWARD 1 -j FWCTL-FORWARD\n\
         -A FWCTL -i lo -j RETURN\n\
         {link}\
         -A FWCTL -m set --match-set fwctl-guard6 src -j RETURN\n\
         -A FWCTL -m set --match-set fwctl-allow6 src -j RETURN\n\
         -A FWCTL -m set --match-set fwctl-block6 src -j DROP\n\
         -A FWCTL -s ::ffff:0.0.0.0/96 -j DROP\n\
         -A FWCTL -m conntrack --ctstate INVALID -j DROP\n\
         -A FWCTL -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A FWCTL -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -j RETURN\n\
         -A FWCTL -p tcp -m tcp --dport 22 -m hashlimit \
         --hashlimit-above 10/minute --hashlimit-burst 20 --hashlimit-mode srcip \
         --hashlimit-srcmask 64 --hashlimit-htable-size 16384 --hashlimit-htable-max 262144 \
         --hashlimit-htable-expire 120000 --hashlimit-name fwctl-3-10-minute-20-source \
         -m comment --comment \"fwctl rule 3\" -j DROP\n\
         -A FWCTL -s 2001:db8::/32 -p udp -m hashlimit \
         --hashlimit-above 7/day --hashlimit-burst 5 --hashlimit-htable-size 16 \
         --hashlimit-htable-expire 61714286 --hashlimit-name fwctl-4-7-day-5-all \
         -m comment --comment \"fwctl rule 4\" -j DROP\n\
         -A FWCTL -s 2001:db8::/32 -p tcp -m tcp --dport 22 -m comment --comment \"fwctl rule 6\" -j ACCEPT\n\
         -A FWCTL -p tcp -m multiport --dports 80,443,8000:8100 -m comment --comment \"fwctl rule 7\" -j ACCEPT\n\
         -A FWCTL -p ipv6-icmp -m comment --comment \"fwctl rule 8\" -j ACCEPT\n\
         -A FWCTL -p 47 -m comment --comment \"fwctl rule 10\" -j ACCEPT\n\
         -A FWCTL -p udp -m udp --dport 1:65535 -m comment --comment \"fwctl rule 11\" -j DROP\n\
         -A FWCTL -j DROP\n\
         -A FWCTL-FORWARD -m set --match-set fwctl-guard6 src -j RETURN\n\
         -A FWCTL-FORWARD -m set --match-set fwctl-allow6 src -j RETURN\n\
         -A FWCTL-FORWARD -m set --match-set fwctl-block6 src -j DROP\n\
         COMMIT\n"
    );
    assert_eq!(put(&full(), Family::V6, &Chains::default()), expected);
}

#[test]
fn ipv4_has_its_own_sources_and_protocols_and_counts_no_packet_twice() {
    let text = put(&full(), Family::V4, &Chains::default());
    let rules = |needle: &str| text.lines().filter(|line| line.contains(needle)).count();
    assert_eq!(rules("2001:db8::"), 0);
    assert_eq!(rules("-s 192.0.2.0/24 -p tcp -m tcp --dport 22 "), 1);
    assert_eq!(rules("-p icmp "), 1);
    assert_eq!(rules("-p 51 "), 1);
    assert_eq!(rules("-s 10.0.0.0/8 "), 1);
    assert_eq!(rules("-s 10.1.0.0/16 "), 0);
    assert_eq!(rules("-s 192.0.2.1 "), 1);
    assert_eq!(rules("--hashlimit-srcmask 32 "), 1);
}

#[test]
fn observing_drops_nothing_and_asks_the_same() {
    let drops = put(&full(), Family::V6, &Chains::default());
    let observe = true;
    let counts = put(
        &Ruleset { observe, ..full() },
        Family::V6,
        &Chains::default(),
    );
    assert_eq!(counts, drops.replace(" -j DROP\n", " -j RETURN\n"));
    assert_ne!(counts, drops);
}

#[test]
fn invalid_packets_can_be_let_be() {
    let base = Base {
        drop_invalid: false,
        ..NOTHING.base
    };
    let text = put(&Ruleset { base, ..NOTHING }, Family::V4, &Chains::default());
    assert!(!text.contains("INVALID"), "{text}");
}

/// `CHAIN POSITION RULE`
fn jump(text: &str) -> Jump {
    let mut parts = text.splitn(3, ' ').map(str::to_owned);
    let mut next = || parts.next().expect("three parts");
    Jump {
        chain: next(),
        position: next().parse().expect("a number"),
        rule: next(),
    }
}

#[test]
fn a_jump_that_is_right_is_let_be_and_all_others_go() {
    let lines = |forward: bool, has_docker_user: bool, jumps: &[&str]| {
        let standing = Chains {
            ours: OURS.to_vec(),
            jumps: jumps.iter().map(|text| jump(text)).collect(),
            has_docker_user,
            ..Chains::default()
        };
        let text = put(&Ruleset { forward, ..NOTHING }, Family::V4, &standing);
        let is_jump = |line: &&str| {
            line.starts_with("-I") || line.starts_with("-D") || line.starts_with("-X")
        };
        text.lines()
            .filter(is_jump)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let right = ["INPUT 1 -j FWCTL", "DOCKER-USER 1 -j FWCTL-FORWARD"];
    assert_eq!(lines(true, true, &right), [""; 0]);
    assert_eq!(
        lines(false, true, &right),
        [
            "-D INPUT -j FWCTL",
            "-D DOCKER-USER -j FWCTL-FORWARD",
            "-I INPUT 1 -j FWCTL",
            "-X FWCTL-FORWARD",
        ]
    );
    assert_eq!(
        lines(
            true,
            false,
            &["INPUT 2 -j FWCTL", "FORWARD 1 -j FWCTL-FORWARD"]
        ),
        [
            "-D INPUT -j FWCTL",
            "-D FORWARD -j FWCTL-FORWARD",
            "-I INPUT 1 -j FWCTL",
            "-I FORWARD 1 -j FWCTL-FORWARD",
        ]
    );
    assert_eq!(
        lines(false, false, &["INPUT 1 -j FWCTL", "INPUT 7 -j FWCTL"]),
        [
            "-D INPUT -j FWCTL",
            "-D INPUT -j FWCTL",
            "-I INPUT 1 -j FWCTL",
            "-X FWCTL-FORWARD",
        ]
    );
    assert_eq!(
        lines(false, false, &["INPUT 1 -i eth0 -j FWCTL"]),
        [
            "-D INPUT -i eth0 -j FWCTL",
            "-I INPUT 1 -j FWCTL",
            "-X FWCTL-FORWARD",
        ]
    );
}

#[test]
fn what_is_ours_goes_and_where_nothing_is_nothing_is_said() {
    let standing = Chains {
        ours: OURS.to_vec(),
        jumps: vec![jump("INPUT 1 -j FWCTL")],
        ..Chains::default()
    };
    assert_eq!(
        clear(&standing),
        "*filter\n-D INPUT -j FWCTL\n-F FWCTL\n-F FWCTL-FORWARD\n-X FWCTL\n-X FWCTL-FORWARD\nCOMMIT\n"
    );
    let foreign = Chains {
        has_docker_user: true,
        ..Chains::default()
    };
    assert_eq!(clear(&foreign), "");
}

const MORE: [&str; 7] = [
    "",
    " -j ACCEPT",
    "\n-A INPUT -j DROP",
    "\"",
    "\0",
    "\u{a0}",
    ",",
];

/// Text of a kind, or with something behind it that the tools would take for more.
fn or_more(kind: &'static str) -> impl Strategy<Value = String> {
    let more = prop::sample::select(&MORE[..]);
    (kind, prop_oneof![Just(""), more]).prop_map(|(text, more)| text + more)
}

proptest! {
    /// Text of people reaches the rules as a service, a source and a rate only.
    #[test]
    fn no_text_of_a_user_adds_a_line_or_an_option(
        service in or_more("(tcp|udp)/[1-9][0-9]{0,3}(,[1-9][0-9]{0,3}){0,3}|[a-z]{2,4}|gre|esp|ah|[0-9]{1,3}"),
        source in or_more("[0-9]{1,2}(\\.[0-9]{1,2}){3}(/[0-9]{1,2})?|2001:db8:[0-9a-f]{1,4}::/[0-9]{1,3}"),
        rate in or_more("[1-9][0-9]{0,4}/(second|min|h|d)"),
        burst in 1..=10_000_u32,
    ) {
        let mut ruleset = NOTHING;
        if let (Ok(service), Ok(source)) = (service.parse::<Service>(), source.parse::<Prefix>()) {
            let source = Some(source);
            let (id, verdict) = (RuleId(1), Verdict::Accept);
            ruleset.ports.push(PortRow { id, service, source, verdict });
        }
        if let (Ok(service), Ok(source), Ok(rate)) =
            (service.parse(), source.parse(), rate.parse::<Rate>())
        {
            let (id, sources, per) = (RuleId(2), vec![source], Per::Source);
            ruleset.limits.push(LimitRow { id, service, sources, rate, burst, per });
        }
        let most = ruleset.ports.len() + ruleset.limits.len();
        for family in [Family::V4, Family::V6] {
            let text = put(&ruleset, family, &Chains::default());
            let plain = put(&NOTHING, family, &Chains::default());
            prop_assert!(text.lines().count() <= plain.lines().count() + most, "{}", text);
            for line in text.lines().filter(|line| line.contains("fwctl rule")) {
                let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
                prop_assert!(line.bytes().all(is_plain), "{:?}", line);
                prop_assert_eq!(line.matches(" -j ").count(), 1, "{}", line);
                prop_assert_eq!(line.matches('"').count(), 2, "{}", line);
            }
        }
    }
}
