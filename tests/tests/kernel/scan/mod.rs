//! The scan detector. Each test runs its packets in a network namespace of its own, so that no
//! socket of this machine is found.

mod caps;
mod chains;
mod counted;
mod crossing;
mod networks;
mod observe;
mod race;
mod replay;
mod sockets;
mod steps;
mod traffic;
mod uncounted;

use std::net::IpAddr;

use anyhow::Result;
use fw_common::{
    Prefix,
    abi::Config,
    reason::{Outcome, Reason},
    scan::{self, ONE, Slot, Thresholds},
};
use fw_tests::{
    frames::{Frame, SERVER_V4, SERVER_V6, tcp},
    kernel::{Action, Kernel, Program},
};
use nix::sched::{CloneFlags, unshare};

/// No better than another one.
const SEED: u64 = 0x5bd1_e995_97f4_a7c1;

/// Ports that it takes.
const THRESHOLD: usize = 10;

/// The settings of a fresh installation, but that who scans is blocked.
pub fn enforcing() -> Config {
    Config {
        scan: Config::SCAN_ENFORCE,
        granted: 1_000_000,
        seed: SEED,
        thresholds: Thresholds {
            points: THRESHOLD as u16 * ONE,
            slow: 20 * ONE,
            window: 60,
            slow_window: 3600,
        },
        ttl: 600,
        bait: 5 * ONE,
        ephemeral: [32_768, 60_999],
        v6_prefix: 64,
        ..Config::default()
    }
}

fn observing() -> Config {
    Config {
        scan: Config::SCAN_OBSERVE,
        ..enforcing()
    }
}

/// Leaves this thread in a new network namespace. Packets of a test run come in where the thread
/// is.
pub fn without_sockets() -> Result<()> {
    Ok(unshare(CloneFlags::CLONE_NEWNET)?)
}

/// A kernel that watches for scans of the server.
fn watching(config: Config) -> Result<Kernel> {
    without_sockets()?;
    let mut kernel = Kernel::load()?;
    kernel.configure(config)?;
    kernel.own([SERVER_V4.into(), SERVER_V6.into()])?;
    Ok(kernel)
}

/// Sixty ports that have a bit each, none of them ephemeral.
pub fn ports() -> Vec<u16> {
    let mut seen = 0_u128;
    let alone = (1000..).filter(|port| {
        let bit = 1 << scan::port_bit(*port, SEED);
        let alone = seen & bit == 0;
        seen |= bit;
        alone
    });
    alone.take(60).collect()
}

fn tcp(source: IpAddr, port: u16, flags: u8) -> Vec<u8> {
    Frame::new().ip(source).tcp(40000, port, flags).bytes()
}

fn syn(source: IpAddr, port: u16) -> Vec<u8> {
    tcp(source, port, tcp::SYN)
}

fn udp(source: IpAddr, port: u16) -> Vec<u8> {
    Frame::new().ip(source).udp(40000, port).bytes()
}

/// Runs a frame through and says what it was counted as.
pub fn outcome(kernel: &Kernel, program: Program, frame: &[u8]) -> Result<Outcome> {
    let before = kernel.counters()?;
    let action = kernel.receive(program, frame, 1)?;
    let after = kernel.counters()?;
    let changed = Outcome::all().filter(|outcome| {
        let at = outcome.index() as usize;
        before[at] != after[at]
    });
    let [outcome] = changed.collect::<Vec<_>>()[..] else {
        panic!("not counted once");
    };
    assert_eq!(action == Action::Drop, outcome.action() == "drop");
    Ok(outcome)
}

/// Why a frame that must not be observed got its verdict.
fn reason(kernel: &Kernel, program: Program, frame: &[u8]) -> Result<Reason> {
    let outcome = outcome(kernel, program, frame)?;
    assert!(!outcome.observed);
    Ok(outcome.reason)
}

/// Sends a SYN to each of these ports, and all of them pass.
fn passes(kernel: &Kernel, program: Program, source: IpAddr, ports: &[u16]) -> Result<()> {
    for port in ports {
        let reason = reason(kernel, program, &syn(source, *port))?;
        assert_eq!(reason, Reason::Default, "{source} to port {port}");
    }
    Ok(())
}

/// As [`passes`], and with the last one the source has crossed.
fn crosses(kernel: &Kernel, program: Program, source: IpAddr, ports: &[u16]) -> Result<()> {
    let (last, rest) = ports.split_last().expect("ports");
    passes(kernel, program, source, rest)?;
    let reason = reason(kernel, program, &syn(source, *last))?;
    assert_eq!(reason, Reason::Scan, "{source} to port {last}");
    Ok(())
}

/// The slot of a source.
fn place(source: IpAddr) -> u32 {
    let source = scan::source(&source.into(), 64);
    scan::slot_of(scan::hash(&source, SEED))
}

/// What is known of a source, if anything is.
fn slot(kernel: &Kernel, source: IpAddr) -> Result<Option<Slot>> {
    let slot = kernel.slot(place(source))?;
    let source = scan::source(&source.into(), 64);
    assert!(slot.source == source || slot == Slot::default());
    assert_eq!(slot.lock, 0);
    Ok((slot.source == source).then_some(slot))
}

/// What is blocked of a source that crossed.
fn block(source: IpAddr) -> Prefix {
    match source {
        IpAddr::V4(_) => Prefix::host(source),
        IpAddr::V6(_) => Prefix::new(source, 64).expect("not too long"),
    }
}
