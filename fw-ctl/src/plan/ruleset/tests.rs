use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::policy::rule::text::RuleText;

type Said = (String, &'static str, Vec<String>);

fn rules(said: &[Said]) -> Rules {
    let mut rules = Rules::default();
    for (service, action, from) in said {
        let text = RuleText {
            service: service.clone(),
            action: (*action).to_owned(),
            from: from.clone(),
            ..RuleText::default()
        };
        let (rule, _) = text.read(|_| None).expect("a rule");
        // What contradicts an earlier one is not there.
        let _ = rules.add(rule);
    }
    rules
}

fn ruleset(said: &[(&str, &'static str, &[&str])]) -> Ruleset {
    let said: Vec<Said> = said
        .iter()
        .map(|(service, action, from)| {
            let from = from.iter().map(ToString::to_string).collect();
            ((*service).to_owned(), *action, from)
        })
        .collect();
    Ruleset::of(&rules(&said), Timestamp::UNIX_EPOCH, &BTreeMap::new())
}

fn decided(ruleset: &Ruleset, source: &str, port: u16) -> (Verdict, Option<u32>) {
    let source = source.parse().expect("an address");
    let Decided { verdict, rule } = ruleset.decide(source, Protocol::Tcp, port);
    (verdict, rule.map(|id| id.0))
}

#[test]
fn a_source_that_is_named_beats_everybody_in_both_orders_of_adding() {
    let (everybody, office): (&[&str], &[&str]) = (&[], &["10.0.0.0/24"]);
    for said in [
        [("tcp/22", "drop", everybody), ("tcp/22", "accept", office)],
        [("tcp/22", "accept", office), ("tcp/22", "drop", everybody)],
    ] {
        let ruleset = ruleset(&said);
        assert_eq!(decided(&ruleset, "10.0.0.9", 22).0, Verdict::Accept);
        assert_eq!(decided(&ruleset, "10.0.1.9", 22).0, Verdict::Drop);
        assert_eq!(decided(&ruleset, "2001:db8::1", 22).0, Verdict::Drop);
        assert_eq!(decided(&ruleset, "10.0.1.9", 23), (Verdict::Accept, None));
    }
}

#[test]
fn fewer_ports_beat_more_and_accept_beats_drop() {
    let none: &[&str] = &[];
    let set = ruleset(&[
        ("tcp/1-1024", "drop", none),
        ("tcp/22", "accept", none),
        ("tcp", "accept", none),
        ("tcp/5000-5009", "drop", none),
        ("tcp/5005-5014", "accept", none),
    ]);
    assert_eq!(decided(&set, "192.0.2.1", 22), (Verdict::Accept, Some(2)));
    assert_eq!(decided(&set, "192.0.2.1", 23), (Verdict::Drop, Some(1)));
    assert_eq!(decided(&set, "192.0.2.1", 2000), (Verdict::Accept, Some(3)));
    assert_eq!(decided(&set, "192.0.2.1", 5004), (Verdict::Drop, Some(4)));
    assert_eq!(decided(&set, "192.0.2.1", 5007), (Verdict::Accept, Some(5)));
}

#[test]
fn only_what_needs_no_state_is_pushed_down() {
    let none: &[&str] = &[];
    let set = ruleset(&[
        ("tcp/22", "drop", none),
        ("udp/53", "drop", none),
        ("icmp", "drop", none),
    ]);
    let pushed = set.pushdown();
    let services: Vec<String> = pushed
        .ports
        .iter()
        .map(|row| row.service.to_string())
        .collect();
    assert_eq!(services, ["tcp/22"]);
}

fn some_rule() -> impl Strategy<Value = Said> {
    let port =
        (1_u16..12, 0_u16..4).prop_map(|(first, more)| format!("tcp/{first}-{}", first + more));
    let source = (0_u8..4, 8_u8..=32).prop_map(|(net, length)| {
        let address = std::net::Ipv4Addr::new(10, net & 1, net >> 1, 0);
        Prefix::new(address.into(), length)
            .expect("a length")
            .to_string()
    });
    let verdict = prop_oneof![Just("accept"), Just("drop")];
    (port, verdict, prop::collection::vec(source, 0..3))
}

proptest! {
    /// Against the sentence in `policy::rule`, read word by word.
    #[test]
    fn the_narrowest_rule_that_matches_decides(
        said in prop::collection::vec(some_rule(), 0..12),
        packets in prop::collection::vec((0_u8..4, 0_u8..3, 1_u16..16), 1..40),
    ) {
        let rules = rules(&said);
        let set = Ruleset::of(&rules, Timestamp::UNIX_EPOCH, &BTreeMap::new());
        for (net, host, port) in packets {
            let source: IpAddr = std::net::Ipv4Addr::new(10, net & 1, net >> 1, host).into();
            let mut best: Option<(u8, Reverse<u32>, Reverse<Verdict>)> = None;
            for (_, rule) in rules.iter() {
                let Effect::Port(verdict) = rule.effect else { continue };
                if !rule.service.matches(Protocol::Tcp, port) {
                    continue;
                }
                let covering = rule.sources.iter().filter(|prefix| prefix.contains(source));
                let longest = covering.map(|prefix| prefix.length()).max();
                let everybody = rule.sources.is_empty().then_some(0);
                let Some(length) = longest.or(everybody) else { continue };
                let narrow = (length, Reverse(rule.service.width()), Reverse(verdict));
                best = best.max(Some(narrow));
            }
            let expected = best.map_or(Verdict::Accept, |(_, _, Reverse(verdict))| verdict);
            prop_assert_eq!(set.decide(source, Protocol::Tcp, port).verdict, expected);
        }
    }
}
