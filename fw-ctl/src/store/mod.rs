//! What survives a restart: SQLite in WAL mode, one writer.
//!
//! Deadlines are kept on both clocks: boot time counts as long as the boot id is the same, wall
//! time after a reboot.
//!
//! - [`groups`]: entries as bytes
//! - [`entries`]: their rows, and [`schema`]: all tables

mod checkpoint;
mod entries;
mod error;
mod feeds;
mod geo;
mod groups;
mod offenders;
mod rules;
mod schema;
mod tokens;

pub use checkpoint::{Checkpoint, Due, waits};
pub use error::StoreError;

use std::path::{Path, PathBuf};

use fw_common::Prefix;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::{
    host::files::identity,
    policy::{Policy, entry::ListId, guard::GuardSource, time::Now},
};

/// File in the state directory.
pub const FILE: &str = "policy.db";

/// Rows of the event table that are kept.
const EVENTS_KEPT: i64 = 10_000;

/// The database.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
    /// Device and inode of the file: another one of the same name is not ours.
    file: (u64, u64),
    new: bool,
}

impl Store {
    /// Opens or makes the database and checks it. Nothing is ever deleted from a damaged one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        let new = !path.exists();
        let connection = schema::open(directory, &path)?;
        let file = identity(&path).unwrap_or_default();
        Ok(Self {
            connection,
            path,
            file,
            new,
        })
    }

    /// Whether there was no database before.
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// Removes a database that should not have been made.
    pub fn discard(path: &Path) {
        for suffix in ["", "-wal", "-shm"] {
            let mut name = path.to_owned().into_os_string();
            name.push(suffix);
            // What is not there needs no removal.
            let _ = std::fs::remove_file(name);
        }
    }

    /// The state directory.
    pub fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The policy as it was left, in the boot time of `now`. Entries that ended meanwhile are in
    /// it, to be removed as ended.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn load(&mut self, now: Now, boot_id: &str) -> Result<Policy, StoreError> {
        if self.boot_id()?.as_deref() != Some(boot_id) {
            self.rebase(now, boot_id)?;
        }
        let mut policy = Policy::default();
        let mut lists = self.connection.prepare("SELECT id, name FROM lists")?;
        let rows = lists.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        for row in rows {
            let (id, name) = row?;
            policy.restore_list(self.parsed(&name)?, ListId(id));
        }
        drop(lists);
        self.load_entries(&mut policy)?;
        policy
            .guard
            .set(GuardSource::Added, self.prefixes_in("guard")?);
        Ok(policy)
    }

    /// Opens a transaction in which a change is written; nothing is kept until it is committed.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn begin(&mut self) -> Result<Change<'_>, StoreError> {
        self.is_there()?;
        Ok(Change(self.connection.transaction()?))
    }

    /// Whether the file is still the one that was opened.
    ///
    /// # Errors
    /// [`StoreError::Gone`]
    pub fn is_there(&self) -> Result<(), StoreError> {
        match identity(&self.path) == Some(self.file) {
            true => Ok(()),
            false => Err(StoreError::Gone {
                path: self.path.clone(),
            }),
        }
    }

    /// Lists that were read from files when the configuration was last applied.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn file_lists(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare("SELECT name FROM file_lists")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn boot_id(&self) -> Result<Option<String>, StoreError> {
        self.meta("boot_id")
    }

    fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
        Ok(statement.query_row([key], |row| row.get(0)).optional()?)
    }

    fn prefixes_in(&self, table: &str) -> Result<Vec<Prefix>, StoreError> {
        let mut statement = self
            .connection
            .prepare(&format!("SELECT prefix FROM {table}"))?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|row| self.parsed(&row?)).collect()
    }

    /// After a reboot: deadlines are written anew in this boot's time.
    fn rebase(&mut self, now: Now, boot_id: &str) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO meta (key, value) VALUES ('boot_id', ?1)
             ON CONFLICT (key) DO UPDATE SET value = ?1",
            [boot_id],
        )?;
        entries::rebase(&transaction, now)?;
        offenders::rebase(&transaction, now)?;
        rules::rebase(&transaction, now)?;
        Ok(transaction.commit()?)
    }

    fn parsed<T: std::str::FromStr>(&self, text: &str) -> Result<T, StoreError>
    where
        T::Err: std::fmt::Display,
    {
        parsed(&self.connection, text)
    }
}

fn parsed<T: std::str::FromStr>(connection: &Connection, text: &str) -> Result<T, StoreError>
where
    T::Err: std::fmt::Display,
{
    let wrong = |error| entries::corrupt(connection, format!("{text:?}: {error}"));
    text.parse().map_err(wrong)
}

/// A change that is being written. Dropped without [`Change::commit`], it never was.
pub struct Change<'a>(Transaction<'a>);

impl Change<'_> {
    /// Writes which prefixes the operator guards.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write_guard(&self, prefixes: &[Prefix]) -> Result<(), StoreError> {
        self.0.execute("DELETE FROM guard", [])?;
        let mut put = self
            .0
            .prepare_cached("INSERT INTO guard (prefix) VALUES (?1)")?;
        for prefix in prefixes {
            put.execute([prefix.to_string()])?;
        }
        Ok(())
    }

    /// Writes which lists are read from files.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write_file_lists(&self, names: &[String]) -> Result<(), StoreError> {
        self.0.execute("DELETE FROM file_lists", [])?;
        for name in names {
            self.0
                .execute("INSERT INTO file_lists (name) VALUES (?1)", [name])?;
        }
        Ok(())
    }

    /// Writes a row of `meta`, or removes it.
    fn write_meta(&self, key: &str, value: Option<&str>) -> Result<(), StoreError> {
        match value {
            Some(value) => self.0.execute(
                "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
                [key, value],
            )?,
            None => self.0.execute("DELETE FROM meta WHERE key = ?1", [key])?,
        };
        Ok(())
    }

    /// Writes a line of history; the oldest go when there are many.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn record(&self, now: Now, by: &str, detail: &str) -> Result<(), StoreError> {
        self.0.execute(
            "INSERT INTO events (at, by, detail) VALUES (?1, ?2, ?3)",
            params![now.wall.0, by, detail],
        )?;
        self.0.execute(
            "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?1",
            [EVENTS_KEPT],
        )?;
        Ok(())
    }

    /// Makes it last.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit()?)
    }
}

#[cfg(test)]
mod tests;
