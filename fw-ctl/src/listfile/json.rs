//! JSON: the tutorial's `allowlist.json`, a plain array, our own export, Spamhaus DROP lines.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Item, LineError, Parsed, shortened};
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
}

/// Reads a whole document that stands behind `before` lines.
pub(super) fn document(text: &str, before: usize, parsed: &mut Parsed) {
    let (shape, elements) = match elements(text) {
        Ok(found) => found,
        Err((line, reason)) => {
            let raw = text.lines().nth(line - 1).unwrap_or_default();
            return parsed.fail(LineError {
                line: before + line,
                text: shortened(raw.trim()),
                reason,
            });
        }
    };
    let (mut line, mut seen) = (before + 1, 0);
    for element in elements {
        let raw = element.get();
        let start = raw.as_ptr().addr() - text.as_ptr().addr();
        let breaks = text.as_bytes()[seen..start].iter();
        line += breaks.filter(|byte| **byte == b'\n').count();
        seen = start;
        parsed.take(line, raw, item(raw, shape).map(Some));
    }
}

/// The elements of a document, or the line that is wrong and why.
fn elements(text: &str) -> Result<(Shape, Vec<&RawValue>), (usize, String)> {
    // A document that breaks off is reported behind its last line.
    let last = text.lines().count();
    let fail = |error: serde_json::Error| (error.line().min(last).max(1), message(&error));
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

fn item(raw: &str, shape: Shape) -> Result<Item<'_>, String> {
    if raw.starts_with('"') {
        return Ok(Item {
            address: serde_json::from_str::<Text<'_>>(raw)
                .map_err(|error| message(&error))?
                .0,
            action: (shape == Shape::Allowlist).then_some(Action::Allow),
            ..Item::default()
        });
    }
    let record: Record<'_> = serde_json::from_str(raw).map_err(|error| message(&error))?;
    let said = record.action.as_deref().map(action).transpose()?;
    Ok(Item {
        address: record.prefix,
        ttl: match (shape, record.ttl_s) {
            // In an export `null` means never.
            (Shape::Export, secs) => Some(Ttl::from_secs(secs)),
            (_, secs) => secs.map(|secs| Ttl::from_secs(Some(secs))),
        },
        comment: record.comment.unwrap_or_default(),
        action: match shape {
            Shape::Allowlist => Some(Action::Allow),
            _ => said,
        },
    })
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

/// The message without the position: serde counts it within the element.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) => message.into(),
        None => text,
    }
}
