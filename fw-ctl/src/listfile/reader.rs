//! Reading a file piece by piece, so that nobody needs all of its text at once.

use std::{borrow::Cow, mem};

use fw_common::Prefix;

use super::{Format, Item, Line, LineError, MAX_LINE_BYTES, Parsed, ipset, json, shortened, text};
use crate::policy::entry::Comment;

/// A line with more bytes than this, blanks and all, is not kept while its end is looked for.
const MAX_HELD_BYTES: usize = 64 << 10;

/// Largest JSON document: unlike lines, it is held as a whole. Four million prefixes fit.
const MAX_DOCUMENT_BYTES: usize = 256 << 20;

/// Lines that cannot be read of which more is kept than that there are so many.
const MAX_ERRORS: usize = 1000;

/// Reads what is pushed into it.
pub struct Reader {
    /// Never [`Format::Auto`]; `None` until a line tells.
    format: Option<Format>,
    /// Whether fields are expected.
    commas: bool,
    parsed: Parsed,
    /// The beginning of a line whose end has not come, or of a JSON document.
    held: Vec<u8>,
    /// There was more than may be held.
    cut: bool,
    /// Lines that have ended, before a JSON document those before it.
    lines: usize,
    /// Whether the file begins here: with a byte order mark, or a header, as it may be.
    begins: bool,
}

impl Reader {
    /// Before the first byte.
    pub fn new(format: Format) -> Self {
        Self {
            format: (format != Format::Auto).then_some(format),
            commas: matches!(format, Format::Auto | Format::Csv),
            parsed: Parsed {
                format: Format::Cidr,
                lines: Vec::new(),
                errors: Vec::new(),
                more_errors: 0,
            },
            held: Vec::new(),
            cut: false,
            lines: 0,
            begins: true,
        }
    }

    /// A reader of what stands further behind in the same file, from the beginning of a line on, so
    /// that two can read at once. `None` where no line has told the format yet, and in a document.
    pub fn behind(&self) -> Option<Self> {
        let format = self.format.filter(|format| *format != Format::Json)?;
        Some(Self {
            commas: self.commas,
            begins: false,
            ..Self::new(format)
        })
    }

    /// Takes over what was read from the end of the last line on.
    pub fn join(&mut self, behind: Self) {
        if !self.held.is_empty() {
            // The file became shorter meanwhile.
            let held = mem::take(&mut self.held);
            self.line(&held);
        }
        let before = self.lines;
        let lines = behind.parsed.lines.into_iter();
        self.parsed.lines.extend(lines.map(|line| Line {
            line: before + line.line,
            ..line
        }));
        for error in behind.parsed.errors {
            self.parsed.fail(LineError {
                line: before + error.line,
                ..error
            });
        }
        self.parsed.more_errors += behind.parsed.more_errors;
        self.lines += behind.lines;
        (self.held, self.cut) = (behind.held, behind.cut);
    }

    /// Prefixes that have been read so far.
    pub fn prefixes(&self) -> usize {
        self.parsed.lines.len()
    }

    /// Reads the next piece of the file, wherever it was cut.
    pub fn push(&mut self, mut piece: &[u8]) {
        while self.format != Some(Format::Json)
            && let Some(end) = piece.iter().position(|byte| *byte == b'\n')
        {
            let (line, rest) = (&piece[..end], &piece[end + 1..]);
            match self.held.is_empty() {
                true => self.line(line),
                false => {
                    self.hold(line);
                    let held = mem::take(&mut self.held);
                    self.line(&held);
                }
            }
            piece = rest;
            if self.format == Some(Format::Json) {
                self.held.push(b'\n');
            }
        }
        self.hold(piece);
    }

    /// Reads what has no end yet, and gives everything.
    pub fn end(mut self) -> Parsed {
        if self.format != Some(Format::Json) && !self.held.is_empty() {
            let held = mem::take(&mut self.held);
            self.line(&held);
        }
        self.parsed.format = self.format.unwrap_or(Format::Cidr);
        if self.parsed.format == Format::Json {
            self.document();
        }
        self.parsed
    }

    fn document(&mut self) {
        let text = String::from_utf8_lossy(&self.held);
        if !self.cut {
            return json::document(without_mark(&text), self.lines, &mut self.parsed);
        }
        let mib = MAX_DOCUMENT_BYTES >> 20;
        self.parsed.fail(LineError {
            line: self.lines + 1,
            text: shortened(&text),
            reason: format!("a JSON document has at most {mib} MiB"),
        });
    }

    /// Keeps what has no end yet, as far as it may be kept.
    fn hold(&mut self, piece: &[u8]) {
        if self.format.is_none() && self.held.len() + piece.len() > MAX_HELD_BYTES {
            // One line of this length is a document, or nothing at all.
            let start = [&*self.held, piece].concat();
            let start = String::from_utf8_lossy(&start[..MAX_HELD_BYTES]);
            if without_mark(&start).trim_start().starts_with(['{', '[']) {
                self.format = Some(Format::Json);
            }
        }
        let most = match self.format {
            Some(Format::Json) => MAX_DOCUMENT_BYTES,
            _ => MAX_HELD_BYTES,
        };
        let room = most - self.held.len();
        self.cut |= piece.len() > room;
        self.held.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    /// Reads a line without its end. The first one of a document makes all of it a document.
    fn line(&mut self, raw: &[u8]) {
        let text = match str::from_utf8(raw) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(raw),
        };
        let line = match self.begins && self.lines == 0 {
            true => without_mark(&text).trim(),
            false => text.trim(),
        };
        let format = match self.format {
            Some(format) => format,
            None => {
                if !self.cut && (line.is_empty() || line.starts_with(['#', ';'])) {
                    self.lines += 1;
                    return;
                }
                *self.format.insert(format_of(line))
            }
        };
        if format == Format::Json {
            self.held = raw.to_vec();
            return;
        }
        self.lines += 1;
        if mem::take(&mut self.cut) || line.len() > MAX_LINE_BYTES {
            let reason = format!("the line has more than {MAX_LINE_BYTES} bytes");
            self.parsed.take(self.lines, line, Err(reason));
            return;
        }
        let first = self.begins && self.parsed.lines.is_empty() && self.parsed.errors.is_empty();
        let item = match format {
            Format::Ipset => ipset::line(line),
            Format::Spamhaus if line.starts_with('{') => json::spamhaus_line(line),
            // Most lines of most files are this and nothing else.
            _ if let Ok(found) = Prefix::parse(line) => {
                return self
                    .parsed
                    .keep(self.lines, found, &Item::default(), Comment::default());
            }
            _ => text::line(line, first, self.commas),
        };
        self.parsed.take(self.lines, line, item);
    }
}

/// What the first line that says something looks like.
fn format_of(line: &str) -> Format {
    match line.split_whitespace().next() {
        Some("create" | "add") => Format::Ipset,
        _ if line.starts_with('{') && json::spamhaus_line(line).is_ok() => Format::Spamhaus,
        _ if line.starts_with(['{', '[']) => Format::Json,
        _ if line.contains("; SBL") => Format::Spamhaus,
        _ if line.contains(',') => Format::Csv,
        _ => Format::Cidr,
    }
}

/// Without the byte order mark that some editors put before a text.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Reads a whole file.
pub fn parse(text: &str, format: Format) -> Parsed {
    let mut reader = Reader::new(format);
    reader.push(text.as_bytes());
    reader.end()
}

impl Parsed {
    /// Keeps what a line asks for, or why it cannot be read.
    pub(super) fn take(&mut self, line: usize, raw: &str, item: Result<Option<Item<'_>>, String>) {
        let done = item.and_then(|item| match item {
            Some(item) => self.push(line, item),
            None => Ok(()),
        });
        if let Err(reason) = done {
            let text = shortened(raw);
            self.fail(LineError { line, text, reason });
        }
    }

    /// Keeps what cannot be read, within limits.
    pub(super) fn fail(&mut self, error: LineError) {
        match self.errors.len() < MAX_ERRORS {
            true => self.errors.push(error),
            false => self.more_errors += 1,
        }
    }

    fn push(&mut self, line: usize, item: Item<'_>) -> Result<(), String> {
        let comment = comment(&item.comment)?;
        let prefixes = super::addresses(&item.address).map_err(|error| error.to_string())?;
        for found in prefixes {
            self.keep(line, found, &item, comment.clone());
        }
        Ok(())
    }

    fn keep(
        &mut self,
        line: usize,
        (prefix, host_bits_cleared): (Prefix, bool),
        item: &Item<'_>,
        comment: Comment,
    ) {
        self.lines.push(Line {
            line,
            prefix,
            host_bits_cleared,
            ttl: item.ttl,
            comment,
            action: item.action,
        });
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

#[cfg(test)]
mod tests;
