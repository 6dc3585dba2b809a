//! Who may use the API over TCP.

use rusqlite::params;

use super::{Change, Store, StoreError};
use crate::{daemon::tokens::Token, policy::time::WallSecs};

impl Store {
    /// The tokens as they were left.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT name, scope, hash, created, expires FROM tokens")?;
        let mut rows = statement.query([])?;
        let mut tokens = Vec::new();
        while let Some(row) = rows.next()? {
            tokens.push(Token {
                name: row.get(0)?,
                scope: self.parsed(row.get_ref(1)?.as_str().unwrap_or_default())?,
                hash: row.get(2)?,
                created: WallSecs(row.get(3)?),
                expires: row.get::<_, Option<i64>>(4)?.map(WallSecs),
            });
        }
        Ok(tokens)
    }
}

impl Change<'_> {
    /// Writes which tokens there are.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write_tokens(&self, tokens: &[Token]) -> Result<(), StoreError> {
        self.0.execute("DELETE FROM tokens", [])?;
        let mut put = self.0.prepare_cached(
            "INSERT INTO tokens (name, scope, hash, created, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for token in tokens {
            let expires = token.expires.map(|end| end.0);
            put.execute(params![
                token.name,
                token.scope.name(),
                token.hash,
                token.created.0,
                expires
            ])?;
        }
        Ok(())
    }
}
