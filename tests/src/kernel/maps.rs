//! The maps beside the program: written and read as the controller does it.

use std::iter;

use anyhow::{Context as _, Result};
use aya::maps::{Array, Map, PerCpuArray};
use fw_common::{
    Prefix,
    abi::{self, Config, Counter, DropEvent, Entry, MapSpec, Sampler},
    iface,
    reason::{Outcome, Reason},
};
use fw_ctl::{
    plan::{Op, Plan},
    policy::{
        entry as policy,
        guard::{Guard, GuardSource},
    },
};

use super::Kernel;

/// The tables of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Decides for [`Reason::Allow`].
    Allow,
    /// Decides for [`Reason::Block`].
    Block,
}

impl Table {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Allow, Self::Block];

    /// Why a packet is decided by one of its entries.
    pub fn reason(self) -> Reason {
        match self {
            Self::Allow => Reason::Allow,
            Self::Block => Reason::Block,
        }
    }

    fn action(self) -> policy::Action {
        match self {
            Self::Allow => policy::Action::Allow,
            Self::Block => policy::Action::Block,
        }
    }
}

/// Errors are the kernel's.
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
impl Kernel {
    pub(super) fn map(&self, spec: &MapSpec) -> Result<&Map> {
        self.ebpf.map(spec.name).context(spec.name)
    }

    pub(super) fn map_mut(&mut self, spec: &MapSpec) -> Result<&mut Map> {
        self.ebpf.map_mut(spec.name).context(spec.name)
    }

    /// Guards a prefix.
    pub fn guard(&mut self, prefix: Prefix) -> Result<()> {
        const SOURCE: u32 = 1;
        self.apply(Plan {
            guard: vec![op(prefix, Some(SOURCE))],
            ..Plan::default()
        })
    }

    /// Guards it no more.
    pub fn unguard(&mut self, prefix: Prefix) -> Result<()> {
        self.apply(Plan {
            guard: vec![op(prefix, None)],
            ..Plan::default()
        })
    }

    /// Writes an entry, new or not, without traffic.
    pub fn set(&mut self, table: Table, prefix: Prefix, list: u16, deadline: u32) -> Result<()> {
        self.put(table, prefix, Entry::new(prefix, list, deadline))
    }

    /// Writes an entry as it is.
    pub fn put(&mut self, table: Table, prefix: Prefix, entry: Entry) -> Result<()> {
        let mut plan = Plan::default();
        *plan.of(table.action()) = vec![op(prefix, Some(entry))];
        self.apply(plan)
    }

    /// Removes an entry.
    pub fn remove(&mut self, table: Table, prefix: Prefix) -> Result<()> {
        let mut plan = Plan::default();
        *plan.of(table.action()) = vec![op(prefix, None)];
        self.apply(plan)
    }

    /// Reads an entry.
    pub fn entry(&self, table: Table, prefix: Prefix) -> Result<Entry> {
        let entry = self.tables.get(table.action(), prefix)?;
        entry.with_context(|| format!("{prefix} is not there"))
    }

    /// Carries out a plan, whoever it locks out.
    pub fn apply(&mut self, plan: Plan) -> Result<()> {
        let plan = plan.check(&nobody(), self.tables.guarded())?;
        Ok(self.tables.apply(&plan)?)
    }

    /// Sets the switches.
    pub fn configure(&mut self, config: Config) -> Result<()> {
        let mut map = Array::try_from(self.map_mut(&abi::CONFIG)?)?;
        Ok(map.set(0, config, 0)?)
    }

    /// The counters of all outcomes, in their order, over all CPUs, for packets of interfaces that
    /// are not counted apart.
    pub fn counters(&self) -> Result<Vec<Counter>> {
        self.counters_in(0)
    }

    /// The counters of a slot.
    pub fn counters_in(&self, slot: u32) -> Result<Vec<Counter>> {
        let map = PerCpuArray::<_, Counter>::try_from(self.map(&abi::COUNTERS)?)?;
        let sum = |outcome: Outcome| {
            let cpus = map.get(&outcome.index_in(slot), 0)?;
            Ok(cpus.iter().fold(Counter::default(), |sum, cpu| Counter {
                packets: sum.packets + cpu.packets,
                bytes: sum.bytes + cpu.bytes,
            }))
        };
        Outcome::all().map(sum).collect()
    }

    /// Counts the packets of an interface in a slot.
    pub fn count_apart(&mut self, index: u32, slot: u32) -> Result<()> {
        let mut map = Array::try_from(self.map_mut(&abi::IFACES)?)?;
        Ok(map.set(iface::place(index), iface::word(index, slot), 0)?)
    }

    /// How sampling went on each CPU.
    pub fn samplers(&self) -> Result<Vec<Sampler>> {
        let map = PerCpuArray::try_from(self.map(&abi::SAMPLER)?)?;
        Ok(map.get(&0, 0)?.to_vec())
    }

    /// Takes the events that wait in the ring.
    pub fn events(&mut self) -> Vec<DropEvent> {
        iter::from_fn(|| self.events.next_event()).collect()
    }
}

/// A guard that forbids nothing: what it holds of reserved ranges stands in no table here.
fn nobody() -> Guard {
    let mut guard = Guard::default();
    guard.set(GuardSource::Reserved, []);
    guard
}

fn op<V>(prefix: Prefix, after: Option<V>) -> Op<V> {
    Op {
        prefix,
        before: None,
        after,
    }
}
