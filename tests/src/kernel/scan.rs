//! The scan detector's maps.
#![expect(unsafe_code, reason = "an event is read out of the ring's memory")]

use std::{iter, net::IpAddr};

use anyhow::{Result, ensure};
use aya::maps::{Array, HashMap, PerCpuArray};
use fw_common::{
    abi::{self, HostV6, PORT_WORDS, PortWord, ScanEvent, Scanner},
    scan::{self, Slot},
};

use super::Kernel;

/// Protocols whose ports are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
}

/// What the program is told of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// Nothing.
    Closed,
    /// Somebody listens.
    Served,
    /// Nobody has any business there.
    Bait,
}

/// Errors are the kernel's.
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
impl Kernel {
    /// Adds to the host's own addresses.
    pub fn own(&mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Result<()> {
        let mut map = HashMap::<_, HostV6, u32>::try_from(self.map_mut(&abi::OWN)?)?;
        for address in addresses {
            map.insert(scan::mapped(&address.into()), 1, 0)?;
        }
        Ok(())
    }

    /// Tells the program of a port.
    pub fn set_port(&mut self, protocol: Protocol, number: u16, port: Port) -> Result<()> {
        let first = match protocol {
            Protocol::Tcp => 0,
            Protocol::Udp => PORT_WORDS,
        };
        let index = first + u32::from(number / 64);
        let mut map = Array::<_, PortWord>::try_from(self.map_mut(&abi::PORTS)?)?;
        let bit = 1 << (number % 64);
        let mut word = map.get(&index, 0)?;
        word.served &= !bit;
        word.bait &= !bit;
        match port {
            Port::Closed => {}
            Port::Served => word.served |= bit,
            Port::Bait => word.bait |= bit,
        }
        Ok(map.set(index, word, 0)?)
    }

    /// A slot, free or not.
    pub fn slot(&self, index: u32) -> Result<Slot> {
        let map = Array::try_from(self.map(&abi::SCAN)?)?;
        Ok(map.get(&index, 0)?)
    }

    /// How scans went, over all CPUs.
    pub fn scanner(&self) -> Result<Scanner> {
        let map = PerCpuArray::<_, Scanner>::try_from(self.map(&abi::SCANNER)?)?;
        let cpus = map.get(&0, 0)?;
        Ok(cpus.iter().fold(Scanner::default(), |sum, cpu| Scanner {
            crossings: sum.crossings + cpu.crossings,
            capped: sum.capped + cpu.capped,
            limited: sum.limited + cpu.limited,
            lost: sum.lost + cpu.lost,
            ..sum
        }))
    }

    /// Blocks that the program has written.
    pub fn taken(&self) -> Result<u64> {
        let map = Array::try_from(self.map(&abi::TAKEN)?)?;
        Ok(map.get(&0, 0)?)
    }

    /// Takes the crossings that wait in the ring.
    pub fn crossings(&mut self) -> Result<Vec<ScanEvent>> {
        let ring = &mut self.crossings;
        iter::from_fn(|| ring.next().map(|bytes| crossing(&bytes))).collect()
    }
}

fn crossing(bytes: &[u8]) -> Result<ScanEvent> {
    ensure!(
        bytes.len() == size_of::<ScanEvent>(),
        "an event of {} bytes",
        bytes.len()
    );
    // SAFETY: as many bytes as the event has; they may stand anywhere, and any bits are an event
    // (`aya::Pod`).
    Ok(unsafe { bytes.as_ptr().cast::<ScanEvent>().read_unaligned() })
}
