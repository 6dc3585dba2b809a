//! From what earlier versions made to what this one makes, a version at a time; each step is done
//! whole, or not at all.

use rusqlite::Connection;

use super::{DETECTOR, FEEDS, GROUPS, RULES, StoreError, TOKENS};
use crate::{
    policy::{
        entry::{ListId, Place},
        time::{BootSecs, WallSecs},
    },
    store::{
        entries::Groups,
        groups::{Key, Row},
        parsed,
    },
};

/// Upgrades a database of this schema.
pub(super) fn from(schema: i64, connection: &Connection) -> Result<(), StoreError> {
    let steps = [to_2, to_3, to_4, to_5, to_6];
    let done = usize::try_from(schema - 1).unwrap_or(0);
    steps
        .iter()
        .skip(done)
        .try_for_each(|step| step(connection))
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

/// Adds rules, and what a rollback goes back to.
fn to_3(connection: &Connection) -> Result<(), StoreError> {
    let change = connection.unchecked_transaction()?;
    change.execute_batch(RULES)?;
    change.execute_batch("CREATE TABLE saved_entries AS SELECT * FROM entries WHERE false")?;
    change.pragma_update(None, "user_version", 3)?;
    Ok(change.commit()?)
}

/// Packs the rows of entries into groups.
fn to_4(connection: &Connection) -> Result<(), StoreError> {
    let change = connection.unchecked_transaction()?;
    change.execute_batch(GROUPS)?;
    for (before, groups) in [
        ("entries", Groups::Entries),
        ("saved_entries", Groups::Saved),
    ] {
        let mut rows = rows(&change, before)?;
        rows.sort_unstable_by_key(|(key, row)| (*key, row.place));
        for group in rows.chunk_by(|(one, _), (other, _)| one == other) {
            let rows = group.iter().map(|(_, row)| row.clone());
            groups.put(&change, group[0].0, rows)?;
        }
        change.execute_batch(&format!("DROP TABLE {before}"))?;
    }
    change.pragma_update(None, "user_version", 4)?;
    Ok(change.commit()?)
}

/// Adds tokens.
fn to_5(connection: &Connection) -> Result<(), StoreError> {
    let change = connection.unchecked_transaction()?;
    change.execute_batch(TOKENS)?;
    change.pragma_update(None, "user_version", 5)?;
    Ok(change.commit()?)
}

/// Adds feeds.
fn to_6(connection: &Connection) -> Result<(), StoreError> {
    let change = connection.unchecked_transaction()?;
    change.execute_batch(FEEDS)?;
    change.pragma_update(None, "user_version", 6)?;
    Ok(change.commit()?)
}

/// Entries of schema 3.
fn rows(connection: &Connection, table: &str) -> Result<Vec<(Key, Row)>, StoreError> {
    let mut statement = connection.prepare(&format!(
        "SELECT action, prefix, list, comment, created, ends_boot, ends_wall FROM {table}"
    ))?;
    let mut rows = statement.query([])?;
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        let action = row.get_ref(0)?.as_str().unwrap_or_default();
        let prefix = row.get_ref(1)?.as_str().unwrap_or_default();
        let comment = row.get_ref(3)?.as_str().unwrap_or_default();
        let place = Place {
            prefix: parsed(connection, prefix)?,
            list: ListId(row.get(2)?),
        };
        let (boot, wall): (Option<u32>, Option<i64>) = (row.get(5)?, row.get(6)?);
        let row = Row {
            place,
            comment: parsed(connection, comment)?,
            created: WallSecs(row.get(4)?),
            ends: boot.map(BootSecs).zip(wall.map(WallSecs)),
        };
        read.push((Key::of(parsed(connection, action)?, place.prefix), row));
    }
    Ok(read)
}
