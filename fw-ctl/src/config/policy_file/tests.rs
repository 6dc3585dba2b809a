use proptest::prelude::*;

use super::*;

#[test]
fn the_whole_file_is_read() {
    let policy = parse(
        r#"
        default = "drop"
        drop_invalid = false
        guard = ["10.0.0.7/24", "2001:db8::1"]
        allows = ["198.51.100.7"]
        blocks = [
            "192.0.2.0/24",
            { prefix = "203.0.113.9", ttl = "1h30m", comment = "noisy" },
            { prefix = "203.0.113.10-203.0.113.12", ttl = "never" },
            "2001:db8:1::7/48",
        ]
        [[rule]]
        service = "tcp/22"
        action = "accept"
        ttl = "1d"
        "#,
    );
    let item = |prefix: &str| PutItem {
        prefix: prefix.to_owned(),
        ..PutItem::default()
    };
    let expected = PolicyText {
        default: Some("drop".to_owned()),
        drop_invalid: Some(false),
        guard: Some(vec!["10.0.0.7/24".to_owned(), "2001:db8::1".to_owned()]),
        allows: Some(vec![item("198.51.100.7")]),
        blocks: Some(vec![
            item("192.0.2.0/24"),
            PutItem {
                ttl_s: Some(5_400),
                comment: "noisy".to_owned(),
                ..item("203.0.113.9")
            },
            item("203.0.113.10/31"),
            item("203.0.113.12"),
            item("2001:db8:1::7/48"),
        ]),
        rules: Some(vec![RulePut {
            service: "tcp/22".to_owned(),
            action: "accept".to_owned(),
            ttl_s: Some(86_400),
            ..RulePut::default()
        }]),
    };
    assert_eq!(policy, Ok(expected));
}

#[test]
fn what_is_not_in_the_file_is_not_in_the_policy() {
    assert_eq!(parse(""), Ok(PolicyText::default()));
    let empty = PolicyText {
        blocks: Some(Vec::new()),
        rules: Some(Vec::new()),
        ..PolicyText::default()
    };
    assert_eq!(parse("blocks = []\nrule = []"), Ok(empty));
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_column() {
    for (text, parts) in [
        ("default = \"drop", ["line 1, column ", "string"]),
        ("\ndefault", ["line 2, column ", "="]),
        (
            "defualt = \"drop\"",
            ["line 1, column 1", "unknown field `defualt`"],
        ),
        ("rules = []", ["line 1, column 1", "unknown field `rules`"]),
        (
            "default = \"deny\"",
            ["line 1, column 11", "\"deny\" is neither accept nor drop"],
        ),
        ("drop_invalid = 1", ["line 1, column 16", "boolean"]),
        (
            "\nguard = [\n\"10.0.0.0/8\",\n\"10.0.0\"]",
            ["line 4, column 1", "\"10.0.0\": "],
        ),
        (
            "guard = [{ prefix = \"10.0.0.0/8\" }]",
            ["line 1, column 10", "expected a string"],
        ),
        (
            "blocks = [\n\"192.0.2.1\",\n  \"192.0.2.300\",\n]",
            ["line 3, column 3", "\"192.0.2.300\": "],
        ),
        (
            "blocks = [1]",
            ["line 1, column 11", "expected an address, a prefix, or {"],
        ),
        (
            "blocks = \"192.0.2.1\"",
            ["line 1, column 10", "expected a sequence"],
        ),
        (
            "blocks = [\n{ prefix = \"192.0.2.9-192.0.2.1\" }]",
            ["line 2, column 12", "the range ends before it begins"],
        ),
        (
            "blocks = [{ prefix = \"192.0.2.1\",\n  ttl = \"soon\" }]",
            ["line 2, column 9", "a duration is written like"],
        ),
        (
            "allows = [{ prefix = \"192.0.2.1\",\n  ttl = 60 }]",
            ["line 2, column 9", "expected a string"],
        ),
        (
            "allows = [{ prefix = \"192.0.2.1\",\n  tll = \"1h\" }]",
            [
                "line 2, column 3",
                "unknown field `tll`, expected one of `prefix`, `ttl`, `comment`",
            ],
        ),
        (
            "allows = [\n{ ttl = \"1h\" }]",
            ["line 2, column 1", "missing field `prefix`"],
        ),
        (
            "blocks = [{ prefix = \"192.0.2.1\", comment = \"a\\u001bb\" }]",
            [
                "line 1, column 45",
                "a comment is one line of printable text",
            ],
        ),
        (
            "[[rule]]\nservice = \"tcp/22\"\naction = \"accept\"\nhours = \"9-17\"",
            ["line 4, column 9", "time \"9\" is none from"],
        ),
        (
            "[[rule]]\nservice = \"tcp/22\"\naction = \"accept\"\n[[rule]]\nservice = \"tcp/22\"\naction = \"drop\"",
            [
                "line 4, column 1",
                "the rule of line 1 says something else of tcp/22",
            ],
        ),
        (
            "[[rule]]\nservice = \"tcp/22\"\naction = \"accept\"\nttl = \"1h1h\"",
            ["line 4, column 7", "from the largest to the smallest"],
        ),
    ] {
        let error = parse(text).expect_err(text);
        for part in parts {
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(!error.contains('\n'), "{text}: {error}");
    }
}

#[test]
fn the_example_is_a_good_file() {
    let lines = include_str!("../policy_file.rs").lines();
    let comment = lines.take_while(|line| line.starts_with("//!"));
    let example: Vec<&str> = comment
        .map(|line| line.trim_start_matches("//!").trim_start())
        .skip_while(|line| *line != "```toml")
        .skip(1)
        .take_while(|line| *line != "```")
        .collect();
    let policy = parse(&example.join("\n")).expect("the example");
    assert_eq!(policy.blocks.map(|blocks| blocks.len()), Some(2));
    assert_eq!(policy.rules.map(|rules| rules.len()), Some(1));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(guard|blocks|default|rule|\\[\\[rule\\]\\]|[={}\\[\\]\",\n 0-9./:a-z-]){0,30}") {
        let _ = parse(&text);
    }
}
