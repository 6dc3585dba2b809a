use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::listfile::{Format, Line, parse};

/// An entry of no particular time.
pub(super) fn row(prefix: &str, secs: Option<u64>, comment: &str) -> Row {
    Row {
        prefix: prefix.parse().expect("a prefix"),
        ttl: Ttl::from_secs(secs),
        comment: comment.parse().expect("a comment"),
        created: Timestamp::UNIX_EPOCH,
    }
}

fn lists(name: &str, rows: Vec<Row>) -> Lists {
    Lists::from([(name.to_owned(), rows)])
}

/// `prefix ttl comment` of what is read back.
#[track_caller]
fn read(text: &str, format: Format) -> Vec<String> {
    let parsed = parse(text, Format::Auto);
    assert_eq!(
        (parsed.format, &*parsed.errors),
        (format, &[][..]),
        "{text}"
    );
    let shown = |line: &Line| {
        let ttl = line.ttl.unwrap_or(Ttl::Never);
        format!("{} {ttl} {}", line.prefix, line.comment.as_str())
    };
    parsed.lines.iter().map(shown).collect()
}

fn examples() -> Lists {
    let mut lists = lists(
        "local",
        vec![
            row("192.0.2.0/24", Some(90), "x, } y; $z `id` \\ 'q' é"),
            row("192.0.2.7", None, "say \"hi\""),
            row("2001:db8::/32", Some(3_000_000), ""),
        ],
    );
    lists.insert("feed:x".into(), vec![row("192.0.2.7", Some(5), "")]);
    lists
}

#[test]
fn ipset_is_told_everything_and_overlaps_are_left_to_it() {
    let Written { text, notes } = ipset(&examples()).expect("two names");
    let expected = "# ipset restore < FILE
create v4-feed_x hash:net family inet maxelem 65536 timeout 0
add v4-feed_x 192.0.2.7 timeout 5
create v4-local hash:net family inet maxelem 65536 timeout 0 comment
add v4-local 192.0.2.0/24 timeout 90 comment \"x, } y; $z `id` \\ 'q' é\"
add v4-local 192.0.2.7 timeout 0 comment \"say 'hi'\"
create v6-local hash:net family inet6 maxelem 65536 timeout 0
add v6-local 2001:db8::/32 timeout 2147483
";
    assert_eq!(text, expected);
    let quotes = "1 entries: double quotes in comments are single ones: ipset takes none";
    let days = "1 entries end after 24 days there: ipset counts no further";
    assert_eq!(notes, [quotes, days]);
    let everything = lists("a", vec![row("0.0.0.0/0", None, ""), row("::/0", None, "")]);
    let Written { text, .. } = ipset(&everything).expect("one name");
    assert_eq!(
        read(&text, Format::Ipset),
        [
            "0.0.0.0/1 never ",
            "128.0.0.0/1 never ",
            "::/1 never ",
            "8000::/1 never "
        ]
    );
}

#[test]
fn nft_is_told_nothing_twice() {
    let Written { text, notes } = nft(&examples()).expect("two names");
    assert_eq!(
        read(&text, Format::Nft),
        [
            "192.0.2.7 5s ",
            "192.0.2.0/30 1m30s x, } y; $z `id` \\ 'q' é",
            "192.0.2.4/31 1m30s x, } y; $z `id` \\ 'q' é",
            "192.0.2.6 1m30s x, } y; $z `id` \\ 'q' é",
            "192.0.2.7 never say 'hi'",
            "192.0.2.8/29 1m30s x, } y; $z `id` \\ 'q' é",
            "192.0.2.16/28 1m30s x, } y; $z `id` \\ 'q' é",
            "192.0.2.32/27 1m30s x, } y; $z `id` \\ 'q' é",
            "192.0.2.64/26 1m30s x, } y; $z `id` \\ 'q' é",
            "192.0.2.128/25 1m30s x, } y; $z `id` \\ 'q' é",
            "2001:db8::/32 4w6d17h20m ",
        ]
    );
    let quotes = "1 entries: double quotes in comments are single ones: nft takes none";
    let cut = "1 entries are cut around others inside that last longer: nft takes no overlaps";
    assert_eq!(notes, [quotes, cut]);
    let long = lists("a", vec![row("192.0.2.1", None, &"é".repeat(100))]);
    let Written { text, notes } = nft(&long).expect("one name");
    assert_eq!(
        read(&text, Format::Nft),
        [format!("192.0.2.1 never {}", "é".repeat(64))]
    );
    assert_eq!(notes, ["1 entries: comments are cut: nft takes 128 bytes"]);
}

#[test]
fn the_allowlist_has_what_never_ends() {
    let rows = vec![
        row("192.0.2.1", None, "a \"b\""),
        row("192.0.2.2", Some(5), "guest"),
    ];
    let Written { text, notes } = allowlist(&lists("local", rows)).expect("it is text");
    let expected = "{
  \"allowed_ips\": [
    {
      \"ip\": \"192.0.2.1\",
      \"added\": \"1970-01-01T00:00:00+00:00\",
      \"comment\": \"a \\\"b\\\"\"
    }
  ]
}
";
    assert_eq!(text, expected);
    assert_eq!(
        notes,
        ["1 entries that end are left out: there they would never end"]
    );
    assert_eq!(read(&text, Format::Json), ["192.0.2.1 never a \"b\""]);
}

#[test]
fn lists_whose_sets_would_be_one_are_refused() {
    let mut both = lists("a:b", vec![row("192.0.2.1", None, "")]);
    both.insert("a_b".into(), vec![row("192.0.2.2", None, "")]);
    let error = SameName("a:b".into(), "a_b".into(), "v4-a_b".into());
    assert_eq!(ipset(&both), Err(error));
    let long = lists(&"x".repeat(64), vec![row("::1", None, "")]);
    let Written { text, .. } = ipset(&long).expect("one name");
    assert!(
        text.contains(&format!("add v6-{} ", "x".repeat(28))),
        "{text}"
    );
}

/// Entries as a list has them: each prefix once.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let v4 = (any::<[u8; 4]>(), 8..=32_u8).prop_map(|(address, length)| (address.into(), length));
    let v6 =
        (any::<[u8; 16]>(), 16..=128_u8).prop_map(|(address, length)| (address.into(), length));
    let prefix = prop_oneof![v4, v6].prop_filter_map("v4-mapped", |(address, length)| {
        Prefix::new(address, length)?
            .to_string()
            .parse::<Prefix>()
            .ok()
    });
    let ttl = proptest::option::of(1..2_147_483_u64);
    let entries = proptest::collection::btree_map(prefix, (ttl, "\\PC{0,40}"), 0..12);
    entries.prop_map(|entries| {
        let rows = entries.into_iter().filter_map(|(prefix, (secs, comment))| {
            Some(Row {
                prefix,
                ttl: Ttl::from_secs(secs),
                comment: comment.parse().ok()?,
                created: Timestamp::UNIX_EPOCH,
            })
        });
        rows.collect()
    })
}

proptest! {
    #[test]
    fn what_ipset_is_told_reads_back(rows in rows()) {
        let expected: Vec<String> = rows
            .iter()
            .map(|Row { prefix, ttl, comment, .. }| {
                format!("{prefix} {ttl} {}", comment.as_str().replace('"', "'"))
            })
            .collect();
        let Written { text, .. } = ipset(&lists("local", rows)).expect("one name");
        prop_assert_eq!(read(&text, if expected.is_empty() { Format::Cidr } else { Format::Ipset }), expected);
    }

    #[test]
    fn what_nft_is_told_reads_back(rows in rows()) {
        let covers = |a: &Row, b: &Row| a.prefix != b.prefix && a.prefix.covers(&b.prefix);
        prop_assume!(!rows.iter().any(|a| rows.iter().any(|b| covers(a, b))));
        let expected: Vec<String> = rows
            .iter()
            .map(|Row { prefix, ttl, comment, .. }| {
                let comment = comment.as_str().replace('"', "'");
                format!("{prefix} {ttl} {}", &comment[..comment.floor_char_boundary(128)])
            })
            .collect();
        let Written { text, .. } = nft(&lists("local", rows)).expect("one name");
        prop_assert_eq!(read(&text, Format::Nft), expected);
    }
}
