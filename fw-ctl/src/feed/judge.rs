//! Whether what came is taken. Whoever keeps a list may be broken into, fall asleep, or answer with a
//! page instead: what is far from what it was before is not believed. Pure.

use std::{net::IpAddr, time::Duration};

use fw_common::Prefix;

use super::{Feed, Source};
use crate::{
    listfile::{Line, Parsed},
    policy::{
        entry::{Action, Item},
        time::{Now, WallSecs},
    },
};

/// Of so many lines that came from elsewhere one may be unreadable, and is left out. In a file of
/// this host somebody can mend it.
const ONE_BAD_OF: usize = 100;

/// What is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// All entries of the list.
    pub items: Vec<Item>,
    /// Prefixes that it names, those that have ended and those named twice included: what the next
    /// one is compared with.
    pub entries: usize,
    /// Lines that were left out, because nobody can read them.
    pub unread: usize,
}

/// Why nothing is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Lines that nobody can read. What stands there is not repeated: it may be any file.
    #[error("{bad} of {all} lines are no entries of a list, the first is line {line}{looks}")]
    Unreadable {
        /// How many.
        bad: usize,
        /// Of how many.
        all: usize,
        /// The first.
        line: usize,
        /// What it looks like.
        looks: &'static str,
    },
    /// More than [`super::Bounds::entries`].
    #[error("it has more than {most} entries, which are as many as it may have")]
    TooMany {
        /// How many there may be.
        most: usize,
    },
    /// Wider than a prefix may be.
    #[error("line {line}: {prefix} is wider than /{widest}, which is as wide as an entry may be")]
    TooWide {
        /// Where.
        line: usize,
        /// Which.
        prefix: Prefix,
        /// How wide it may be.
        widest: u8,
    },
    /// The line itself says the opposite.
    #[error("line {line} is not an entry to {wanted}")]
    Other {
        /// Where.
        line: usize,
        /// What it should be.
        wanted: &'static str,
    },
    /// Not what it was.
    #[error("it has {now} entries and had {before}: a change by more than half is not believed")]
    Changed {
        /// The last good one.
        before: usize,
        /// This one.
        now: usize,
    },
}

/// Judges what came of a feed at `fetched`. It had so many entries `before`; `None` for the first
/// one, or where somebody has looked at it and wants it all the same.
///
/// # Errors
/// [`Refused`]: all of it.
pub fn judge(
    feed: &Feed,
    parsed: Parsed,
    before: Option<usize>,
    fetched: WallSecs,
    now: Now,
) -> Result<Taken, Refused> {
    let unread = parsed.errors.len() + parsed.more_errors;
    let all = parsed.lines.len() + unread;
    let is_mendable = matches!(feed.source, Source::File(_));
    if let Some(first) = parsed.errors.first()
        && (is_mendable || unread * ONE_BAD_OF > all)
    {
        let looks = match first.text.trim_start().starts_with('<') {
            true => ", which looks like a page",
            false => "",
        };
        return Err(Refused::Unreadable {
            bad: unread,
            all,
            line: first.line,
            looks,
        });
    }
    let entries = parsed.lines.len();
    if entries > feed.bounds.entries {
        let most = feed.bounds.entries;
        return Err(Refused::TooMany { most });
    }
    for line in &parsed.lines {
        fits(feed, line)?;
    }
    match before {
        Some(before) if entries.abs_diff(before) * 2 > before => Err(Refused::Changed {
            before,
            now: entries,
        }),
        _ => Ok(Taken {
            items: items(parsed.lines, fetched, now),
            entries,
            unread,
        }),
    }
}

fn fits(feed: &Feed, line: &Line) -> Result<(), Refused> {
    let widest = match line.prefix.address() {
        IpAddr::V4(_) => feed.bounds.widest_ipv4,
        IpAddr::V6(_) => feed.bounds.widest_ipv6,
    };
    if line.prefix.length() < widest {
        return Err(Refused::TooWide {
            line: line.line,
            prefix: line.prefix,
            widest,
        });
    }
    let other = |action: Action| action != feed.action;
    match line.action.is_some_and(other) {
        true => Err(Refused::Other {
            line: line.line,
            wanted: feed.action.name(),
        }),
        false => Ok(()),
    }
}

/// Entries with an end end so long after the list came, whenever it is applied.
fn items(lines: Vec<Line>, fetched: WallSecs, now: Now) -> Vec<Item> {
    let age = Duration::from_secs(now.wall.0.abs_diff(fetched.0.min(now.wall.0)));
    let item = |line: Line| {
        let deadline = match line.ttl.and_then(|ttl| ttl.secs()) {
            None => None,
            Some(secs) => {
                let left = Duration::from_secs(secs).saturating_sub(age);
                Some(now.after((!left.is_zero()).then_some(left)?))
            }
        };
        Some(Item {
            prefix: line.prefix,
            deadline,
            comment: line.comment,
        })
    };
    lines.into_iter().filter_map(item).collect()
}

#[cfg(test)]
mod tests;
