//! Judging the items of a change, in the order of their prefixes.

use std::{collections::BTreeMap, iter::Peekable, vec};

use fw_common::Prefix;

use super::{How, MAX_WARNINGS};
use crate::policy::{
    Policy,
    entry::{Action, Entry, Item, ListName},
    refusal::Refusal,
    table::Sweep,
};

/// What refuses items, and what the user should know of them.
pub(super) struct Judge<'a> {
    policy: &'a Policy,
    action: Action,
    list: &'a ListName,
    how: How,
    /// The outermost guarded prefixes that are not before the item judged last.
    guarded: Peekable<vec::IntoIter<Prefix>>,
    allows: Sweep<'a>,
    /// The first ones by the position of their items, which come in another order.
    pub(super) warnings: BTreeMap<usize, String>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(policy: &'a Policy, action: Action, list: &'a ListName, how: How) -> Self {
        // The detector blocks a source that a guarded address lies in, like the /64 of this link, and a
        // country may be all around one: the guard is asked first.
        let is_derived = *list == ListName::auto() || list.is_geo();
        let guarded = match action == Action::Block && !is_derived {
            true => policy.guard.outermost(),
            false => Vec::new(),
        };
        Self {
            policy,
            action,
            list,
            how,
            guarded: guarded.into_iter().peekable(),
            allows: policy.table(Action::Allow).sweep(),
            warnings: BTreeMap::new(),
        }
    }

    /// Judges the next item.
    pub(super) fn item(&mut self, prefix: Prefix, is_stored: bool) -> Result<(), Refusal> {
        while self
            .guarded
            .next_if(|guarded| guarded.last() < prefix.address())
            .is_some()
        {}
        if self
            .guarded
            .peek()
            .is_some_and(|guarded| guarded.overlaps(&prefix))
            && let Some((guarded, because)) = self.policy.guard.conflict(prefix)
        {
            return Err(Refusal::Guarded {
                prefix,
                guarded,
                because,
            });
        }
        if self.how == How::Strict && is_stored {
            return Err(Refusal::Exists {
                prefix,
                list: self.list.clone(),
            });
        }
        Ok(())
    }

    /// What stays may last longer than what was asked for.
    pub(super) fn warn_of_longer(&mut self, index: usize, item: &Item, stays: &Entry) {
        if item.deadline.is_some() && item.deadline != stays.deadline() {
            let action = self.action.name();
            self.warn(index, || {
                format!(
                    "{} stays {action}ed for longer: the later end wins, remove it first to shorten it",
                    item.prefix,
                )
            });
        }
    }

    /// A block of what is allowed changes nothing.
    pub(super) fn warn_of_allow(&mut self, index: usize, prefix: Prefix) {
        let is_told = self.action == Action::Block && !self.list.is_geo();
        let is_said = is_told && self.is_among_first(index);
        if !is_said || !self.allows.covers(prefix) {
            return;
        }
        let policy = self.policy;
        if let Some((place, _)) = policy.table(Action::Allow).covering(prefix).next() {
            self.warn(index, || {
                format!(
                    "{prefix} stays allowed by {} (list {}): an allow beats every block",
                    place.prefix,
                    policy.list_name(place.list).map_or("?", ListName::as_str),
                )
            });
        }
    }

    fn warn(&mut self, index: usize, text: impl FnOnce() -> String) {
        if self.is_among_first(index) {
            self.warnings.insert(index, text());
        }
        if self.warnings.len() > MAX_WARNINGS {
            self.warnings.pop_last();
        }
    }

    fn is_among_first(&self, index: usize) -> bool {
        let last = self.warnings.last_key_value();
        self.warnings.len() < MAX_WARNINGS || last.is_some_and(|(last, _)| index < *last)
    }
}
