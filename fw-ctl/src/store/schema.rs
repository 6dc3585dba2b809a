//! The database file: opening, checking, tables.
//!
//! - [`upgrade`]: from what earlier versions made

mod upgrade;

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use rusqlite::{Connection, ErrorCode};

use super::StoreError;

const SCHEMA: i64 = 6;

/// `FWCT`: `file(1)` can tell it from any other database.
const APPLICATION_ID: i64 = 0x4657_4354;

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE lists (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
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
CREATE TABLE saved_guard AS SELECT * FROM guard WHERE false;
CREATE TABLE saved_meta AS SELECT * FROM meta WHERE false;
";

/// What schema 4 has: entries by groups, where there was a row for each before.
const GROUPS: &str = "
CREATE TABLE entry_groups (id INTEGER PRIMARY KEY, packed BLOB NOT NULL);
CREATE TABLE saved_groups (id INTEGER PRIMARY KEY, packed BLOB NOT NULL);
";

/// What schema 5 has more: who may use the API over TCP.
const TOKENS: &str = "
CREATE TABLE tokens (
    name TEXT PRIMARY KEY,
    scope TEXT NOT NULL CHECK (scope IN ('read', 'write')),
    hash BLOB NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER
) WITHOUT ROWID;
";

/// What schema 6 has more: feeds that were added by command, as they were asked for, and what is
/// known of the lists of all feeds.
const FEEDS: &str = "
CREATE TABLE feeds (name TEXT PRIMARY KEY, put TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE feed_lists (name TEXT PRIMARY KEY, about TEXT NOT NULL) WITHOUT ROWID;
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
                "BEGIN; {TABLES} {DETECTOR} {RULES} {GROUPS} {TOKENS} {FEEDS} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA}; COMMIT;"
            );
            Ok(connection.execute_batch(&script)?)
        }
        1..SCHEMA => upgrade::from(found, connection),
        _ => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: SCHEMA,
        }),
    }
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
