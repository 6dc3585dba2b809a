use std::{fmt::Write as _, time::Duration};

use super::*;
use crate::{
    api::wire::{FeedPut, Hidden},
    feed::Feed,
    listfile::{Format, Reading, parse},
    policy::time::BootSecs,
};

fn feed(source: &str, change: impl FnOnce(&mut FeedPut)) -> Feed {
    let mut put = FeedPut {
        name: "feed:drop".into(),
        source: Hidden(source.into()),
        ..FeedPut::default()
    };
    change(&mut put);
    Feed::read(&put).expect("a feed")
}

fn url() -> Feed {
    feed("https://lists.example/", |_| {})
}

fn now(boot: u64, wall: i64) -> Now {
    Now {
        boot: Duration::from_secs(boot),
        wall: WallSecs(wall),
    }
}

fn read(feed: &Feed, text: &str) -> Parsed {
    let reading = Reading {
        most: Some(feed.bounds.entries),
        ..Format::Auto.into()
    };
    parse(text, reading)
}

/// What becomes of a text that came just now.
fn judged(feed: &Feed, text: &str, before: Option<usize>) -> Result<Taken, Refused> {
    let now = now(100, 1000);
    let before = before.map(|entries| Size {
        entries,
        lasting: entries,
        reach: entries as u64,
    });
    judge(feed, read(feed, text), before, now.wall, now)
}

fn hosts(number: usize) -> String {
    (0..number).fold(String::new(), |mut text, host| {
        writeln!(text, "198.51.{}.{}", host / 256, host % 256).expect("a String takes everything");
        text
    })
}

#[test]
fn a_change_by_half_is_believed_and_by_more_is_not() {
    let changed =
        |before, now| judged(&url(), &hosts(now), Some(before)).map(|taken| taken.size.entries);
    for (before, now) in [
        (100, 50),
        (100, 150),
        (100, 100),
        (1, 1),
        (0, 0),
        (0, 5),
        (3, 2),
        (3, 4),
    ] {
        assert_eq!(changed(before, now), Ok(now), "{before} to {now}");
    }
    for (before, now) in [
        (100, 49),
        (100, 151),
        (100, 0),
        (1, 0),
        (1, 2),
        (3, 1),
        (3, 5),
    ] {
        let refused = Err(Refused::Changed { before, now });
        assert_eq!(changed(before, now), refused, "{before} to {now}");
    }
    assert_eq!(
        judged(&url(), &hosts(500), None).map(|taken| taken.size.entries),
        Ok(500)
    );
}

#[test]
fn what_is_named_twice_or_ends_before_the_next_look_is_no_entry_that_stays() {
    let before = Some(100);
    let refused = Err(Refused::Changed {
        before: 100,
        now: 1,
    });
    assert_eq!(judged(&url(), &"192.0.2.1\n".repeat(100), before), refused);
    let ending = hosts(100).replace('\n', ",59m\n");
    let refused = Err(Refused::Changed {
        before: 100,
        now: 0,
    });
    assert_eq!(judged(&url(), &ending, before), refused);
    let lasting = hosts(100).replace('\n', ",1h\n");
    judged(&url(), &lasting, before).expect("an hour later is looked again");
}

#[test]
fn as_many_entries_that_reach_much_further_are_not_believed() {
    let networks = |length: u8| -> String {
        (1..=100)
            .map(|octet| format!("{octet}.0.0.0/{length}\n"))
            .collect()
    };
    let refused = judged(&url(), &networks(8), Some(100)).expect_err("too far");
    assert_eq!(
        refused,
        Refused::Further {
            before: 100,
            now: 100 << 24
        }
    );
    // Less than a /8 in all is no matter, though it is much more than before.
    judged(&url(), &networks(16), Some(100)).expect("near enough");
    judged(&url(), &networks(8), None).expect("the first one");
}

#[test]
fn one_bad_line_of_a_hundred_from_elsewhere_is_left_out_and_in_a_file_none() {
    let text = |bad: usize| hosts(100 - bad) + &"no address\n".repeat(bad);
    let taken = judged(&url(), &text(1), None).expect("taken");
    assert_eq!((taken.items.len(), taken.unread), (99, 1));
    let refused = judged(&url(), &text(2), None).expect_err("too many");
    let told = refused.to_string();
    assert_eq!(
        told,
        "2 of 100 lines are no entries of a list, the first is line 99"
    );
    let file = feed("/etc/list.txt", |_| {});
    judged(&file, &text(0), None).expect("taken");
    judged(&file, &text(1), None).expect_err("somebody can mend it");
}

#[test]
fn a_page_is_no_list() {
    let page = "<!DOCTYPE html>\n<html><body>\n<h1>Sign in</h1>\n192.0.2.1\n</body></html>\n";
    let refused = judged(&url(), page, None).expect_err("a page");
    let told = refused.to_string();
    assert!(
        told.ends_with("the first is line 1, which looks like a page"),
        "{told}"
    );
}

#[test]
fn what_stands_in_a_file_is_not_repeated() {
    let file = feed("/etc/shadow", |_| {});
    let refused = judged(&file, "root:$6$secret:19000:0:99999:7:::\n", None);
    assert!(!refused.expect_err("no list").to_string().contains("secret"));
}

#[test]
fn an_entry_may_be_as_wide_as_it_is_said_and_no_wider() {
    for (good, bad) in [
        ("10.0.0.0/8", "0.0.0.0/7"),
        ("2001::/16", "2000::/15"),
        ("::/16", "::/0"),
    ] {
        judged(&url(), good, None).expect(good);
        let refused = judged(&url(), &format!("# list\n{bad}\n"), None).expect_err(bad);
        assert!(
            matches!(refused, Refused::TooWide { line: 2, .. }),
            "{refused}"
        );
    }
    let narrow = feed("https://lists.example/", |put| put.widest_ipv4 = Some(24));
    judged(&narrow, "192.0.2.0/24", None).expect("narrow enough");
    judged(&narrow, "192.0.2.0/23", None).expect_err("too wide");
    let file = feed("/etc/list.txt", |_| {});
    judged(&file, "0.0.0.0/0", None).expect("the operator's own");
}

#[test]
fn a_list_has_as_many_entries_as_it_may_and_no_more() {
    let few = feed("https://lists.example/", |put| put.max_entries = Some(10));
    judged(&few, &hosts(10), None).expect("ten");
    let refused = judged(&few, &hosts(11), None);
    assert_eq!(refused, Err(Refused::TooMany { most: 10 }));
}

#[test]
fn a_line_that_says_the_opposite_refuses_the_list() {
    let allowlist = r#"{"allowed_ips":[{"ip":"192.0.2.1","added":"2026-01-01","comment":"me"}]}"#;
    let refused = judged(&url(), allowlist, None);
    assert!(
        matches!(
            refused,
            Err(Refused::Other {
                wanted: "block",
                ..
            })
        ),
        "{refused:?}"
    );
    let allow = feed("https://lists.example/", |put| put.action = "allow".into());
    assert_eq!(
        judged(&allow, allowlist, None).map(|taken| taken.size.entries),
        Ok(1)
    );
}

#[test]
fn what_ends_ends_so_long_after_the_list_came_whenever_it_is_applied() {
    let text = "192.0.2.1,60s\n192.0.2.2,10m\n192.0.2.3\n";
    let at = |boot, wall| {
        let parsed = read(&url(), text);
        let taken = judge(&url(), parsed, None, WallSecs(1000), now(boot, wall)).expect("taken");
        assert_eq!(taken.size.entries, 3, "it is as long as it was");
        let ends = taken
            .items
            .iter()
            .map(|item| item.deadline.map(|BootSecs(end)| end));
        ends.collect::<Vec<_>>()
    };
    assert_eq!(at(100, 1000), [Some(160), Some(700), None]);
    assert_eq!(at(50, 1059), [Some(51), Some(591), None]);
    assert_eq!(at(50, 1060), [Some(590), None]);
    // A clock that went back makes nothing live longer than it was given.
    assert_eq!(at(100, 500), [Some(160), Some(700), None]);
}
