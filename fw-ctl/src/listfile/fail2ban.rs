//! What fail2ban knows: its database, `fail2ban-client banned`, and
//! `fail2ban-client get JAIL banip --with-time`.

use std::borrow::Cow;

use jiff::{Timestamp, Zoned};

use super::{Format, Item, Parsed, addresses, document::Broken, time};
use crate::{duration::Ttl, policy::entry::Action};

/// What every database of SQLite begins with.
pub const DATABASE: &[u8; 16] = b"SQLite format 3\0";

/// A ban that lasts until somebody lifts it.
const FOR_GOOD: i64 = -1;

const NO_ADDRESS: &str = "what is banned is no address";

/// A row of the database.
pub struct Ban {
    /// What is banned: mostly an address.
    pub id: String,
    /// Which jail has banned it.
    pub jail: String,
    /// Since when, in seconds since 1970.
    pub since_secs: i64,
    /// For how long; negative for no end, and for one that only the jail's configuration knows.
    pub lasts_secs: i64,
}

/// What a database asks for, in its rows.
pub fn bans(bans: impl IntoIterator<Item = Ban>, now: &Zoned) -> Parsed {
    let mut parsed = Parsed {
        format: Format::Fail2ban,
        ..Parsed::default()
    };
    for (row, ban) in (1..).zip(bans) {
        let Ban { id, jail, .. } = &ban;
        let end = ban.since_secs.saturating_add(ban.lasts_secs);
        let ttl = match ban.lasts_secs {
            FOR_GOOD => Some(Ttl::Never),
            ..FOR_GOOD => {
                let reason = "only the configuration of the jail knows for how long";
                parsed.leave_out(row, &format!("{id} in {jail}"), reason);
                continue;
            }
            // What ends after the year 9999 has no end.
            _ => Timestamp::from_second(end).map_or(Some(Ttl::Never), |end| time::left(end, now)),
        };
        match ttl {
            Some(ttl) => ban_of(id, jail, Some(ttl), row, &mut parsed),
            None => parsed.ended += 1,
        }
    }
    parsed
}

/// Takes an address, and names what is none: a jail may ban whatever its filter finds.
fn ban_of(id: &str, jail: &str, ttl: Option<Ttl>, line: usize, parsed: &mut Parsed) {
    if addresses(id).is_err() {
        return parsed.leave_out(line, &format!("{id} in {jail}"), NO_ADDRESS);
    }
    let item = Item {
        address: id.into(),
        ttl,
        comment: format!("fail2ban {jail}").trim_end().to_owned().into(),
        action: Some(Action::Block),
        created: None,
    };
    parsed.take(line, id, Ok(Some(item)));
}

/// Whether a line looks like one of `banip --with-time`.
pub(super) fn is_line(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    matches!(*words, [_, _, _, "+", _, "=", _, _])
}

/// Reads one trimmed line, `ADDRESS DATE TIME + SECONDS = DATE TIME` in local time, unless its ban
/// has ended.
pub(super) fn line<'a>(
    line: &'a str,
    now: &Zoned,
    ended: &mut usize,
) -> Result<Option<Item<'a>>, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [id, _, _, "+", lasts, "=", date, clock] = *words else {
        return match line.is_empty() || line.starts_with('#') {
            true => Ok(None),
            false => Err("expected `ADDRESS DATE TIME + SECONDS = DATE TIME`".into()),
        };
    };
    let mut item = Item {
        address: id.into(),
        ttl: Some(Ttl::Never),
        comment: "fail2ban".into(),
        action: Some(Action::Block),
        created: None,
    };
    if lasts != "-1" {
        let end = time::moment(&format!("{date}T{clock}"), now);
        item.ttl = time::left(end.ok_or("the end is no date and time")?, now);
    }
    if item.ttl.is_none() {
        *ended += 1;
        return Ok(None);
    }
    Ok(Some(item))
}

/// Reads what `banned` prints, `[{'JAIL': ['ADDRESS', ...]}, ...]`, all of it on one line; or
/// `get JAIL banned`, which has the addresses only.
pub(super) fn banned(text: &str, line: usize, parsed: &mut Parsed) -> Result<(), Broken> {
    let mut jail = Cow::Borrowed("");
    let mut rest = text.trim();
    loop {
        rest = rest.trim_start_matches(|c: char| "[]{}:,".contains(c) || c.is_whitespace());
        if rest.is_empty() {
            return Ok(());
        }
        let (found, behind) = string(rest).ok_or_else(|| {
            let reason = "not what `fail2ban-client banned` prints";
            (1, reason.to_owned())
        })?;
        rest = behind;
        match rest.trim_start().starts_with(':') {
            true => jail = found,
            false => ban_of(&found, &jail, None, line, parsed),
        }
    }
}

/// A string as Python prints it, and what stands behind it.
fn string(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let inner = &text[1..];
    let mut escaped = false;
    let end = inner.find(|c| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })?;
    let (found, rest) = (&inner[..end], &inner[end + 1..]);
    let found = match found.contains('\\') {
        true => Cow::Owned(found.replace(r"\'", "'").replace(r"\\", r"\")),
        false => Cow::Borrowed(found),
    };
    Some((found, rest))
}
