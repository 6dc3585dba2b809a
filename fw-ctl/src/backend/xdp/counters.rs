//! What the program counts: packets and bytes by interface and outcome.

use std::collections::BTreeMap;

use aya::{
    Ebpf,
    maps::{Array, MapData, MapError, PerCpuArray},
};
use fw_common::{
    abi::{self, Counter},
    iface,
    reason::Outcome,
};

use super::load::{self, LoadError};

/// Name of an interface, with zeroes behind it.
type Name = [u8; iface::NAME];

/// All outcomes, in their order.
pub type Totals = Vec<(Outcome, Counter)>;

/// The maps of the counters.
pub struct Counters {
    counters: PerCpuArray<MapData, Counter>,
    ifaces: Array<MapData, u64>,
    names: Array<MapData, Name>,
    /// The slot of each name.
    slots: BTreeMap<String, u32>,
}

/// What the kernel says is the error of all of this.
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
impl Counters {
    /// The maps out of a loaded object.
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, LoadError> {
        let names = load::take(object, abi::IFACE_NAMES.name)?;
        let slots = given(&names).map_err(|source| LoadError::Map {
            name: abi::IFACE_NAMES.name,
            source,
        })?;
        Ok(Self {
            counters: load::take(object, abi::COUNTERS.name)?,
            ifaces: load::take(object, abi::IFACES.name)?,
            names,
            slots,
        })
    }

    /// Counts an interface apart from others from now on: in the slot that its name had before, so
    /// that it goes on counting, or in a free one. Where there is none, it is counted among others.
    pub fn count_apart(&mut self, name: &str, index: u32) -> Result<(), MapError> {
        let slot = match self.slots.get(name) {
            Some(slot) => *slot,
            None => {
                // They are never taken back, so these are the first ones.
                let slot = self.slots.len() as u32 + 1;
                if slot == iface::SLOTS {
                    return Ok(());
                }
                self.names.set(slot, padded(name), 0)?;
                self.slots.insert(name.to_owned(), slot);
                slot
            }
        };
        let word = iface::word(index, slot);
        self.ifaces.set(iface::place(index), word, 0)
    }

    /// Of each interface that is or was counted apart, and of all others together, without a name.
    pub fn by_interface(&self) -> Result<Vec<(String, Totals)>, MapError> {
        let given = self.slots.iter().map(|(name, slot)| (name.clone(), *slot));
        let slots = given.chain([(String::new(), 0)]);
        slots
            .map(|(name, slot)| Ok((name, self.slot(slot)?)))
            .collect()
    }

    /// Of all interfaces together.
    pub fn totals(&self) -> Result<Totals, MapError> {
        let mut sums: Totals = Outcome::all()
            .map(|outcome| (outcome, Counter::default()))
            .collect();
        for (_, totals) in self.by_interface()? {
            for ((_, sum), (_, counter)) in sums.iter_mut().zip(totals) {
                add(sum, &counter);
            }
        }
        Ok(sums)
    }

    /// All CPUs together.
    fn slot(&self, slot: u32) -> Result<Totals, MapError> {
        Outcome::all()
            .map(|outcome| {
                let mut sum = Counter::default();
                for counter in self.counters.get(&outcome.index_in(slot), 0)?.iter() {
                    add(&mut sum, counter);
                }
                Ok((outcome, sum))
            })
            .collect()
    }
}

/// Slots that were given to an interface, by its name.
fn given(names: &Array<MapData, Name>) -> Result<BTreeMap<String, u32>, MapError> {
    let mut slots = BTreeMap::new();
    for slot in 1..iface::SLOTS {
        let name = names.get(&slot, 0)?;
        let text: Vec<u8> = name.into_iter().take_while(|byte| *byte != 0).collect();
        if !text.is_empty() {
            slots.insert(String::from_utf8_lossy(&text).into_owned(), slot);
        }
    }
    Ok(slots)
}

fn add(sum: &mut Counter, counter: &Counter) {
    sum.packets += counter.packets;
    sum.bytes += counter.bytes;
}

/// The kernel knows no longer names.
fn padded(name: &str) -> Name {
    let mut padded = Name::default();
    for (to, byte) in padded.iter_mut().zip(name.bytes()) {
        *to = byte;
    }
    padded
}
