use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::policy::{
    entry::Comment,
    rate::{Limit, Rate},
    rule::{Effect, Origin, Rule, RuleId},
    rules::{Base, Rules},
    time::WallSecs,
};

fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

fn set(name: SetName, text: &str) -> SetId {
    SetId::of(name, prefix(text))
}

fn port(id: u32, service: &str, source: Option<&str>, verdict: Verdict) -> PortRow {
    PortRow {
        id: RuleId(id),
        service: service.parse().expect("a service"),
        source: source.map(prefix),
        verdict,
    }
}

fn limit(id: u32, service: &str, sources: &[&str], rate: &str, per: Per) -> LimitRow {
    LimitRow {
        id: RuleId(id),
        service: service.parse().expect("a service"),
        sources: sources.iter().map(|text| prefix(text)).collect(),
        rate: rate.parse().expect("a rate"),
        burst: 20,
        per,
    }
}

fn ruleset(default: Verdict) -> Ruleset {
    Ruleset {
        observe: false,
        forward: false,
        base: Base {
            default,
            drop_invalid: true,
        },
        limits: Vec::new(),
        ports: Vec::new(),
    }
}

/// The rules of a chain that the commands fill.
fn chain(commands: &[String], name: &str) -> Vec<String> {
    let begin = format!("add rule inet fwctl {name} ");
    let rules = commands.iter().filter_map(|line| line.strip_prefix(&begin));
    rules.map(str::to_owned).collect()
}

fn sets() -> BTreeSet<SetId> {
    [
        set(SetName::Block, "0.0.0.0/0"),
        set(SetName::Block, "192.0.2.0/24"),
        set(SetName::Block, "192.0.2.1"),
        set(SetName::Block, "2001:db8::/48"),
        set(SetName::Allow, "198.51.100.0/25"),
        set(SetName::Guard, "10.0.0.1"),
        set(SetName::Guard, "2001:db8::1"),
    ]
    .into()
}

#[test]
fn the_chain_is_in_the_order_of_decisions() {
    let ruleset = Ruleset {
        limits: vec![limit(3, "tcp/22", &[], "10/minute", Per::Source)],
        ports: vec![
            port(5, "tcp/22,8000-8100", Some("10.0.0.0/8"), Verdict::Accept),
            port(6, "tcp/22", Some("2001:db8::/32"), Verdict::Drop),
            port(7, "udp/53", None, Verdict::Accept),
            port(8, "icmp", None, Verdict::Accept),
            port(9, "gre", None, Verdict::Drop),
            port(10, "udp", None, Verdict::Drop),
        ],
        ..ruleset(Verdict::Drop)
    };
    assert_eq!(
        chain(&change(None, &ruleset, &sets()), "fwctl"),
        [
            "iif \"lo\" return",
            "meta nfproto ipv4 udp sport 67 udp dport 68 return",
            "meta nfproto ipv6 udp sport 547 udp dport 546 return",
            "icmpv6 type 133-137 icmpv6 code 0 ip6 hoplimit 255 return",
            "icmpv6 type { 130, 131, 132, 143 } icmpv6 code 0 ip6 hoplimit 1 return",
            "ip saddr @guard4_32 return",
            "ip6 saddr @guard6_128 return",
            "ip saddr & 255.255.255.128 == @allow4_25 return",
            "ip saddr & 0.0.0.0 == @block4_0 counter drop",
            "ip saddr & 255.255.255.0 == @block4_24 counter drop",
            "ip saddr @block4_32 counter drop",
            "ip6 saddr & ffff:ffff:ffff:: == @block6_48 counter drop",
            "ip6 saddr ::ffff:0:0/96 counter drop",
            "ct state invalid counter drop",
            "ct state established,related accept",
            "tcp flags & (fin | syn | rst | ack) != syn return",
            "tcp dport { 22 } update @limit4_3_10_minute_20 { ip saddr limit rate over 10/minute burst 20 packets } counter drop comment \"rule 3\"",
            "tcp dport { 22 } update @limit6_3_10_minute_20 { ip6 saddr & ffff:ffff:ffff:ffff:: limit rate over 10/minute burst 20 packets } counter drop comment \"rule 3\"",
            "ip saddr 10.0.0.0/8 tcp dport { 22, 8000-8100 } accept comment \"rule 5\"",
            "ip6 saddr 2001:db8::/32 tcp dport { 22 } counter drop comment \"rule 6\"",
            "udp dport { 53 } accept comment \"rule 7\"",
            "meta l4proto { icmp, ipv6-icmp } accept comment \"rule 8\"",
            "meta l4proto 47 counter drop comment \"rule 9\"",
            "meta l4proto udp counter drop comment \"rule 10\"",
            "counter drop",
        ]
    );
}

#[test]
fn observing_drops_nothing_and_counts_once() {
    let ruleset = Ruleset {
        observe: true,
        forward: true,
        limits: vec![limit(3, "tcp", &[], "10/minute", Per::All)],
        ports: vec![port(5, "tcp/22", None, Verdict::Drop)],
        ..ruleset(Verdict::Drop)
    };
    let commands = change(None, &ruleset, &sets());
    assert!(!commands.iter().any(|line| line.contains(" drop")));
    let counted = commands
        .iter()
        .filter(|line| line.contains("counter return"));
    assert_eq!(counted.count(), 2 * 4 + 5);
}

#[test]
fn what_may_be_off_is_left_out() {
    let ruleset = Ruleset {
        base: Base {
            default: Verdict::Accept,
            drop_invalid: false,
        },
        ..ruleset(Verdict::Drop)
    };
    let rules = chain(&change(None, &ruleset, &BTreeSet::new()), "fwctl");
    assert_eq!(
        rules.last().map(String::as_str),
        Some("tcp flags & (fin | syn | rst | ack) != syn return")
    );
    assert!(!rules.iter().any(|rule| rule.contains("invalid")));
}

#[test]
fn a_limit_for_all_is_one_bucket_however_many_sources_it_names() {
    let sources = ["10.0.0.0/8", "10.1.0.0/16", "192.0.2.1", "2001:db8::/32"];
    let limited = |sources: &[&str]| Ruleset {
        limits: vec![limit(4, "tcp/80", sources, "100/second", Per::All)],
        ..ruleset(Verdict::Accept)
    };
    let commands = change(None, &limited(&sources), &BTreeSet::new());
    let exceeds = "limit name \"limit_4_100_second_20\" counter drop comment \"rule 4\"";
    assert_eq!(
        commands[1],
        "add limit inet fwctl limit_4_100_second_20 { rate over 100/second burst 20 packets; }"
    );
    let rules = chain(&commands, "fwctl");
    assert_eq!(
        rules[rules.len() - 2..],
        [
            format!("ip saddr {{ 10.0.0.0/8, 192.0.2.1 }} tcp dport {{ 80 }} {exceeds}"),
            format!("ip6 saddr {{ 2001:db8::/32 }} tcp dport {{ 80 }} {exceeds}"),
        ]
    );
    let rules = chain(&change(None, &limited(&[]), &BTreeSet::new()), "fwctl");
    assert_eq!(rules.last(), Some(&format!("tcp dport {{ 80 }} {exceeds}")));
}

#[test]
fn a_limit_keeps_its_buckets_until_its_numbers_change() {
    let limited = |rate: &str| Ruleset {
        limits: vec![limit(4, "tcp/80", &[], rate, Per::Source)],
        ..ruleset(Verdict::Accept)
    };
    let about_sets = |before: &Ruleset, after: &Ruleset| -> Vec<String> {
        let mut commands = change(Some(before), after, &BTreeSet::new());
        commands.retain(|line| !line.starts_with("add rule"));
        commands
    };
    let (slow, fast) = (limited("10/minute"), limited("20/hour"));
    let flush = "flush chain inet fwctl fwctl";
    assert_eq!(
        about_sets(
            &slow,
            &Ruleset {
                observe: true,
                ..slow.clone()
            }
        ),
        [flush]
    );
    assert_eq!(
        about_sets(&slow, &fast),
        [
            flush,
            "add set inet fwctl limit4_4_20_hour_20 { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 3601s; }",
            "add set inet fwctl limit6_4_20_hour_20 { type ipv6_addr; size 65535; flags dynamic,timeout; timeout 3601s; }",
            "delete set inet fwctl limit4_4_10_minute_20",
            "delete set inet fwctl limit6_4_10_minute_20",
        ]
    );
    let idle = change(None, &slow, &BTreeSet::new());
    assert!(
        idle[1].contains("timeout 121s;"),
        "{}: 20 of 6 s, and one more",
        idle[1]
    );
}

#[test]
fn forwarded_packets_meet_the_sets_and_no_rule() {
    let off = Ruleset {
        ports: vec![port(5, "tcp/22", None, Verdict::Drop)],
        ..ruleset(Verdict::Drop)
    };
    let on = Ruleset {
        forward: true,
        ..off.clone()
    };
    let commands = change(Some(&off), &on, &sets());
    let made = base("forward");
    assert!(made.contains("hook forward priority filter - 1; policy accept;"));
    assert!(commands.contains(&made));
    assert_eq!(
        chain(&commands, "forward"),
        [
            "ip saddr @guard4_32 return",
            "ip6 saddr @guard6_128 return",
            "ip saddr & 255.255.255.128 == @allow4_25 return",
            "ip saddr & 0.0.0.0 == @block4_0 counter drop",
            "ip saddr & 255.255.255.0 == @block4_24 counter drop",
            "ip saddr @block4_32 counter drop",
            "ip6 saddr & ffff:ffff:ffff:: == @block6_48 counter drop",
        ]
    );
    let gone = change(Some(&on), &off, &sets());
    let about: Vec<_> = gone
        .iter()
        .filter(|line| line.contains("forward"))
        .collect();
    assert_eq!(
        about,
        [
            "flush chain inet fwctl forward",
            "delete chain inet fwctl forward"
        ]
    );
    assert!(
        !change(Some(&off), &off, &sets())
            .iter()
            .any(|line| line.contains("forward"))
    );
}

/// Texts of a user that are good, and such that would like to be more.
fn text() -> impl Strategy<Value = String> {
    let bits = prop_oneof![
        Just("tcp/22"),
        Just("udp"),
        Just("icmp"),
        Just("10/minute"),
        Just("192.0.2.0/24"),
        Just("2001:db8::"),
        Just("; flush ruleset"),
        Just("\n"),
        Just("\""),
        Just("}"),
        Just(","),
        Just(" accept"),
        Just("#"),
        Just("\\"),
        Just("80-90"),
        Just("$x"),
        Just("@block4_32"),
    ];
    vec(bits, 1..4).prop_map(|bits| bits.concat())
}

/// What of them is no good is left out.
fn rule([service, source, rate, comment]: [String; 4]) -> Rule {
    let any = || "tcp/22".parse().expect("a service");
    let effect = match rate.parse::<Rate>() {
        Ok(rate) => Effect::Limit(Limit {
            rate,
            burst: 5,
            per: Per::Source,
            adaptive: None,
        }),
        Err(_) => Effect::Port(Verdict::Accept),
    };
    Rule {
        service: service.parse().unwrap_or_else(|_| any()),
        sources: source.parse().into_iter().collect(),
        effect,
        hours: None,
        comment: comment.parse().unwrap_or_default(),
        created: WallSecs(0),
        deadline: None,
        origin: Origin::Local,
    }
}

proptest! {
    #[test]
    fn no_text_of_a_user_becomes_a_statement(texts in [text(), text(), text(), text()]) {
        let rule = rule(texts);
        let commands = |rule: Rule| {
            let mut rules = Rules::default();
            rules.add(rule).expect("the first");
            change(None, &Ruleset::of(&rules, Timestamp::UNIX_EPOCH, &BTreeMap::new()), &sets())
        };
        let said = commands(rule.clone());
        for line in &said {
            let good = |c: char| c.is_ascii_alphanumeric() || " _.:,-&|!=@(){}/;\"".contains(c);
            prop_assert!(line.chars().all(good), "{line:?}");
            let (verb, rest) = line.split_once(' ').expect("a verb");
            prop_assert!(["add", "flush"].contains(&verb));
            prop_assert!(rest.contains("inet fwctl "));
            prop_assert!(!line.starts_with("add rule") || !line.contains(';'), "{line:?}");
            prop_assert!([0, 2].contains(&line.matches('"').count()), "{line:?}");
        }
        prop_assert_eq!(said, commands(Rule { comment: Comment::default(), ..rule }));
    }
}
