//! What `ipset restore` reads.

use std::fmt::Write as _;

use super::{Lists, Quoted, SameName, Set, Written, sets};

/// The longest that ipset counts down, in seconds: 24 days.
const LONGEST_SECS: u64 = 2_147_483;
/// Bytes of a comment.
const MAX_COMMENT_BYTES: usize = 255;
/// What a set has room for if nothing is said.
const USUAL_ELEMENTS: usize = 65_536;

/// Sets `v4-LIST` and `v6-LIST` of type `hash:net`, which take prefixes inside of others as they
/// are.
///
/// # Errors
/// Two lists have the same name for ipset.
pub fn ipset(lists: &Lists) -> Result<Written, SameName> {
    let mut text = String::from("# ipset restore < FILE\n");
    let (mut quoted, mut longer) = (Quoted::new(MAX_COMMENT_BYTES), 0);
    for set in sets(lists)? {
        text += &create(&set);
        for row in &set.rows {
            let secs = row.ttl.secs().unwrap_or(0);
            longer += usize::from(secs > LONGEST_SECS);
            let timeout = secs.min(LONGEST_SECS);
            let comment = quoted.of(&row.comment);
            let name = &set.name;
            for prefix in halves(&row.prefix.to_string()) {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "add {name} {prefix} timeout {timeout}{comment}");
            }
        }
    }
    let mut notes = quoted.notes("ipset");
    if longer > 0 {
        notes.push(format!(
            "{longer} entries end after 24 days there: ipset counts no further"
        ));
    }
    Ok(Written { text, notes })
}

fn create(set: &Set<'_>) -> String {
    let Set { name, v4, rows } = set;
    let family = if *v4 { "inet" } else { "inet6" };
    let noted = rows.iter().any(|row| !row.comment.as_str().is_empty());
    let comment = if noted { " comment" } else { "" };
    // A whole family is two elements.
    let most = (rows.len() + 1).max(USUAL_ELEMENTS);
    format!("create {name} hash:net family {family} maxelem {most} timeout 0{comment}\n")
}

/// ipset knows no prefix of length 0.
fn halves(prefix: &str) -> Vec<&str> {
    match prefix {
        "0.0.0.0/0" => vec!["0.0.0.0/1", "128.0.0.0/1"],
        "::/0" => vec!["::/1", "8000::/1"],
        prefix => vec![prefix],
    }
}
