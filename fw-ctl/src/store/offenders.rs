//! What the detector remembers: offenders, and what `fw-ctl scan set` said.

use std::time::Duration;

use fw_common::{Prefix, abi};
use rusqlite::{Transaction, named_params, params};

use super::{Change, Store, StoreError};
use crate::{
    detect::{offenders::Record, settings::Overrides},
    policy::time::{BootSecs, Now},
};

/// Rows of `meta`, with the unit in their names.
const MODE: &str = "scan.mode";
const PORTS: &str = "scan.ports";
const WINDOW: &str = "scan.window_s";
const TTL: &str = "scan.ttl_s";

impl Store {
    /// The offenders as they were left. [`Store::load`] comes first: it brings their times into
    /// this boot.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn offenders(&self) -> Result<Vec<(Prefix, Record)>, StoreError> {
        let mut statement = self.connection.prepare(
            "SELECT source, offences, proven, evidence, seen, last_boot, until_boot FROM offenders",
        )?;
        let mut rows = statement.query([])?;
        let mut offenders = Vec::new();
        while let Some(row) = rows.next()? {
            let source = self.parsed(row.get_ref(0)?.as_str().unwrap_or_default())?;
            let record = Record {
                offences: row.get(1)?,
                proven: row.get(2)?,
                evidence: self.parsed(row.get_ref(3)?.as_str().unwrap_or_default())?,
                seen: row.get(4)?,
                last: row.get(5)?,
                until: BootSecs(row.get(6)?),
            };
            offenders.push((source, record));
        }
        Ok(offenders)
    }

    /// What `fw-ctl scan set` said.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn overrides(&self) -> Result<Overrides, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT key, value FROM meta WHERE key LIKE 'scan.%'")?;
        let mut rows = statement.query([])?;
        let mut overrides = Overrides::default();
        while let Some(row) = rows.next()? {
            let value = row.get_ref(1)?.as_str().unwrap_or_default();
            match row.get_ref(0)?.as_str().unwrap_or_default() {
                MODE => overrides.mode = Some(self.parsed(value)?),
                PORTS => overrides.ports = Some(self.parsed(value)?),
                WINDOW => overrides.window = Some(Duration::from_secs(self.parsed(value)?)),
                TTL => overrides.ttl = Some(Duration::from_secs(self.parsed(value)?)),
                _ => {}
            }
        }
        Ok(overrides)
    }
}

impl Change<'_> {
    /// Writes what changed of the offenders; `None` for those that are forgotten.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write_offenders<'a>(
        &self,
        changed: impl IntoIterator<Item = (Prefix, Option<&'a Record>)>,
        now: Now,
    ) -> Result<(), StoreError> {
        let mut put = self.0.prepare_cached(
            "INSERT OR REPLACE INTO offenders
             (source, offences, proven, evidence, seen, last_boot, last_wall, until_boot, until_wall)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        let mut forget = self
            .0
            .prepare_cached("DELETE FROM offenders WHERE source = ?1")?;
        let boot_began = now.wall.0.saturating_sub(nearest(now));
        for (source, record) in changed {
            let source = source.to_string();
            match record {
                Some(record) => put.execute(params![
                    source,
                    record.offences,
                    record.proven,
                    record.evidence.name(),
                    record.seen,
                    record.last,
                    boot_began.saturating_add(record.last),
                    record.until.0,
                    now.wall_of(record.until).0,
                ])?,
                None => forget.execute([source])?,
            };
        }
        Ok(())
    }

    /// Writes what `fw-ctl scan set` said.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write_overrides(&self, overrides: &Overrides) -> Result<(), StoreError> {
        let secs = |time: Option<Duration>| time.map(|time| time.as_secs().to_string());
        for (key, value) in [
            (MODE, overrides.mode.map(|mode| mode.name().to_owned())),
            (PORTS, overrides.ports.map(|ports| ports.to_string())),
            (WINDOW, secs(overrides.window)),
            (TTL, secs(overrides.ttl)),
        ] {
            self.write_meta(key, value.as_deref())?;
        }
        Ok(())
    }
}

/// After a reboot: the times of this boot, from those on the wall. The last offence may have been
/// before it began; a block that has ended meanwhile ends now.
pub(super) fn rebase(transaction: &Transaction<'_>, now: Now) -> Result<(), StoreError> {
    transaction.execute(
        "UPDATE offenders SET
         last_boot = last_wall - :wall + :boot,
         until_boot = min(max(until_wall - :wall, 0) + :boot, :latest)",
        named_params! {
            ":wall": now.wall.0,
            ":boot": nearest(now),
            ":latest": abi::NEVER - 1,
        },
    )?;
    Ok(())
}

/// The second of boot time nearest to now.
pub(super) fn nearest(now: Now) -> i64 {
    now.after(Duration::ZERO).0.into()
}

#[cfg(test)]
mod tests;
