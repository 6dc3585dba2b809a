//! Judging changes.

mod countries;
mod judge;

use std::collections::{BTreeMap, BTreeSet};

use fw_common::Prefix;

use self::judge::Judge;

use super::{
    Policy,
    entry::{Action, Entry, Item, ListId, ListName, Place},
    refusal::Refusal,
    time::Now,
};

/// A wish.
#[derive(Clone, Debug)]
pub enum Change {
    /// Adds entries, or lets those that are there end later.
    Put {
        /// Block or allow.
        action: Action,
        /// The list to add to.
        list: ListName,
        /// What to add.
        items: Vec<Item>,
        /// Refuse what is there already.
        strict: bool,
    },
    /// Gives a list exactly these entries of one action.
    Replace {
        /// Block or allow.
        action: Action,
        /// The list.
        list: ListName,
        /// All of its entries.
        items: Vec<Item>,
    },
    /// Makes a list exactly this: what it had of the other action goes.
    Keep {
        /// Block or allow.
        action: Action,
        /// The list.
        list: ListName,
        /// All of its entries.
        items: Vec<Item>,
    },
    /// Removes prefixes from every list.
    Remove {
        /// Block or allow.
        action: Action,
        /// Exactly these, not what is below them.
        prefixes: Vec<Prefix>,
    },
    /// Removes everything from a list.
    Flush {
        /// The list.
        list: ListName,
    },
    /// Gives the detector's list exactly these blocks. No other change adds to it.
    Detected(Vec<Item>),
    /// Gives each of these lists of countries exactly these blocks, or leaves it as it is. Those that
    /// are not named are emptied. No other change writes into them.
    Countries(BTreeMap<ListName, Option<Vec<Item>>>),
}

/// One entry's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// Block or allow.
    pub action: Action,
    /// Where.
    pub place: Place,
    /// What stood there.
    pub before: Option<Entry>,
    /// What shall stand there.
    pub after: Option<Entry>,
}

/// What a change comes to.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// At most one for each place.
    pub edits: Vec<Edit>,
    /// Lists that did not exist.
    pub new_lists: Vec<(ListName, ListId)>,
    /// Items that were there already.
    pub unchanged: usize,
    /// Items that are refused, by position.
    pub refused: Vec<(usize, Prefix, Refusal)>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Draft {
    /// A draft of edits alone.
    pub fn of(edits: Vec<Edit>) -> Self {
        Self {
            edits,
            ..Self::default()
        }
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty() && self.new_lists.is_empty()
    }

    /// What takes it back. A list it made stays.
    pub fn inverse(&self) -> Self {
        let back = |edit: &Edit| Edit {
            before: edit.after.clone(),
            after: edit.before.clone(),
            ..edit.clone()
        };
        Self::of(self.edits.iter().rev().map(back).collect())
    }

    /// Both, applied as one. They touch different places.
    pub fn and(mut self, other: Self) -> Self {
        self.edits.extend(other.edits);
        self.new_lists.extend(other.new_lists);
        self.unchanged += other.unchanged;
        self.refused.extend(other.refused);
        self.warnings.extend(other.warnings);
        self
    }
}

/// Warnings of one change that are spelled out.
const MAX_WARNINGS: usize = 20;

impl Policy {
    /// Judges a change. Refused items are named in the draft and are not among its edits; whether
    /// the rest shall be done is the caller's to say.
    ///
    /// # Errors
    /// What refuses the change as a whole.
    pub fn prepare(&self, change: Change, now: Now) -> Result<Draft, Refusal> {
        match change {
            Change::Put { list, .. }
            | Change::Replace { list, .. }
            | Change::Keep { list, .. }
            | Change::Flush { list }
                if list == ListName::auto() =>
            {
                Err(Refusal::Detectors)
            }
            Change::Put { list, .. }
            | Change::Replace { list, .. }
            | Change::Keep { list, .. }
            | Change::Flush { list }
                if list.is_geo() =>
            {
                Err(Refusal::Countries(list))
            }
            Change::Put {
                action,
                list,
                items,
                strict,
            } => {
                let how = if strict { How::Strict } else { How::Extend };
                let id = self.list_or_new(&list)?;
                Ok(self.put(action, (&list, id), &items, &in_order(&items), how, now))
            }
            Change::Replace {
                action,
                list,
                items,
            } => self.replace(action, list, items, now),
            Change::Keep {
                action,
                list,
                items,
            } => {
                let gone = self.replace(action.other(), list.clone(), Vec::new(), now)?;
                Ok(self.replace(action, list, items, now)?.and(gone))
            }
            Change::Remove { action, prefixes } => Ok(self.remove(action, prefixes)),
            Change::Flush { list } => self.flush(list),
            Change::Detected(items) => self.replace(Action::Block, ListName::auto(), items, now),
            Change::Countries(lists) => self.countries(lists, now),
        }
    }

    fn put(
        &self,
        action: Action,
        (list, id): (&ListName, ListId),
        items: &[Item],
        order: &[usize],
        how: How,
        now: Now,
    ) -> Draft {
        let mut draft = Draft::default();
        let mut judge = Judge::new(self, action, list, how);
        let mut stored = self.table(action).cursor();
        for &index in order {
            let item = &items[index];
            let prefix = item.prefix;
            let place = Place { prefix, list: id };
            let before = stored.get(place);
            if let Err(refusal) = judge.item(prefix, before.is_some()) {
                draft.refused.push((index, prefix, refusal));
                continue;
            }
            // A prefix named twice is one edit that sees the first mention.
            let mut earlier = draft.edits.last_mut().filter(|edit| edit.place == place);
            let current = earlier.as_ref().and_then(|edit| edit.after.as_ref());
            let current = current.or(before);
            let after = how.entry(current, item, now);
            if current == Some(&after) {
                draft.unchanged += 1;
                judge.warn_of_longer(index, item, &after);
                continue;
            }
            judge.warn_of_allow(index, prefix);
            match &mut earlier {
                Some(edit) => edit.after = Some(after),
                None => draft.edits.push(Edit {
                    action,
                    place,
                    before: before.cloned(),
                    after: Some(after),
                }),
            }
        }
        draft.warnings = judge.warnings.into_values().collect();
        draft.refused.sort_by_key(|(index, ..)| *index);
        if !draft.edits.is_empty() && self.list_id(list).is_none() {
            draft.new_lists.push((list.clone(), id));
        }
        draft
    }

    fn replace(
        &self,
        action: Action,
        list: ListName,
        items: Vec<Item>,
        now: Now,
    ) -> Result<Draft, Refusal> {
        let order = in_order(&items);
        let id = self.list_or_new(&list)?;
        let mut draft = self.put(action, (&list, id), &items, &order, How::Exact, now);
        let mut named = order.iter().map(|index| items[*index].prefix).peekable();
        let held = self.table(action).of_list(id);
        let gone = held.filter(|(place, _)| {
            while named.next_if(|named| *named < place.prefix).is_some() {}
            named.peek() != Some(&place.prefix)
        });
        let gone = gone.map(|(place, entry)| removal(action, place, entry));
        draft.edits.extend(gone);
        Ok(draft)
    }

    fn remove(&self, action: Action, prefixes: Vec<Prefix>) -> Draft {
        let prefixes: BTreeSet<Prefix> = prefixes.into_iter().collect();
        let mut draft = Draft::default();
        for prefix in &prefixes {
            let before = draft.edits.len();
            draft.edits.extend(
                self.table(action)
                    .at(*prefix)
                    .filter(|(place, _)| !self.is_geo(place.list))
                    .map(|(place, entry)| removal(action, place, entry)),
            );
            if draft.edits.len() == before {
                draft.unchanged += 1;
                let text = format!("{prefix} was not {}ed as such", action.name());
                warn(&mut draft.warnings, text);
            }
            let still = self
                .table(action)
                .covering(*prefix)
                .find(|(place, _)| !prefixes.contains(&place.prefix) || self.is_geo(place.list));
            if let Some((place, _)) = still {
                warn(
                    &mut draft.warnings,
                    format!(
                        "{prefix} is still {}ed by {} (list {})",
                        action.name(),
                        place.prefix,
                        self.list_name(place.list).map_or("?", ListName::as_str),
                    ),
                );
            }
        }
        draft
    }

    fn flush(&self, list: ListName) -> Result<Draft, Refusal> {
        let id = self.list_id(&list).ok_or(Refusal::NoList(list))?;
        let edits = Action::ALL
            .into_iter()
            .flat_map(|action| {
                self.table(action)
                    .of_list(id)
                    .map(move |(place, entry)| removal(action, place, entry))
            })
            .collect();
        Ok(Draft::of(edits))
    }

    /// The number of a list, or the next one.
    fn list_or_new(&self, name: &ListName) -> Result<ListId, Refusal> {
        self.list_id(name).map_or_else(|| self.next_id(), Ok)
    }

    fn next_id(&self) -> Result<ListId, Refusal> {
        let last = self.lists().map(|(_, id)| id.0).max().unwrap_or(0);
        last.checked_add(1).map(ListId).ok_or(Refusal::TooManyLists)
    }

    /// Whether a list is one of countries.
    fn is_geo(&self, list: ListId) -> bool {
        self.list_name(list).is_some_and(ListName::is_geo)
    }
}

/// What an item does to an entry that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// The later end and the newer comment win.
    Extend,
    /// Nothing: it is refused.
    Strict,
    /// End and comment are the item's.
    Exact,
}

impl How {
    fn entry(self, current: Option<&Entry>, item: &Item, now: Now) -> Entry {
        let new = item.created.unwrap_or(now.wall);
        let created = current.map_or(new, Entry::created);
        let Some(current) = current.filter(|_| self == Self::Extend) else {
            return Entry::new(item.comment.clone(), created, item.deadline);
        };
        let comment = match item.comment.as_str().is_empty() {
            true => current.comment.clone(),
            false => item.comment.clone(),
        };
        let later = current.deadline().zip(item.deadline).map(|(a, b)| a.max(b));
        Entry::new(comment, created, later)
    }
}

/// The positions of items in the order of their prefixes; first mentions come first.
fn in_order(items: &[Item]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|index| items[*index].prefix);
    order
}

fn removal(action: Action, place: Place, entry: &Entry) -> Edit {
    Edit {
        action,
        place,
        before: Some(entry.clone()),
        after: None,
    }
}

fn warn(warnings: &mut Vec<String>, text: String) {
    if warnings.len() < MAX_WARNINGS {
        warnings.push(text);
    }
}
