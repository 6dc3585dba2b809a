use tempfile::TempDir;

use super::*;
use crate::{
    policy::{
        Policy,
        entry::{Action, ListId},
        time::{Now, WallSecs},
    },
    store::{FILE, Store},
};

/// As version 1 made it.
const SCHEMA_1: &str = "
PRAGMA journal_mode = wal;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE lists (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE entries (
    action TEXT NOT NULL CHECK (action IN ('allow', 'block')),
    prefix TEXT NOT NULL,
    list INTEGER NOT NULL REFERENCES lists (id),
    comment TEXT NOT NULL,
    created INTEGER NOT NULL,
    ends_boot INTEGER,
    ends_wall INTEGER,
    PRIMARY KEY (action, prefix, list)
) WITHOUT ROWID;
CREATE TABLE file_lists (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE guard (prefix TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE events (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, by TEXT NOT NULL, detail TEXT NOT NULL);
INSERT INTO lists (id, name) VALUES (1, 'local');
PRAGMA application_id = 1180124500;
PRAGMA user_version = 1;
";

/// A database of version 1 with these lists, a block in each (10.0.0.`id`), opened by this one.
fn upgraded(lists: &[(u16, &str)]) -> (TempDir, Store) {
    let directory = TempDir::new().expect("a directory");
    let connection = Connection::open(directory.path().join(FILE)).expect("opens");
    connection.execute_batch(SCHEMA_1).expect("made");
    for (id, name) in lists {
        let list = "INSERT INTO lists (id, name) VALUES (?1, ?2)";
        connection.execute(list, (id, name)).expect("inserted");
        let entry = "INSERT INTO entries VALUES ('block', '10.0.0.' || ?1, ?1, ?2, 7, NULL, NULL)";
        connection.execute(entry, (id, name)).expect("inserted");
        let file = "INSERT INTO file_lists (name) VALUES (?1)";
        connection.execute(file, [name]).expect("inserted");
    }
    drop(connection);
    let store = Store::open(directory.path()).expect("opens");
    (directory, store)
}

fn load(store: &mut Store) -> Policy {
    let now = Now {
        boot: std::time::Duration::from_secs(1000),
        wall: WallSecs(1_000_000),
    };
    store.load(now, "a boot").expect("loads")
}

type Numbered = Vec<(u16, String)>;

/// Lists by number, and the number of the list that each block stands in, with its comment.
fn lists(policy: &Policy) -> (Numbered, Numbered) {
    let mut lists: Vec<_> = policy
        .lists()
        .map(|(name, id)| (id.0, name.to_string()))
        .collect();
    lists.sort();
    let entries = policy.table(Action::Block).iter();
    let places = entries.map(|(place, entry)| (place.list.0, entry.comment.as_str().to_owned()));
    (lists, places.collect())
}

fn named(lists: &[(u16, &str)]) -> Numbered {
    lists
        .iter()
        .map(|(id, name)| (*id, (*name).to_owned()))
        .collect()
}

#[test]
fn a_new_database_has_the_operators_list_and_the_detectors() {
    let directory = TempDir::new().expect("a directory");
    let mut store = Store::open(directory.path()).expect("a new store");
    let policy = load(&mut store);
    assert_eq!(
        lists(&policy).0,
        named(&[(1, "local"), (ListId::AUTO.0, "auto")])
    );
}

#[test]
fn a_list_whose_number_is_the_detectors_gets_a_free_one_and_keeps_its_entries() {
    let (_directory, mut store) = upgraded(&[(2, "feed"), (3, "geo"), (5, "partners")]);
    let (all, places) = lists(&load(&mut store));
    let expected = [
        (1, "local"),
        (2, "auto"),
        (3, "geo"),
        (4, "feed"),
        (5, "partners"),
    ];
    assert_eq!(all, named(&expected));
    assert_eq!(places, named(&[(4, "feed"), (3, "geo"), (5, "partners")]));
}

#[test]
fn a_list_whose_name_is_the_detectors_gets_another_one_and_that_is_told() {
    let (_directory, mut store) = upgraded(&[(2, "auto"), (3, "auto.1")]);
    let (all, places) = lists(&load(&mut store));
    let expected = [(1, "local"), (2, "auto"), (3, "auto.1"), (4, "auto.2")];
    assert_eq!(all, named(&expected));
    assert_eq!(places[0], (4, "auto".to_owned()));
    assert_eq!(store.file_lists().expect("read"), ["auto.1", "auto.2"]);
    let connection = Connection::open(store.path()).expect("opens");
    let told = connection.query_row("SELECT detail FROM events", [], |row| row.get(0));
    let expected = "list auto is auto.2 now: auto is the scan detector's own";
    assert_eq!(told.as_ref().map(String::as_str), Ok(expected));
}

#[test]
fn a_database_without_other_lists_just_gets_the_detectors() {
    let (directory, mut store) = upgraded(&[]);
    assert_eq!(
        lists(&load(&mut store)).0,
        named(&[(1, "local"), (2, "auto")])
    );
    assert!(!store.is_new());
    // And once it is upgraded, it is like any other.
    drop(store);
    let mut store = Store::open(directory.path()).expect("opens");
    assert_eq!(
        lists(&load(&mut store)).0,
        named(&[(1, "local"), (2, "auto")])
    );
}

#[test]
fn an_upgrade_that_fails_leaves_the_old_database() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join(FILE);
    let connection = Connection::open(&path).expect("opens");
    connection.execute_batch(SCHEMA_1).expect("made");
    // In the way of the table that the upgrade makes.
    let obstacle = "INSERT INTO lists VALUES (2, 'feed'); CREATE TABLE offenders (x);";
    connection.execute_batch(obstacle).expect("made");
    assert!(Store::open(directory.path()).is_err());
    let read = |query| connection.query_row(query, [], |row| row.get::<_, i64>(0));
    assert_eq!(read("PRAGMA user_version"), Ok(1));
    assert_eq!(read("SELECT id FROM lists WHERE name = 'feed'"), Ok(2));
}

/// What versions 2 and 3 added to it.
const SCHEMA_3: &str = "
CREATE TABLE offenders (
    source TEXT PRIMARY KEY,
    offences INTEGER NOT NULL,
    proven INTEGER NOT NULL,
    evidence TEXT NOT NULL CHECK (evidence IN ('unproven', 'proven')),
    seen TEXT NOT NULL,
    last_boot INTEGER NOT NULL,
    last_wall INTEGER NOT NULL,
    until_boot INTEGER NOT NULL,
    until_wall INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO lists (id, name) VALUES (2, 'auto'), (3, 'feed');
CREATE TABLE rules (
    id INTEGER PRIMARY KEY, origin TEXT NOT NULL, service TEXT NOT NULL, action TEXT NOT NULL,
    sources TEXT NOT NULL, rate TEXT, burst INTEGER, per TEXT, floor TEXT, ceiling TEXT, hours TEXT,
    days TEXT, zone TEXT, comment TEXT NOT NULL, created INTEGER NOT NULL, ends_boot INTEGER,
    ends_wall INTEGER
);
CREATE TABLE saved_rules AS SELECT * FROM rules;
CREATE TABLE saved_entries AS SELECT * FROM entries WHERE false;
CREATE TABLE saved_guard AS SELECT * FROM guard WHERE false;
CREATE TABLE saved_meta AS SELECT * FROM meta WHERE false;
INSERT INTO meta (key, value) VALUES ('boot_id', 'a boot');
INSERT INTO entries VALUES
    ('block', '192.0.2.7', 1, 'why ''not'' ✓', 7, 1500, 1000500),
    ('block', '192.0.2.7', 3, '', 8, NULL, NULL),
    ('block', '192.0.2.60', 3, '', 8, NULL, NULL),
    ('block', '0.0.0.0/1', 3, '', 8, NULL, NULL),
    ('block', '2001:db8::/32', 3, '', 9, NULL, NULL),
    ('allow', '192.0.2.9', 1, '', 9, NULL, NULL);
INSERT INTO saved_entries SELECT * FROM entries WHERE list = 1;
PRAGMA user_version = 3;
";

/// A database of version 3, and what it holds.
fn of_version_3() -> (TempDir, Connection) {
    let directory = TempDir::new().expect("a directory");
    let connection = Connection::open(directory.path().join(FILE)).expect("opens");
    connection.execute_batch(SCHEMA_1).expect("made");
    connection.execute_batch(SCHEMA_3).expect("made");
    (directory, connection)
}

#[test]
fn rows_of_entries_become_groups_and_stay_what_they_were() {
    let (directory, connection) = of_version_3();
    drop(connection);
    let mut store = Store::open(directory.path()).expect("opens");
    let policy = load(&mut store);
    assert_eq!(store.feeds().expect("there is room for them"), [""; 0]);
    let read = Action::ALL.map(|action| {
        let entries = policy.table(action).iter();
        let read = entries.map(|(place, entry)| {
            let deadline = entry.deadline().map(|deadline| deadline.0);
            let comment = entry.comment.as_str().to_owned();
            let prefix = place.prefix.to_string();
            (prefix, place.list.0, comment, entry.created().0, deadline)
        });
        read.collect::<Vec<_>>()
    });
    let row = |prefix: &str, list, comment: &str, created, deadline| {
        (
            prefix.to_owned(),
            list,
            comment.to_owned(),
            created,
            deadline,
        )
    };
    let allows = vec![row("192.0.2.9", 1, "", 9, None)];
    let blocks = vec![
        row("0.0.0.0/1", 3, "", 8, None),
        row("192.0.2.7", 1, "why 'not' ✓", 7, Some(1500)),
        row("192.0.2.7", 3, "", 8, None),
        // As a text it came before.
        row("192.0.2.60", 3, "", 8, None),
        row("2001:db8::/32", 3, "", 9, None),
    ];
    assert_eq!(read, [allows, blocks]);
    let saved = store.checkpoint().expect("read").entries;
    let saved: Vec<_> = saved
        .iter()
        .map(|(action, item, since)| (*action, item.prefix.to_string(), since.0))
        .collect();
    let expected = [
        (Action::Allow, "192.0.2.9".to_owned(), 9),
        (Action::Block, "192.0.2.7".to_owned(), 7),
    ];
    assert_eq!(saved, expected);
    let connection = Connection::open(store.path()).expect("opens");
    let old = "SELECT count(*) FROM sqlite_schema WHERE name IN ('entries', 'saved_entries')";
    let old = connection.query_row(old, [], |row| row.get::<_, i64>(0));
    assert_eq!(old, Ok(0));
}

#[test]
fn ends_are_kept_on_both_clocks_through_an_upgrade_after_a_reboot() {
    let (directory, connection) = of_version_3();
    drop(connection);
    let mut store = Store::open(directory.path()).expect("opens");
    let rebooted = Now {
        boot: std::time::Duration::from_secs(20),
        wall: WallSecs(1_000_100),
    };
    let policy = store.load(rebooted, "another boot").expect("loads");
    // It ends at 1000500 on the wall, 400 seconds from now.
    assert_eq!(policy.next_ending().map(|second| second.0), Some(420));
}

#[test]
fn rows_that_make_no_sense_leave_the_old_database() {
    let wrong = [
        "UPDATE entries SET prefix = '192.0.2.300' WHERE prefix = '192.0.2.9'",
        "UPDATE saved_entries SET comment = 'a' || char(10) WHERE prefix = '192.0.2.9'",
    ];
    for wrong in wrong {
        let (directory, connection) = of_version_3();
        connection.execute_batch(wrong).expect("set");
        let refused = Store::open(directory.path()).expect_err("refused");
        assert!(matches!(refused, StoreError::Corrupt { .. }), "{refused:?}");
        let read = |query| connection.query_row(query, [], |row| row.get::<_, i64>(0));
        assert_eq!(read("PRAGMA user_version"), Ok(3));
        assert_eq!(read("SELECT count(*) FROM entries"), Ok(6));
    }
}
