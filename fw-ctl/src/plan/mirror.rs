//! What has to change in netfilter, and the lock-out check.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use fw_common::Prefix;

use super::{LockOut, Op, ruleset::Ruleset};
use crate::policy::{Policy, entry::Action, guard::Guard, table::Effective, time::BootSecs};

/// The sets of the mirror, in the order packets meet them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetName {
    /// Who can never be dropped.
    Guard,
    /// Who passes whatever blocks him.
    Allow,
    /// Who is dropped.
    Block,
}

impl SetName {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::Guard, Self::Allow, Self::Block];

    /// As it begins in netfilter: `guard`, `allow`, `block`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Guard => "guard",
            Self::Allow => "allow",
            Self::Block => "block",
        }
    }
}

/// A network in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Element {
    /// The network.
    pub prefix: Prefix,
    /// When it ends; `None` for never.
    pub deadline: Option<BootSecs>,
}

/// What is only observed drops nothing.
fn element(prefix: Prefix, row: Effective) -> Option<Element> {
    (!row.observed).then_some(Element {
        prefix,
        deadline: row.deadline,
    })
}

/// What has to change in a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetChange {
    /// It holds exactly these afterwards. Sorted.
    Replace(Vec<Element>),
    /// These are put, or get another end; those with nothing are taken out.
    Edit(BTreeMap<Prefix, Option<Element>>),
}

/// What has to change in netfilter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MirrorPlan {
    /// By set.
    pub sets: BTreeMap<SetName, SetChange>,
    /// The chains, if they change.
    pub ruleset: Option<Arc<Ruleset>>,
}

impl MirrorPlan {
    /// All that netfilter should hold.
    pub fn whole(policy: &Policy, ruleset: Arc<Ruleset>) -> Self {
        let of = |action| {
            let rows = policy.table(action).effective();
            let held = rows
                .into_iter()
                .filter_map(|(prefix, row)| element(prefix, row));
            SetChange::Replace(held.collect())
        };
        let guard = policy.guard.iter().map(|(prefix, _)| Element {
            prefix,
            deadline: None,
        });
        Self {
            sets: BTreeMap::from([
                (SetName::Guard, SetChange::Replace(guard.collect())),
                (SetName::Allow, of(Action::Allow)),
                (SetName::Block, of(Action::Block)),
            ]),
            ruleset: Some(ruleset),
        }
    }

    /// What becomes of the prefixes that a change touches.
    pub fn of(action: Action, rows: impl IntoIterator<Item = (Prefix, Option<Effective>)>) -> Self {
        let edit = |(prefix, row): (Prefix, Option<Effective>)| {
            (prefix, row.and_then(|row| element(prefix, row)))
        };
        let set = match action {
            Action::Allow => SetName::Allow,
            Action::Block => SetName::Block,
        };
        Self::edit(set, rows.into_iter().map(edit).collect())
    }

    /// What becomes of the guard.
    pub fn of_guard(ops: &[Op<u32>]) -> Self {
        let edit = |op: &Op<u32>| {
            let put = Element {
                prefix: op.prefix,
                deadline: None,
            };
            (op.prefix, op.after.map(|_| put))
        };
        Self::edit(SetName::Guard, ops.iter().map(edit).collect())
    }

    fn edit(set: SetName, edits: BTreeMap<Prefix, Option<Element>>) -> Self {
        let sets = match edits.is_empty() {
            true => BTreeMap::new(),
            false => BTreeMap::from([(set, SetChange::Edit(edits))]),
        };
        Self {
            sets,
            ruleset: None,
        }
    }

    /// Both. They speak of different sets.
    pub fn and(mut self, other: Self) -> Self {
        self.sets.extend(other.sets);
        self.ruleset = other.ruleset.or(self.ruleset);
        self
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty() && self.ruleset.is_none()
    }

    /// Whether it says all that netfilter should hold, whatever is there now.
    pub fn is_whole(&self) -> bool {
        let replaced = |set| matches!(self.sets.get(set), Some(SetChange::Replace(_)));
        self.ruleset.is_some() && SetName::ALL.iter().all(replaced)
    }

    /// Makes sure that nobody is locked out: the chains ask the guard first, so it must hold each
    /// guarded prefix.
    ///
    /// # Errors
    /// Names a guarded prefix that the plan would leave without protection.
    pub fn check(self, guard: &Guard) -> Result<CheckedMirror, LockOut> {
        let exposed = match self.sets.get(&SetName::Guard) {
            None => None,
            Some(SetChange::Replace(elements)) => {
                let held: BTreeSet<Prefix> = elements.iter().map(|held| held.prefix).collect();
                guard.iter().find(|(prefix, _)| !held.contains(prefix))
            }
            Some(SetChange::Edit(edits)) => guard
                .iter()
                .find(|(prefix, _)| matches!(edits.get(prefix), Some(None))),
        };
        match exposed.and_then(|(prefix, sources)| Some((prefix, *sources.last()?))) {
            Some((guarded, because)) => Err(LockOut { guarded, because }),
            None => Ok(CheckedMirror(self)),
        }
    }
}

/// A plan that locks nobody out. Only [`MirrorPlan::check`] makes one.
#[derive(Clone, Debug)]
pub struct CheckedMirror(MirrorPlan);

impl CheckedMirror {
    /// The changes.
    pub fn plan(&self) -> &MirrorPlan {
        &self.0
    }

    /// Both, one after the other: where they speak of the same, `later` wins.
    pub fn then(mut self, later: Self) -> Self {
        for (name, change) in later.0.sets {
            match (self.0.sets.get_mut(&name), change) {
                (Some(SetChange::Edit(edits)), SetChange::Edit(more)) => edits.extend(more),
                (Some(SetChange::Replace(elements)), SetChange::Edit(more)) => {
                    elements.retain(|element| !more.contains_key(&element.prefix));
                    elements.extend(more.into_values().flatten());
                    elements.sort_unstable();
                }
                (_, change) => {
                    self.0.sets.insert(name, change);
                }
            }
        }
        self.0.ruleset = later.0.ruleset.or(self.0.ruleset);
        self
    }
}

#[cfg(test)]
mod tests;
