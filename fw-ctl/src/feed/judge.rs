//! Whether what came is taken. Whoever keeps a list may be broken into, fall asleep, or answer with a
//! page instead: what is far from what it was before is not believed. Pure.

use std::{net::IpAddr, time::Duration};

use fw_common::Prefix;
use serde::{Deserialize, Serialize};

use super::{Feed, Source};
use crate::{
    duration::Ttl,
    listfile::{Line, Parsed},
    policy::{
        entry::{Action, Item},
        time::{Now, WallSecs},
    },
};

/// Of so many lines that came from elsewhere one may be unreadable, and is left out. In a file of
/// this host somebody can mend it.
const ONE_BAD_OF: usize = 100;

/// Addresses of a /8: a list that reaches further at once, and half as far again as before, is not
/// believed.
const FAR: u64 = 1 << 24;

/// What is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// All entries of the list.
    pub items: Vec<Item>,
    /// How large it is: what the next one is compared with.
    pub size: Size,
    /// Lines that were left out, because nobody can read them or no list can say them.
    pub unread: usize,
}

/// How large a list is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Prefixes, each once.
    pub entries: usize,
    /// Those of them that do not end before the next look.
    pub lasting: usize,
    /// How far they reach: IPv4 addresses, and /32 of IPv6.
    pub reach: u64,
}

impl Size {
    fn of(lines: &[Line], interval: Option<Duration>) -> Self {
        let lasts = |line: &Line| match (line.ttl.and_then(Ttl::secs), interval) {
            (Some(secs), Some(interval)) => secs >= interval.as_secs(),
            _ => true,
        };
        let mut prefixes: Vec<(Prefix, bool)> = lines
            .iter()
            .map(|line| (line.prefix, !lasts(line)))
            .collect();
        // Of a prefix that is named twice, the one that lasts comes first.
        prefixes.sort_unstable();
        prefixes.dedup_by_key(|(prefix, _)| *prefix);
        let reach = |(prefix, _): &(Prefix, bool)| 1 << (32 - prefix.length().min(32));
        Self {
            entries: prefixes.len(),
            lasting: prefixes.iter().filter(|(_, ends)| !ends).count(),
            reach: prefixes.iter().map(reach).sum(),
        }
    }
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
    #[error("it has more than {most} entries")]
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
    /// As many entries, and far more addresses.
    #[error("it covers {now} addresses and covered {before}: so much more is not believed")]
    Further {
        /// The last good one.
        before: u64,
        /// This one.
        now: u64,
    },
}

/// Judges what came of a feed at `fetched`. It was so large `before`; `None` for the first one, or
/// where somebody has looked at it and wants it all the same.
///
/// # Errors
/// [`Refused`]: all of it.
pub fn judge(
    feed: &Feed,
    parsed: Parsed,
    before: Option<Size>,
    fetched: WallSecs,
    now: Now,
) -> Result<Taken, Refused> {
    if parsed.beyond > 0 {
        let most = feed.bounds.entries;
        return Err(Refused::TooMany { most });
    }
    let unread = parsed.errors.len() + parsed.more_errors;
    let all = parsed.lines.len() + unread;
    let is_mendable = matches!(feed.source, Source::File(_));
    if let Some(first) = parsed.errors.first()
        && (is_mendable || unread * ONE_BAD_OF > all)
    {
        let looks = match first.text.trim_start() {
            text if text.starts_with('<') => ", which looks like a page",
            text if text.starts_with("\\u{1f}") => ", which looks compressed",
            _ => "",
        };
        return Err(Refused::Unreadable {
            bad: unread,
            all,
            line: first.line,
            looks,
        });
    }
    for line in &parsed.lines {
        fits(feed, line)?;
    }
    let size = Size::of(&parsed.lines, feed.interval);
    before.map_or(Ok(()), |before| is_near(before, size))?;
    Ok(Taken {
        items: items(parsed.lines, fetched, now),
        size,
        unread: unread + parsed.left_out.len() + parsed.more_left_out,
    })
}

/// Whether a list is near to what it was. An empty one says nothing of what comes after it.
fn is_near(before: Size, now: Size) -> Result<(), Refused> {
    if before.lasting > 0 && now.lasting.abs_diff(before.lasting) * 2 > before.lasting {
        return Err(Refused::Changed {
            before: before.lasting,
            now: now.lasting,
        });
    }
    let more = now.reach.saturating_sub(before.reach);
    if before.lasting > 0 && more > FAR && more > before.reach / 2 {
        return Err(Refused::Further {
            before: before.reach,
            now: now.reach,
        });
    }
    Ok(())
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
            created: line.created.map(|time| WallSecs(time.as_second())),
        })
    };
    lines.into_iter().filter_map(item).collect()
}

#[cfg(test)]
mod tests;
