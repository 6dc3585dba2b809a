use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use fw_common::Prefix;
use proptest::prelude::*;

use super::*;
use crate::{
    api::wire,
    policy::{entry::Comment, time::LONGEST},
};

mod bans;
mod foreign;
mod rules;

/// `line prefix ttl action comment`
fn shown(line: &Line) -> String {
    let cleared = if line.host_bits_cleared { "!" } else { "" };
    let ttl = line.ttl.map_or("-".into(), |ttl| ttl.to_string());
    let action = line.action.map_or("-", Action::name);
    let comment = line.comment.as_str();
    let (number, prefix) = (line.line, line.prefix);
    format!("{number} {prefix}{cleared} {ttl} {action} {comment}")
}

/// All lines, as they are [`shown`].
fn lines(text: &str, format: Format) -> Vec<String> {
    let parsed = parse(text, format);
    assert_eq!(parsed.errors, [], "{text}");
    parsed.lines.iter().map(shown).collect()
}

/// `line reason` of every error.
fn errors(text: &str, format: Format) -> Vec<String> {
    let parsed = parse(text, format);
    let shown = |error: &LineError| format!("{} {}", error.line, error.reason);
    parsed.errors.iter().map(shown).collect()
}

#[test]
fn every_format_is_read_and_recognised() {
    use Format::{Cidr, Csv, Ipset, Json, Spamhaus};
    let cases: [(Format, &str, &[&str]); 12] = [
        (Cidr, "", &[]),
        (
            Cidr,
            "\u{feff}# head\r\n; head\r\n\r\n  192.0.2.1  \r\n198.51.100.7/24 # a note\r\n2001:db8::/32\t;\tb\tc \r\n",
            &[
                "4 192.0.2.1 - - ",
                "5 198.51.100.0/24! - - a note",
                "6 2001:db8::/32 - - b c",
            ],
        ),
        (
            Cidr,
            "#\n# firehol_level1\n#\n# Maintainer URL : http://iplists.firehol.org/, ipset\n0.0.0.0/8\n1.10.16.0/20\n",
            &["5 0.0.0.0/8 - - ", "6 1.10.16.0/20 - - "],
        ),
        (
            Cidr,
            "192.0.2.1-192.0.2.4\n192.0.2.9#x\n",
            &[
                "1 192.0.2.1 - - ",
                "1 192.0.2.2/31 - - ",
                "1 192.0.2.4 - - ",
                "2 192.0.2.9 - - x",
            ],
        ),
        (
            Csv,
            "Prefix,TTL,Comment\n192.0.2.1,10m,web # not a note\n192.0.2.2,,\n192.0.2.3,never\n\"192.0.2.4\" , 90 , \"a, \"\"b\"\"\"\n# c\n192.0.2.5",
            &[
                "2 192.0.2.1 10m - web # not a note",
                "3 192.0.2.2 - - ",
                "4 192.0.2.3 never - ",
                "5 192.0.2.4 1m30s - a, \"b\"",
                "7 192.0.2.5 - - ",
            ],
        ),
        (
            Csv,
            "192.0.2.2-192.0.2.3,5m,pair",
            &["1 192.0.2.2/31 5m - pair"],
        ),
        (
            Spamhaus,
            "; Spamhaus DROP List 2026/11/22 - (c) 2026 The Spamhaus Project SLU\n; Last-Modified: ...\n1.10.16.0/20 ; SBL256894\n",
            &["3 1.10.16.0/20 - - SBL256894"],
        ),
        (
            Spamhaus,
            "{\"cidr\":\"1.10.16.0/20\",\"sblid\":\"SBL256894\",\"rir\":\"apnic\"}\n{\"cidr\":\"2a06:e480::/29\"}\n{\"type\":\"metadata\",\"timestamp\":1,\"records\":2}\n",
            &["1 1.10.16.0/20 - - SBL256894", "2 2a06:e480::/29 - - "],
        ),
        (
            Ipset,
            "create bad hash:net family inet hashsize 1024 maxelem 65536 timeout 0 comment\nadd bad 192.0.2.0/24 timeout 300 comment \"x y; z\"\nadd bad 192.0.2.9 timeout 0 packets 3 bytes 120\nadd bad 192.0.2.8 -exist\n",
            &[
                "2 192.0.2.0/24 5m - x y; z",
                "3 192.0.2.9 never - ",
                "4 192.0.2.8 never - ",
            ],
        ),
        (
            Json,
            "{\n  \"allowed_ips\": [\n    {\n      \"ip\": \"192.0.2.1\",\n      \"added\": \"2024-01-01T00:00:00\",\n      \"comment\": \"office\"\n    },\n    {\"ip\": \"192.0.2.2\", \"comment\": null}\n  ]\n}\n",
            &["3 192.0.2.1 - allow office", "8 192.0.2.2 - allow "],
        ),
        (
            Json,
            "\n[\"192.0.2.1\",\n \"192.0.2.0\\/24\",\n\"192.0.2.2-192.0.2.3\"]",
            &[
                "2 192.0.2.1 - - ",
                "3 192.0.2.0/24 - - ",
                "4 192.0.2.2/31 - - ",
            ],
        ),
        (
            Json,
            "{\"schema\":1,\"total\":2,\"items\":[\n{\"prefix\":\"192.0.2.1\",\"action\":\"block\",\"list\":\"local\",\"comment\":\"a\",\"ttl_s\":0},\n{\"prefix\":\"192.0.2.2\",\"action\":\"allow\",\"ttl_s\":null}]}",
            &["2 192.0.2.1 1s block a", "3 192.0.2.2 never allow "],
        ),
    ];
    for (format, text, expected) in cases {
        assert_eq!(lines(text, format), expected, "{format}: {text}");
        assert_eq!(lines(text, Format::Auto), expected, "auto: {text}");
        assert_eq!(parse(text, Format::Auto).format, format, "{text}");
    }
}

#[test]
fn a_mixed_file_is_read_without_being_told() {
    let text = "192.0.2.1\n192.0.2.2,10m\n192.0.2.3 # note\n192.0.2.4 ; SBL1\n";
    assert_eq!(
        lines(text, Format::Auto),
        [
            "1 192.0.2.1 - - ",
            "2 192.0.2.2 10m - ",
            "3 192.0.2.3 - - note",
            "4 192.0.2.4 - - SBL1"
        ]
    );
}

#[test]
fn a_bad_line_is_named_and_the_others_are_read() {
    use Format::{Auto, Cidr, Csv, Ipset, Json, Spamhaus};
    let cases: [(Format, &str, &str); 38] = [
        (Auto, "192.0.2.256", "not an IPv4 or IPv6 address"),
        (Auto, "hello", "not an IPv4 or IPv6 address"),
        (Auto, "192.0.2.0/33", "beyond the 32 bits"),
        (Auto, "192.0.2.0/x", "not a number"),
        (Auto, "fe80::1%eth0", "zone ids"),
        (Auto, "::ffff:192.0.2.1", "v4-mapped"),
        (Auto, "192.0.2.9-192.0.2.1", "ends before it begins"),
        (Auto, "192.0.2.9-2001:db8::", "same family"),
        (Auto, "192.0.2.0/24-192.0.2.9", "a range is two addresses"),
        (Auto, "192.0.2.1-", "not an IPv4 or IPv6 address"),
        (Auto, "192.0.2.1 bad guy", "a note begins with `#`"),
        (Auto, "192.0.2.1 # \u{1b}[2J", "character 1 is '\\u{1b}'"),
        (Auto, "192.0.2.1 # a\u{202e}b", "character 2 is '\\u{202e}'"),
        (Auto, "192.0.2.1 # a\rb", "character 2 is '\\r'"),
        (Cidr, "192.0.2.1,10m", "csv format"),
        (Spamhaus, "192.0.2.1,10m", "csv format"),
        (Csv, "192.0.2.1,soon", "a duration is written like"),
        (Csv, "192.0.2.1,0", "at least one second"),
        (Csv, "192.0.2.1,,a,b", "more than three fields"),
        (Csv, "192.0.2.1,,\"a", "a quote is not closed"),
        (Csv, "192.0.2.1,,\"a\"b", "text behind a closing quote"),
        (Csv, ",10m", "not an IPv4 or IPv6 address"),
        (Csv, "prefix,ttl,comment", "a duration is written like"),
        (Ipset, "add bad", "a set and an entry"),
        (
            Ipset,
            "add bad 192.0.2.0/24 nomatch",
            "`nomatch` is an exception",
        ),
        (Ipset, "add bad 192.0.2.1,tcp:80", "ports and interfaces"),
        (Ipset, "add bad 192.0.2.1 timeout", "`timeout` has no value"),
        (Ipset, "add bad 192.0.2.1 timeout 1h", "a number of seconds"),
        (
            Ipset,
            "add bad 192.0.2.1 comment \"a",
            "a quote is not closed",
        ),
        (Ipset, "add bad 192.0.2.1 mark 1", "unknown option `mark`"),
        (Ipset, "del bad 192.0.2.1", "only `create` and `add`"),
        (Spamhaus, "{\"asn\":1}", "missing field `cidr`"),
        (Spamhaus, "{\"cidr\":1}", "expected"),
        (Json, "\"192.0.2.1/x\"", "not a number"),
        (Json, "17", "invalid type"),
        (Json, "{\"comment\":\"x\"}", "missing field `prefix`"),
        (
            Json,
            "{\"ip\":\"192.0.2.1\",\"action\":\"drop\"}",
            "`block` or `allow`",
        ),
        (Json, "{\"ip\":\"192.0.2.1\",\"ttl_s\":-1}", "invalid value"),
    ];
    for (format, bad, reason) in cases {
        let (text, first, last) = match format {
            Json => (format!("[\"10.0.0.1\",\n{bad},\n\"10.0.0.2\"]"), 1, 3),
            Ipset => (format!("add s 10.0.0.1\n{bad}\nadd s 10.0.0.2"), 1, 3),
            _ => (format!("10.0.0.1\n{bad}\n10.0.0.2\n"), 1, 3),
        };
        let parsed = parse(&text, format);
        let read: Vec<_> = parsed.lines.iter().map(|line| line.line).collect();
        assert_eq!(read, [first, last], "{format}: {bad}");
        let [error] = &*parsed.errors else {
            panic!("{format}: {bad}: {:?}", parsed.errors);
        };
        assert_eq!(error.line, 2, "{format}: {bad}");
        assert!(error.reason.contains(reason), "{bad}: {}", error.reason);
    }
}

#[test]
fn a_document_that_is_no_list_is_one_error_on_its_line() {
    for (text, expected) in [
        ("{\n\"items\": [\n\"a\" \"b\"]}", "3 expected `,` or `]`"),
        (
            "{\"schema\":2,\"items\":[]}",
            "1 only exports with `\"schema\": 1` are read",
        ),
        (
            "{\"items\":[]}",
            "1 only exports with `\"schema\": 1` are read",
        ),
        ("{}", "1 expected an array, `allowed_ips` or `items`"),
        ("[\"192.0.2.1\"\n", "1 EOF while parsing a list"),
        ("\n\n[1,]", "3 trailing comma"),
    ] {
        assert_eq!(errors(text, Format::Json), [expected], "{text}");
        assert!(parse(text, Format::Json).lines.is_empty(), "{text}");
    }
    assert_eq!(errors("", Format::Json), ["1 EOF while parsing a value"]);
}

#[test]
fn a_long_comment_is_cut_between_characters_and_a_long_line_refused() {
    let long = format!("192.0.2.1 # a{}", "é".repeat(200));
    let parsed = parse(&long, Format::Auto);
    assert_eq!(
        parsed.lines[0].comment.as_str(),
        format!("a{}", "é".repeat(127))
    );

    let line = |bytes: usize| format!("192.0.2.1 # {}", "x".repeat(bytes - 12));
    let text = format!("{}\n{}\n", line(4096), line(4097));
    assert_eq!(parse(&text, Format::Auto).lines.len(), 1);
    assert_eq!(
        errors(&text, Format::Auto),
        ["2 the line has more than 4096 bytes"]
    );
}

#[test]
fn an_error_prints_on_one_line_whatever_the_file_holds() {
    let parsed = parse("\u{1b}[31m'\"\u{202e}\u{7}", Format::Cidr);
    let text = &parsed.errors[0].text;
    assert_eq!(text, "\\u{1b}[31m'\"\\u{202e}\\u{7}");
    let parsed = parse(&"é".repeat(100), Format::Cidr);
    assert_eq!(parsed.errors[0].text, format!("{}...", "é".repeat(60)));
}

#[test]
fn a_format_is_what_its_name_says() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
    }
    assert_eq!("CSV".parse::<Format>(), Err(FormatError));
}

#[test]
fn our_own_export_is_read_back() {
    let entry = |prefix: &str, action: &str, ttl_s, comment: &str| wire::Entry {
        prefix: prefix.into(),
        action: action.into(),
        observed: false,
        list: "local".into(),
        comment: comment.into(),
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        ttl_s,
        packets: 7,
        bytes: 700,
        geo: None,
    };
    let items = wire::Items::all(vec![
        entry("192.0.2.0/24", "block", Some(90), "quote \" and \\ and é"),
        entry("2001:db8::1", "allow", None, ""),
    ]);
    for text in [
        serde_json::to_string(&items).expect("wire types serialise"),
        serde_json::to_string_pretty(&items).expect("wire types serialise"),
    ] {
        let parsed = parse(&text, Format::Auto);
        assert_eq!((parsed.format, parsed.errors), (Format::Json, vec![]));
        let [a, b] = &*parsed.lines else {
            panic!("{:?}", parsed.lines);
        };
        assert_eq!(a.prefix.to_string(), "192.0.2.0/24");
        assert_eq!(a.ttl, Some(Ttl::For(Duration::from_secs(90))));
        assert_eq!(a.comment.as_str(), "quote \" and \\ and é");
        assert_eq!(a.action, Some(Action::Block));
        assert_eq!(b.prefix.to_string(), "2001:db8::1");
        assert_eq!(b.ttl, Some(Ttl::Never));
        assert_eq!(b.action, Some(Action::Allow));
    }
}

fn prefix() -> impl Strategy<Value = Prefix> {
    prop_oneof![
        (any::<[u8; 4]>(), 0..=32_u8).prop_map(|(address, length)| (address.into(), length)),
        (any::<[u8; 16]>(), 0..=128_u8).prop_map(|(address, length)| (address.into(), length)),
    ]
    .prop_filter_map("v4-mapped addresses are refused", |(address, length)| {
        Prefix::new(address, length)?.to_string().parse().ok()
    })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), format in 0..Format::ALL.len()) {
        parse(&text, Format::ALL[format]);
    }

    #[test]
    fn no_line_that_looks_right_makes_it_panic(
        text in "((add s |create s hash:net|elements = \\{|set s \\{|\\*filter|-A INPUT|\\{\"(cidr|ip|items|allowed_ips|nftables)\":|\\[|'|\"|#)?[0-9a-f.:/,; '\"\\[\\]{}#-]{0,30}(timeout|comment|nomatch|-j DROP|\\+ 5 = )?\r?\n?){0,6}",
        format in 0..Format::ALL.len(),
    ) {
        let parsed = parse(&text, Format::ALL[format]);
        let last = text.lines().count().max(1);
        let lines = parsed.lines.iter().map(|line| line.line);
        let errors = parsed.errors.iter().map(|error| error.line);
        prop_assert!(lines.chain(errors).all(|line| (1..=last).contains(&line)));
    }

    #[test]
    fn what_a_row_says_is_read_back(
        prefix in prefix(),
        secs in proptest::option::of(1..=LONGEST.as_secs()),
        comment in "\\PC{0,60}",
    ) {
        prop_assume!(comment.parse::<Comment>().is_ok());
        let ttl = Ttl::from_secs(secs);
        let text = row(prefix, ttl, &comment);
        for format in [Format::Auto, Format::Csv] {
            let parsed = parse(&text, format);
            prop_assert_eq!(&parsed.errors, &[]);
            prop_assert_eq!(parsed.lines.len(), 1);
            let line = &parsed.lines[0];
            prop_assert_eq!(line.prefix, prefix);
            prop_assert_eq!(line.ttl, Some(ttl));
            prop_assert_eq!(line.comment.as_str(), &comment);
        }
    }

    #[test]
    fn a_range_is_its_addresses_and_no_others(a: u32, b: u32, near in any::<bool>()) {
        let b = if near { a.saturating_add(b % 1000) } else { b };
        let (first, last) = (a.min(b), a.max(b));
        let text = format!("{}-{}", Ipv4Addr::from(first), Ipv4Addr::from(last));
        let prefixes = addresses(&text).expect("a range");
        let mut next = u64::from(first);
        for (prefix, cleared) in &prefixes {
            let (IpAddr::V4(start), IpAddr::V4(end)) = (prefix.address(), prefix.last()) else {
                panic!("{prefix} is of another family");
            };
            prop_assert!(!cleared);
            prop_assert_eq!(u64::from(u32::from(start)), next);
            next = u64::from(u32::from(end)) + 1;
        }
        prop_assert_eq!(next, u64::from(last) + 1);
        prop_assert!(prefixes.len() <= 62);
    }
}
