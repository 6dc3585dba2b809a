//! Reading a file piece by piece, so that nobody needs all of its text at once.

use std::{borrow::Cow, mem};

use fw_common::Prefix;

use super::{
    Format, Item, LineError, MAX_LINE_BYTES, Parsed, Reading, document, fail2ban, ipset, iptables,
    json, nft, shortened, text,
};
use crate::policy::entry::Comment;

/// A line with more bytes than this, blanks and all, is not kept while its end is looked for.
const MAX_HELD_BYTES: usize = 64 << 10;

/// Largest document: unlike lines, it is held as a whole. Four million prefixes fit.
const MAX_DOCUMENT_BYTES: usize = 256 << 20;

/// Reads what is pushed into it.
pub struct Reader {
    reading: Reading,
    /// `None` until a line tells.
    shape: Option<Shape>,
    parsed: Parsed,
    /// The beginning of a line whose end has not come, or of a document.
    held: Vec<u8>,
    /// There was more than may be held.
    cut: bool,
    /// Lines that have ended, before a document those before it.
    lines: usize,
    /// Whether the file begins here: with a byte order mark, or a header, as it may be.
    begins: bool,
}

/// How the text is divided.
enum Shape {
    /// It is one piece.
    Document,
    /// Into lines that each speak for themselves; `commas` says whether fields are expected.
    Lines { format: Format, commas: bool },
    /// Into lines that speak of sets named before.
    Ipset(ipset::Sets),
    /// Into lines of blocks.
    Nft(nft::Ruleset),
    /// Into rules, which mean something in their order only.
    Iptables(iptables::Rules),
}

impl Shape {
    /// What the format says, or else the first line that says something.
    fn of(reading: &Reading, line: Option<&str>) -> Option<Self> {
        let format = match (reading.format, line) {
            (Format::Json | Format::Crowdsec, _) => return Some(Self::Document),
            (Format::Auto, line) => format_of(line?),
            (format @ (Format::Nft | Format::Fail2ban), line) => match line? {
                line if is_document(line) => Format::Json,
                _ => format,
            },
            (format, _) => format,
        };
        let commas = matches!(reading.format, Format::Auto | Format::Csv);
        Some(match format {
            Format::Auto | Format::Json | Format::Crowdsec => Self::Document,
            Format::Ipset => Self::Ipset(ipset::Sets::new(&reading.sets)),
            Format::Nft => Self::Nft(nft::Ruleset::new(&reading.sets)),
            Format::Iptables => Self::Iptables(iptables::Rules::default()),
            format => Self::Lines { format, commas },
        })
    }

    /// As what the file is read; a document has to be looked into.
    fn format(&self) -> Format {
        match self {
            Self::Document => Format::Json,
            Self::Lines { format, .. } => *format,
            Self::Ipset(_) => Format::Ipset,
            Self::Nft(_) => Format::Nft,
            Self::Iptables(_) => Format::Iptables,
        }
    }
}

impl Reader {
    /// Before the first byte.
    pub fn new(reading: impl Into<Reading>) -> Self {
        let reading = reading.into();
        Self {
            shape: Shape::of(&reading, None),
            parsed: Parsed {
                most: reading.most,
                ..Parsed::default()
            },
            reading,
            held: Vec::new(),
            cut: false,
            lines: 0,
            begins: true,
        }
    }

    /// A reader of what stands further behind in the same file, from the beginning of a line on, so
    /// that two can read at once. `None` where no line has told the format yet, and where a line
    /// needs those before it.
    pub fn behind(&self) -> Option<Self> {
        let &Shape::Lines { format, commas } = self.shape.as_ref()? else {
            return None;
        };
        Some(Self {
            shape: Some(Shape::Lines { format, commas }),
            begins: false,
            ..Self::new(self.reading.clone())
        })
    }

    /// Takes over what was read from the end of the last line on.
    pub fn join(&mut self, behind: Self) {
        if !self.held.is_empty() {
            // The file became shorter meanwhile.
            let held = mem::take(&mut self.held);
            self.line(&held);
        }
        self.parsed.append(self.lines, behind.parsed);
        self.lines += behind.lines;
        (self.held, self.cut) = (behind.held, behind.cut);
    }

    /// Prefixes that have been read so far.
    pub fn prefixes(&self) -> usize {
        match &self.shape {
            Some(Shape::Iptables(rules)) => self.parsed.lines.len() + rules.held(),
            _ => self.parsed.lines.len(),
        }
    }

    fn is_document(&self) -> bool {
        matches!(self.shape, Some(Shape::Document))
    }

    /// Reads the next piece of the file, wherever it was cut.
    pub fn push(&mut self, mut piece: &[u8]) {
        while !self.is_document()
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
            if self.is_document() {
                self.held.push(b'\n');
            }
        }
        self.hold(piece);
    }

    /// Reads what has no end yet, and gives everything.
    pub fn end(mut self) -> Parsed {
        if !self.is_document() && !self.held.is_empty() {
            let held = mem::take(&mut self.held);
            self.line(&held);
        }
        self.parsed.format = self.shape.as_ref().map_or(Format::Cidr, Shape::format);
        match self.shape.take() {
            Some(Shape::Document) => self.document(),
            Some(Shape::Ipset(_)) => self.parsed.refuse_without_sets(),
            Some(Shape::Nft(ruleset)) => ruleset.end(self.lines, &mut self.parsed),
            Some(Shape::Iptables(mut rules)) => rules.end(&mut self.parsed),
            Some(Shape::Lines { .. }) | None => {}
        }
        // Sets and rules are judged when all of them are known.
        self.parsed.left_out.sort_by_key(|error| error.line);
        self.parsed.errors.sort_by_key(|error| error.line);
        self.parsed
    }

    fn document(&mut self) {
        let text = String::from_utf8_lossy(&self.held);
        if !self.cut {
            let text = without_mark(&text);
            return document::read(text, self.lines, &self.reading, &mut self.parsed);
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
        if self.shape.is_none() && self.held.len() + piece.len() > MAX_HELD_BYTES {
            // One line of this length is a document, or nothing at all.
            let start = [&*self.held, piece].concat();
            let start = String::from_utf8_lossy(&start[..MAX_HELD_BYTES]);
            if is_document(without_mark(&start).trim_start()) {
                self.shape = Some(Shape::Document);
            }
        }
        let most = match self.is_document() {
            true => MAX_DOCUMENT_BYTES,
            false => MAX_HELD_BYTES,
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
        if self.shape.is_none() {
            if !self.cut && (line.is_empty() || line.starts_with(['#', ';'])) {
                self.lines += 1;
                return;
            }
            self.shape = Shape::of(&self.reading, Some(line));
        }
        if self.is_document() {
            self.held = raw.to_vec();
            return;
        }
        self.lines += 1;
        if mem::take(&mut self.cut) || line.len() > MAX_LINE_BYTES {
            let reason = format!("the line has more than {MAX_LINE_BYTES} bytes");
            self.parsed.take(self.lines, line, Err(reason));
            return;
        }
        self.say(line);
    }

    /// Reads a trimmed line of a shape that is known.
    fn say(&mut self, line: &str) {
        let Self { shape, parsed, .. } = self;
        let first = self.begins && parsed.lines.is_empty() && parsed.errors.is_empty();
        match shape {
            Some(Shape::Ipset(sets)) => sets.line(self.lines, line, parsed),
            Some(Shape::Nft(ruleset)) => ruleset.line(self.lines, line, parsed),
            Some(Shape::Iptables(rules)) => rules.line(self.lines, line, parsed),
            Some(Shape::Lines { format, commas }) => {
                let item = match format {
                    Format::Fail2ban => fail2ban::line(line, &self.reading.now, &mut parsed.ended),
                    Format::Spamhaus if line.starts_with('{') => json::spamhaus_line(line),
                    // Most lines of most files are this and nothing else.
                    _ if let Ok(found) = Prefix::parse(line) => {
                        let (nothing, none) = (Item::default(), Comment::default());
                        return parsed.keep(self.lines, found, &nothing, none);
                    }
                    _ => text::line(line, first, *commas),
                };
                parsed.take(self.lines, line, item);
            }
            Some(Shape::Document) | None => {}
        }
    }
}

/// What the first line that says something looks like.
fn format_of(line: &str) -> Format {
    let words: Vec<&str> = line.split_whitespace().take(2).collect();
    match *words {
        ["create" | "add", ..] => Format::Ipset,
        ["table" | "set", ..] => Format::Nft,
        ["-P" | "-N" | "-A", ..] => Format::Iptables,
        [word, ..] if word.starts_with('*') => Format::Iptables,
        _ if line.starts_with('{') && json::spamhaus_line(line).is_ok() => Format::Spamhaus,
        _ if is_document(line) => Format::Json,
        _ if fail2ban::is_line(line) => Format::Fail2ban,
        _ if line.contains("; SBL") => Format::Spamhaus,
        _ if line.contains(',') => Format::Csv,
        _ => Format::Cidr,
    }
}

/// Whether a text that begins like this is one piece. CrowdSec says `null` where it has nothing.
fn is_document(start: &str) -> bool {
    start.starts_with(['{', '[']) || start == "null"
}

/// Without the byte order mark that some editors put before a text.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Reads a whole file.
pub fn parse(text: &str, reading: impl Into<Reading>) -> Parsed {
    let mut reader = Reader::new(reading);
    reader.push(text.as_bytes());
    reader.end()
}

#[cfg(test)]
mod tests;
