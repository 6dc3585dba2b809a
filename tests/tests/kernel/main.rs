//! Ring 2: the loaded program, run on made-up frames by the kernel itself. Needs root.

mod agreement;
mod bypass;
mod counting;
mod countries;
mod deadlines;
mod flat;
mod half_way;
mod library;
mod limits;
mod model;
mod noise;
mod order;
mod random;
mod rules;
mod sampling;
mod scan;

use std::{
    fmt,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    thread,
    time::Duration,
};

use anyhow::Result;
use fw_common::{
    Prefix,
    reason::{Family, Outcome, Reason},
};
use fw_tests::{
    frames::{Frame, tcp},
    kernel::{Action, Answer},
};
use nix::{
    sched::{CpuSet, sched_getcpu, sched_setaffinity},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};

/// Who sends, in one family.
struct Sender {
    /// Stands in the tables.
    listed: IpAddr,
    /// A network of the listed address, not of the free one.
    network: Prefix,
    /// Never listed.
    free: IpAddr,
}

/// One of each family.
fn senders() -> [Sender; 2] {
    [
        Sender {
            listed: Ipv4Addr::new(198, 51, 100, 7).into(),
            network: prefix("198.51.100.0/24"),
            free: Ipv4Addr::new(203, 0, 113, 9).into(),
        },
        Sender {
            listed: Ipv6Addr::new(0x2001, 0xdb8, 0xbad, 0, 0, 0, 0, 7).into(),
            network: prefix("2001:db8:bad::/48"),
            free: Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0, 0, 0, 9).into(),
        },
    ]
}

fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

/// An ordinary packet.
fn syn(source: IpAddr) -> Vec<u8> {
    Frame::new().ip(source).tcp(40000, 22, tcp::SYN).bytes()
}

/// What is expected of a frame that no entry decides.
fn plain(reason: Reason, family: Family) -> Answer {
    decided(reason, family, (0, 0, 0))
}

/// What is expected of a frame, with list, deadline and prefix length of the deciding entry.
fn decided(reason: Reason, family: Family, entry: (u16, u32, u8)) -> Answer {
    Answer {
        action: match reason.drops() {
            true => Action::Drop,
            false => Action::Pass,
        },
        outcome: Outcome {
            reason,
            family,
            observed: false,
        },
        entry,
        rule: 0,
    }
}

/// The family of a packet from this source.
fn family(source: IpAddr) -> Family {
    match source {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// An address as events carry it.
fn wire(address: IpAddr) -> [u8; 16] {
    let mut bytes = [0; 16];
    match address {
        IpAddr::V4(v4) => bytes[..4].copy_from_slice(&v4.octets()),
        IpAddr::V6(v6) => bytes = v6.octets(),
    }
    bytes
}

/// Nanoseconds of `CLOCK_BOOTTIME`.
fn boot_nanoseconds() -> Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME)?;
    Ok(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

/// Stays on this CPU from the start of a second on, so that a second's worth of drops is one.
fn at_the_start_of_a_second() -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(sched_getcpu()?)?;
    sched_setaffinity(Pid::from_raw(0), &cpus)?;
    let rest = 1_000_000_000 - boot_nanoseconds()? % 1_000_000_000;
    thread::sleep(Duration::from_nanos(rest));
    Ok(())
}

/// A line about a test that passes, which libtest does not keep to itself.
fn report(line: fmt::Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    // Nothing is lost but a line for people.
    let _ = writeln!(stdout, "{line}");
}
