//! Entries: read as a whole, and written by the groups that a change touches.

use std::{collections::BTreeSet, path::PathBuf};

use rusqlite::{Connection, params};

use super::{
    Change, Store, StoreError,
    groups::{Key, Row, decode, encode},
};
use crate::policy::{
    Policy,
    change::Draft,
    entry::{Action, Entry, ListId, Place},
    time::Now,
};

/// Where groups stand.
#[derive(Clone, Copy)]
pub(super) enum Groups {
    /// Those in force.
    Entries,
    /// Those of the operator's list, to be gone back to.
    Saved,
}

impl Groups {
    const fn table(self) -> &'static str {
        match self {
            Self::Entries => "entry_groups",
            Self::Saved => "saved_groups",
        }
    }

    /// Reads all groups in their order.
    pub(super) fn read(
        self,
        connection: &Connection,
        mut each: impl FnMut(Key, Vec<Row>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let query = format!("SELECT id, packed FROM {} ORDER BY id", self.table());
        let mut statement = connection.prepare(&query)?;
        let mut groups = statement.query([])?;
        while let Some(group) = groups.next()? {
            let number = group.get(0)?;
            let damaged = |detail| corrupt(connection, detail);
            let key = Key::new(number)
                .ok_or_else(|| damaged(format!("no entries have the number {number}")))?;
            let packed = group.get_ref(1)?.as_blob().unwrap_or_default();
            let rows = decode(key, packed)
                .map_err(|damage| damaged(format!("the entries of {key}: {damage}")))?;
            each(key, rows)?;
        }
        Ok(())
    }

    /// Writes a group, or removes it when it has no rows.
    pub(super) fn put(
        self,
        connection: &Connection,
        key: Key,
        rows: impl IntoIterator<Item = Row>,
    ) -> Result<(), StoreError> {
        let (table, mut rows) = (self.table(), rows.into_iter().peekable());
        if rows.peek().is_none() {
            let remove = format!("DELETE FROM {table} WHERE id = ?1");
            connection
                .prepare_cached(&remove)?
                .execute([key.number()])?;
        } else {
            let put = format!("INSERT OR REPLACE INTO {table} (id, packed) VALUES (?1, ?2)");
            let mut put = connection.prepare_cached(&put)?;
            put.execute(params![key.number(), encode(key, rows)])?;
        }
        Ok(())
    }

    /// After a reboot: the ends in this boot's time, from those on the wall.
    fn rebase(self, connection: &Connection, now: Now) -> Result<(), StoreError> {
        let mut ending = Vec::new();
        self.read(connection, |key, mut rows| {
            let ends = rows.iter_mut().filter_map(|row| row.ends.as_mut());
            let moved = ends.map(|(boot, wall)| *boot = now.boot_of(*wall)).count();
            ending.extend((moved > 0).then_some((key, rows)));
            Ok(())
        })?;
        for (key, rows) in ending {
            self.put(connection, key, rows)?;
        }
        Ok(())
    }
}

impl Store {
    /// Puts all entries into a policy that knows their lists.
    pub(super) fn load_entries(&self, policy: &mut Policy) -> Result<(), StoreError> {
        let lists: BTreeSet<ListId> = policy.lists().map(|(_, id)| id).collect();
        let (mut allows, mut blocks): (Vec<(Place, Entry)>, Vec<_>) = Default::default();
        Groups::Entries.read(&self.connection, |key, rows| {
            let entries = match key.action() {
                Action::Allow => &mut allows,
                Action::Block => &mut blocks,
            };
            for row in rows {
                if !lists.contains(&row.place.list) {
                    let ListId(list) = row.place.list;
                    let detail = format!("the entries of {key}: there is no list {list}");
                    return Err(corrupt(&self.connection, detail));
                }
                entries.push((row.place, row.entry()));
            }
            Ok(())
        })?;
        policy.restore(Action::Allow, allows);
        policy.restore(Action::Block, blocks);
        Ok(())
    }
}

impl Change<'_> {
    /// Writes a draft that is true in the policy.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write(&self, draft: &Draft, policy: &Policy, now: Now) -> Result<(), StoreError> {
        for (name, id) in &draft.new_lists {
            self.0.execute(
                "INSERT INTO lists (id, name) VALUES (?1, ?2)",
                params![id.0, name.as_str()],
            )?;
        }
        let edits = draft.edits.iter();
        let keys = edits.map(|edit| Key::of(edit.action, edit.place.prefix));
        self.write_groups(keys.collect(), policy, now)
    }

    /// Writes all entries of the policy, whatever is there.
    pub(super) fn write_all(&self, policy: &Policy, now: Now) -> Result<(), StoreError> {
        self.0.execute("DELETE FROM entry_groups", [])?;
        let of = |action| {
            let places = policy.table(action).iter();
            places.map(move |(place, _)| Key::of(action, place.prefix))
        };
        let keys = Action::ALL.into_iter().flat_map(of);
        self.write_groups(keys.collect(), policy, now)
    }

    fn write_groups(
        &self,
        mut keys: Vec<Key>,
        policy: &Policy,
        now: Now,
    ) -> Result<(), StoreError> {
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            let entries = policy.table(key.action()).within(key.addresses());
            let rows = entries.map(|(place, entry)| Row::of(place, entry, now));
            Groups::Entries.put(&self.0, key, rows)?;
        }
        Ok(())
    }

    /// Saves the entries of a list as they stand.
    pub(super) fn save_entries(&self, list: ListId) -> Result<(), StoreError> {
        Groups::Entries.read(&self.0, |key, mut rows| {
            rows.retain(|row| row.place.list == list);
            match rows.is_empty() {
                true => Ok(()),
                false => Groups::Saved.put(&self.0, key, rows),
            }
        })
    }
}

/// After a reboot.
pub(super) fn rebase(connection: &Connection, now: Now) -> Result<(), StoreError> {
    Groups::Entries.rebase(connection, now)?;
    Groups::Saved.rebase(connection, now)
}

/// The database is damaged.
pub(super) fn corrupt(connection: &Connection, detail: String) -> StoreError {
    StoreError::Corrupt {
        path: PathBuf::from(connection.path().unwrap_or_default()),
        detail,
    }
}

#[cfg(test)]
mod tests;
