use proptest::prelude::*;

use super::*;

fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

fn limit() -> RuleText {
    RuleText {
        service: "tcp/443".into(),
        action: "limit".into(),
        rate: Some("10/minute".into()),
        ..RuleText::default()
    }
}

fn port() -> RuleText {
    RuleText {
        service: "tcp/22".into(),
        action: "drop".into(),
        ..RuleText::default()
    }
}

#[test]
fn each_wrong_part_is_named() {
    let some = |text: &str| Some(text.to_owned());
    let cases: [(&str, RuleText); 17] = [
        (
            "service",
            RuleText {
                service: "http".into(),
                ..port()
            },
        ),
        (
            "action",
            RuleText {
                action: "reject".into(),
                ..port()
            },
        ),
        (
            "from",
            RuleText {
                from: vec!["10.0.0.0/33".into()],
                ..port()
            },
        ),
        (
            "rate",
            RuleText {
                rate: some("10/minute"),
                ..port()
            },
        ),
        (
            "burst",
            RuleText {
                burst: Some(3),
                ..port()
            },
        ),
        (
            "rate",
            RuleText {
                rate: None,
                ..limit()
            },
        ),
        (
            "rate",
            RuleText {
                rate: some("10/week"),
                ..limit()
            },
        ),
        (
            "burst",
            RuleText {
                burst: Some(0),
                ..limit()
            },
        ),
        (
            "burst",
            RuleText {
                burst: Some(10_001),
                ..limit()
            },
        ),
        (
            "burst",
            RuleText {
                rate: some("1/day"),
                ..limit()
            },
        ),
        (
            "per",
            RuleText {
                per: some("host"),
                ..limit()
            },
        ),
        (
            "ceiling",
            RuleText {
                floor: some("1/minute"),
                ..limit()
            },
        ),
        (
            "floor",
            RuleText {
                ceiling: some("20/minute"),
                ..limit()
            },
        ),
        (
            "rate",
            RuleText {
                floor: some("11/minute"),
                ceiling: some("20/minute"),
                ..limit()
            },
        ),
        (
            "floor",
            RuleText {
                floor: some("1/hour"),
                ceiling: some("20/minute"),
                ..limit()
            },
        ),
        (
            "days",
            RuleText {
                days: some("mon-fri"),
                ..port()
            },
        ),
        (
            "zone",
            RuleText {
                hours: some("09:00-17:00"),
                zone: some("Mars/Base"),
                ..port()
            },
        ),
    ];
    for (field, text) in cases {
        let error = text.read(zone).expect_err(field);
        assert_eq!(error.field, field, "{text:?}: {error}");
    }
}

#[test]
fn sources_are_sorted_and_host_bits_are_told() {
    let text = RuleText {
        from: ["10.0.1.0/24", "10.0.0.1/24", "10.0.0.0/24"]
            .map(str::to_owned)
            .into(),
        ..port()
    };
    let (rule, warnings) = text.read(zone).expect("a rule");
    let sources: Vec<String> = rule.sources.iter().map(ToString::to_string).collect();
    assert_eq!(sources, ["10.0.0.0/24", "10.0.1.0/24"]);
    assert_eq!(
        warnings,
        ["10.0.0.1/24 has host bits, 10.0.0.0/24 is taken"]
    );
}

fn option<T: std::fmt::Debug + Clone + 'static>(value: T) -> impl Strategy<Value = Option<T>> {
    prop_oneof![Just(None), Just(Some(value))]
}

fn some_text() -> impl Strategy<Value = RuleText> {
    let hours = option((
        "22:00-06:00".to_owned(),
        "mon-wed,sat".to_owned(),
        "Europe/Berlin".to_owned(),
    ));
    let bounds = option(("2/minute".to_owned(), "99/minute".to_owned()));
    let from = prop::collection::vec("(10\\.[0-9]\\.[0-9]\\.0/24|2001:db8:[0-9]::/48)", 0..3);
    let action = prop_oneof![Just("accept"), Just("drop"), Just("limit")];
    (
        "(tcp|udp)/[1-9][0-9]{0,3}",
        action,
        from,
        hours,
        bounds,
        1_u32..2_000,
    )
        .prop_map(|(service, action, from, hours, bounds, burst)| {
            let is_limit = action == "limit";
            let bounds = bounds.filter(|_| is_limit);
            RuleText {
                service,
                action: action.to_owned(),
                from,
                rate: is_limit.then(|| "10/minute".to_owned()),
                burst: is_limit.then_some(burst),
                per: is_limit.then(|| "all".to_owned()),
                floor: bounds.clone().map(|(floor, _)| floor),
                ceiling: bounds.map(|(_, ceiling)| ceiling),
                hours: hours.clone().map(|(hours, ..)| hours),
                days: hours.clone().map(|(_, days, _)| days),
                zone: hours.map(|(.., zone)| zone),
            }
        })
}

proptest! {
    #[test]
    fn a_rule_that_is_written_and_read_again_is_the_same(text in some_text()) {
        let (rule, _) = text.read(zone).expect("a rule");
        let (again, _) = RuleText::from(&rule).read(zone).expect("what it wrote");
        prop_assert_eq!(rule, again);
    }
}
