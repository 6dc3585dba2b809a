use std::time::Duration;

use super::*;
use crate::policy::{rule::text::RuleText, time::WallSecs};

fn rule(service: &str, action: &str, from: &[&str]) -> Rule {
    let text = RuleText {
        service: service.into(),
        action: action.into(),
        from: from.iter().map(ToString::to_string).collect(),
        rate: (action == "limit").then(|| "10/minute".into()),
        ..RuleText::default()
    };
    text.read(|_| None).expect("a rule").0
}

fn now(secs: u64) -> Now {
    Now {
        boot: Duration::from_secs(secs),
        wall: WallSecs(1_000_000),
    }
}

fn texts(rules: &Rules) -> Vec<(u32, String)> {
    let text =
        |(id, rule): (RuleId, &Rule)| (id.0, format!("{} {}", rule.effect.name(), rule.service));
    rules.iter().map(text).collect()
}

#[test]
fn a_rule_that_is_there_already_is_not_added_twice() {
    let mut rules = Rules::default();
    let first = rules.add(rule("tcp/22", "drop", &[])).expect("added");
    assert_eq!(first, Added::New(RuleId(1)));
    let again = rules.add(rule("tcp/22", "drop", &[])).expect("known");
    assert_eq!(again, Added::Known(RuleId(1)));
    let other = rules.add(rule("tcp/22", "drop", &["10.0.0.0/8"]));
    assert_eq!(other, Ok(Added::New(RuleId(2))), "of other sources");
    let limit = rules.add(rule("tcp/22", "limit", &[]));
    assert_eq!(limit, Ok(Added::New(RuleId(3))), "a limit goes with it");
    assert_eq!(rules.iter().count(), 3);
}

#[test]
fn the_opposite_of_a_rule_is_refused_and_named() {
    let mut rules = Rules::default();
    rules.add(rule("tcp/22", "drop", &[])).expect("added");
    let refused = rules.add(rule("tcp/22", "accept", &[]));
    let refusal = Refusal::Contradicts {
        service: "tcp/22".into(),
        rule: RuleId(1),
    };
    assert_eq!(refused, Err(refusal));
    assert_eq!(texts(&rules), [(1, "drop tcp/22".into())]);
}

#[test]
fn a_second_mention_extends_the_end_and_never_shortens_it() {
    let mut rules = Rules::default();
    let ending = |deadline| Rule {
        deadline,
        ..rule("udp", "drop", &[])
    };
    for (asked, held) in [
        (Some(BootSecs(100)), Some(BootSecs(100))),
        (Some(BootSecs(50)), Some(BootSecs(100))),
        (Some(BootSecs(200)), Some(BootSecs(200))),
        (None, None),
        (Some(BootSecs(900)), None),
    ] {
        rules.add(ending(asked)).expect("added");
        let deadline = rules.get(RuleId(1)).expect("the rule").deadline;
        assert_eq!(deadline, held, "{asked:?}");
    }
}

#[test]
fn numbers_are_never_given_twice() {
    let mut rules = Rules::default();
    rules.add(rule("tcp/1", "drop", &[])).expect("added");
    rules.remove(RuleId(1)).expect("there");
    let next = rules.add(rule("tcp/2", "drop", &[])).expect("added");
    assert_eq!(next, Added::New(RuleId(2)));
    let kept = rules.iter().map(|(id, rule)| (id, rule.clone())).collect();
    let restored = Rules::restore(kept, RuleId(1));
    assert_eq!(restored.next_id(), RuleId(3));
}

#[test]
fn what_has_ended_goes_in_its_second_and_not_before() {
    let mut rules = Rules::default();
    let ending = Rule {
        deadline: Some(BootSecs(100)),
        ..rule("tcp/1", "drop", &[])
    };
    rules.add(ending).expect("added");
    rules.add(rule("tcp/2", "drop", &[])).expect("added");
    assert_eq!(rules.next_ending(), Some(BootSecs(100)));
    assert_eq!(rules.end(now(99)), []);
    assert_eq!(rules.end(now(100)), [RuleId(1)]);
    assert_eq!(texts(&rules), [(2, "drop tcp/2".into())]);
    assert_eq!(rules.next_ending(), None);
}

#[test]
fn a_replacement_touches_its_own_origin_and_keeps_the_numbers_of_what_stays() {
    let mut rules = Rules::default();
    let configured = Rule {
        origin: Origin::Configuration,
        ..rule("tcp/443", "accept", &[])
    };
    rules.add(configured).expect("added");
    for port in ["tcp/1", "tcp/2"] {
        rules.add(rule(port, "drop", &[])).expect("added");
    }
    let wanted = vec![rule("tcp/2", "drop", &[]), rule("tcp/3", "drop", &[])];
    rules.replace(Origin::Local, wanted).expect("replaced");
    let expected = [
        (1, "accept tcp/443".to_owned()),
        (3, "drop tcp/2".into()),
        (4, "drop tcp/3".into()),
    ];
    assert_eq!(texts(&rules), expected);
}

#[test]
fn rules_that_are_put_back_have_the_numbers_they_had() {
    let mut rules = Rules::default();
    for port in ["tcp/1", "tcp/2"] {
        rules.add(rule(port, "drop", &[])).expect("added");
    }
    let before: BTreeMap<_, _> = rules.iter().map(|(id, rule)| (id, rule.clone())).collect();
    let known = rules.clone();
    rules
        .replace(Origin::Local, vec![rule("tcp/9", "drop", &[])])
        .expect("replaced");
    rules.put_back(Origin::Local, before);
    assert_eq!(texts(&rules), texts(&known));
    assert_eq!(rules.next_id(), RuleId(4), "3 was given");
}

#[test]
fn there_is_an_end_to_rules_and_their_sources() {
    let mut rules = Rules::default();
    let many: Vec<String> = (0..=256)
        .map(|n| format!("10.0.{}.{}", n / 256, n % 256))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        rules.add(rule("tcp/1", "drop", &many)),
        Err(Refusal::TooManyRules)
    );
    for port in 1..=16 {
        let service = format!("tcp/{port}");
        rules
            .add(rule(&service, "drop", &many[..256]))
            .expect("added");
    }
    let last = rules.add(rule("tcp/17", "drop", &[]));
    assert_eq!(last, Err(Refusal::TooManyRules), "4,096 rows");
}
