//! The database file: opening, checking, tables.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use rusqlite::{Connection, ErrorCode};

use super::StoreError;

const SCHEMA: i64 = 1;

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
                "BEGIN; {TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA}; COMMIT;"
            );
            Ok(connection.execute_batch(&script)?)
        }
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
