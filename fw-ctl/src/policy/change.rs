//! Judging changes.

use std::collections::{BTreeMap, BTreeSet};

use fw_common::Prefix;

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
    /// A list that did not exist.
    pub new_list: Option<(ListName, ListId)>,
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
        self.edits.is_empty() && self.new_list.is_none()
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
        self.new_list = self.new_list.or(other.new_list);
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
            Change::Put { list, .. } | Change::Replace { list, .. } | Change::Flush { list }
                if list == ListName::auto() =>
            {
                Err(Refusal::Detectors)
            }
            Change::Put {
                action,
                list,
                items,
                strict,
            } => {
                let how = if strict { How::Strict } else { How::Extend };
                self.put(action, list, items, how, now)
            }
            Change::Replace {
                action,
                list,
                items,
            } => self.replace(action, list, items, now),
            Change::Remove { action, prefixes } => Ok(self.remove(action, prefixes)),
            Change::Flush { list } => self.flush(list),
            Change::Detected(items) => self.replace(Action::Block, ListName::auto(), items, now),
        }
    }

    fn put(
        &self,
        action: Action,
        list: ListName,
        items: Vec<Item>,
        how: How,
        now: Now,
    ) -> Result<Draft, Refusal> {
        let (id, new_list) = self.list_or_new(&list)?;
        let mut draft = Draft {
            new_list,
            ..Draft::default()
        };
        // By place, so that a prefix named twice is one edit that sees the first mention.
        let mut edits: BTreeMap<Place, Edit> = BTreeMap::new();
        for (index, item) in items.into_iter().enumerate() {
            let place = Place {
                prefix: item.prefix,
                list: id,
            };
            let stored = self.table(action).get(place);
            let refuse_known = how == How::Strict && stored.is_some();
            if let Err(refusal) = self.judge_item(action, &list, &item, refuse_known) {
                draft.refused.push((index, item.prefix, refusal));
                continue;
            }
            let current = edits
                .get(&place)
                .and_then(|edit| edit.after.as_ref())
                .or(stored);
            let after = how.entry(current, &item, now);
            if current == Some(&after) {
                draft.unchanged += 1;
                if item.deadline.is_some() && item.deadline != after.deadline {
                    let text = format!(
                        "{} stays {}ed for longer: the later end wins, remove it first to shorten it",
                        item.prefix,
                        action.name()
                    );
                    warn(&mut draft.warnings, text);
                }
                continue;
            }
            self.warn_of_allow(action, item.prefix, &mut draft.warnings);
            let edit = Edit {
                action,
                place,
                before: stored.cloned(),
                after: Some(after),
            };
            edits.insert(place, edit);
        }
        draft.edits = edits.into_values().collect();
        if draft.edits.is_empty() {
            draft.new_list = None;
        }
        Ok(draft)
    }

    fn judge_item(
        &self,
        action: Action,
        list: &ListName,
        item: &Item,
        refuse_known: bool,
    ) -> Result<(), Refusal> {
        // The detector blocks a source that a guarded address lies in, like the /64 of this link:
        // the guard is asked first.
        if action == Action::Block
            && *list != ListName::auto()
            && let Some((guarded, because)) = self.guard.conflict(item.prefix)
        {
            return Err(Refusal::Guarded {
                prefix: item.prefix,
                guarded,
                because,
            });
        }
        if refuse_known {
            return Err(Refusal::Exists {
                prefix: item.prefix,
                list: list.clone(),
            });
        }
        Ok(())
    }

    fn replace(
        &self,
        action: Action,
        list: ListName,
        items: Vec<Item>,
        now: Now,
    ) -> Result<Draft, Refusal> {
        let named: BTreeSet<Prefix> = items.iter().map(|item| item.prefix).collect();
        let mut draft = self.put(action, list.clone(), items, How::Exact, now)?;
        let Some(id) = self.list_id(&list) else {
            return Ok(draft);
        };
        draft.edits.extend(
            self.table(action)
                .iter()
                .filter(|(place, _)| place.list == id && !named.contains(&place.prefix))
                .map(|(place, entry)| removal(action, place, entry)),
        );
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
                .find(|(place, _)| !prefixes.contains(&place.prefix));
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
                    .iter()
                    .filter(move |(place, _)| place.list == id)
                    .map(move |(place, entry)| removal(action, place, entry))
            })
            .collect();
        Ok(Draft::of(edits))
    }

    fn list_or_new(
        &self,
        name: &ListName,
    ) -> Result<(ListId, Option<(ListName, ListId)>), Refusal> {
        if let Some(id) = self.list_id(name) {
            return Ok((id, None));
        }
        let last = self.lists().map(|(_, id)| id.0).max().unwrap_or(0);
        let id = ListId(last.checked_add(1).ok_or(Refusal::TooManyLists)?);
        Ok((id, Some((name.clone(), id))))
    }

    fn warn_of_allow(&self, action: Action, prefix: Prefix, warnings: &mut Vec<String>) {
        if action == Action::Block
            && let Some((place, _)) = self.table(Action::Allow).covering(prefix).next()
        {
            warn(
                warnings,
                format!(
                    "{prefix} stays allowed by {} (list {}): an allow beats every block",
                    place.prefix,
                    self.list_name(place.list).map_or("?", ListName::as_str),
                ),
            );
        }
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
        let asked = Entry {
            comment: item.comment.clone(),
            created: current.map_or(now.wall, |current| current.created),
            deadline: item.deadline,
        };
        let Some(current) = current.filter(|_| self == Self::Extend) else {
            return asked;
        };
        let comment = if item.comment.as_str().is_empty() {
            current.comment.clone()
        } else {
            asked.comment
        };
        Entry {
            comment,
            deadline: current.deadline.zip(asked.deadline).map(|(a, b)| a.max(b)),
            created: asked.created,
        }
    }
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
