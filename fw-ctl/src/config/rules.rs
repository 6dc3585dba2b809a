//! `[[rule]]`, as the configuration and policy files have it.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer};

use super::{located, place, position, text};
use crate::{
    api::wire::RulePut,
    duration::Ttl,
    policy::{
        entry::Comment,
        refusal::Refusal,
        rule::text::RuleText,
        rules::{Added, Rules},
    },
};

/// A rule is read as a [`RulePut`], but for the time it lives, which is written like all durations.
#[derive(Deserialize)]
#[serde(remote = "RulePut", deny_unknown_fields)]
struct Table {
    service: String,
    action: String,
    #[serde(default)]
    from: Vec<String>,
    #[serde(default)]
    rate: Option<String>,
    #[serde(default)]
    burst: Option<u32>,
    #[serde(default)]
    per: Option<String>,
    #[serde(default)]
    floor: Option<String>,
    #[serde(default)]
    ceiling: Option<String>,
    #[serde(default)]
    hours: Option<String>,
    #[serde(default)]
    days: Option<String>,
    #[serde(default)]
    zone: Option<String>,
    #[serde(default, rename = "ttl", deserialize_with = "ttl")]
    ttl_s: Option<u64>,
    #[serde(default, deserialize_with = "comment")]
    comment: String,
}

/// Rules, of which [`check`] knows more.
pub(super) fn tables<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<RulePut>, D::Error> {
    #[derive(Deserialize)]
    struct Row(#[serde(with = "Table")] RulePut);
    let rows = Vec::<Row>::deserialize(from)?;
    Ok(rows.into_iter().map(|Row(put)| put).collect())
}

/// Seconds to live; `None` for never.
pub(super) fn ttl<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    text(from).map(Ttl::secs)
}

/// A comment that every list and log can show.
pub(super) fn comment<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let comment: Comment = text(from)?;
    Ok(comment.as_str().to_owned())
}

/// Whether every rule makes sense, and goes with the others.
///
/// # Errors
/// The first that does not, with line and column of what is wrong.
pub(super) fn check(file: &str, rules: &[RulePut]) -> Result<(), String> {
    let mut together = Rules::default();
    let mut indices = BTreeMap::new();
    for (index, put) in rules.iter().enumerate() {
        let place = |index, key| place(file, "rule", Some(index), key);
        let refused = |key, why: &dyn ToString| located(file, place(index, key), &why.to_string());
        let read = RuleText::from(put).read(|name| TimeZone::get(name).ok());
        let (rule, _) = read.map_err(|error| refused(error.field, &error))?;
        match together.add(rule) {
            Ok(Added::New(id)) => {
                indices.insert(id, index);
            }
            Ok(Added::Updated(_) | Added::Known(_)) => {}
            Err(Refusal::Contradicts { service, rule }) => {
                let first = indices.get(&rule).and_then(|index| place(*index, ""));
                let (line, _) = position(file, first);
                let why = format!(
                    "the rule of line {line} says something else of {service} for the same sources"
                );
                return Err(refused("", &why));
            }
            Err(refusal) => return Err(refused("", &refusal)),
        }
    }
    Ok(())
}

/// Whether no rule ends: it would begin anew with every start.
///
/// # Errors
/// The first that does, with line and column.
pub(super) fn check_endless(file: &str, rules: &[RulePut]) -> Result<(), String> {
    match rules.iter().position(|rule| rule.ttl_s.is_some()) {
        None => Ok(()),
        Some(index) => Err(located(
            file,
            place(file, "rule", Some(index), "ttl"),
            "a rule of the configuration has no end, `fw-ctl port add --ttl` gives one",
        )),
    }
}

#[cfg(test)]
mod tests;
