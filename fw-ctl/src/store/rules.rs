//! Rules, and what `fw-ctl default` said.

use std::collections::BTreeMap;

use fw_common::abi;
use jiff::tz::TimeZone;
use rusqlite::{Row, Transaction, named_params, params};

use super::{Change, Store, StoreError, offenders::nearest};
use crate::policy::{
    rule::{Origin, Rule, RuleId, text::RuleText},
    rules::{BaseOverrides, Rules},
    time::{BootSecs, Now, WallSecs},
};

/// Rows of `meta`.
const NEXT: &str = "rules.next";
const DEFAULT: &str = "rules.default";
const DROP_INVALID: &str = "rules.drop_invalid";

const COLUMNS: &str = "id, origin, service, action, sources, rate, burst, per, floor, ceiling,
    hours, days, zone, comment, created, ends_boot, ends_wall";

impl Store {
    /// The rules as they were left. [`Store::load`] comes first: it brings their times into this
    /// boot.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn rules(&self) -> Result<Rules, StoreError> {
        let next = match self.meta(NEXT)? {
            Some(next) => self.parsed(&next)?,
            None => 1,
        };
        Ok(Rules::restore(self.rules_in("rules")?, RuleId(next)))
    }

    pub(super) fn rules_in(&self, table: &str) -> Result<BTreeMap<RuleId, Rule>, StoreError> {
        let mut statement = self
            .connection
            .prepare(&format!("SELECT {COLUMNS} FROM {table}"))?;
        let mut rows = statement.query([])?;
        let mut rules = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let id = RuleId(row.get("id")?);
            rules.insert(id, self.rule(row)?);
        }
        Ok(rules)
    }

    fn rule(&self, row: &Row<'_>) -> Result<Rule, StoreError> {
        let sources: String = row.get("sources")?;
        let text = RuleText {
            service: row.get("service")?,
            action: row.get("action")?,
            from: sources.split_whitespace().map(str::to_owned).collect(),
            rate: row.get("rate")?,
            burst: row.get("burst")?,
            per: row.get("per")?,
            floor: row.get("floor")?,
            ceiling: row.get("ceiling")?,
            hours: row.get("hours")?,
            days: row.get("days")?,
            zone: row.get("zone")?,
        };
        let read = text.read(|name| TimeZone::get(name).ok());
        let (rule, _) = read.map_err(|error| StoreError::Corrupt {
            path: self.path.clone(),
            detail: format!("a rule: {error}"),
        })?;
        let origin: String = row.get("origin")?;
        let deadline: Option<u32> = row.get("ends_boot")?;
        Ok(Rule {
            comment: self.parsed(row.get_ref("comment")?.as_str().unwrap_or_default())?,
            created: WallSecs(row.get("created")?),
            deadline: deadline.map(BootSecs),
            origin: match origin == Origin::Configuration.name() {
                true => Origin::Configuration,
                false => Origin::Local,
            },
            ..rule
        })
    }

    /// What `fw-ctl default` said.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn base_overrides(&self) -> Result<BaseOverrides, StoreError> {
        let read = |key: &str| self.meta(key);
        self.overrides_of(read(DEFAULT)?, read(DROP_INVALID)?)
    }

    pub(super) fn overrides_of(
        &self,
        default: Option<String>,
        drop_invalid: Option<String>,
    ) -> Result<BaseOverrides, StoreError> {
        Ok(BaseOverrides {
            default: default.map(|text| self.parsed(&text)).transpose()?,
            drop_invalid: drop_invalid.map(|text| self.parsed(&text)).transpose()?,
        })
    }

    /// The base as it was saved by [`Change::save`].
    pub(super) fn saved_overrides(&self) -> Result<BaseOverrides, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT max(value) FROM saved_meta WHERE key = ?1")?;
        let mut read = |key: &str| statement.query_row([key], |row| row.get(0));
        let (default, drop_invalid) = (read(DEFAULT)?, read(DROP_INVALID)?);
        self.overrides_of(default, drop_invalid)
    }
}

impl Change<'_> {
    /// Writes all rules.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write_rules(&self, rules: &Rules, now: Now) -> Result<(), StoreError> {
        self.0.execute("DELETE FROM rules", [])?;
        let mut put = self.0.prepare_cached(&format!(
            "INSERT INTO rules ({COLUMNS}) VALUES
             (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
        ))?;
        for (id, rule) in rules.iter() {
            let text = RuleText::from(rule);
            put.execute(params![
                id.0,
                rule.origin.name(),
                text.service,
                text.action,
                text.from.join(" "),
                text.rate,
                text.burst,
                text.per,
                text.floor,
                text.ceiling,
                text.hours,
                text.days,
                text.zone,
                rule.comment.as_str(),
                rule.created.0,
                rule.deadline.map(|deadline| deadline.0),
                rule.deadline.map(|deadline| now.wall_of(deadline).0),
            ])?;
        }
        self.write_meta(NEXT, Some(&rules.next_id().to_string()))
    }

    /// Writes what `fw-ctl default` said.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn write_base(&self, overrides: BaseOverrides) -> Result<(), StoreError> {
        let default = overrides.default.map(|verdict| verdict.name());
        self.write_meta(DEFAULT, default)?;
        let drop_invalid = overrides.drop_invalid.map(|on| on.to_string());
        self.write_meta(DROP_INVALID, drop_invalid.as_deref())
    }
}

/// After a reboot: the times of this boot, from those on the wall. What has ended meanwhile ends
/// now.
pub(super) fn rebase(transaction: &Transaction<'_>, now: Now) -> Result<(), StoreError> {
    for table in ["rules", "saved_rules"] {
        transaction.execute(
            &format!(
                "UPDATE {table} SET ends_boot = min(max(ends_wall - :wall, 0) + :boot, :latest)
                 WHERE ends_wall IS NOT NULL"
            ),
            named_params! {
                ":wall": now.wall.0,
                ":boot": nearest(now),
                ":latest": abi::NEVER - 1,
            },
        )?;
    }
    Ok(())
}
