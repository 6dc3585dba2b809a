//! What survives a restart: SQLite in WAL mode, one writer.
//!
//! Deadlines are kept on both clocks: boot time counts as long as the boot id is the same, wall
//! time after a reboot.

mod checkpoint;
mod offenders;
mod rules;
mod schema;

pub use checkpoint::{Checkpoint, Due, waits};

use std::{
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use fw_common::Prefix;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use crate::policy::{
    Policy,
    change::{Draft, Edit},
    entry::{Action, Comment, Entry, ListId, Place},
    guard::GuardSource,
    time::{BootSecs, Now, WallSecs},
};

/// File in the state directory.
pub const FILE: &str = "policy.db";

/// Rows of the event table that are kept.
const EVENTS_KEPT: i64 = 10_000;

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory could not be made or read.
    #[error("cannot use the state directory {}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// SQLite says the file is damaged, or it is no database.
    #[error("the database {} is damaged: {detail}", path.display())]
    Corrupt {
        /// Which.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Written by a later version.
    #[error("the database {} has schema {found}, this version knows {known}", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Removed or replaced while it was open.
    #[error("the database {} is gone, or is another file now", path.display())]
    Gone {
        /// Which.
        path: PathBuf,
    },
    /// No room left.
    #[error("no room left on the disk of the database")]
    DiskFull(#[source] rusqlite::Error),
    /// Anything else.
    #[error("the database refused")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::DiskFull(error),
            _ => Self::Sqlite(error),
        }
    }
}

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
        let same_boot = self.boot_id()?.as_deref() == Some(boot_id);
        let mut policy = Policy::default();
        let mut lists = self.connection.prepare("SELECT id, name FROM lists")?;
        let rows = lists.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
        for row in rows {
            let (id, name) = row?;
            policy.restore_list(self.parsed(&name)?, ListId(id));
        }
        let mut entries = self.connection.prepare(
            "SELECT action, prefix, list, comment, created, ends_boot, ends_wall FROM entries",
        )?;
        let mut rows = entries.query([])?;
        while let Some(row) = rows.next()? {
            let action: Action = self.parsed(row.get_ref(0)?.as_str().unwrap_or_default())?;
            let place = Place {
                prefix: self.parsed(row.get_ref(1)?.as_str().unwrap_or_default())?,
                list: ListId(row.get(2)?),
            };
            let comment: Comment = self.parsed(row.get_ref(3)?.as_str().unwrap_or_default())?;
            let (boot, wall): (Option<u32>, Option<i64>) = (row.get(5)?, row.get(6)?);
            let entry = Entry {
                comment,
                created: WallSecs(row.get(4)?),
                deadline: match (same_boot, boot, wall) {
                    (true, Some(boot), _) => Some(BootSecs(boot)),
                    (false, _, Some(wall)) => Some(now.boot_of(WallSecs(wall))),
                    _ => None,
                },
            };
            policy.restore(action, place, entry);
        }
        drop(rows);
        drop(entries);
        drop(lists);
        policy
            .guard
            .set(GuardSource::Added, self.prefixes_in("guard")?);
        if !same_boot {
            self.rebase(&policy, now, boot_id)?;
        }
        Ok(policy)
    }

    /// Opens a transaction in which a change is written; nothing is kept until it is committed.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn begin(&mut self) -> Result<Change<'_>, StoreError> {
        if identity(&self.path) != Some(self.file) {
            return Err(StoreError::Gone {
                path: self.path.clone(),
            });
        }
        Ok(Change(self.connection.transaction()?))
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
    fn rebase(&mut self, policy: &Policy, now: Now, boot_id: &str) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        transaction.execute(
            "INSERT INTO meta (key, value) VALUES ('boot_id', ?1)
             ON CONFLICT (key) DO UPDATE SET value = ?1",
            [boot_id],
        )?;
        {
            let mut update = transaction.prepare(
                "UPDATE entries SET ends_boot = ?1 WHERE action = ?2 AND prefix = ?3 AND list = ?4",
            )?;
            for action in Action::ALL {
                for (place, entry) in policy.table(action).iter() {
                    if let Some(deadline) = entry.deadline {
                        let prefix = place.prefix.to_string();
                        update.execute(params![deadline.0, action.name(), prefix, place.list.0])?;
                    }
                }
            }
        }
        offenders::rebase(&transaction, now)?;
        rules::rebase(&transaction, now)?;
        Ok(transaction.commit()?)
    }

    fn parsed<T: std::str::FromStr>(&self, text: &str) -> Result<T, StoreError>
    where
        T::Err: std::fmt::Display,
    {
        text.parse().map_err(|error: T::Err| StoreError::Corrupt {
            path: self.path.clone(),
            detail: format!("{text:?}: {error}"),
        })
    }
}

/// Device and inode.
fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// A change that is being written. Dropped without [`Change::commit`], it never was.
pub struct Change<'a>(Transaction<'a>);

impl Change<'_> {
    /// Writes a draft.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write(&self, draft: &Draft, now: Now) -> Result<(), StoreError> {
        if let Some((name, id)) = &draft.new_list {
            self.0.execute(
                "INSERT INTO lists (id, name) VALUES (?1, ?2)",
                params![id.0, name.as_str()],
            )?;
        }
        let mut put = self.0.prepare_cached(
            "INSERT OR REPLACE INTO entries
             (action, prefix, list, comment, created, ends_boot, ends_wall)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        let mut remove = self.0.prepare_cached(
            "DELETE FROM entries WHERE action = ?1 AND prefix = ?2 AND list = ?3",
        )?;
        for edit in &draft.edits {
            let Edit {
                action,
                place,
                before: _,
                after,
            } = edit;
            let (action, prefix) = (action.name(), place.prefix.to_string());
            match after {
                Some(entry) => put.execute(params![
                    action,
                    prefix,
                    place.list.0,
                    entry.comment.as_str(),
                    entry.created.0,
                    entry.deadline.map(|deadline| deadline.0),
                    entry.deadline.map(|deadline| now.wall_of(deadline).0),
                ])?,
                None => remove.execute(params![action, prefix, place.list.0])?,
            };
        }
        Ok(())
    }

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
