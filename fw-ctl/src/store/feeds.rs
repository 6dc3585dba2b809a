//! Feeds that were added by command, and what is known of the lists of feeds: texts, which only the
//! daemon understands.

use std::collections::BTreeMap;

use super::{Change, Store, StoreError};

impl Store {
    /// The feeds as they were left.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn feeds(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.connection.prepare("SELECT put FROM feeds")?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Store {
    /// What is known of the lists in force, by their names.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn feed_lists(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT name, about FROM feed_lists")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl Change<'_> {
    /// Writes what is known of a list, or that nothing is.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write_feed_list(&self, name: &str, about: Option<&str>) -> Result<(), StoreError> {
        match about {
            Some(about) => self.0.execute(
                "INSERT OR REPLACE INTO feed_lists (name, about) VALUES (?1, ?2)",
                [name, about],
            )?,
            None => self
                .0
                .execute("DELETE FROM feed_lists WHERE name = ?1", [name])?,
        };
        Ok(())
    }

    /// Writes which feeds there are, by their names.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write_feeds(&self, feeds: &[(String, String)]) -> Result<(), StoreError> {
        self.0.execute("DELETE FROM feeds", [])?;
        let mut put = self
            .0
            .prepare_cached("INSERT INTO feeds (name, put) VALUES (?1, ?2)")?;
        for (name, text) in feeds {
            put.execute([name, text])?;
        }
        Ok(())
    }
}
