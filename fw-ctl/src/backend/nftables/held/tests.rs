use std::time::Duration;

use super::*;
use crate::policy::{rules::Base, time::WallSecs};

fn at(ms: u64) -> Now {
    Now {
        boot: Duration::from_millis(ms),
        wall: WallSecs(0),
    }
}

fn element(text: &str, deadline: Option<u32>) -> Element {
    Element {
        prefix: text.parse().expect("a prefix"),
        deadline: deadline.map(BootSecs),
    }
}

fn edit(edits: &[(&str, Option<Option<u32>>)]) -> MirrorPlan {
    let edits = edits.iter().map(|(text, put)| {
        let put = put.map(|deadline| element(text, deadline));
        (text.parse().expect("a prefix"), put)
    });
    MirrorPlan {
        sets: [(SetName::Block, SetChange::Edit(edits.collect()))].into(),
        ruleset: None,
    }
}

fn whole(block: Vec<Element>) -> MirrorPlan {
    let mut sets = SetName::ALL.map(|name| (name, SetChange::Replace(Vec::new())));
    sets[2].1 = SetChange::Replace(block);
    let ruleset = Ruleset {
        observe: false,
        forward: false,
        base: Base::default(),
        limits: Vec::new(),
        ports: Vec::new(),
    };
    MirrorPlan {
        sets: sets.into(),
        ruleset: Some(Arc::new(ruleset)),
    }
}

/// The commands that are about sets.
fn about_sets(change: &Change) -> Vec<&str> {
    let lines = change.commands.iter().map(String::as_str);
    lines.filter(|line| line.contains("block")).collect()
}

#[test]
fn networks_stand_in_sets_by_family_and_length_with_what_is_left_of_their_time() {
    let mut held = Held::default();
    let plan = whole(vec![
        element("192.0.2.0/24", Some(200_000)),
        element("192.0.2.1", None),
        element("198.51.100.0/24", Some(101)),
        element("203.0.113.0/24", Some(100)),
        element("2001:db8::/48", None),
    ]);
    let change = held.change(&plan, at(100_250));
    assert_eq!(
        about_sets(&change),
        [
            "add set inet fwctl block4_24 { type ipv4_addr; flags timeout; }",
            "add element inet fwctl block4_24 { 192.0.2.0 timeout 2d27099s750ms, 198.51.100.0 timeout 0d0s750ms }",
            "add set inet fwctl block4_32 { type ipv4_addr; flags timeout; }",
            "add element inet fwctl block4_32 { 192.0.2.1 }",
            "add set inet fwctl block6_48 { type ipv6_addr; flags timeout; }",
            "add element inet fwctl block6_48 { 2001:db8:: }",
            "add rule inet fwctl fwctl ip saddr & 255.255.255.0 == @block4_24 counter drop",
            "add rule inet fwctl fwctl ip saddr @block4_32 counter drop",
            "add rule inet fwctl fwctl ip6 saddr & ffff:ffff:ffff:: == @block6_48 counter drop",
        ]
    );
    assert!(change.shape);
    assert_eq!(held.counts()[&SetName::Block], 4, "one had ended");
}

#[test]
fn an_edit_says_only_what_changes() {
    let mut held = Held::default();
    held.change(
        &whole(vec![
            element("192.0.2.1", Some(150)),
            element("192.0.2.2", None),
        ]),
        at(0),
    );
    let plan = edit(&[
        ("192.0.2.1", Some(Some(300))),
        ("192.0.2.2", None),
        ("192.0.2.3", Some(Some(99))),
        ("198.51.100.0/24", None),
    ]);
    let change = held.change(&plan, at(100_000));
    assert_eq!(
        change.commands,
        [
            "add element inet fwctl block4_32 { 192.0.2.1, 192.0.2.2, 192.0.2.3 }",
            "delete element inet fwctl block4_32 { 192.0.2.1, 192.0.2.2, 192.0.2.3 }",
            "add element inet fwctl block4_32 { 192.0.2.1 timeout 0d200s0ms }",
        ]
    );
    assert!(!change.shape);
    assert_eq!(held.counts()[&SetName::Block], 1);
}

#[test]
fn a_new_length_makes_a_set_and_fills_the_chain_anew() {
    let mut held = Held::default();
    held.change(&whole(vec![element("192.0.2.1", None)]), at(0));
    let change = held.change(&edit(&[("198.51.100.0/24", Some(None))]), at(0));
    assert!(change.shape);
    assert_eq!(
        change.commands[..3],
        [
            "add set inet fwctl block4_24 { type ipv4_addr; flags timeout; }",
            "add element inet fwctl block4_24 { 198.51.100.0 }",
            "flush chain inet fwctl fwctl",
        ]
    );
    let rules = &about_sets(&change)[2..];
    assert_eq!(
        rules,
        [
            "add rule inet fwctl fwctl ip saddr & 255.255.255.0 == @block4_24 counter drop",
            "add rule inet fwctl fwctl ip saddr @block4_32 counter drop",
        ]
    );
    assert!(held.change(&edit(&[]), at(0)).commands.is_empty());
}

#[test]
fn rules_alone_leave_the_sets_alone() {
    let mut held = Held::default();
    let plan = whole(vec![element("192.0.2.1", None)]);
    held.change(&plan, at(0));
    let plan = MirrorPlan {
        sets: BTreeMap::new(),
        ..plan
    };
    let change = held.change(&plan, at(0));
    assert_eq!(change.commands[0], "flush chain inet fwctl fwctl");
    assert!(
        change.commands[1..]
            .iter()
            .all(|line| line.starts_with("add rule inet fwctl fwctl "))
    );
}

#[test]
fn replacing_one_set_empties_it_first() {
    let mut held = Held::default();
    held.change(
        &whole(vec![
            element("192.0.2.1", None),
            element("192.0.2.0/24", None),
        ]),
        at(0),
    );
    let plan = MirrorPlan {
        sets: [(
            SetName::Block,
            SetChange::Replace(vec![element("192.0.2.9", None)]),
        )]
        .into(),
        ruleset: None,
    };
    let change = held.change(&plan, at(0));
    assert_eq!(
        change.commands,
        [
            "flush set inet fwctl block4_24",
            "flush set inet fwctl block4_32",
            "add element inet fwctl block4_32 { 192.0.2.9 }",
        ]
    );
    assert!(!change.shape);
    assert_eq!(held.counts()[&SetName::Block], 1);
}

#[test]
fn a_long_list_is_put_in_many_commands() {
    let element = |number: u32| Element {
        prefix: Prefix::host(std::net::Ipv4Addr::from_bits(number).into()),
        deadline: None,
    };
    let mut held = Held::default();
    let change = held.change(&whole((1..=2_500).map(element).collect()), at(0));
    let puts = change
        .commands
        .iter()
        .filter(|line| line.starts_with("add element"));
    let counts: Vec<_> = puts.map(|line| line.matches(", ").count() + 1).collect();
    assert_eq!(counts, [1_000, 1_000, 500]);
}

#[test]
fn what_has_long_ended_is_forgotten_with_the_next_edit() {
    let mut held = Held::default();
    held.change(
        &whole(vec![
            element("192.0.2.1", Some(100)),
            element("192.0.2.2", None),
        ]),
        at(0),
    );
    held.change(&edit(&[]), at(101_000));
    assert_eq!(
        held.counts()[&SetName::Block],
        2,
        "the kernel may still have it"
    );
    held.change(&edit(&[]), at(102_000));
    assert_eq!(held.counts()[&SetName::Block], 1);
}
