//! How to get from what is true to what should be. Pure.
//!
//! [`Plan`] is made by comparing rows; [`Plan::check`] turns it into a [`CheckedPlan`], which is
//! all that a backend accepts.
//!
//! - [`mirror`]: the same for netfilter
//! - [`ruleset`]: the rules of a moment, and [`classes`]: as the kernel program looks them up

pub mod classes;
pub mod mirror;
pub mod ruleset;

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
};

use fw_common::{Prefix, abi};

use crate::policy::{
    entry::Action,
    guard::{Guard, GuardSource},
    table::Effective,
};

/// One value to write (`after`), or to take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op<V> {
    /// Where.
    pub prefix: Prefix,
    /// What is there.
    pub before: Option<V>,
    /// What shall be there.
    pub after: Option<V>,
}

impl<V: Copy> Op<V> {
    /// What takes it back.
    pub fn inverse(&self) -> Self {
        let Self {
            prefix,
            before,
            after,
        } = *self;
        Self {
            prefix,
            before: after,
            after: before,
        }
    }
}

/// What has to change in the tables of one layer, in order of prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Guard tables; the value is the number of a [`GuardSource`].
    pub guard: Vec<Op<u32>>,
    /// Allow tables.
    pub allow: Vec<Op<abi::Entry>>,
    /// Block tables.
    pub block: Vec<Op<abi::Entry>>,
}

impl Plan {
    /// Whether everything is as it should be.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of operations.
    pub fn len(&self) -> usize {
        self.guard.len() + self.allow.len() + self.block.len()
    }

    /// The operations of one action.
    pub fn of(&mut self, action: Action) -> &mut Vec<Op<abi::Entry>> {
        match action {
            Action::Allow => &mut self.allow,
            Action::Block => &mut self.block,
        }
    }

    /// What takes it back.
    pub fn inverse(&self) -> Self {
        let Self {
            guard,
            allow,
            block,
        } = self;
        Self {
            guard: guard.iter().map(Op::inverse).collect(),
            allow: allow.iter().map(Op::inverse).collect(),
            block: block.iter().map(Op::inverse).collect(),
        }
    }

    /// Makes sure that nobody is locked out: afterwards the guard tables, which beat every block,
    /// must hold each guarded prefix. `observed` is what they hold now.
    ///
    /// # Errors
    /// Names a guarded prefix that the plan would leave without protection.
    pub fn check(
        self,
        guard: &Guard,
        observed: &BTreeMap<Prefix, u32>,
    ) -> Result<CheckedPlan, LockOut> {
        let changed: BTreeMap<Prefix, bool> = self
            .guard
            .iter()
            .map(|op| (op.prefix, op.after.is_some()))
            .collect();
        // A plan that only lets go and protects cuts nobody: it is no matter what is held.
        let cuts = self.block.iter().any(|op| op.after.is_some());
        let exposes = self.guard.iter().any(|op| op.after.is_none())
            || self.allow.iter().any(|op| op.after.is_none());
        if !cuts && !exposes {
            return Ok(CheckedPlan(self));
        }
        for (prefix, sources) in guard.iter() {
            let held = changed
                .get(&prefix)
                .copied()
                .unwrap_or_else(|| observed.contains_key(&prefix));
            if !held && let Some(source) = sources.last() {
                return Err(LockOut {
                    guarded: prefix,
                    because: *source,
                });
            }
        }
        Ok(CheckedPlan(self))
    }
}

/// A plan that locks nobody out. Only [`Plan::check`] makes one.
#[derive(Clone, Debug)]
pub struct CheckedPlan(Plan);

impl CheckedPlan {
    /// The operations.
    pub fn plan(&self) -> &Plan {
        &self.0
    }
}

/// A plan that would cut somebody who is guarded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plan would leave {guarded}, which is guarded ({}), without protection", because.name())]
pub struct LockOut {
    /// Who.
    pub guarded: Prefix,
    /// Why it is guarded.
    pub because: GuardSource,
}

/// Compares what should be with what is, row by row.
pub fn diff(
    rows: impl IntoIterator<Item = (Prefix, Option<Effective>, Option<abi::Entry>)>,
) -> Vec<Op<abi::Entry>> {
    let rows = rows.into_iter();
    rows.filter_map(|(prefix, desired, before)| op(prefix, desired, before))
        .collect()
}

/// What makes a row what it should be, if it is not. Counters of an entry that stays are kept.
pub fn op(
    prefix: Prefix,
    desired: Option<Effective>,
    before: Option<abi::Entry>,
) -> Option<Op<abi::Entry>> {
    let after = desired.map(|desired| {
        let (packets, bytes) = before.map_or((0, 0), |entry| (entry.packets, entry.bytes));
        let deadline = desired.deadline.map_or(abi::NEVER, |deadline| deadline.0);
        abi::Entry {
            flags: match desired.observed {
                true => abi::Entry::OBSERVED,
                false => 0,
            },
            packets,
            bytes,
            ..abi::Entry::new(prefix, desired.list.0, deadline)
        }
    });
    (after != before).then_some(Op {
        prefix,
        before,
        after,
    })
}

/// Compares the guard with what the guard tables hold.
pub fn diff_guard(guard: &Guard, observed: &BTreeMap<Prefix, u32>) -> Vec<Op<u32>> {
    let desired: BTreeMap<Prefix, u32> = guard
        .iter()
        .filter_map(|(prefix, sources)| Some((prefix, *sources.last()? as u32)))
        .collect();
    let prefixes: BTreeSet<_> = desired.keys().chain(observed.keys()).copied().collect();
    prefixes
        .into_iter()
        .map(|prefix| Op {
            prefix,
            before: observed.get(&prefix).copied(),
            after: desired.get(&prefix).copied(),
        })
        .filter(|op| op.before != op.after)
        .collect()
}

/// Pairs all that should be, in order, with all that is, in any.
pub fn join(
    desired: Vec<(Prefix, Effective)>,
    mut observed: Vec<(Prefix, abi::Entry)>,
) -> impl Iterator<Item = (Prefix, Option<Effective>, Option<abi::Entry>)> {
    observed.sort_unstable_by_key(|(prefix, _)| *prefix);
    let mut desired = desired.into_iter().peekable();
    let mut observed = observed.into_iter().peekable();
    iter::from_fn(move || {
        let (wanted, held) = (desired.peek(), observed.peek());
        let prefix = match (wanted.map(|row| row.0), held.map(|row| row.0)) {
            (Some(wanted), Some(held)) => wanted.min(held),
            (wanted, held) => wanted.or(held)?,
        };
        let wanted = desired.next_if(|row| row.0 == prefix).map(|row| row.1);
        let held = observed.next_if(|row| row.0 == prefix).map(|row| row.1);
        Some((prefix, wanted, held))
    })
}

#[cfg(test)]
mod tests;
