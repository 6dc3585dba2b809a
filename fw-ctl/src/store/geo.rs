//! What `fw-ctl geo` said.

use std::collections::BTreeSet;

use super::{Change, Store, StoreError};
use crate::geo::{
    code::Code,
    selection::{Overrides, joined},
};

/// Rows of `meta`, of codes with a space between.
const BLOCK: &str = "geo.block";
const UNBLOCK: &str = "geo.unblock";
const ONLY: &str = "geo.only";

impl Store {
    /// What `fw-ctl geo` said.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn geo_overrides(&self) -> Result<Overrides, StoreError> {
        Ok(Overrides {
            block: self.codes(BLOCK)?.unwrap_or_default(),
            unblock: self.codes(UNBLOCK)?.unwrap_or_default(),
            only: self.codes(ONLY)?,
        })
    }

    fn codes(&self, key: &str) -> Result<Option<BTreeSet<Code>>, StoreError> {
        let Some(text) = self.meta(key)? else {
            return Ok(None);
        };
        let codes = text.split_whitespace().map(|code| self.parsed(code));
        codes.collect::<Result<_, _>>().map(Some)
    }
}

impl Change<'_> {
    /// Writes what `fw-ctl geo` said.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write_geo(&self, overrides: &Overrides) -> Result<(), StoreError> {
        let Overrides {
            block,
            unblock,
            only,
        } = overrides;
        let some = |codes: &BTreeSet<Code>| (!codes.is_empty()).then(|| joined(codes));
        for (key, value) in [
            (BLOCK, some(block)),
            (UNBLOCK, some(unblock)),
            // Nobody alone is something else than nothing said.
            (ONLY, only.as_ref().map(joined)),
        ] {
            self.write_meta(key, value.as_deref())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn codes(text: &str) -> BTreeSet<Code> {
        let codes = text.split_whitespace().map(str::parse);
        codes.collect::<Result<_, _>>().expect(text)
    }

    #[test]
    fn what_was_said_is_there_after_a_restart_and_nobody_alone_is_not_nothing() {
        let directory = TempDir::new().expect("a directory");
        let said = |block: &str, unblock: &str, only: Option<&str>| Overrides {
            block: codes(block),
            unblock: codes(unblock),
            only: only.map(codes),
        };
        for overrides in [
            said("KP AS64500", "CN", Some("DE AT")),
            said("", "", Some("")),
            Overrides::default(),
        ] {
            let mut store = Store::open(directory.path()).expect("a store");
            let change = store.begin().expect("a transaction");
            change.write_geo(&overrides).expect("written");
            change.commit().expect("kept");
            drop(store);
            let store = Store::open(directory.path()).expect("a store");
            assert_eq!(store.geo_overrides().expect("read"), overrides);
        }
    }
}
