//! The scan detector's maps: slots, ports, own addresses, what was granted and taken, crossings.

use std::{
    collections::BTreeSet,
    io,
    net::IpAddr,
    os::fd::{AsFd as _, AsRawFd, RawFd},
    sync::atomic::Ordering,
};

use aya::{
    Ebpf,
    maps::{Array, HashMap, MapData, MapError, PerCpuArray, RingBuf},
};
use fw_common::{
    abi::{self, PORT_WORDS, PortWord, ScanEvent, Scanner},
    scan::{self, Slot},
};

use super::{
    fields::Fields,
    load::{self, LoadError},
    sys::{self, Mapped},
};

/// Words of a slot, and those of them that hold its source.
const SLOT_WORDS: usize = size_of::<Slot>() / size_of::<u64>();
const SOURCE_WORDS: usize = 2;

/// The detector's maps.
pub struct Scan {
    slots: MapData,
    scanners: PerCpuArray<MapData, Scanner>,
    taken: Array<MapData, u64>,
    ports: Array<MapData, PortWord>,
    own: HashMap<MapData, [u8; 16], u32>,
    crossings: Option<Crossings>,
}

impl Scan {
    /// The maps out of a loaded object.
    ///
    /// # Errors
    /// [`LoadError::Object`]
    pub(super) fn take(object: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            slots: load::take_map(object, abi::SCAN.name)?,
            scanners: load::take(object, abi::SCANNER.name)?,
            taken: load::take(object, abi::TAKEN.name)?,
            ports: load::take(object, abi::PORTS.name)?,
            own: load::take(object, abi::OWN.name)?,
            crossings: Some(Crossings(load::take(object, abi::SCANS.name)?)),
        })
    }

    /// The reading end of the ring of crossings; there is one.
    pub fn take_crossings(&mut self) -> Option<Crossings> {
        self.crossings.take()
    }

    /// Blocks the program has written since the map was made.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn taken(&self) -> Result<u64, MapError> {
        self.taken.get(&0, 0)
    }

    /// How it went, all CPUs together.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn totals(&self) -> Result<Scanner, MapError> {
        let cpus = self.scanners.get(&0, 0)?;
        Ok(cpus.iter().fold(Scanner::default(), |sum, cpu| Scanner {
            crossings: sum.crossings + cpu.crossings,
            capped: sum.capped + cpu.capped,
            limited: sum.limited + cpu.limited,
            lost: sum.lost + cpu.lost,
            ..sum
        }))
    }

    /// The port words: those of TCP, then those of UDP.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn ports(&self) -> Result<Vec<PortWord>, MapError> {
        (0..2 * PORT_WORDS)
            .map(|index| self.ports.get(&index, 0))
            .collect()
    }

    /// Writes the port words that differ from `before`.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_ports(&mut self, before: &[PortWord], after: &[PortWord]) -> Result<(), MapError> {
        let changed = (0..)
            .zip(before.iter().zip(after))
            .filter(|(_, (before, after))| before != after);
        for (index, (_, after)) in changed {
            self.ports.set(index, after, 0)?;
        }
        Ok(())
    }

    /// Makes these the addresses whose ports can be probed.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_own(&mut self, addresses: impl Iterator<Item = IpAddr>) -> Result<(), MapError> {
        let wanted: BTreeSet<[u8; 16]> = addresses
            .map(|address| scan::mapped(&address.into()))
            .collect();
        let there: BTreeSet<[u8; 16]> = self.own.keys().collect::<Result<_, _>>()?;
        for key in wanted.difference(&there) {
            self.own.insert(key, 1, 0)?;
        }
        for key in there.difference(&wanted) {
            self.own.remove(key)?;
        }
        Ok(())
    }

    /// One slot.
    ///
    /// # Errors
    /// What `bpf(2)` says.
    pub fn slot(&self, index: u32) -> io::Result<Option<Slot>> {
        let mut bytes = [0; size_of::<Slot>()];
        sys::lookup(self.slots.fd().as_fd(), &index.to_ne_bytes(), &mut bytes)?;
        Ok(decode_slot(&bytes))
    }

    /// Calls `each` with every slot that holds a source. They are looked at where the program has
    /// them: most are free, and copying all would hold the daemon up.
    ///
    /// # Errors
    /// The map cannot be mapped.
    pub fn slots(&self, each: impl FnMut(Slot)) -> io::Result<()> {
        let words = SLOT_WORDS * abi::SCAN.capacity as usize;
        let mapped = Mapped::new(self.slots.fd().as_fd(), words)?;
        let slots = mapped.words().chunks_exact(SLOT_WORDS);
        slots
            .map(|slot| slot.iter().map(|word| word.load(Ordering::Relaxed)))
            .filter(|words| words.clone().take(SOURCE_WORDS).any(|word| word != 0))
            .filter_map(|words| decode_slot(&words.flat_map(u64::to_ne_bytes).collect::<Vec<u8>>()))
            .for_each(each);
        Ok(())
    }
}

/// The reading end of the ring of crossings; readable while there are some.
pub struct Crossings(RingBuf<MapData>);

impl Crossings {
    /// The next one, if there is one.
    pub fn next_event(&mut self) -> Option<ScanEvent> {
        self.0.next().and_then(|bytes| decode(&bytes))
    }
}

impl AsRawFd for Crossings {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn decode(bytes: &[u8]) -> Option<ScanEvent> {
    let mut fields = Fields(bytes);
    // In the order of the layout: fields of a struct expression are evaluated as written.
    Some(ScanEvent {
        time_ns: fields.u64()?,
        source: fields.next()?,
        destination: fields.next()?,
        ports: [fields.u64()?, fields.u64()?],
        hosts: fields.u32()?,
        ifindex: fields.u32()?,
        deadline: fields.u32()?,
        points: fields.u16()?,
        slow: fields.u16()?,
        recent: fields.u16s()?,
        port: fields.u16()?,
        family: fields.u8()?,
        protocol: fields.u8()?,
        kinds: fields.u8()?,
        observed: fields.u8()?,
        prefix_length: fields.u8()?,
        trigger: fields.u8()?,
        reserved: fields.next()?,
    })
}

fn decode_slot(bytes: &[u8]) -> Option<Slot> {
    let mut fields = Fields(bytes);
    Some(Slot {
        source: fields.next()?,
        ports: [fields.u64()?, fields.u64()?],
        hosts: fields.u32()?,
        lock: fields.u32()?,
        start: fields.u32()?,
        slow_start: fields.u32()?,
        points: fields.u16()?,
        slow: fields.u16()?,
        hop_limit: fields.u8()?,
        kinds: fields.u8()?,
        recent: fields.u16s()?,
    })
}
