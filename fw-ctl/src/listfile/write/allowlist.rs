//! The tutorial's `allowlist.json`.

use serde::Serialize;

use super::{Lists, Written};
use crate::duration::Ttl;

#[derive(Serialize)]
struct Document<'a> {
    allowed_ips: Vec<Allowed<'a>>,
}

#[derive(Serialize)]
struct Allowed<'a> {
    ip: String,
    /// As Python reads it, in UTC.
    added: String,
    comment: &'a str,
}

/// All entries without end; the others would have none there, and are left out.
///
/// # Errors
/// None that can happen: the values are text.
pub fn allowlist(lists: &Lists) -> serde_json::Result<Written> {
    let rows = || lists.values().flatten();
    let stays = rows().filter(|row| row.ttl == Ttl::Never);
    let allowed_ips = stays.map(|row| Allowed {
        ip: row.prefix.to_string(),
        added: row.created.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
        comment: row.comment.as_str(),
    });
    let document = Document {
        allowed_ips: allowed_ips.collect(),
    };
    let mut text = serde_json::to_string_pretty(&document)?;
    text.push('\n');
    let ends = rows().count() - document.allowed_ips.len();
    let note = format!("{ends} entries that end are left out: there they would never end");
    Ok(Written {
        text,
        notes: if ends > 0 { vec![note] } else { Vec::new() },
    })
}
