//! The database file: opening, checking, tables.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use rusqlite::{Connection, ErrorCode};

use super::StoreError;

const SCHEMA: i64 = 3;

/// `FWCT`: `file(1)` can tell it from any other database.
const APPLICATION_ID: i64 = 0x4657_4354;

const TABLES: &str = "
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
";

/// What schema 2 has more: the detector's memory and its list.
const DETECTOR: &str = "
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
INSERT INTO lists (id, name) VALUES (2, 'auto');
";

/// What schema 3 has more: rules, and the policy that a rollback goes back to.
const RULES: &str = "
CREATE TABLE rules (
    id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL CHECK (origin IN ('local', 'configuration')),
    service TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('accept', 'drop', 'limit')),
    sources TEXT NOT NULL,
    rate TEXT,
    burst INTEGER,
    per TEXT,
    floor TEXT,
    ceiling TEXT,
    hours TEXT,
    days TEXT,
    zone TEXT,
    comment TEXT NOT NULL,
    created INTEGER NOT NULL,
    ends_boot INTEGER,
    ends_wall INTEGER
);
CREATE TABLE saved_rules AS SELECT * FROM rules;
CREATE TABLE saved_entries AS SELECT * FROM entries WHERE false;
CREATE TABLE saved_guard AS SELECT * FROM guard WHERE false;
CREATE TABLE saved_meta AS SELECT * FROM meta WHERE false;
";

/// Opens or makes the database. Directory and file are readable by their owner only.
pub(super) fn open(directory: &Path, path: &Path) -> Result<Connection, StoreError> {
    let failed = |source| StoreError::Directory {
        path: directory.to_owned(),
        source,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(failed)?;
    fs::OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    let connection = Connection::open(path)?;
    prepare(&connection, path).map_err(|error| corrupt(error, path))?;
    Ok(connection)
}

fn prepare(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    // Committed means on the disk, also when the power fails right after.
    connection.pragma_update(None, "synchronous", "full")?;
    // The memory of a big import goes back.
    connection.pragma_update(None, "cache_size", -2000)?;
    let check: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if check != "ok" {
        return Err(StoreError::Corrupt {
            path: path.to_owned(),
            detail: check,
        });
    }
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        SCHEMA => Ok(()),
        0 => {
            let script = format!(
                "BEGIN; {TABLES} {DETECTOR} {RULES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA}; COMMIT;"
            );
            Ok(connection.execute_batch(&script)?)
        }
        1 => to_2(connection).and_then(|()| to_3(connection)),
        2 => to_3(connection),
        _ => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: SCHEMA,
        }),
    }
}

/// Makes room for the detector's list, which has a number and a name of its own: whatever has one
/// of them gets another, and keeps its entries.
fn to_2(connection: &Connection) -> Result<(), StoreError> {
    let change = connection.unchecked_transaction()?;
    change.pragma_update(None, "defer_foreign_keys", true)?;
    let free: i64 = change.query_row(
        "SELECT min(id) + 1 FROM (SELECT 2 AS id UNION SELECT id FROM lists WHERE id > 2)
         WHERE id + 1 NOT IN (SELECT id FROM lists)",
        [],
        |row| row.get(0),
    )?;
    change.execute("UPDATE entries SET list = ?1 WHERE list = 2", [free])?;
    change.execute("UPDATE lists SET id = ?1 WHERE id = 2", [free])?;
    let is_named = |name: &str| {
        let count = "SELECT count(*) > 0 FROM lists WHERE name = ?1";
        change.query_row(count, [name], |row| row.get::<_, bool>(0))
    };
    if is_named("auto")? {
        let mut number = 1;
        while is_named(&format!("auto.{number}"))? {
            number += 1;
        }
        let name = format!("auto.{number}");
        for table in ["lists", "file_lists"] {
            let rename = format!("UPDATE {table} SET name = ?1 WHERE name = 'auto'");
            change.execute(&rename, [&name])?;
        }
        change.execute(
            "INSERT INTO events (at, by, detail) VALUES (unixepoch(), 'upgrade', ?1)",
            [format!(
                "list auto is {name} now: auto is the scan detector's own"
            )],
        )?;
    }
    change.execute_batch(DETECTOR)?;
    change.pragma_update(None, "user_version", 2)?;
    Ok(change.commit()?)
}

fn to_3(connection: &Connection) -> Result<(), StoreError> {
    let change = connection.unchecked_transaction()?;
    change.execute_batch(RULES)?;
    change.pragma_update(None, "user_version", 3)?;
    Ok(change.commit()?)
}

fn corrupt(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::Sqlite(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
            ) =>
        {
            StoreError::Corrupt {
                path: path.to_owned(),
                detail: error.to_string(),
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests;
