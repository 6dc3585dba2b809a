//! The list formats that are read: what people, feeds and other tools keep prefixes in.
//!
//! Pure: text in, lines and errors out, each with its line number, so that the caller decides
//! whether one bad line spoils the file.

mod address;
mod ipset;
mod json;
mod text;

use std::{borrow::Cow, fmt, str::FromStr};

use fw_common::Prefix;

pub use self::{
    address::{AddressError, addresses},
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
    /// What could not be read, in its order.
    pub errors: Vec<LineError>,
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

/// Reads a whole file.
pub fn parse(text: &str, format: Format) -> Parsed {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parsed = Parsed {
        format: match format {
            Format::Auto => detect(text),
            format => format,
        },
        lines: Vec::new(),
        errors: Vec::new(),
    };
    let commas = matches!(format, Format::Auto | Format::Csv);
    match parsed.format {
        Format::Json => json::document(text, &mut parsed),
        Format::Ipset => parsed.each_line(text, |line, _| ipset::line(line)),
        Format::Spamhaus => parsed.each_line(text, |line, first| match line.starts_with('{') {
            true => json::spamhaus_line(line),
            false => text::line(line, first, commas),
        }),
        Format::Auto | Format::Cidr | Format::Csv => {
            parsed.each_line(text, |line, first| text::line(line, first, commas));
        }
    }
    parsed
}

/// What the first line that says something looks like.
fn detect(text: &str) -> Format {
    let Some(line) = content(text).next() else {
        return Format::Cidr;
    };
    match line.split_whitespace().next() {
        Some("create" | "add") => Format::Ipset,
        _ if line.starts_with('{') && json::spamhaus_line(line).is_ok() => Format::Spamhaus,
        _ if line.starts_with(['{', '[']) => Format::Json,
        _ if line.contains("; SBL") => Format::Spamhaus,
        _ if line.contains(',') => Format::Csv,
        _ => Format::Cidr,
    }
}

/// The lines that are neither empty nor comments.
fn content(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
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

impl Parsed {
    /// Reads line by line. `read` is told whether nothing has been read before, and answers `None`
    /// for a line that asks for nothing.
    fn each_line<'a>(
        &mut self,
        text: &'a str,
        read: impl Fn(&'a str, bool) -> Result<Option<Item<'a>>, String>,
    ) {
        for (index, raw) in text.lines().enumerate() {
            let line = raw.trim();
            let first = self.lines.is_empty() && self.errors.is_empty();
            let item = match line.len() > MAX_LINE_BYTES {
                true => Err(format!("the line has more than {MAX_LINE_BYTES} bytes")),
                false => read(line, first),
            };
            self.take(index + 1, line, item);
        }
    }

    /// Keeps what a line asks for, or why it cannot be read.
    fn take(&mut self, line: usize, raw: &str, item: Result<Option<Item<'_>>, String>) {
        let done = item.and_then(|item| match item {
            Some(item) => self.push(line, item),
            None => Ok(()),
        });
        if let Err(reason) = done {
            let text = shortened(raw);
            self.errors.push(LineError { line, text, reason });
        }
    }

    fn push(&mut self, line: usize, item: Item<'_>) -> Result<(), String> {
        let comment = comment(&item.comment)?;
        let prefixes = addresses(&item.address).map_err(|error| error.to_string())?;
        for (prefix, host_bits_cleared) in prefixes {
            self.lines.push(Line {
                line,
                prefix,
                host_bits_cleared,
                ttl: item.ttl,
                comment: comment.clone(),
                action: item.action,
            });
        }
        Ok(())
    }
}

/// A note cut to the length of a comment. Tabs, which lists are full of, become spaces; every
/// other control character is refused.
fn comment(text: &str) -> Result<Comment, String> {
    let end = text.floor_char_boundary(Comment::MAX_BYTES);
    let text = &text[..end];
    let spaced = match text.contains('\t') {
        true => Cow::Owned(text.replace('\t', " ")),
        false => Cow::Borrowed(text),
    };
    spaced.parse().map_err(|error| format!("{error}"))
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
