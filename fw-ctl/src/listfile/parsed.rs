//! What a file comes to: what it asks for, what cannot be read, and what no list can say.

use std::borrow::Cow;

use fw_common::Prefix;
use jiff::Timestamp;

use super::{Format, Item, shortened};
use crate::{
    duration::Ttl,
    policy::entry::{Action, Comment},
};

/// Lines that cannot be read, or are left out, of which more is kept than that there are so many.
pub(super) const MAX_ERRORS: usize = 1000;

/// A file that has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// What it was read as: never [`Format::Auto`] once it is read.
    pub format: Format,
    /// What it asks for, in its order.
    pub lines: Vec<Line>,
    /// Prefixes that are kept at most, where somebody has said so.
    pub most: Option<usize>,
    /// How many there are beyond those.
    pub beyond: usize,
    /// What could not be read, in its order: the first thousand.
    pub errors: Vec<LineError>,
    /// How many there are beyond those.
    pub more_errors: usize,
    /// What was understood and is more, or less, than a list of prefixes can say: the first
    /// thousand.
    pub left_out: Vec<LineError>,
    /// How many there are beyond those.
    pub more_left_out: usize,
    /// Entries that have ended already.
    pub ended: usize,
    /// The sets that were read, in a format that has sets.
    pub sets: Vec<String>,
}

/// One prefix of a file. A range gives several with the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1; in JSON the line the element begins on, in a database the row.
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
    /// When it was added there; `None` where the file does not say.
    pub created: Option<Timestamp>,
}

/// A line that could not be read, or was left out.
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

    /// Keeps what no list can say, within limits.
    pub(super) fn leave_out(&mut self, line: usize, raw: &str, reason: impl Into<String>) {
        if self.left_out.len() >= MAX_ERRORS {
            self.more_left_out += 1;
            return;
        }
        self.left_out.push(LineError {
            line,
            text: shortened(raw),
            reason: reason.into(),
        });
    }

    /// A file of which no set can be read is one that cannot be read.
    pub(super) fn refuse_without_sets(&mut self) {
        if self.sets.is_empty() {
            self.errors.append(&mut self.left_out);
            self.more_errors += std::mem::take(&mut self.more_left_out);
        }
    }

    /// Takes over what another read of the lines behind so many.
    pub(super) fn append(&mut self, before: usize, behind: Self) {
        let lines = behind.lines.into_iter();
        self.lines.extend(lines.map(|line| Line {
            line: before + line.line,
            ..line
        }));
        for error in behind.errors {
            self.fail(LineError {
                line: before + error.line,
                ..error
            });
        }
        self.more_errors += behind.more_errors;
        self.ended += behind.ended;
    }

    fn push(&mut self, line: usize, item: Item<'_>) -> Result<(), String> {
        let comment = comment(&item.comment)?;
        let prefixes = super::addresses(&item.address).map_err(|error| error.to_string())?;
        for found in prefixes {
            self.keep(line, found, &item, comment.clone());
        }
        Ok(())
    }

    /// Keeps a prefix, with what else its line says.
    pub(super) fn keep(
        &mut self,
        line: usize,
        (prefix, host_bits_cleared): (Prefix, bool),
        item: &Item<'_>,
        comment: Comment,
    ) {
        if self.most.is_some_and(|most| self.lines.len() >= most) {
            self.beyond += 1;
            return;
        }
        self.lines.push(Line {
            line,
            prefix,
            host_bits_cleared,
            ttl: item.ttl,
            comment,
            action: item.action,
            created: item.created,
        });
    }
}

/// A note cut to the length of a comment. Tabs, which lists are full of, become spaces; every
/// other control character is refused.
pub(super) fn comment(text: &str) -> Result<Comment, String> {
    let end = text.floor_char_boundary(Comment::MAX_BYTES);
    let text = &text[..end];
    let spaced = match text.contains('\t') {
        true => Cow::Owned(text.replace('\t', " ")),
        false => Cow::Borrowed(text),
    };
    spaced.parse().map_err(|error| format!("{error}"))
}
