//! Entries as other tools read them.
//!
//! Pure: entries in, text out, with notes about what the other tool cannot say.

mod allowlist;
mod flat;
mod ipset;
mod nft;

use std::{borrow::Cow, collections::BTreeMap};

use fw_common::Prefix;

pub use self::{allowlist::allowlist, ipset::ipset, nft::nft};
use crate::{duration::Ttl, policy::entry::Comment};

/// An entry to be written.
#[derive(Clone, Debug)]
pub struct Row {
    /// The network.
    pub prefix: Prefix,
    /// What is left of it.
    pub ttl: Ttl,
    /// Its note.
    pub comment: Comment,
    /// When it was first added.
    pub created: jiff::Timestamp,
}

/// Entries by the name of their list.
pub type Lists = BTreeMap<String, Vec<Row>>;

/// A text, and what is to be said of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// All of it.
    pub text: String,
    /// What the other tool cannot say, a sentence each.
    pub notes: Vec<String>,
}

/// Two lists whose sets would have the same name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("lists {0} and {1} would become one set, {2}: export them one at a time")]
pub struct SameName(String, String, String);

/// A set of one family.
struct Set<'a> {
    name: String,
    /// Else IPv6.
    v4: bool,
    rows: Vec<&'a Row>,
}

/// A set for each list and family that has entries.
fn sets(lists: &Lists) -> Result<Vec<Set<'_>>, SameName> {
    let (mut sets, mut owners) = (Vec::new(), BTreeMap::new());
    for (list, rows) in lists {
        for v4 in [true, false] {
            let of_family = |row: &&Row| row.prefix.address().is_ipv4() == v4;
            let rows: Vec<&Row> = rows.iter().filter(of_family).collect();
            if rows.is_empty() {
                continue;
            }
            let name = set_name(v4, list);
            if let Some(owner) = owners.insert(name.clone(), list) {
                return Err(SameName(String::clone(owner), list.clone(), name));
            }
            sets.push(Set { name, v4, rows });
        }
    }
    Ok(sets)
}

/// `v4-LIST`, in letters that ipset and nft both take, as far as it fits.
fn set_name(v4: bool, list: &str) -> String {
    const MAX_BYTES: usize = 31;
    let family = if v4 { "v4-" } else { "v6-" };
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name = family.chars().chain(list.chars().map(plain));
    name.take(MAX_BYTES).collect()
}

/// What a tool takes of a comment: in double quotes, without any inside, and so many bytes.
struct Quoted {
    max_bytes: usize,
    /// Comments that had double quotes, which are single ones now.
    requoted: usize,
    /// Comments that were too long.
    cut: usize,
}

impl Quoted {
    fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            requoted: 0,
            cut: 0,
        }
    }

    /// ` comment "..."`, or nothing.
    fn of(&mut self, comment: &Comment) -> String {
        let text = comment.as_str();
        if text.is_empty() {
            return String::new();
        }
        let end = text.floor_char_boundary(self.max_bytes);
        self.cut += usize::from(end < text.len());
        let text = match text[..end].contains('"') {
            true => Cow::Owned(text[..end].replace('"', "'")),
            false => Cow::Borrowed(&text[..end]),
        };
        self.requoted += usize::from(matches!(text, Cow::Owned(_)));
        format!(" comment \"{text}\"")
    }

    fn notes(&self, tool: &str) -> Vec<String> {
        let max = self.max_bytes;
        [
            (
                self.requoted,
                format!("double quotes in comments are single ones: {tool} takes none"),
            ),
            (
                self.cut,
                format!("comments are cut: {tool} takes {max} bytes"),
            ),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, text)| format!("{count} entries: {text}"))
        .collect()
    }
}

#[cfg(test)]
mod tests;
