//! The file: opening, checking, tables. What cannot be used is moved aside and never deleted.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};

use super::Id;
use crate::{
    api::wire::{Code, ProblemBody},
    host::files::identity,
    webhook::hook::Hook,
};

/// In the state directory.
const FILE: &str = "webhooks.db";

const SCHEMA: i64 = 1;

/// Rows are never given twice, so that no message takes what came after it for its own.
const TABLES: &str = "
CREATE TABLE hooks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    hook TEXT NOT NULL,
    created INTEGER NOT NULL,
    delivered INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    dropped INTEGER NOT NULL DEFAULT 0,
    tried INTEGER,
    status INTEGER,
    problem TEXT,
    message TEXT,
    message_time INTEGER,
    message_last INTEGER
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    hook INTEGER NOT NULL,
    at INTEGER NOT NULL,
    event TEXT NOT NULL
);
CREATE INDEX events_by_hook ON events (hook, id);
";

/// A file that is open.
pub struct File {
    /// To it.
    pub connection: Connection,
    /// What is in it.
    pub hooks: BTreeMap<Id, Arc<Hook>>,
    /// Which it is; `None` in memory.
    pub place: Option<Place>,
}

/// A file, by its name and by what it is.
pub struct Place {
    path: PathBuf,
    identity: Option<(u64, u64)>,
}

impl Place {
    fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            identity: identity(path),
        }
    }

    /// Whether the file is still the one that was opened: what is written into one that was removed
    /// is lost.
    ///
    /// # Errors
    /// That it is not.
    pub fn check(&self) -> Result<(), ProblemBody> {
        if identity(&self.path) == self.identity {
            return Ok(());
        }
        let path = self.path.display();
        let message = format!("the database {path} is gone, or is another file now");
        let hint =
            "what waits is sent until the daemon ends; restart it, and add the webhooks again";
        Err(ProblemBody::new(Code::Store, message).with_hint(hint))
    }
}

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// What is in it makes no sense.
    #[error("{0}")]
    Damaged(String),
    /// It cannot be got at.
    #[error("{0}")]
    Away(String),
}

/// The file, or a new one in the place of a damaged one, or else memory; and what was wrong.
///
/// # Errors
/// Not even memory can be had.
pub fn open(directory: &Path) -> rusqlite::Result<(File, Result<(), String>)> {
    let path = directory.join(FILE);
    let trouble = match connect(&path) {
        Ok(file) => return Ok((file, Ok(()))),
        Err(trouble) => trouble,
    };
    let mut told = format!("{}: {trouble}", path.display());
    if let Trouble::Damaged(_) = trouble {
        let aside = set_aside(&path);
        if let Ok(file) = connect(&path) {
            told += &format!("; it is {} now, and no webhook is left", aside.display());
            return Ok((file, Err(told)));
        }
    }
    let file = File {
        connection: Connection::open_in_memory()?,
        hooks: BTreeMap::new(),
        place: None,
    };
    file.connection.execute_batch(TABLES)?;
    told += "; webhooks are kept in memory until the next start";
    Ok((file, Err(told)))
}

/// Opens a file that holds what it should.
fn connect(path: &Path) -> Result<File, Trouble> {
    let made = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path);
    made.map_err(|error| Trouble::Away(error.to_string()))?;
    let connection = Connection::open(path)?;
    // A daemon that is ending may still write.
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // A crash of the machine may cost the last events, but never the file.
    connection.pragma_update(None, "synchronous", "normal")?;
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        return Err(Trouble::Damaged(found));
    }
    match connection.query_row("PRAGMA user_version", [], |row| row.get(0))? {
        SCHEMA => {}
        0 => connection.execute_batch(&format!(
            "BEGIN; {TABLES} PRAGMA user_version = {SCHEMA}; COMMIT;"
        ))?,
        other => return Err(Trouble::Damaged(format!("schema {other} is not known"))),
    }
    Ok(File {
        hooks: hooks(&connection)?,
        connection,
        place: Some(Place::of(path)),
    })
}

fn hooks(connection: &Connection) -> Result<BTreeMap<Id, Arc<Hook>>, Trouble> {
    let mut query = connection.prepare("SELECT id, hook FROM hooks")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut hooks = BTreeMap::new();
    for row in rows {
        let (id, text): (Id, String) = row?;
        let put = serde_json::from_str(&text);
        // Whatever is there has a secret.
        let hook = put.map(|put| Hook::read(put, String::new()));
        let Ok(Ok(hook)) = hook else {
            return Err(Trouble::Damaged(
                "a webhook in it cannot be read".to_owned(),
            ));
        };
        hooks.insert(id, Arc::new(hook));
    }
    Ok(hooks)
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::CannotOpen
                | ErrorCode::DatabaseBusy
                | ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure,
            ) => Self::Away(error.to_string()),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

fn set_aside(path: &Path) -> PathBuf {
    let named = |suffix: &str, second: i64| {
        let mut name = path.to_owned().into_os_string();
        name.push(suffix);
        let mut aside = path.to_owned().into_os_string();
        aside.push(format!(".damaged-{second}{suffix}"));
        (PathBuf::from(name), PathBuf::from(aside))
    };
    let now = Timestamp::now().as_second();
    for suffix in ["", "-wal", "-shm"] {
        let (name, aside) = named(suffix, now);
        // What is not there, or cannot be moved, shows when the file is opened again.
        let _ = fs::rename(name, aside);
    }
    named("", now).1
}
