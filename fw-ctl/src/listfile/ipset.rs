//! What `ipset save` prints: `create NAME TYPE ...` and `add NAME ENTRY [OPTION]...`.

use super::Item;
use crate::duration::Ttl;

/// Reads one trimmed line.
pub(super) fn line(mut line: &str) -> Result<Option<Item<'_>>, String> {
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    match word(&mut line)? {
        Some("create") => return Ok(None),
        Some("add") => (),
        _ => return Err("only `create` and `add` lines are read".into()),
    }
    let (_set, address) = (word(&mut line)?, word(&mut line)?);
    let address = address.ok_or("an `add` line has a set and an entry")?;
    if address.contains(',') {
        return Err("the entry has more than an address: ports and interfaces are not read".into());
    }
    let mut item = Item {
        address: address.into(),
        ..Item::default()
    };
    while let Some(option) = word(&mut line)? {
        let mut value = || word(&mut line)?.ok_or(format!("`{option}` has no value"));
        match option {
            "timeout" => item.ttl = Some(timeout(value()?)?),
            "comment" => item.comment = value()?.into(),
            "packets" | "bytes" | "skbmark" | "skbprio" | "skbqueue" => {
                value()?;
            }
            "-exist" => (),
            "nomatch" => {
                return Err(
                    "`nomatch` is an exception to the set: allow the prefix instead".into(),
                );
            }
            _ => return Err(format!("unknown option `{}`", option.escape_debug())),
        }
    }
    Ok(Some(item))
}

/// Seconds; ipset's zero is for ever.
fn timeout(text: &str) -> Result<Ttl, String> {
    match text.parse() {
        Ok(0) => Ok(Ttl::Never),
        Ok(secs) => Ok(Ttl::from_secs(Some(secs))),
        Err(_) => Err("`timeout` is a number of seconds".into()),
    }
}

/// Takes the next word off `line`; quotes hold words together, and there is no escape in them.
fn word<'a>(line: &mut &'a str) -> Result<Option<&'a str>, String> {
    let text = line.trim_start();
    let (word, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or("a quote is not closed")?,
        None => text.split_at(text.find(char::is_whitespace).unwrap_or(text.len())),
    };
    *line = rest;
    Ok((!text.is_empty()).then_some(word))
}
