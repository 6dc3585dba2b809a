use std::{fs, time::Duration};

use tempfile::TempDir;

use super::*;
use crate::policy::{
    change::Change as PolicyChange,
    entry::{Action, Item, ListName},
    time::WallSecs,
};

const BOOT: &str = "11111111-1111-1111-1111-111111111111";
const NEXT_BOOT: &str = "22222222-2222-2222-2222-222222222222";

fn at(boot: u64, wall: i64) -> Now {
    Now {
        boot: Duration::from_secs(boot),
        wall: WallSecs(wall),
    }
}

fn with_entries(now: Now) -> (TempDir, Store) {
    let directory = TempDir::new().expect("a directory");
    let mut store = Store::open(directory.path()).expect("a new store");
    let mut policy = store.load(now, BOOT).expect("an empty policy");
    let items = [("192.0.2.1", Some(600)), ("2001:db8::/32", None)];
    let put = PolicyChange::Put {
        action: Action::Block,
        list: "feed".parse().expect("a name"),
        items: items
            .map(|(prefix, secs)| Item {
                prefix: prefix.parse().expect("a prefix"),
                deadline: secs.map(|secs| now.after(Duration::from_secs(secs))),
                comment: "why 'not' \"this\"".parse().expect("a comment"),
                created: None,
            })
            .to_vec(),
        strict: false,
    };
    let draft = policy.prepare(put, now).expect("good");
    policy.apply(&draft);
    let change = store.begin().expect("a transaction");
    change.write(&draft, &policy, now).expect("written");
    change
        .write_guard(&["198.51.100.0/24".parse().expect("a prefix")])
        .expect("written");
    change.record(now, "uid 0", "2 added").expect("written");
    change.commit().expect("committed");
    (directory, store)
}

fn left(policy: &Policy, now: Now) -> Vec<(String, Option<u64>)> {
    policy
        .table(Action::Block)
        .iter()
        .map(|(place, entry)| {
            (
                place.prefix.to_string(),
                entry.deadline().map(|deadline| now.left(deadline)),
            )
        })
        .collect()
}

#[test]
fn a_restart_keeps_entries_comments_lists_guard_and_what_is_left() {
    let (directory, store) = with_entries(at(1000, 5_000_000));
    drop(store);
    let later = at(1100, 5_000_100);
    let policy = Store::open(directory.path())
        .and_then(|mut store| store.load(later, BOOT))
        .expect("as it was left");
    let expected = [
        ("192.0.2.1".to_owned(), Some(500)),
        ("2001:db8::/32".to_owned(), None),
    ];
    assert_eq!(left(&policy, later), expected);
    let (place, entry) = policy.table(Action::Block).iter().next().expect("an entry");
    assert_eq!(entry.comment.as_str(), "why 'not' \"this\"");
    assert_eq!(entry.created(), WallSecs(5_000_000));
    assert_eq!(
        policy.list_name(place.list).map(ListName::as_str),
        Some("feed")
    );
    let guarded: Vec<_> = policy
        .guard
        .of(GuardSource::Added)
        .map(|p| p.to_string())
        .collect();
    assert_eq!(guarded, ["198.51.100.0/24"]);
}

#[test]
fn in_the_same_boot_a_jump_of_the_wall_clock_changes_nothing() {
    let (directory, store) = with_entries(at(1000, 5_000_000));
    drop(store);
    let jumped = at(1100, 9_000_000);
    let mut store = Store::open(directory.path()).expect("opens");
    let policy = store.load(jumped, BOOT).expect("loads");
    assert_eq!(left(&policy, jumped)[0].1, Some(500));
}

#[test]
fn after_a_reboot_the_wall_clock_counts_and_boot_time_is_written_anew() {
    let (directory, store) = with_entries(at(1000, 5_000_000));
    drop(store);
    let rebooted = at(20, 5_000_100);
    let mut store = Store::open(directory.path()).expect("opens");
    let policy = store.load(rebooted, NEXT_BOOT).expect("loads");
    assert_eq!(left(&policy, rebooted)[0].1, Some(500));
    let again = store.load(at(30, 0), NEXT_BOOT).expect("loads");
    assert_eq!(left(&again, at(30, 0))[0].1, Some(490));
}

#[test]
fn what_is_not_committed_never_was() {
    let (_directory, mut store) = with_entries(at(1000, 5_000_000));
    let change = store.begin().expect("a transaction");
    change.write_guard(&[]).expect("written");
    drop(change);
    let policy = store.load(at(1000, 5_000_000), BOOT).expect("loads");
    assert_eq!(policy.guard.of(GuardSource::Added).count(), 1);
}

#[test]
fn a_damaged_file_is_named_and_stays_as_it_is() {
    let (directory, store) = with_entries(at(1000, 5_000_000));
    let path = store.path().to_owned();
    drop(store);
    let good = fs::read(&path).expect("readable");
    let mut torn = good.clone();
    torn[4096..].fill(0x5a);
    for damaged in [b"this is no database, it is a letter".repeat(200), torn] {
        fs::write(&path, &damaged).expect("writable");
        let error = Store::open(directory.path())
            .and_then(|mut store| store.load(at(0, 0), BOOT))
            .expect_err("refused");
        assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
        assert_eq!(
            fs::read(&path).expect("readable"),
            damaged,
            "nothing was written"
        );
    }
}

#[test]
fn feeds_are_as_they_were_left() {
    let directory = TempDir::new().expect("a directory");
    let write = |feeds: &[&str]| {
        let mut store = Store::open(directory.path()).expect("opens");
        let change = store.begin().expect("begun");
        let feeds = feeds
            .iter()
            .map(|name| ((*name).to_owned(), format!("text of {name}")));
        change
            .write_feeds(&feeds.collect::<Vec<_>>())
            .expect("written");
        change.commit().expect("kept");
    };
    let read = || {
        let store = Store::open(directory.path()).expect("opens");
        store.feeds().expect("read")
    };
    assert_eq!(read(), [""; 0]);
    write(&["a", "b"]);
    assert_eq!(read(), ["text of a", "text of b"]);
    write(&["b"]);
    assert_eq!(read(), ["text of b"]);
}

#[test]
fn a_file_of_a_later_version_is_refused() {
    let (directory, store) = with_entries(at(1000, 5_000_000));
    store
        .connection
        .pragma_update(None, "user_version", 99)
        .expect("set");
    drop(store);
    let error = Store::open(directory.path()).expect_err("refused");
    assert!(
        matches!(error, StoreError::Newer { found: 99, .. }),
        "{error:?}"
    );
}

#[test]
fn the_history_keeps_its_length() {
    let (_directory, mut store) = with_entries(at(1000, 5_000_000));
    let change = store.begin().expect("a transaction");
    for number in 0..EVENTS_KEPT + 50 {
        change.record(at(0, number), "uid 0", "x").expect("written");
    }
    change.commit().expect("committed");
    let count: i64 = store
        .connection
        .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
        .expect("counts");
    assert_eq!(count, EVENTS_KEPT);
}
