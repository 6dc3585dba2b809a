use super::*;
use crate::config::Config;

#[test]
fn every_key_is_read() {
    let config = Config::parse(
        r#"
        [[rule]]
        service = "tcp/443"
        action = "limit"
        from = ["192.0.2.0/24", "2001:db8::/32"]
        rate = "10/minute"
        burst = 20
        per = "all"
        floor = "5/minute"
        ceiling = "60/minute"
        hours = "09:00-17:00"
        days = "mon-fri"
        zone = "Europe/Berlin"
        comment = "the shop"

        [[rule]]
        service = "icmp"
        action = "drop"
        "#,
    );
    let some = |text: &str| Some(text.to_owned());
    let shop = RulePut {
        service: "tcp/443".to_owned(),
        action: "limit".to_owned(),
        from: vec!["192.0.2.0/24".to_owned(), "2001:db8::/32".to_owned()],
        rate: some("10/minute"),
        burst: Some(20),
        per: some("all"),
        floor: some("5/minute"),
        ceiling: some("60/minute"),
        hours: some("09:00-17:00"),
        days: some("mon-fri"),
        zone: some("Europe/Berlin"),
        ttl_s: None,
        comment: "the shop".to_owned(),
    };
    let icmp = RulePut {
        service: "icmp".to_owned(),
        action: "drop".to_owned(),
        ..RulePut::default()
    };
    assert_eq!(config.expect("a good file").rules, [shop, icmp]);
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_its_key() {
    for (line, parts) in [
        (
            "hour = \"09:00-17:00\"",
            ["line 7, column 1", "unknown field `hour`"],
        ),
        (
            "rate = \"10\"",
            ["line 7, column 8", "\"10\" is not like 10/minute"],
        ),
        ("rate = 10", ["line 7, column 8", "expected a string"]),
        (
            "burst = 0",
            ["line 7, column 9", "burst: 0 is not from 1 to 10000"],
        ),
        ("burst = -1", ["line 7, column 9", "-1"]),
        (
            "per = \"host\"",
            ["line 7, column 7", "\"host\" is neither source nor all"],
        ),
        ("floor = \"5/minute\"", ["line 4, column 1", "ceiling: "]),
        (
            "floor = \"50/minute\"\nceiling = \"60/minute\"",
            ["line 6, column 8", "rate: "],
        ),
        (
            "from = [\"10.0.0.0/33\"]",
            ["line 7, column 8", "\"10.0.0.0/33\": "],
        ),
        (
            "from = [\"::ffff:10.0.0.1\"]",
            ["line 7, column 8", "from: "],
        ),
        (
            "hours = \"9-17\"",
            ["line 7, column 9", "time \"9\" is none from"],
        ),
        (
            "hours = \"9:00-17:00\"\ndays = \"mo\"",
            ["line 8, column 8", "day \"mo\""],
        ),
        (
            "hours = \"9:00-17:00\"\nzone = \"Berlin\"",
            ["line 8, column 8", "\"Berlin\" is no time zone"],
        ),
        ("days = \"mon\"", ["line 7, column 8", "days: "]),
        (
            "comment = \"a\\nb\"",
            ["line 7, column 11", "a comment is one line"],
        ),
        ("ttl = \"0\"", ["line 7, column 7", "at least one second"]),
        ("ttl = \"1h\"", ["line 7, column 7", "has no end"]),
        ("ttl_s = 60", ["line 7, column 1", "unknown field `ttl_s`"]),
    ] {
        let rate = if line.starts_with("rate") {
            ""
        } else {
            "rate = \"10/minute\""
        };
        let text = format!(
            "[[rule]]\nservice = \"udp\"\naction = \"drop\"\n[[rule]]\nservice = \"tcp/22\"\n{rate}\n{line}\naction = \"limit\"\n"
        );
        let error = Config::parse(&text).expect_err(line);
        for part in parts {
            assert!(error.contains(part), "{line}: {error}");
        }
    }
    for (rule, parts) in [
        (
            "action = \"drop\"",
            ["line 1, column 1", "missing field `service`"],
        ),
        (
            "service = \"tcp/22\"",
            ["line 1, column 1", "missing field `action`"],
        ),
        (
            "service = \"tcp/0\"\naction = \"drop\"",
            ["line 2, column 11", "port \"0\" is neither"],
        ),
        (
            "service = \"tcp/22\"\naction = \"block\"",
            [
                "line 3, column 10",
                "\"block\" is none of accept, drop, limit",
            ],
        ),
        (
            "service = \"tcp/22\"\naction = \"limit\"",
            ["line 1, column 1", "rate: a limit needs one"],
        ),
        (
            "service = \"tcp/22\"\naction = \"accept\"\nburst = 5",
            ["line 4, column 9", "burst: only a limit has it"],
        ),
    ] {
        let error = Config::parse(&format!("[[rule]]\n{rule}\n")).expect_err(rule);
        for part in parts {
            assert!(error.contains(part), "{rule}: {error}");
        }
    }
}

/// Two rules, the second in line 5.
fn two(first: &str, second: &str) -> Result<Config, String> {
    let rule = |rest: &str| format!("[[rule]]\nservice = \"tcp/80,443\"\n{rest}\n\n");
    Config::parse(&[first, second].map(rule).concat())
}

#[test]
fn two_rules_of_the_same_service_and_sources_cannot_say_opposite_things() {
    for (first, second) in [
        ("action = \"accept\"", "action = \"drop\""),
        (
            "action = \"drop\"\nfrom = [\"192.0.2.1\", \"198.51.100.0/24\"]",
            "action = \"accept\"\nfrom = [\"198.51.100.7/24\", \"192.0.2.1/32\", \"192.0.2.1\"]",
        ),
        (
            "action = \"limit\"\nrate = \"10/minute\"",
            "action = \"limit\"\nrate = \"11/minute\"",
        ),
        (
            "action = \"accept\"\nhours = \"09:00-17:00\"",
            "action = \"accept\"\nhours = \"09:00-18:00\"",
        ),
    ] {
        let line = 4 + first.lines().count();
        let error = two(first, second).expect_err(second);
        let expected = format!(
            "line {line}, column 1: the rule of line 1 says something else of tcp/80,443 for the same sources"
        );
        assert_eq!(error, expected, "{first} {second}");
    }
    for (first, second) in [
        ("action = \"accept\"", "action = \"accept\""),
        (
            "action = \"drop\"",
            "action = \"accept\"\nfrom = [\"192.0.2.1\"]",
        ),
        (
            "action = \"accept\"",
            "action = \"limit\"\nrate = \"10/minute\"",
        ),
    ] {
        let config = two(first, second).expect(second);
        assert_eq!(config.rules.len(), 2);
    }
}

#[test]
fn more_rules_than_netfilter_should_walk_are_refused() {
    let rules = |count: usize| -> String {
        let rule = |port: usize| format!("[[rule]]\nservice = \"tcp/{port}\"\naction = \"drop\"\n");
        (1..=count).map(rule).collect()
    };
    assert!(Config::parse(&rules(Rules::MAX)).is_ok());
    let error = Config::parse(&rules(Rules::MAX + 1)).expect_err("one too many");
    assert!(
        error.starts_with("line 3001, column 1: there would be too many rules"),
        "{error}"
    );
}

#[test]
fn the_examples_of_the_shipped_file_are_good_rules() {
    let shipped = include_str!("../../../dist/fw-ctl.toml");
    let start = shipped.find("# [[rule]]").expect("an example");
    let examples: Vec<&str> = shipped[start..]
        .lines()
        .map(|line| line.trim_start_matches("# "))
        .collect();
    let config = Config::parse(&examples.join("\n")).expect("good rules");
    assert_eq!(config.rules.len(), 3);
}
