//! All tables together: applying a plan whole or not at all.

use std::{collections::BTreeMap, io};

use fw_common::{Prefix, abi::Entry, reason::Family};

use super::{
    load,
    near::Near,
    sys::Stopped,
    table::{Table, Value},
};
use crate::{
    plan::{CheckedPlan, Op, Plan},
    policy::entry::Action,
};

/// Why a plan was not applied. The tables are as they were.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It does not fit.
    #[error("table {table} is full: it holds {capacity} entries and would need {needed}")]
    Full {
        /// Name of the map.
        table: &'static str,
        /// Entries it can hold.
        capacity: usize,
        /// Entries it would have to hold.
        needed: usize,
    },
    /// The kernel refused an operation.
    #[error("the kernel refused to change table {table}")]
    Refused {
        /// Name of the map.
        table: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel refused, and then refused to take back what was done before.
    #[error("the kernel refused to change table {table}, and to restore it")]
    Broken {
        /// Name of the map.
        table: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ApplyError {
    fn into_broken(self) -> Self {
        match self {
            Self::Refused { table, source } => Self::Broken { table, source },
            other => other,
        }
    }
}

/// The four tables of one action: prefixes and hosts of each family.
pub struct ActionTables {
    /// IPv4 prefixes.
    pub v4: Table,
    /// IPv6 prefixes.
    pub v6: Table,
    /// IPv4 hosts.
    pub host_v4: Table,
    /// IPv6 hosts.
    pub host_v6: Table,
}

impl ActionTables {
    /// Each with its family, and whether it holds hosts.
    fn all(&mut self) -> [(&mut Table, Family, bool); 4] {
        let Self {
            v4,
            v6,
            host_v4,
            host_v6,
        } = self;
        [
            (v4, Family::V4, false),
            (v6, Family::V6, false),
            (host_v4, Family::V4, true),
            (host_v6, Family::V6, true),
        ]
    }

    fn of_mut(&mut self, prefix: Prefix) -> &mut Table {
        match (prefix.family(), prefix.is_host()) {
            (Family::V6, true) => &mut self.host_v6,
            (Family::V6, false) => &mut self.v6,
            (_, true) => &mut self.host_v4,
            (_, false) => &mut self.v4,
        }
    }

    fn of(&self, prefix: Prefix) -> &Table {
        match (prefix.family(), prefix.is_host()) {
            (Family::V6, true) => &self.host_v6,
            (Family::V6, false) => &self.v6,
            (_, true) => &self.host_v4,
            (_, false) => &self.v4,
        }
    }
}

/// Every table in the kernel.
pub struct Tables {
    /// Where anything is listed at all.
    near: Near,
    /// Guarded IPv4 prefixes, hosts among them.
    pub guard_v4: Table,
    /// Guarded IPv6 prefixes, hosts among them.
    pub guard_v6: Table,
    /// What guard tables hold; they are small and asked for with each plan.
    guarded: BTreeMap<Prefix, u32>,
    /// Allowed.
    pub allow: ActionTables,
    /// Blocked.
    pub block: ActionTables,
}

impl Tables {
    /// Tables over open maps; reads what the guard tables hold.
    ///
    /// # Errors
    /// What `bpf(2)` says.
    pub fn new(
        near: Near,
        mut guard_v4: Table,
        mut guard_v6: Table,
        allow: ActionTables,
        block: ActionTables,
    ) -> io::Result<Self> {
        let mut guarded: BTreeMap<Prefix, u32> = guard_v4.dump()?.into_iter().collect();
        guarded.extend(guard_v6.dump::<u32>()?);
        Ok(Self {
            near,
            guard_v4,
            guard_v6,
            guarded,
            allow,
            block,
        })
    }

    /// What the guard tables hold.
    pub fn guarded(&self) -> &BTreeMap<Prefix, u32> {
        &self.guarded
    }

    /// The entry of exactly this prefix.
    ///
    /// # Errors
    /// What `bpf(2)` says.
    pub fn get(&self, action: Action, prefix: Prefix) -> io::Result<Option<Entry>> {
        let tables = match action {
            Action::Allow => &self.allow,
            Action::Block => &self.block,
        };
        tables.of(prefix).get(prefix)
    }

    /// Takes note of a block that the program has written itself.
    pub fn noticed(&mut self, prefix: Prefix) {
        // The program has set its bits; a look at the start may have cleared them meanwhile.
        self.near.add(prefix);
        self.block.of_mut(prefix).noticed();
    }

    /// Everything of one action, in no order.
    ///
    /// # Errors
    /// What `bpf(2)` says.
    pub fn dump(&mut self, action: Action) -> io::Result<Vec<(Prefix, Entry)>> {
        let mut rows = Vec::new();
        for (table, ..) in self.of(action).all() {
            rows.append(&mut table.dump()?);
        }
        Ok(rows)
    }

    /// Every table, for reports.
    pub fn all(&self) -> [&Table; 10] {
        let Self {
            near: _,
            guard_v4,
            guard_v6,
            guarded: _,
            allow,
            block,
        } = self;
        [
            guard_v4,
            guard_v6,
            &allow.v4,
            &allow.v6,
            &allow.host_v4,
            &allow.host_v6,
            &block.v4,
            &block.v6,
            &block.host_v4,
            &block.host_v6,
        ]
    }

    /// Applies a plan: who is protected first, who is cut later, so that no packet of a guarded or
    /// allowed source is lost on the way.
    ///
    /// # Errors
    /// [`ApplyError`]; all tables are as they were, unless it is [`ApplyError::Broken`].
    pub fn apply(&mut self, plan: &CheckedPlan) -> Result<(), ApplyError> {
        self.check_room(plan.plan())?;
        let mut done = Plan::default();
        let result = self.run(plan.plan(), &mut done);
        result.map_err(
            |error| match self.run(&done.inverse(), &mut Plan::default()) {
                Ok(()) => error,
                Err(broken) => broken.into_broken(),
            },
        )
    }

    /// Takes back a plan that was applied.
    ///
    /// # Errors
    /// [`ApplyError::Broken`]
    pub fn revert(&mut self, plan: &CheckedPlan) -> Result<(), ApplyError> {
        self.run(&plan.plan().inverse(), &mut Plan::default())
            .map_err(ApplyError::into_broken)
    }

    /// Lets the program look only where something is listed. Bits are set all the time; at the start
    /// those go that nothing needs any more.
    ///
    /// # Errors
    /// What `bpf(2)` says.
    pub fn tidy_near(&mut self) -> io::Result<()> {
        let mut listed: Vec<Prefix> = self.guarded.keys().copied().collect();
        for action in Action::ALL {
            listed.extend(self.dump(action)?.into_iter().map(|(prefix, _)| prefix));
        }
        self.near.retain(listed.into_iter());
        Ok(())
    }

    /// Notes in `done` what was done.
    fn run(&mut self, plan: &Plan, done: &mut Plan) -> Result<(), ApplyError> {
        self.announce(plan);
        let (protect, expose) = split(&plan.guard);
        let (lift, lower) = split(&plan.allow);
        let (cut, free) = split(&plan.block);
        self.write_guard(&protect, &mut done.guard)?;
        self.write(Action::Allow, &lift, &mut done.allow)?;
        self.write(Action::Block, &free, &mut done.block)?;
        self.write(Action::Block, &cut, &mut done.block)?;
        self.write(Action::Allow, &lower, &mut done.allow)?;
        self.write_guard(&expose, &mut done.guard)
    }

    /// Before anything is written: where the program shall look for it.
    fn announce(&self, plan: &Plan) {
        let guard = plan.guard.iter().filter(|op| op.after.is_some());
        let entries = plan.allow.iter().chain(&plan.block);
        let entries = entries.filter(|op| op.after.is_some());
        let prefixes = guard.map(|op| op.prefix).chain(entries.map(|op| op.prefix));
        prefixes.for_each(|prefix| self.near.add(prefix));
    }

    fn write_guard(&mut self, ops: &[Op<u32>], done: &mut Vec<Op<u32>>) -> Result<(), ApplyError> {
        let (v4, v6): (Vec<_>, Vec<_>) = ops
            .iter()
            .copied()
            .partition(|op| op.prefix.family() == Family::V4);
        let first = done.len();
        let result =
            write(&mut self.guard_v4, v4, done).and_then(|()| write(&mut self.guard_v6, v6, done));
        for op in &done[first..] {
            match op.after {
                Some(source) => self.guarded.insert(op.prefix, source),
                None => self.guarded.remove(&op.prefix),
            };
        }
        result
    }

    fn write(
        &mut self,
        action: Action,
        ops: &[Op<Entry>],
        done: &mut Vec<Op<Entry>>,
    ) -> Result<(), ApplyError> {
        for (table, family, hosts) in self.of(action).all() {
            let part: Vec<_> = ops
                .iter()
                .copied()
                .filter(|op| op.prefix.family() == family && op.prefix.is_host() == hosts)
                .collect();
            write(table, part, done)?;
        }
        Ok(())
    }

    fn of(&mut self, action: Action) -> &mut ActionTables {
        match action {
            Action::Allow => &mut self.allow,
            Action::Block => &mut self.block,
        }
    }

    fn check_room(&mut self, plan: &Plan) -> Result<(), ApplyError> {
        for (action, ops) in [(Action::Allow, &plan.allow), (Action::Block, &plan.block)] {
            for (table, family, hosts) in self.of(action).all() {
                room(table, ops, |prefix| {
                    prefix.family() == family && prefix.is_host() == hosts
                })?;
            }
        }
        room(&self.guard_v4, &plan.guard, |prefix| {
            prefix.family() == Family::V4
        })?;
        room(&self.guard_v6, &plan.guard, |prefix| {
            prefix.family() == Family::V6
        })
    }
}

/// Whether what the operations add to this table finds room in it. The scan detector has a share
/// of its own, and so never takes an operator's.
fn room<V: Value>(
    table: &Table,
    ops: &[Op<V>],
    in_table: impl Fn(Prefix) -> bool,
) -> Result<(), ApplyError> {
    let ops: Vec<_> = ops.iter().filter(|op| in_table(op.prefix)).collect();
    let operators = table.used() - table.auto();
    share(
        table,
        &ops,
        |value| !value.is_auto(),
        operators,
        table.capacity(),
    )?;
    share(table, &ops, V::is_auto, table.auto(), load::AUTO_ROOM)
}

fn share<V>(
    table: &Table,
    ops: &[&Op<V>],
    ours: impl Fn(&V) -> bool,
    used: usize,
    capacity: usize,
) -> Result<(), ApplyError> {
    let is = |value: &Option<V>| isize::from(value.as_ref().is_some_and(&ours));
    let grows: isize = ops.iter().map(|op| is(&op.after) - is(&op.before)).sum();
    let needed = used.saturating_add_signed(grows);
    if grows > 0 && needed > capacity {
        return Err(ApplyError::Full {
            table: table.name(),
            capacity,
            needed,
        });
    }
    Ok(())
}

/// What is written, and what is taken away.
fn split<V: Copy>(ops: &[Op<V>]) -> (Vec<Op<V>>, Vec<Op<V>>) {
    ops.iter().copied().partition(|op| op.after.is_some())
}

/// Writes or takes away; every operation is of the same kind. Notes what was done.
fn write<V: Value>(
    table: &mut Table,
    ops: Vec<Op<V>>,
    done: &mut Vec<Op<V>>,
) -> Result<(), ApplyError> {
    let rows: Vec<_> = ops
        .iter()
        .filter_map(|op| Some((op.prefix, op.after?)))
        .collect();
    let (finished, error) = match table.write(&ops, &rows) {
        Ok(()) => (ops.len(), None),
        Err(Stopped { done, error }) => (done, Some(error)),
    };
    done.extend(&ops[..finished]);
    match error {
        None => Ok(()),
        Some(source) => Err(ApplyError::Refused {
            table: table.name(),
            source,
        }),
    }
}
