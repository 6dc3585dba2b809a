//! The maps beside the program: written and read as the controller does it.

use std::{iter, net::IpAddr};

use anyhow::{Context as _, Result};
use aya::{
    Pod,
    maps::{Array, HashMap, LpmTrie, Map, MapError, PerCpuArray, lpm_trie::Key},
};
use fw_common::{
    Prefix,
    abi::{
        self, Config, Counter, DropEvent, Entry, HostV4, HostV6, MapSpec, Sampler, TrieV4, TrieV6,
    },
    reason::{Outcome, Reason},
};
use fw_ctl::backend::xdp::near::Near;

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

    fn map(self, prefix: Prefix) -> &'static MapSpec {
        match (self, prefix.address(), prefix.is_host()) {
            (Self::Allow, IpAddr::V4(_), true) => &abi::ALLOW_HOST_V4,
            (Self::Allow, IpAddr::V4(_), false) => &abi::ALLOW_V4,
            (Self::Allow, IpAddr::V6(_), true) => &abi::ALLOW_HOST_V6,
            (Self::Allow, IpAddr::V6(_), false) => &abi::ALLOW_V6,
            (Self::Block, IpAddr::V4(_), true) => &abi::BLOCK_HOST_V4,
            (Self::Block, IpAddr::V4(_), false) => &abi::BLOCK_V4,
            (Self::Block, IpAddr::V6(_), true) => &abi::BLOCK_HOST_V6,
            (Self::Block, IpAddr::V6(_), false) => &abi::BLOCK_V6,
        }
    }
}

fn guard_map(prefix: Prefix) -> &'static MapSpec {
    match prefix.address() {
        IpAddr::V4(_) => &abi::GUARD_V4,
        IpAddr::V6(_) => &abi::GUARD_V6,
    }
}

/// A prefix as the key of its map.
enum Place {
    HostV4(HostV4),
    HostV6(HostV6),
    TrieV4(Key<TrieV4>),
    TrieV6(Key<TrieV6>),
}

impl Place {
    fn new(prefix: Prefix) -> Self {
        match prefix.address() {
            IpAddr::V4(address) if prefix.is_host() => Self::HostV4(address.octets()),
            IpAddr::V6(address) if prefix.is_host() => Self::HostV6(address.octets()),
            _ => Self::in_trie(prefix),
        }
    }

    fn in_trie(prefix: Prefix) -> Self {
        let length = u32::from(prefix.length());
        match prefix.address() {
            IpAddr::V4(address) => {
                let [a, b, c, d] = address.octets();
                Self::TrieV4(Key::new(length, [a, b, c, d, 0, 0, 0, 0]))
            }
            IpAddr::V6(address) => Self::TrieV6(Key::new(length, address.octets())),
        }
    }

    fn insert<V: Pod>(&self, map: &mut Map, value: V) -> Result<(), MapError> {
        match self {
            Self::HostV4(key) => HashMap::<_, HostV4, V>::try_from(map)?.insert(key, value, 0),
            Self::HostV6(key) => HashMap::<_, HostV6, V>::try_from(map)?.insert(key, value, 0),
            Self::TrieV4(key) => LpmTrie::try_from(map)?.insert(key, value, 0),
            Self::TrieV6(key) => LpmTrie::try_from(map)?.insert(key, value, 0),
        }
    }

    fn remove<V: Pod>(&self, map: &mut Map) -> Result<(), MapError> {
        match self {
            Self::HostV4(key) => HashMap::<_, _, V>::try_from(map)?.remove(key),
            Self::HostV6(key) => HashMap::<_, _, V>::try_from(map)?.remove(key),
            Self::TrieV4(key) => LpmTrie::<_, _, V>::try_from(map)?.remove(key),
            Self::TrieV6(key) => LpmTrie::<_, _, V>::try_from(map)?.remove(key),
        }
    }

    fn get<V: Pod>(&self, map: &Map) -> Result<V, MapError> {
        match self {
            Self::HostV4(key) => HashMap::try_from(map)?.get(key, 0),
            Self::HostV6(key) => HashMap::try_from(map)?.get(key, 0),
            Self::TrieV4(key) => LpmTrie::try_from(map)?.get(key, 0),
            Self::TrieV6(key) => LpmTrie::try_from(map)?.get(key, 0),
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

    /// Clears all bits of [`fw_common::near`]: whatever is listed, no packet is near it.
    pub fn unmark_all(&self) -> Result<()> {
        Near::new(&self.near)?.retain(iter::empty());
        Ok(())
    }

    /// Guards a prefix.
    pub fn guard(&mut self, prefix: Prefix) -> Result<()> {
        const SOURCE: u32 = 1;
        Near::new(&self.near)?.add(prefix);
        let map = self.map_mut(guard_map(prefix))?;
        let inserted = Place::in_trie(prefix).insert(map, SOURCE);
        inserted.with_context(|| format!("cannot guard {prefix}"))
    }

    /// Guards it no more.
    pub fn unguard(&mut self, prefix: Prefix) -> Result<()> {
        let map = self.map_mut(guard_map(prefix))?;
        let removed = Place::in_trie(prefix).remove::<u32>(map);
        removed.with_context(|| format!("cannot unguard {prefix}"))
    }

    /// Writes an entry, new or not, without traffic.
    pub fn set(&mut self, table: Table, prefix: Prefix, list: u16, deadline: u32) -> Result<()> {
        Near::new(&self.near)?.add(prefix);
        let map = self.map_mut(table.map(prefix))?;
        let written = Place::new(prefix).insert(map, Entry::new(prefix, list, deadline));
        written.with_context(|| format!("cannot write {prefix}"))
    }

    /// Removes an entry.
    pub fn remove(&mut self, table: Table, prefix: Prefix) -> Result<()> {
        let map = self.map_mut(table.map(prefix))?;
        let removed = Place::new(prefix).remove::<Entry>(map);
        removed.with_context(|| format!("cannot remove {prefix}"))
    }

    /// Reads an entry.
    pub fn entry(&self, table: Table, prefix: Prefix) -> Result<Entry> {
        let map = self.map(table.map(prefix))?;
        let entry = Place::new(prefix).get(map);
        entry.with_context(|| format!("cannot read {prefix}"))
    }

    /// Sets the switches.
    pub fn configure(&mut self, config: Config) -> Result<()> {
        let mut map = Array::try_from(self.map_mut(&abi::CONFIG)?)?;
        Ok(map.set(0, config, 0)?)
    }

    /// The counters of all outcomes, in their order, over all CPUs.
    pub fn counters(&self) -> Result<Vec<Counter>> {
        let map = PerCpuArray::<_, Counter>::try_from(self.map(&abi::COUNTERS)?)?;
        let sum = |outcome: Outcome| {
            let cpus = map.get(&outcome.index(), 0)?;
            Ok(cpus.iter().fold(Counter::default(), |sum, cpu| Counter {
                packets: sum.packets + cpu.packets,
                bytes: sum.bytes + cpu.bytes,
            }))
        };
        Outcome::all().map(sum).collect()
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
