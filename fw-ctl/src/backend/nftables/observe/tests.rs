use super::*;
use crate::{
    plan::mirror::{Element, MirrorPlan, SetChange},
    policy::time::{Now, WallSecs},
};

/// Printed by nft 1.0.6.
const TABLE: &str = r#"{"nftables": [
    {"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}},
    {"table": {"family": "inet", "name": "fwctl", "handle": 2}},
    {"limit": {"family": "inet", "name": "limit_4_100_second_20", "table": "fwctl", "handle": 3,
        "rate": 100, "per": "second", "inv": true, "burst": 20}},
    {"set": {"family": "inet", "name": "block4_24", "table": "fwctl", "type": "ipv4_addr", "handle": 4,
        "flags": ["timeout"],
        "elem": [{"elem": {"val": "192.0.2.0", "timeout": 60, "expires": 59}}, "198.51.100.0"]}},
    {"set": {"family": "inet", "name": "block6_128", "table": "fwctl", "type": "ipv6_addr", "handle": 5,
        "flags": ["timeout"], "elem": ["2001:db8::1"]}},
    {"set": {"family": "inet", "name": "guard4_32", "table": "fwctl", "type": "ipv4_addr", "handle": 6,
        "flags": ["timeout"]}},
    {"set": {"family": "inet", "name": "limit4_3_10_minute_20", "table": "fwctl", "type": "ipv4_addr",
        "handle": 9, "size": 65535, "flags": ["timeout"], "timeout": 120,
        "elem": [{"elem": {"val": "10.0.0.1", "expires": 118,
            "limit": {"rate": 10, "burst": 20, "per": "minute", "inv": true}}}]}},
    {"chain": {"family": "inet", "table": "fwctl", "name": "fwctl", "handle": 1}}]}"#;

fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

#[test]
fn elements_are_read_with_what_is_left_of_their_time_and_buckets_are_not() {
    let block = [
        ("192.0.2.0/24", Some(59_500)),
        ("198.51.100.0/24", None),
        ("2001:db8::1", None),
    ];
    let block = block.map(|(text, ms)| (prefix(text), ms.map(Duration::from_millis)));
    let expected = [(SetName::Guard, [].into()), (SetName::Block, block.into())];
    assert_eq!(networks(TABLE).expect("a listing"), expected.into());
}

/// A listing of one set.
fn set(name: &str, elements: &str) -> Networks {
    let set = format!(r#"{{"name": "{name}", "elem": [{elements}]}}"#);
    networks(&format!(r#"{{"nftables": [{{"set": {set}}}]}}"#)).expect("a listing")
}

#[test]
fn sets_and_elements_of_somebody_else_are_passed_over() {
    for (name, elements, count) in [
        (
            "block4_24",
            r#""192.0.2.0", {"prefix": {"addr": "10.0.0.0", "len": 8}}, 7"#,
            1,
        ),
        ("block4_24", r#"{"elem": {"val": 7}}"#, 0),
        ("block4_33", r#""192.0.2.0""#, 0),
        ("block5_24", r#""192.0.2.0""#, 0),
        ("block4_", r#""192.0.2.0""#, 0),
        ("lists", r#""192.0.2.0""#, 0),
    ] {
        let listed: usize = set(name, elements).values().map(BTreeMap::len).sum();
        assert_eq!(listed, count, "{name} {elements}");
    }
    assert!(networks("nonsense").is_err());
}

fn held(block: &[(&str, Option<u32>)]) -> Held {
    let now = Now {
        boot: Duration::ZERO,
        wall: WallSecs(0),
    };
    let block = block.iter().map(|(text, deadline)| Element {
        prefix: prefix(text),
        deadline: deadline.map(BootSecs),
    });
    let mut held = Held::default();
    let plan = MirrorPlan {
        sets: [(SetName::Block, SetChange::Replace(block.collect()))].into(),
        ruleset: None,
    };
    held.change(&plan, now);
    held
}

fn counted(addresses: &[&str], held: Option<&Held>, now: u32) -> usize {
    let elements: Vec<_> = addresses.iter().map(|text| format!("{text:?}")).collect();
    let listed = set("block4_32", &elements.join(","));
    counts(&listed, held, BootSecs(now))[&SetName::Block]
}

#[test]
fn what_ends_by_itself_changes_no_number_and_what_somebody_takes_does() {
    let held = held(&[
        ("192.0.2.1", Some(100)),
        ("192.0.2.2", None),
        ("192.0.2.3", Some(200)),
    ]);
    let [one, two, three, four] = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
    for (listed, now, counted_as) in [
        (&[one, two, three][..], 50, 3),
        (&[two, three], 97, 2),
        (&[two, three], 98, 3),
        (&[one, two, three], 101, 3),
        (&[two], 300, 3),
        (&[three], 150, 2),
        (&[], 50, 0),
        (&[one, two, three, four], 50, 4),
        // One for another is no equality.
        (&[one, two, four], 50, 2),
    ] {
        assert_eq!(
            counted(listed, Some(&held), now),
            counted_as,
            "{listed:?} at {now}"
        );
    }
    assert_eq!(
        counted(&[one, two], None, 50),
        2,
        "nothing is known of what should be there"
    );
}
