//! The list formats that are read: what people, feeds and other tools keep prefixes in.
//!
//! Pure: text in, in pieces of any size, lines and errors out, each with its line number, so that
//! the caller decides whether one bad line spoils the file.

mod address;
mod ipset;
mod json;
mod reader;
mod text;

use std::{borrow::Cow, fmt, str::FromStr};

use fw_common::Prefix;

pub use self::{
    address::{AddressError, addresses},
    reader::{Reader, parse},
    text::row,
};
use crate::{
    duration::Ttl,
    policy::entry::{Action, Comment},
};

/// Longest line of a line-by-line format, in bytes. JSON documents have no lines to limit.
const MAX_LINE_BYTES: usize = 4096;

/// How a file is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Told apart by the first line that says something; lines with and without commas may mix.
    Auto,
    /// One prefix a line, `prefix # note`; FireHOL netsets are this.
    Cidr,
    /// `prefix,ttl,comment`, a header line tolerated.
    Csv,
    /// The tutorial's `allowlist.json`, an array of prefixes, or our own export.
    Json,
    /// What `ipset save` prints.
    Ipset,
    /// Spamhaus DROP: `prefix ; SBL...`, or its JSON lines.
    Spamhaus,
}

impl Format {
    /// All of them, the default first.
    pub const ALL: [Self; 6] = [
        Self::Auto,
        Self::Cidr,
        Self::Csv,
        Self::Json,
        Self::Ipset,
        Self::Spamhaus,
    ];

    /// As typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cidr => "cidr",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ipset => "ipset",
            Self::Spamhaus => "spamhaus",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that is no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a list format is one of auto, cidr, csv, json, ipset, spamhaus")]
pub struct FormatError;

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|format| format.name() == text).ok_or(FormatError)
    }
}

/// A file that has been read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What it was read as: never [`Format::Auto`].
    pub format: Format,
    /// What it asks for, in its order.
    pub lines: Vec<Line>,
    /// What could not be read, in its order: the first thousand.
    pub errors: Vec<LineError>,
    /// How many there are beyond those.
    pub more_errors: usize,
}

/// One prefix of a file. A range gives several with the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1; in JSON the line the element begins on.
    pub line: usize,
    /// The network.
    pub prefix: Prefix,
    /// Host bits were set and have been cleared: worth a warning.
    pub host_bits_cleared: bool,
    /// How long it shall live; `None` where the file does not say.
    pub ttl: Option<Ttl>,
    /// The note beside it, cut at [`Comment::MAX_BYTES`].
    pub comment: Comment,
    /// What the file itself wants done: an allowlist says allow, and our own export says it for
    /// each entry. `None` where the file does not say.
    pub action: Option<Action>,
}

/// A line that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: `{text}`: {reason}")]
pub struct LineError {
    /// Counted from 1.
    pub line: usize,
    /// The line, shortened, with everything escaped that a terminal would act on.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What one line asks for, before addresses and comment are looked at.
#[derive(Default)]
struct Item<'a> {
    /// Host, prefix or range.
    address: Cow<'a, str>,
    ttl: Option<Ttl>,
    comment: Cow<'a, str>,
    action: Option<Action>,
}

/// The beginning of a line, fit for a terminal.
fn shortened(line: &str) -> String {
    const CHARS: usize = 60;
    let mut text = String::new();
    for c in line.chars().take(CHARS) {
        match c {
            '"' | '\'' => text.push(c),
            c => text.extend(c.escape_debug()),
        }
    }
    if line.chars().nth(CHARS).is_some() {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests;
