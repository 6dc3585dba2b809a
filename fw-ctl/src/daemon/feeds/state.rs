//! How a feed is. Pure.

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    api::wire,
    feed::{Feed, copy::About},
    policy::rule::Origin,
};

/// How a feed is.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    /// Entries of what is in force.
    pub entries: Option<usize>,
    /// Lines of it that nobody could read.
    pub unread: usize,
    /// Entries of it that are left out.
    pub left_out: usize,
    /// When it came.
    pub fetched_at: Option<Timestamp>,
    /// When the last look went well.
    pub checked_at: Option<Timestamp>,
    /// When the next one is.
    pub due: Option<Instant>,
    /// Looks that failed since.
    pub failures: u32,
    /// Why the last one failed.
    pub problem: Option<String>,
}

impl State {
    /// Of the list in force, as it was written down.
    pub fn of(about: &About, due: Option<Instant>) -> Self {
        Self {
            entries: Some(about.size.entries),
            fetched_at: Some(about.fetched_at),
            checked_at: Some(about.checked_at),
            due,
            ..Self::default()
        }
    }

    /// After a look that went well.
    pub fn good(about: &About, unread: usize, left_out: usize, due: Option<Instant>) -> Self {
        Self {
            unread,
            left_out,
            ..Self::of(about, due)
        }
    }

    /// After a look that failed: what is in force is as it was.
    pub fn failed(&self, problem: String, due: Option<Instant>) -> Self {
        Self {
            failures: self.failures.saturating_add(1),
            problem: Some(problem),
            due,
            ..self.clone()
        }
    }

    /// As it is told.
    pub fn shown(
        &self,
        feed: &Feed,
        origin: Origin,
        now: Timestamp,
        instant: Instant,
    ) -> wire::Feed {
        let since = |at: Timestamp| now.duration_since(at).as_secs().try_into().unwrap_or(0);
        let until = self.due.map(|due| due.saturating_duration_since(instant));
        wire::Feed {
            name: feed.name.to_string(),
            action: feed.action.name().to_owned(),
            source: feed.source.shown(),
            format: feed.format.name().to_owned(),
            origin: origin.name().to_owned(),
            interval_s: feed.interval.map(|interval| interval.as_secs()),
            entries: self.entries,
            unread: self.unread,
            left_out: self.left_out,
            fetched_at: self.fetched_at,
            checked_at: self.checked_at,
            age_s: self.checked_at.map(since),
            next_at: until.and_then(|until| now.checked_add(until).ok()),
            failures: self.failures,
            problem: self.problem.clone(),
        }
    }
}
