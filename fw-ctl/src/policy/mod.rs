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

use std::collections::BTreeMap;

use fw_common::Prefix;

use self::{
    change::{Draft, Edit},
    entry::{Action, Entry, ListId, ListName, Place},
    guard::Guard,
    rules::Rules,
    table::{Effective, Table, merge},
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
    endings: BTreeMap<Ending, ()>,
}

/// When an entry ends, and which.
type Ending = (BootSecs, Action, Place);

impl Policy {
    /// Entries as the store knows them, in the order of their places.
    pub fn restore(&mut self, action: Action, entries: Vec<(Place, Entry)>) {
        let changes = entries.into_iter();
        let endings = self.set(action, changes.map(|(place, entry)| (place, Some(entry))));
        self.end(endings);
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
        let (first, ()) = self.endings.first_key_value()?;
        Some(first.0)
    }

    /// The edits that remove what has ended.
    pub fn ended(&self, now: Now) -> Draft {
        let edits = self
            .endings
            .keys()
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
        for (name, id) in &draft.new_lists {
            self.lists.insert(name.clone(), *id);
        }
        self.write(&draft.edits, |edit| &edit.after);
    }

    /// Takes a draft back.
    pub fn revert(&mut self, draft: &Draft) {
        self.write(&draft.edits, |edit| &edit.before);
        for (name, _) in &draft.new_lists {
            self.lists.remove(name);
        }
    }

    /// What the kernel should hold for every prefix that the draft touches, and for those below, in
    /// order; `None` for nothing.
    pub fn touched(
        &self,
        draft: &Draft,
        action: Action,
    ) -> impl Iterator<Item = (Prefix, Option<Effective>)> {
        let edits = draft.edits.iter().filter(|edit| edit.action == action);
        let mut prefixes: Vec<Prefix> = edits.map(|edit| edit.place.prefix).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        self.table(action).effective_below(prefixes)
    }

    fn write(&mut self, edits: &[Edit], side: impl Fn(&Edit) -> &Option<Entry>) {
        let mut endings = Vec::new();
        for action in Action::ALL {
            let edits = edits.iter().filter(|edit| edit.action == action);
            let mut edits: Vec<&Edit> = edits.collect();
            edits.sort_by_key(|edit| edit.place);
            let changes = edits.into_iter();
            let changes = changes.map(|edit| (edit.place, side(edit).clone()));
            endings.extend(self.set(action, changes));
        }
        self.end(endings);
    }

    /// Writes into a table, and says what ends or ends no more through it.
    fn set(
        &mut self,
        action: Action,
        changes: impl ExactSizeIterator<Item = (Place, Option<Entry>)>,
    ) -> Vec<(Ending, Option<()>)> {
        let table = match action {
            Action::Allow => &mut self.allows,
            Action::Block => &mut self.blocks,
        };
        let mut endings = Vec::new();
        table.write(changes, |place, before, after| {
            let deadline = |entry: Option<&Entry>| entry.and_then(Entry::deadline);
            let (before, after) = (deadline(before), deadline(after));
            if before != after {
                let ending = |deadline| (deadline, action, place);
                endings.extend(before.map(|before| (ending(before), None)));
                endings.extend(after.map(|after| (ending(after), Some(()))));
            }
        });
        endings
    }

    fn end(&mut self, mut endings: Vec<(Ending, Option<()>)>) {
        endings.sort_unstable();
        merge(&mut self.endings, endings.into_iter(), |_, _, _| {});
    }
}

#[cfg(test)]
mod tests;
