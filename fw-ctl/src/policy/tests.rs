mod countries;
mod feeds;
mod many;
mod model;

use std::{net::IpAddr, time::Duration};

use fw_common::Prefix;

use super::{
    change::{Change, Draft},
    entry::{Comment, CommentError, Item},
    guard::GuardSource,
    refusal::Refusal,
    time::WallSecs,
    *,
};

const NOW: Now = Now {
    boot: Duration::from_secs(1000),
    wall: WallSecs(1_000_000),
};

fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

fn list(name: &str) -> ListName {
    name.parse().expect("a list name")
}

fn item(text: &str, deadline: Option<u32>) -> Item {
    Item {
        prefix: prefix(text),
        deadline: deadline.map(BootSecs),
        comment: Comment::default(),
        created: None,
    }
}

fn put(action: Action, name: &str, items: Vec<Item>) -> Change {
    Change::Put {
        action,
        list: list(name),
        items,
        strict: false,
    }
}

fn policy() -> Policy {
    let mut policy = Policy::default();
    policy.restore_list(ListName::local(), ListId(1));
    policy
}

fn done(policy: &mut Policy, change: Change) -> Draft {
    let draft = policy.prepare(change, NOW).expect("the change is good");
    policy.apply(&draft);
    draft
}

#[test]
fn what_was_added_elsewhere_keeps_its_time_and_what_is_there_its_own() {
    let mut policy = policy();
    let created = |policy: &Policy| {
        let place = Place {
            prefix: prefix("192.0.2.1"),
            list: ListId(1),
        };
        policy.table(Action::Allow).get(place).map(Entry::created)
    };
    for (asked, expected) in [(7, 7), (5, 7), (9, 7)] {
        let item = Item {
            created: Some(WallSecs(asked)),
            ..item("192.0.2.1", None)
        };
        done(&mut policy, put(Action::Allow, "local", vec![item]));
        assert_eq!(created(&policy), Some(WallSecs(expected)));
    }
}

fn policy_blocks(policy: &Policy, address: IpAddr, second: u32) -> bool {
    policy.table(Action::Block).iter().any(|(place, entry)| {
        place.prefix.contains(address)
            && entry.deadline().is_none_or(|deadline| deadline.0 > second)
    })
}

#[test]
fn a_guarded_address_is_never_blocked_and_its_neighbour_is() {
    let mut policy = policy();
    policy
        .guard
        .set(GuardSource::SshPeer, [prefix("198.51.100.7")]);
    for text in ["198.51.100.7", "198.51.100.0/24", "0.0.0.0/0"] {
        let draft = policy
            .prepare(put(Action::Block, "local", vec![item(text, None)]), NOW)
            .expect("refused by item, not as a whole");
        assert!(draft.is_empty(), "{text} became an edit");
        let (_, _, refusal) = &draft.refused[0];
        let expected = Refusal::Guarded {
            prefix: prefix(text),
            guarded: prefix("198.51.100.7"),
            because: GuardSource::SshPeer,
        };
        assert_eq!(*refusal, expected);
    }
    done(
        &mut policy,
        put(Action::Block, "local", vec![item("198.51.100.8", None)]),
    );
    assert!(policy_blocks(
        &policy,
        "198.51.100.8".parse().expect("an address"),
        0
    ));
}

#[test]
fn reserved_ranges_are_guarded_from_the_first_moment() {
    for text in [
        "127.0.0.1",
        "::1",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
        "::/0",
    ] {
        let draft = policy()
            .prepare(put(Action::Block, "local", vec![item(text, None)]), NOW)
            .expect("refused by item");
        assert_eq!(draft.refused.len(), 1, "{text}");
    }
    // What a private network uses is a matter of the operator.
    let draft = policy()
        .prepare(
            put(Action::Block, "local", vec![item("10.0.0.0/8", None)]),
            NOW,
        )
        .expect("good");
    assert_eq!(draft.edits.len(), 1);
}

#[test]
fn a_guard_stays_until_its_last_reason_is_gone() {
    let mut guard = Guard::default();
    let peer = prefix("192.0.2.1");
    assert!(guard.set(GuardSource::Gateway, [peer]));
    assert!(guard.set(GuardSource::Added, [peer]));
    assert!(guard.set(GuardSource::Gateway, []));
    assert_eq!(guard.conflict(peer), Some((peer, GuardSource::Added)));
    assert!(guard.set(GuardSource::Added, []));
    assert!(!guard.set(GuardSource::Added, []), "nothing changed");
    assert_eq!(guard.conflict(peer), None);
}

#[test]
fn blocking_twice_extends_and_never_shortens() {
    let mut policy = policy();
    let block = |deadline| put(Action::Block, "local", vec![item("192.0.2.0/24", deadline)]);
    let end = |policy: &Policy| {
        let place = Place {
            prefix: prefix("192.0.2.0/24"),
            list: ListId(1),
        };
        policy
            .table(Action::Block)
            .get(place)
            .expect("it is there")
            .deadline()
    };
    assert_eq!(done(&mut policy, block(Some(2000))).edits.len(), 1);
    assert_eq!(done(&mut policy, block(Some(1500))).unchanged, 1);
    assert_eq!(end(&policy), Some(BootSecs(2000)));
    done(&mut policy, block(Some(3000)));
    assert_eq!(end(&policy), Some(BootSecs(3000)));
    done(&mut policy, block(None));
    assert_eq!(end(&policy), None);
    assert_eq!(done(&mut policy, block(Some(4000))).unchanged, 1);
}

#[test]
fn strict_refuses_what_is_there_and_takes_what_is_not() {
    let mut policy = policy();
    done(
        &mut policy,
        put(Action::Block, "local", vec![item("192.0.2.1", None)]),
    );
    let change = Change::Put {
        action: Action::Block,
        list: ListName::local(),
        items: vec![item("192.0.2.1", None), item("192.0.2.2", None)],
        strict: true,
    };
    let draft = policy.prepare(change, NOW).expect("refused by item");
    assert_eq!((draft.refused.len(), draft.edits.len()), (1, 1));
    assert!(matches!(draft.refused[0].2, Refusal::Exists { .. }));
}

#[test]
fn removing_from_one_list_by_replacement_leaves_the_others() {
    let mut policy = policy();
    done(
        &mut policy,
        put(Action::Block, "local", vec![item("192.0.2.1", None)]),
    );
    done(
        &mut policy,
        put(
            Action::Block,
            "feed",
            vec![item("192.0.2.1", None), item("192.0.2.2", None)],
        ),
    );
    let replace = Change::Replace {
        action: Action::Block,
        list: list("feed"),
        items: vec![item("192.0.2.3", None)],
    };
    let draft = done(&mut policy, replace);
    assert_eq!(draft.edits.len(), 3);
    let left: Vec<_> = policy
        .table(Action::Block)
        .iter()
        .map(|(place, _)| place.prefix)
        .collect();
    assert_eq!(left, [prefix("192.0.2.1"), prefix("192.0.2.3")]);
    done(&mut policy, Change::Flush { list: list("feed") });
    assert_eq!(policy.table(Action::Block).len(), 1);
    let unknown = policy.prepare(
        Change::Flush {
            list: list("nobody"),
        },
        NOW,
    );
    assert!(matches!(unknown, Err(Refusal::NoList(_))));
}

#[test]
fn only_the_detector_adds_to_its_list_and_anybody_may_remove_from_it() {
    let mut policy = policy();
    policy.restore_list(ListName::auto(), ListId::AUTO);
    let items = || vec![item("192.0.2.1", Some(2000)), item("192.0.2.2", Some(3000))];
    let replace = Change::Replace {
        action: Action::Block,
        list: ListName::auto(),
        items: items(),
    };
    let flush = Change::Flush {
        list: ListName::auto(),
    };
    for change in [put(Action::Allow, "auto", items()), replace, flush] {
        let refused = policy.prepare(change, NOW);
        assert_eq!(refused.err(), Some(Refusal::Detectors));
    }
    let draft = done(&mut policy, Change::Detected(items()));
    let places = draft.edits.iter().map(|edit| edit.place.list);
    assert_eq!(places.collect::<Vec<_>>(), [ListId::AUTO; 2]);
    let again = done(&mut policy, Change::Detected(items()));
    assert!(again.is_empty(), "nothing has changed");
    let remove = Change::Remove {
        action: Action::Block,
        prefixes: vec![prefix("192.0.2.1")],
    };
    assert_eq!(done(&mut policy, remove).edits.len(), 1);
    assert_eq!(done(&mut policy, Change::Detected(vec![])).edits.len(), 1);
    assert_eq!(policy.table(Action::Block).len(), 0);
}

#[test]
fn unblocking_says_what_still_blocks() {
    let mut policy = policy();
    done(
        &mut policy,
        put(Action::Block, "local", vec![item("192.0.2.1", None)]),
    );
    done(
        &mut policy,
        put(Action::Block, "feed", vec![item("192.0.2.0/24", None)]),
    );
    let remove = Change::Remove {
        action: Action::Block,
        prefixes: vec![prefix("192.0.2.1"), prefix("198.51.100.1")],
    };
    let draft = done(&mut policy, remove);
    assert_eq!((draft.edits.len(), draft.unchanged), (1, 1));
    assert_eq!(
        draft.warnings,
        [
            "192.0.2.1 is still blocked by 192.0.2.0/24 (list feed)",
            "198.51.100.1 was not blocked as such"
        ]
    );
}

#[test]
fn blocking_what_is_allowed_is_done_and_told() {
    let mut policy = policy();
    done(
        &mut policy,
        put(Action::Allow, "local", vec![item("192.0.2.0/24", None)]),
    );
    let draft = done(
        &mut policy,
        put(Action::Block, "local", vec![item("192.0.2.1", None)]),
    );
    assert_eq!(draft.edits.len(), 1);
    assert!(draft.warnings[0].contains("stays allowed by 192.0.2.0/24"));
}

#[test]
fn what_has_ended_is_removed_and_the_next_ending_is_known() {
    let mut policy = policy();
    let items = vec![
        item("192.0.2.1", Some(1000)),
        item("192.0.2.2", Some(1001)),
        item("192.0.2.3", None),
    ];
    done(&mut policy, put(Action::Block, "local", items));
    assert_eq!(policy.next_ending(), Some(BootSecs(1000)));
    let draft = policy.ended(NOW);
    policy.apply(&draft);
    assert_eq!(draft.edits.len(), 1);
    assert_eq!(policy.next_ending(), Some(BootSecs(1001)));
    assert_eq!(policy.table(Action::Block).len(), 2);
}

#[test]
fn a_comment_is_one_printable_line() {
    let parsed = |text: &str| text.parse::<Comment>();
    assert_eq!(
        parsed("it's \"quoted\" \\ ünï ✓").expect("good").as_str(),
        "it's \"quoted\" \\ ünï ✓"
    );
    assert!(matches!(
        parsed("a\nb"),
        Err(CommentError::Control(2, '\n'))
    ));
    assert!(matches!(
        parsed("\u{1b}[31m"),
        Err(CommentError::Control(1, _))
    ));
    assert!(matches!(
        parsed("x\u{202e}y"),
        Err(CommentError::Control(2, _))
    ));
    assert!(parsed(&"x".repeat(255)).is_ok());
    assert!(matches!(
        parsed(&"x".repeat(256)),
        Err(CommentError::TooLong(256))
    ));
}

#[test]
fn a_list_name_starts_with_a_letter_or_digit_and_is_short() {
    for good in ["local", "feed:firehol", "geo:DE", "a.b_c-d", "7"] {
        assert!(good.parse::<ListName>().is_ok(), "{good}");
    }
    for bad in [
        "guard",
        "blocks",
        "",
        "-x",
        "a b",
        "a/b",
        "ä",
        &"x".repeat(65),
    ] {
        assert!(bad.parse::<ListName>().is_err(), "{bad}");
    }
}
