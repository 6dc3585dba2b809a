//! Policy files, which `fw-ctl apply` makes true. What is not in one stays as it is.
//!
//! ```toml
//! default = "drop"
//! drop_invalid = true
//! guard = ["10.0.0.0/24"]
//! allows = ["198.51.100.7"]
//! blocks = ["192.0.2.0/24", { prefix = "203.0.113.9", ttl = "4h", comment = "noisy" }]
//!
//! [[rule]]
//! service = "tcp/22"
//! action = "accept"
//! from = ["10.0.0.0/24"]
//! ```

use std::fmt;

use fw_common::Prefix;
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{located, rules, text};
use crate::{
    api::wire::{PolicyText, PutItem, RulePut},
    listfile::addresses,
    policy::rule::Verdict,
};

/// Reads a policy file.
///
/// # Errors
/// What is wrong, with line and column in front.
pub fn parse(text: &str) -> Result<PolicyText, String> {
    let read = toml::Deserializer::parse(text).and_then(File::deserialize);
    let policy = read.map_err(|error| {
        let place = error.span().map(|span| span.start);
        located(text, place, error.message())
    })?;
    rules::check(text, policy.rules.as_deref().unwrap_or_default())?;
    Ok(policy)
}

/// A file is read as a [`PolicyText`].
#[derive(Deserialize)]
#[serde(
    remote = "PolicyText",
    deny_unknown_fields,
    default = "PolicyText::default"
)]
struct File {
    #[serde(deserialize_with = "verdict")]
    default: Option<String>,
    drop_invalid: Option<bool>,
    #[serde(deserialize_with = "items")]
    blocks: Option<Vec<PutItem>>,
    #[serde(deserialize_with = "items")]
    allows: Option<Vec<PutItem>>,
    #[serde(deserialize_with = "prefixes")]
    guard: Option<Vec<String>>,
    #[serde(rename = "rule", deserialize_with = "rule_tables")]
    rules: Option<Vec<RulePut>>,
}

fn verdict<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let verdict: Verdict = text(from)?;
    Ok(Some(verdict.name().to_owned()))
}

fn rule_tables<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<RulePut>>, D::Error> {
    rules::tables(from).map(Some)
}

fn prefixes<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<String>>, D::Error> {
    /// As a type of its own it is named with its own place.
    #[derive(Deserialize)]
    struct Element(#[serde(deserialize_with = "prefix")] String);
    let elements = Vec::<Element>::deserialize(from)?;
    Ok(Some(
        elements.into_iter().map(|Element(text)| text).collect(),
    ))
}

/// Kept as typed: whoever takes it says what he clears of it.
fn prefix<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    match text.parse::<Prefix>() {
        Ok(_) => Ok(text),
        Err(error) => Err(D::Error::custom(format!("{text:?}: {error}"))),
    }
}

fn items<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<PutItem>>, D::Error> {
    let written = Vec::<Written>::deserialize(from)?;
    Ok(Some(written.into_iter().flat_map(Written::items).collect()))
}

/// One element of `blocks` or `allows`: a text, or a table.
#[derive(Deserialize)]
#[serde(remote = "Self", deny_unknown_fields)]
struct Written {
    /// More than one where a range was typed.
    #[serde(rename = "prefix", deserialize_with = "networks")]
    prefixes: Vec<String>,
    #[serde(default, rename = "ttl", deserialize_with = "rules::ttl")]
    ttl_s: Option<u64>,
    #[serde(default, deserialize_with = "rules::comment")]
    comment: String,
}

impl Written {
    fn items(self) -> impl Iterator<Item = PutItem> {
        let Self {
            prefixes,
            ttl_s,
            comment,
        } = self;
        prefixes.into_iter().map(move |prefix| PutItem {
            prefix,
            ttl_s,
            comment: comment.clone(),
            created_at: None,
        })
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct TextOrTable;
        impl<'de> Visitor<'de> for TextOrTable {
            type Value = Written;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address, a prefix, or { prefix, ttl, comment }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
                Ok(Written {
                    prefixes: split(text)?,
                    ttl_s: None,
                    comment: String::new(),
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Written, A::Error> {
                Written::deserialize(MapAccessDeserializer::new(table))
            }
        }
        from.deserialize_any(TextOrTable)
    }
}

fn networks<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    split(&String::deserialize(from)?)
}

/// The prefixes of a range; anything else is kept as typed, as in [`prefix`].
fn split<E: Error>(text: &str) -> Result<Vec<String>, E> {
    let prefixes = addresses(text).map_err(|error| E::custom(format!("{text:?}: {error}")))?;
    Ok(match text.contains('-') {
        true => prefixes
            .iter()
            .map(|(prefix, _)| prefix.to_string())
            .collect(),
        false => vec![text.to_owned()],
    })
}

#[cfg(test)]
mod tests;
