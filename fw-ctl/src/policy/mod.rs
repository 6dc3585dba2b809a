//! What should be true. Pure: no clock, no file, no socket; time is an argument.
//!
//! A [`change::Change`] is judged by [`Policy::prepare`], which answers with a [`change::Draft`]:
//! the edits it takes, and what to tell the user. The caller applies the draft here, in the store
//! and in the kernel, and can take it back.

pub mod change;
pub mod entry;
pub mod guard;
pub mod hours;
pub mod rate;
pub mod refusal;
pub mod rule;
pub mod rules;
pub mod service;
pub mod table;
pub mod time;

use std::collections::{BTreeMap, BTreeSet};

use fw_common::Prefix;

use self::{
    change::{Draft, Edit},
    entry::{Action, Entry, ListId, ListName, Place},
    guard::Guard,
    rules::Rules,
    table::{Effective, Table},
    time::{BootSecs, Now},
};

/// Everything the operator, the detectors and the configuration said.
#[derive(Debug, Default)]
pub struct Policy {
    lists: BTreeMap<ListName, ListId>,
    allows: Table,
    blocks: Table,
    /// Who can never be dropped.
    pub guard: Guard,
    /// What needs ports, state, rates or hours.
    pub rules: Rules,
    /// What ends, soonest first.
    endings: BTreeSet<(BootSecs, Action, Place)>,
}

impl Policy {
    /// An entry as the store knows it; lists come before their entries.
    pub fn restore(&mut self, action: Action, place: Place, entry: Entry) {
        self.set(action, place, Some(entry));
    }

    /// A list as the store knows it.
    pub fn restore_list(&mut self, name: ListName, id: ListId) {
        self.lists.insert(name, id);
    }

    /// Entries of one action.
    pub fn table(&self, action: Action) -> &Table {
        match action {
            Action::Allow => &self.allows,
            Action::Block => &self.blocks,
        }
    }

    /// Sets whether the blocks of a list only count what they would drop; no list but the
    /// detector's does.
    pub fn observe(&mut self, list: Option<ListId>) {
        self.blocks.observed = list;
    }

    /// Whether the blocks of a list only count what they would drop.
    pub fn is_observed(&self, list: ListId) -> bool {
        self.blocks.observed == Some(list)
    }

    /// Every list, by name.
    pub fn lists(&self) -> impl Iterator<Item = (&ListName, ListId)> {
        self.lists.iter().map(|(name, id)| (name, *id))
    }

    /// The number of a list.
    pub fn list_id(&self, name: &ListName) -> Option<ListId> {
        self.lists.get(name).copied()
    }

    /// The name of a list.
    pub fn list_name(&self, id: ListId) -> Option<&ListName> {
        self.lists()
            .find(|(_, number)| *number == id)
            .map(|(name, _)| name)
    }

    /// When the next entry ends.
    pub fn next_ending(&self) -> Option<BootSecs> {
        self.endings.first().map(|(deadline, ..)| *deadline)
    }

    /// The edits that remove what has ended.
    pub fn ended(&self, now: Now) -> Draft {
        let edits = self
            .endings
            .iter()
            .take_while(|(deadline, ..)| *deadline <= now.boot_secs())
            .map(|(_, action, place)| Edit {
                action: *action,
                place: *place,
                before: self.table(*action).get(*place).cloned(),
                after: None,
            })
            .collect();
        Draft::of(edits)
    }

    /// Makes a draft true.
    pub fn apply(&mut self, draft: &Draft) {
        if let Some((name, id)) = &draft.new_list {
            self.lists.insert(name.clone(), *id);
        }
        for edit in &draft.edits {
            self.set(edit.action, edit.place, edit.after.clone());
        }
    }

    /// Takes a draft back.
    pub fn revert(&mut self, draft: &Draft) {
        for edit in draft.edits.iter().rev() {
            self.set(edit.action, edit.place, edit.before.clone());
        }
        if let Some((name, _)) = &draft.new_list {
            self.lists.remove(name);
        }
    }

    /// What the kernel should hold for every prefix that the draft touches; `None` for nothing.
    pub fn touched(&self, draft: &Draft, action: Action) -> Vec<(Prefix, Option<Effective>)> {
        let prefixes: BTreeSet<_> = draft
            .edits
            .iter()
            .filter(|edit| edit.action == action)
            .map(|edit| edit.place.prefix)
            .collect();
        self.table(action).effective_below(&prefixes)
    }

    fn set(&mut self, action: Action, place: Place, entry: Option<Entry>) {
        let deadline = entry.as_ref().and_then(|entry| entry.deadline);
        let table = match action {
            Action::Allow => &mut self.allows,
            Action::Block => &mut self.blocks,
        };
        let before = match entry {
            Some(entry) => table.insert(place, entry),
            None => table.remove(place),
        };
        if let Some(deadline) = before.and_then(|entry| entry.deadline) {
            self.endings.remove(&(deadline, action, place));
        }
        if let Some(deadline) = deadline {
            self.endings.insert((deadline, action, place));
        }
    }
}

#[cfg(test)]
mod tests;
