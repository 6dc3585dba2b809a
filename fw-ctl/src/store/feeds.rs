//! Feeds that were added by command: a text for each, which only the daemon understands.

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

impl Change<'_> {
    /// Writes which feeds there are, by their names.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write_feeds<'a>(
        &self,
        feeds: impl Iterator<Item = (&'a str, String)>,
    ) -> Result<(), StoreError> {
        self.0.execute("DELETE FROM feeds", [])?;
        let mut put = self
            .0
            .prepare_cached("INSERT INTO feeds (name, put) VALUES (?1, ?2)")?;
        for (name, text) in feeds {
            put.execute([name, &text])?;
        }
        Ok(())
    }
}
