//! What is one piece: whose it is, and on which line its parts stand.

use super::{Format, LineError, Parsed, Reading, crowdsec, fail2ban, json, nft, shortened};

/// Reads a whole document that stands behind `before` lines.
pub(super) fn read(text: &str, before: usize, reading: &Reading, parsed: &mut Parsed) {
    let format = match reading.format {
        Format::Auto => format_of(text.trim()),
        format => format,
    };
    parsed.format = format;
    let lines = Lines::new(text, before);
    let done = match format {
        Format::Nft => nft::json::document(text, lines, reading, parsed),
        Format::Crowdsec => crowdsec::document(text, lines, &reading.now, parsed),
        Format::Fail2ban => fail2ban::banned(text, before + 1, parsed),
        _ => json::document(text, lines, &reading.now, parsed),
    };
    if let Err((line, reason)) = done {
        let raw = text.lines().nth(line - 1).unwrap_or_default();
        parsed.fail(LineError {
            line: before + line,
            text: shortened(raw.trim()),
            reason,
        });
    }
}

/// Whose document it is. What breaks off is told by whatever its beginning looks like.
fn format_of(text: &str) -> Format {
    let inner = text.strip_prefix('[').map_or("", str::trim_start);
    let first = inner.strip_prefix('{').map_or(inner, str::trim_start);
    match text {
        "null" => Format::Crowdsec,
        _ if first.starts_with('\'') => Format::Fail2ban,
        _ if text.starts_with('{') && nft::json::is(text) => Format::Nft,
        _ if text.starts_with('[') && crowdsec::is(inner) => Format::Crowdsec,
        _ => Format::Json,
    }
}

/// Why a document cannot be read at all, and on which of its lines.
pub(super) type Broken = (usize, String);

/// Tells on which line a part of a document stands. Parts have to come in their order.
pub(super) struct Lines<'a> {
    text: &'a str,
    line: usize,
    seen: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str, before: usize) -> Self {
        Self {
            text,
            line: before + 1,
            seen: 0,
        }
    }

    /// The line on which `part`, a slice of the document, begins.
    pub(super) fn of(&mut self, part: &str) -> usize {
        let start = part.as_ptr().addr() - self.text.as_ptr().addr();
        let breaks = self.text.as_bytes()[self.seen..start].iter();
        self.line += breaks.filter(|byte| **byte == b'\n').count();
        self.seen = start;
        self.line
    }
}

/// The line that is wrong and why. A document that breaks off is reported at its last line.
pub(super) fn broken(text: &str, error: &serde_json::Error) -> Broken {
    let last = text.lines().count();
    (error.line().min(last).max(1), message(error))
}

/// The message without the position: serde counts it within the element.
pub(super) fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) => message.into(),
        None => text,
    }
}
