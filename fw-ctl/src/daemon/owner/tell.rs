//! What listeners and the log hear of a change.

use super::{Owner, counts, wire_time};
use crate::{
    api::wire::{EntryEvent, Event},
    daemon::problem::Failure,
    host::clock,
    policy::{
        change::{Draft, Edit},
        entry::Action,
        time::Now,
    },
};

/// Entries of one change that are told one by one.
const ONE_BY_ONE: usize = 1000;

impl Owner {
    /// Tells listeners and the log of a change.
    pub(in crate::daemon) fn tell(&self, now: Now, by: &str, detail: &str) {
        tracing::info!(by, "{detail}");
        self.broadcast.tell(Event::Changed {
            time: wire_time(now.wall),
            detail: detail.to_owned(),
            by: by.to_owned(),
        });
    }

    /// Tells of a change of entries: each of them, or how many there are.
    pub(in crate::daemon) fn tell_entries(&mut self, draft: &Draft, now: Now, by: &str) {
        self.meters.count(draft, now, by);
        if draft.edits.len() > ONE_BY_ONE {
            return self.tell(now, by, &summary(draft));
        }
        tracing::info!(by, "{}", summary(draft));
        let edits = draft.edits.iter();
        let events = edits.filter_map(|edit| self.entry_event(edit, now, by));
        self.broadcast.tell_all(events);
    }

    fn entry_event(&self, edit: &Edit, now: Now, by: &str) -> Option<Event> {
        let entry = edit.after.as_ref().or(edit.before.as_ref())?;
        let deadline = entry.deadline();
        let told = EntryEvent {
            schema: 1,
            time: wire_time(now.wall),
            prefix: edit.place.prefix.to_string(),
            action: edit.action.name().to_owned(),
            list: self.name_of(edit.place.list),
            comment: entry.comment.as_str().to_owned(),
            by: by.to_owned(),
            updated: edit.before.is_some() && edit.after.is_some(),
            observed: self.is_observed(edit.action, edit.place.list),
            ttl_s: deadline.map(|deadline| now.left(deadline)),
            geo: self.home_of(edit.place.prefix),
            expires_at: deadline.map(|deadline| wire_time(now.wall_of(deadline))),
        };
        let ended = deadline.is_some_and(|deadline| deadline <= now.boot_secs());
        Some(match (edit.action, &edit.after) {
            (_, None) if ended => Event::Expire(told),
            (Action::Block, Some(_)) => Event::Block(told),
            (Action::Block, None) => Event::Unblock(told),
            (Action::Allow, Some(_)) => Event::Allow(told),
            (Action::Allow, None) => Event::Unallow(told),
        })
    }

    /// Raises an alarm on failure, clears it on success.
    pub(in crate::daemon) fn note(&mut self, subject: &'static str, result: Result<(), Failure>) {
        let failure = result.err();
        if let Some(failure) = &failure {
            tracing::error!(subject, error = %failure, "alarm");
        }
        self.alarm(
            subject,
            failure.map(|failure| format!("{subject}: {failure}")),
        );
    }

    /// Raises an alarm with this message, or clears it; says whether that is news.
    pub(in crate::daemon) fn alarm(
        &mut self,
        subject: &'static str,
        message: Option<String>,
    ) -> bool {
        if self.alarms.get(subject) == message.as_ref() {
            return false;
        }
        match &message {
            Some(message) => self.alarms.insert(subject, message.clone()),
            None => self.alarms.remove(subject),
        };
        self.broadcast.tell(Event::Alarm {
            time: wire_time(clock::now().wall),
            subject: subject.to_owned(),
            message,
        });
        true
    }
}

/// One line of history. A change of one entry names it.
pub(super) fn summary(draft: &Draft) -> String {
    let changed = counts(draft);
    match draft.edits.as_slice() {
        [edit] => {
            let what = match (&edit.before, &edit.after) {
                (None, _) => "added",
                (_, None) => "removed",
                _ => "updated",
            };
            format!("{} {} {what}", edit.action.name(), edit.place.prefix)
        }
        _ => format!(
            "{} added, {} updated, {} removed",
            changed.added, changed.updated, changed.removed
        ),
    }
}
