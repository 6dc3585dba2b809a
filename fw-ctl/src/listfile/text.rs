//! Lines of text: `prefix`, `prefix # note`, `prefix ; note`, `prefix,ttl,comment`.

use std::{borrow::Cow, fmt::Display};

use super::Item;
use crate::duration::Ttl;

/// First fields of a header line.
const HEADERS: [&str; 6] = ["prefix", "ip", "cidr", "network", "address", "range"];

/// Reads one trimmed line. A header is tolerated where it is the first; `commas` says whether
/// fields are expected.
pub(super) fn line(line: &str, first: bool, commas: bool) -> Result<Option<Item<'_>>, String> {
    if line.is_empty() || line.starts_with(['#', ';']) {
        return Ok(None);
    }
    let end = line.find(|c: char| matches!(c, ',' | ';' | '#') || c.is_whitespace());
    let (address, rest) = line.split_at(end.unwrap_or(line.len()));
    if first
        && HEADERS
            .iter()
            .any(|name| address.trim_matches('"').eq_ignore_ascii_case(name))
    {
        return Ok(None);
    }
    let rest = rest.trim_start();
    let csv = rest.starts_with(',') || address.starts_with('"');
    match rest.strip_prefix(['#', ';']) {
        _ if csv && commas => fields(line).map(Some),
        _ if csv => Err("fields and commas are for the csv format".into()),
        Some(note) => Ok(Some(Item {
            address: address.into(),
            comment: note.trim().into(),
            ..Item::default()
        })),
        None if rest.is_empty() => Ok(Some(Item {
            address: address.into(),
            ..Item::default()
        })),
        None => Err("text behind the prefix: a note begins with `#`".into()),
    }
}

/// `prefix[,ttl[,comment]]`
fn fields(line: &str) -> Result<Item<'_>, String> {
    let (address, rest) = field(line)?;
    let (ttl, rest) = rest.map_or(Ok(("".into(), None)), field)?;
    let (comment, rest) = rest.map_or(Ok(("".into(), None)), field)?;
    if rest.is_some() {
        return Err("more than three fields: a comment with commas is put in quotes".into());
    }
    let ttl = match &*ttl {
        "" => None,
        text => Some(text.parse::<Ttl>().map_err(|error| error.to_string())?),
    };
    Ok(Item {
        address,
        ttl,
        comment,
        ..Item::default()
    })
}

/// One field, and what stands behind its comma if there is one. Quotes inside quotes are doubled.
fn field(text: &str) -> Result<(Cow<'_, str>, Option<&str>), String> {
    let text = text.trim_start();
    let Some(quoted) = text.strip_prefix('"') else {
        return Ok(match text.split_once(',') {
            Some((field, rest)) => (field.trim_end().into(), Some(rest)),
            None => (text.trim_end().into(), None),
        });
    };
    let mut from = 0;
    let end = loop {
        let quote = quoted[from..].find('"').ok_or("a quote is not closed")?;
        from += quote + 1;
        match quoted[from..].starts_with('"') {
            true => from += 1,
            false => break from - 1,
        }
    };
    let inner = &quoted[..end];
    let field = match inner.contains('"') {
        true => inner.replace("\"\"", "\"").into(),
        false => inner.into(),
    };
    let rest = quoted[end + 1..].trim_start();
    match rest.strip_prefix(',') {
        None if !rest.is_empty() => Err("text behind a closing quote".into()),
        rest => Ok((field, rest)),
    }
}

/// A line that reads back: `prefix,ttl,comment`, without line break.
pub fn row(prefix: impl Display, ttl: Ttl, comment: &str) -> String {
    let quote = comment.contains([',', '"']) || comment.trim() != comment;
    match (comment, quote) {
        ("", _) => format!("{prefix},{ttl}"),
        (_, false) => format!("{prefix},{ttl},{comment}"),
        (_, true) => format!("{prefix},{ttl},\"{}\"", comment.replace('"', "\"\"")),
    }
}
