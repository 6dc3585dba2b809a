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
