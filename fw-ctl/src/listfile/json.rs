//! JSON: the tutorial's `allowlist.json`, a plain array, our own export, Spamhaus DROP lines.

use std::borrow::Cow;

use jiff::{Timestamp, Zoned};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Item, Parsed,
    document::{Broken, Lines, broken, message},
    time,
};
use crate::{duration::Ttl, policy::entry::Action};

/// A document that is an object. The elements stay raw, so that a bad one spoils only itself and
/// its place in the text is known.
#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    allowed_ips: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    items: Option<Vec<&'a RawValue>>,
    schema: Option<u32>,
}

/// What the elements are part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Plain,
    Allowlist,
    Export,
}

/// An element that is an object.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow, alias = "ip", alias = "cidr")]
    prefix: Cow<'a, str>,
    #[serde(borrow)]
    comment: Option<Cow<'a, str>>,
    #[serde(borrow)]
    action: Option<Cow<'a, str>>,
    ttl_s: Option<u64>,
    /// Says more than `ttl_s`, which is as old as the file.
    expires_at: Option<Timestamp>,
    created_at: Option<Timestamp>,
    /// The same, as the tutorial has it.
    #[serde(borrow)]
    added: Option<Cow<'a, str>>,
}

/// Reads a whole document.
pub(super) fn document(
    text: &str,
    mut lines: Lines<'_>,
    now: &Zoned,
    parsed: &mut Parsed,
) -> Result<(), Broken> {
    let (shape, elements) = elements(text)?;
    for element in elements {
        let raw = element.get();
        let item = item(raw, shape, now, &mut parsed.ended);
        parsed.take(lines.of(raw), raw, item);
    }
    Ok(())
}

/// The elements of a document, or the line that is wrong and why.
fn elements(text: &str) -> Result<(Shape, Vec<&RawValue>), Broken> {
    let fail = |error| broken(text, &error);
    if text.trim_start().starts_with('[') {
        return Ok((Shape::Plain, serde_json::from_str(text).map_err(fail)?));
    }
    let document: Document<'_> = serde_json::from_str(text).map_err(fail)?;
    match (document.allowed_ips, document.items, document.schema) {
        (Some(elements), None, _) => Ok((Shape::Allowlist, elements)),
        (None, Some(elements), Some(1)) => Ok((Shape::Export, elements)),
        (None, Some(_), _) => Err((1, "only exports with `\"schema\": 1` are read".into())),
        _ => Err((1, "expected an array, `allowed_ips` or `items`".into())),
    }
}

/// What an element asks for, unless it has ended.
fn item<'a>(
    raw: &'a str,
    shape: Shape,
    now: &Zoned,
    ended: &mut usize,
) -> Result<Option<Item<'a>>, String> {
    if raw.starts_with('"') {
        return Ok(Some(Item {
            address: serde_json::from_str::<Text<'_>>(raw)
                .map_err(|error| message(&error))?
                .0,
            action: (shape == Shape::Allowlist).then_some(Action::Allow),
            ..Item::default()
        }));
    }
    let record: Record<'_> = serde_json::from_str(raw).map_err(|error| message(&error))?;
    let said = record.action.as_deref().map(action).transpose()?;
    let ttl = match (record.expires_at, shape, record.ttl_s) {
        (Some(end), ..) => match time::left(end, now) {
            None => {
                *ended += 1;
                return Ok(None);
            }
            left => left,
        },
        // In an export `null` means never.
        (None, Shape::Export, secs) => Some(Ttl::from_secs(secs)),
        (None, _, secs) => secs.map(|secs| Ttl::from_secs(Some(secs))),
    };
    Ok(Some(Item {
        address: record.prefix,
        ttl,
        comment: record.comment.unwrap_or_default(),
        action: match shape {
            Shape::Allowlist => Some(Action::Allow),
            _ => said,
        },
        created: record
            .created_at
            .or_else(|| time::moment(&record.added?, now)),
    }))
}

/// A string, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn action(name: &str) -> Result<Action, String> {
    name.parse()
        .map_err(|_| "an action is `block` or `allow`".into())
}

/// One line of Spamhaus' JSON: a prefix, or what the file says of itself.
pub(super) fn spamhaus_line(line: &str) -> Result<Option<Item<'_>>, String> {
    #[derive(Deserialize)]
    struct Drop<'a> {
        #[serde(borrow)]
        cidr: Option<Cow<'a, str>>,
        #[serde(borrow)]
        sblid: Option<Cow<'a, str>>,
        #[serde(borrow, rename = "type")]
        kind: Option<Cow<'a, str>>,
    }
    let drop: Drop<'_> = serde_json::from_str(line).map_err(|error| message(&error))?;
    match (drop.cidr, drop.kind.as_deref()) {
        (Some(address), _) => Ok(Some(Item {
            address,
            comment: drop.sblid.unwrap_or_default(),
            ..Item::default()
        })),
        (None, Some("metadata")) => Ok(None),
        (None, _) => Err("missing field `cidr`".into()),
    }
}
