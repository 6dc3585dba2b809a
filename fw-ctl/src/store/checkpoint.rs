//! The policy that a rollback goes back to: what was in force before the first `apply` since the
//! last confirmation. Only the operator's own is in it: list `local`, rules of origin `local`, the
//! guard he added, and what he said of the base.

use std::{collections::BTreeMap, path::Path};

use fw_common::Prefix;
use rusqlite::{Connection, OpenFlags};

use super::{Change, FILE, Store, StoreError, entries::Groups};
use crate::policy::{
    Policy,
    entry::{Action, Item, ListId, ListName},
    rule::{Origin, Rule, RuleId},
    rules::BaseOverrides,
    time::{BootSecs, Now, WallSecs},
};

/// Rows of `meta`: that there is one, and when it is gone back to.
const SAVED: &str = "saved.boot_id";
const DUE_BOOT: &str = "saved.due_boot";
/// When a policy went back because nobody confirmed it.
const ROLLED_BACK: &str = "rolled_back.wall";

/// When an unconfirmed policy is rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// When this second comes.
    At(BootSecs),
    /// The machine was booted anew meanwhile: at once.
    Now,
    /// When somebody says so.
    Asked,
}

impl Due {
    /// The second, if it is one to come.
    pub fn second(self) -> Option<BootSecs> {
        match self {
            Self::At(second) => Some(second),
            Self::Now | Self::Asked => None,
        }
    }
}

/// What a rollback makes true.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// List `local`, with the time each entry was first added.
    pub entries: Vec<(Action, Item, WallSecs)>,
    /// Rules of origin `local`, by their numbers.
    pub rules: BTreeMap<RuleId, Rule>,
    /// What `guard add` said.
    pub guard: Vec<Prefix>,
    /// What `default` said.
    pub base: BaseOverrides,
}

/// Whether a policy in this state directory waits to be confirmed, asked beside whoever has the
/// store open.
///
/// # Errors
/// [`StoreError`]
pub fn waits(directory: &Path) -> Result<bool, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(directory.join(FILE), flags)?;
    let asked = "SELECT count(*) > 0 FROM meta WHERE key = ?1";
    Ok(connection.query_row(asked, [SAVED], |row| row.get(0))?)
}

impl Store {
    /// Whether a policy waits to be confirmed.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn due(&self) -> Result<Option<Due>, StoreError> {
        let Some(saved_in) = self.meta(SAVED)? else {
            return Ok(None);
        };
        let due = match self.meta(DUE_BOOT)? {
            None => Due::Asked,
            Some(_) if self.boot_id()?.as_deref() != Some(&saved_in) => Due::Now,
            Some(due) => Due::At(BootSecs(self.parsed(&due)?)),
        };
        Ok(Some(due))
    }

    /// When a policy last went back because nobody confirmed it, if none was applied since.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn rolled_back(&self) -> Result<Option<WallSecs>, StoreError> {
        let at = self.meta(ROLLED_BACK)?;
        at.map(|at| Ok(WallSecs(self.parsed(&at)?))).transpose()
    }

    /// What was saved.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn checkpoint(&self) -> Result<Checkpoint, StoreError> {
        let mut entries = Vec::new();
        Groups::Saved.read(&self.connection, |key, rows| {
            entries.extend(rows.into_iter().map(|row| {
                let item = Item {
                    prefix: row.place.prefix,
                    deadline: row.ends.map(|(boot, _)| boot),
                    comment: row.comment,
                    created: Some(row.created),
                };
                (key.action(), item, row.created)
            }));
            Ok(())
        })?;
        let mut rules = self.rules_in("saved_rules")?;
        rules.retain(|_, rule| rule.origin == Origin::Local);
        Ok(Checkpoint {
            entries,
            rules,
            guard: self.prefixes_in("saved_guard")?,
            base: self.saved_overrides()?,
        })
    }
}

impl Change<'_> {
    /// Saves what is in force before the rest of this change, to be gone back to.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn save(&self) -> Result<(), StoreError> {
        self.forget()?;
        let local = "SELECT id FROM lists WHERE name = ?1";
        let local = self
            .0
            .query_row(local, [ListName::LOCAL], |row| row.get(0))?;
        self.save_entries(ListId(local))?;
        self.0.execute_batch(
            "INSERT INTO saved_rules SELECT * FROM rules;
             INSERT INTO saved_guard SELECT * FROM guard;
             INSERT INTO saved_meta SELECT * FROM meta WHERE key LIKE 'rules.%';
             INSERT INTO meta (key, value)
                 SELECT 'saved.boot_id', value FROM meta WHERE key = 'boot_id';",
        )?;
        Ok(())
    }

    /// Makes the saved policy the one in force, and forgets it. Its entries are true in `policy`;
    /// all of them are written, as an earlier attempt may have got there and not here.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn restore(&self, policy: &Policy, now: Now) -> Result<(), StoreError> {
        self.write_all(policy, now)?;
        self.0.execute_batch(
            "DELETE FROM rules WHERE origin = 'local';
             INSERT OR IGNORE INTO rules SELECT * FROM saved_rules WHERE origin = 'local';
             DELETE FROM guard;
             INSERT INTO guard SELECT * FROM saved_guard;
             DELETE FROM meta WHERE key IN ('rules.default', 'rules.drop_invalid');
             INSERT INTO meta SELECT * FROM saved_meta
                 WHERE key IN ('rules.default', 'rules.drop_invalid');",
        )?;
        self.forget()
    }

    /// Sets when the saved policy comes back.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write_due(&self, due: Option<BootSecs>) -> Result<(), StoreError> {
        let due = due.map(|due| due.0.to_string());
        self.write_meta(DUE_BOOT, due.as_deref())
    }

    /// Sets when a policy went back because nobody confirmed it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write_rolled_back(&self, at: Option<WallSecs>) -> Result<(), StoreError> {
        let at = at.map(|at| at.0.to_string());
        self.write_meta(ROLLED_BACK, at.as_deref())
    }

    /// Forgets the saved policy: the one in force is confirmed, or is the saved one.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn forget(&self) -> Result<(), StoreError> {
        self.0.execute_batch(
            "DELETE FROM saved_groups; DELETE FROM saved_rules; DELETE FROM saved_guard;
             DELETE FROM saved_meta; DELETE FROM meta WHERE key LIKE 'saved.%';",
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
