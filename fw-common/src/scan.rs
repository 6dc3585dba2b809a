//! Port scans: what counts as a probe, and when a source has crossed the threshold.
//!
//! A [`Slot`] holds what is known of one source. [`step`] takes it one probe further; it is pure,
//! so the kernel program and the host tests run the same.
//!
//! Every port counts once, however often it is tried. Two scores grow with each new port: one
//! halves with every window that passes, so a scan astride an edge is found like any other; the
//! other halves with every slow window, and finds who is patient. (A slow window ends the other
//! score too, so that no port counts twice for it; whoever waits for that moment is a slow scanner
//! all the same.) Bits of a port set never exceed
//! the ports tried, so a collision of hashes finds a scan later, and never one that was none.

mod key;

use crate::parse::{Packet, Transport};

pub(crate) use key::mix;
pub use key::{auto_key, hash, host_bit, length_of, mapped, port_bit, slot_of, source, tag_of};

/// Points of a SYN to a port that is not served; thresholds are multiples of it.
pub const ONE: u16 = 16;

/// More points than any threshold has.
const ENOUGH: u16 = 65 * ONE;

/// What kind of packet a probe is. The numbers are bits of [`Slot::kinds`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A TCP SYN.
    Syn = 1,
    /// A UDP datagram.
    Udp = 2,
    /// TCP flags that no stack sends (RFC 9293: all but SYN and RST carry ACK), or a fragment that
    /// ends before the flags.
    Flags = 4,
    /// FIN and ACK: a late goodbye, or a Maimon probe.
    Fin = 8,
    /// More extension headers than are read (RFC 8200, section 4.1: each occurs once). Linux would
    /// deliver what hides behind them, at a port that nobody can tell.
    Chain = 32,
}

impl Kind {
    /// Bit of [`Slot::kinds`] for a port of [`crate::abi::PortWord::bait`].
    pub const BAIT: u8 = 16;
    /// Bit of [`Slot::kinds`] for packets that came over another path than the first probe, by
    /// their hop limits: they need not all be of the same host.
    pub const PATHS: u8 = 64;

    /// Points, if it meets a port that is not served.
    #[inline(always)]
    pub const fn weight(self) -> u16 {
        match self {
            Self::Syn | Self::Fin => ONE,
            Self::Udp => ONE / 2,
            Self::Flags => 2 * ONE,
            Self::Chain => ENOUGH,
        }
    }
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// What kind of probe a packet would be at a port that is not served. SYN-ACK, RST and plain ACK
/// are answers, perhaps to somebody who uses our address, and never count; nor does ICMP.
#[inline(always)]
pub fn kind(packet: &Packet) -> Option<Kind> {
    match packet.transport {
        Transport::Udp => Some(Kind::Udp),
        Transport::TcpCut => Some(Kind::Flags),
        Transport::Chain => Some(Kind::Chain),
        Transport::Tcp => {
            let flags = packet.tcp_flags;
            match (flags & SYN != 0, flags & (FIN | RST | ACK)) {
                (true, 0) => Some(Kind::Syn),
                (true, ACK) => None,
                (true, _) => Some(Kind::Flags),
                (false, 0 | FIN) => Some(Kind::Flags),
                (false, 0b1_0001) => Some(Kind::Fin),
                (false, _) => None,
            }
        }
        Transport::Unknown | Transport::Icmp => None,
    }
}

/// When a source has crossed.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// Points in a window.
    pub points: u16,
    /// Points in a slow window.
    pub slow: u16,
    /// Seconds of a window; at least 1.
    pub window: u32,
    /// Seconds of a slow window; longer than a window.
    pub slow_window: u32,
}

/// Why a source has crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Trigger {
    /// Too many ports in a window.
    Window = 1,
    /// Too many ports in a slow window.
    Slow = 2,
}

/// A probe, as the slot sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Destination port.
    pub port: u16,
    /// Which of 128 bits stands for the port: [`port_bit`].
    pub port_bit: u8,
    /// Which of 32 bits stands for the destination: [`host_bit`].
    pub host_bit: u8,
    /// Points.
    pub weight: u16,
    /// Bits for [`Slot::kinds`].
    pub kinds: u8,
    /// Of the source: [`tag_of`].
    pub tag: u8,
    /// TTL or hop limit.
    pub hop_limit: u8,
}

/// What is known of one source: one cache line in the array `SCAN`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// [`source`]; zero while the slot is free.
    pub source: [u8; 16],
    /// A bit for each port that was counted in this slow window.
    pub ports: [u64; 2],
    /// A bit for each destination that was counted in this slow window.
    pub hosts: u32,
    /// Not 0 while a CPU works on the slot.
    pub lock: u32,
    /// Second in which the window began.
    pub start: u32,
    /// Second in which the slow window began.
    pub slow_start: u32,
    /// Score of the window; [`CROSSED`] after a crossing.
    pub points: u16,
    /// Score of the slow window.
    pub slow: u16,
    /// Hop limit of the first probe.
    pub hop_limit: u8,
    /// What was seen: bits of [`Kind`].
    pub kinds: u8,
    /// The last ports that were counted, oldest first; 0 where there are fewer.
    pub recent: [u16; 5],
}

const _: () = assert!(size_of::<Slot>() == 64);

/// [`Slot::points`] of a source that has crossed.
pub const CROSSED: u16 = u16::MAX;

/// Who holds a slot, in two bytes. In a flood of forged sources most probes end here.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Claim {
    /// Of the source that holds the slot: [`tag_of`].
    pub tag: u8,
    /// Probes of other sources that it takes to lose it.
    pub life: u8,
}

/// [`Claim::life`] for each port of a source. More, and a newcomer waits longer for a place in a
/// flood; less, and he loses it sooner.
const FIRST_LIFE: u8 = 16;

/// What a probe came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The slot belongs to another source, or the port was known, or it was no probe after all.
    Nothing,
    /// Counted.
    Counted,
    /// This probe crosses a threshold.
    Crossed(Trigger),
}

/// Whether a probe of the source with this tag is to look at the slot: it may be its own, or free,
/// or held by a source that is idle. Everybody else takes a little of the holder's life.
#[inline(always)]
pub fn looks(claim: &mut Claim, tag: u8) -> bool {
    if claim.tag == tag || claim.life == 0 {
        return true;
    }
    claim.life -= 1;
    claim.life.is_multiple_of(FIRST_LIFE)
}

/// Takes a slot one probe of `source` further at second `now`. `closed` is asked, at a price,
/// whether the port is really closed; not for the first probe of a source, if that settles
/// nothing.
#[inline(always)]
pub fn step(
    slot: &mut Slot,
    claim: &mut Claim,
    source: &[u8; 16],
    probe: &Probe,
    limits: &Thresholds,
    now: u32,
    closed: impl FnOnce() -> bool,
) -> Step {
    let first = slot.source != *source;
    if first {
        // The life of a source that is idle halves with every window: a table that a flood has
        // filled is free again in minutes.
        claim.life >>= elapsed(slot.start, limits.window, now).min(7);
        if claim.life >= FIRST_LIFE {
            return Step::Nothing;
        }
        begin(slot, source, now);
        *claim = Claim {
            tag: probe.tag,
            life: 0,
        };
    } else {
        // It may have been lost with the claims of an earlier start.
        claim.tag = probe.tag;
        pass_time(slot, limits, now);
    }
    if !is_new(slot, probe) {
        return Step::Nothing;
    }
    // A client of many addresses of ours may well try the same wrong port on each.
    let weight = match word(slot, probe) & bit(probe) {
        0 => probe.weight,
        _ => probe.weight / 2,
    };
    let points = slot.points.saturating_add(weight);
    let slow = slot.slow.saturating_add(weight);
    let trigger = match (points >= limits.points, slow >= limits.slow) {
        (true, _) => Some(Trigger::Window),
        (false, true) => Some(Trigger::Slow),
        (false, false) => None,
    };
    if (!first || trigger.is_some()) && !closed() {
        return Step::Nothing;
    }
    note(slot, probe);
    claim.life = claim.life.saturating_add(FIRST_LIFE);
    slot.points = points;
    slot.slow = slow;
    match trigger {
        Some(trigger) => {
            // There is no more to learn of it.
            claim.life = 0;
            Step::Crossed(trigger)
        }
        None => Step::Counted,
    }
}

/// Whether the source has crossed: its block stands, or has ended and it begins anew.
#[inline(always)]
pub fn has_crossed(slot: &Slot, source: &[u8; 16]) -> bool {
    slot.source == *source && slot.points == CROSSED
}

/// A served port was asked for: half a port of the slow score is forgiven, unless the source has
/// probed of late. So a crowd behind one address makes up for its mistakes, and a scanner who does
/// the same must wait for some windows after each probe.
#[inline(always)]
pub fn forgive(slot: &mut Slot, source: &[u8; 16], hop_limit: u8, limits: &Thresholds, now: u32) {
    if slot.source != *source {
        return;
    }
    compare_path(slot, hop_limit);
    pass_time(slot, limits, now);
    if slot.points == 0 {
        slot.slow = slot.slow.saturating_sub(ONE / 2);
    }
}

#[inline(always)]
fn compare_path(slot: &mut Slot, hop_limit: u8) {
    if slot.kinds == 0 {
        slot.hop_limit = hop_limit;
    } else if slot.hop_limit != hop_limit {
        slot.kinds |= Kind::PATHS;
    }
}

/// Empties a slot for a source.
#[inline(always)]
pub fn begin(slot: &mut Slot, source: &[u8; 16], now: u32) {
    slot.source = *source;
    slot.ports = [0; 2];
    slot.hosts = 0;
    slot.start = now;
    slot.slow_start = now;
    slot.points = 0;
    slot.slow = 0;
    slot.kinds = 0;
    slot.recent = [0; 5];
}

/// Halves the scores for the windows that have passed.
#[inline(always)]
pub fn pass_time(slot: &mut Slot, limits: &Thresholds, now: u32) {
    let windows = elapsed(slot.start, limits.window, now);
    if windows > 0 {
        slot.start = slot.start.wrapping_add(windows.wrapping_mul(limits.window));
        slot.points = halved(slot.points, windows);
    }
    let slow_windows = elapsed(slot.slow_start, limits.slow_window, now);
    if slow_windows > 0 {
        slot.slow_start =
            (slot.slow_start).wrapping_add(slow_windows.wrapping_mul(limits.slow_window));
        slot.slow = halved(slot.slow, slow_windows);
        // Ports may be counted anew from here on, so what they scored in the window goes too.
        slot.points = 0;
        slot.ports = [0; 2];
        slot.hosts = 0;
    }
}

/// Whole windows since `start`. The clock of another CPU may be a tick behind.
#[inline(always)]
fn elapsed(start: u32, window: u32, now: u32) -> u32 {
    let passed = now.wrapping_sub(start);
    if window == 0 || passed > u32::MAX / 2 {
        return 0;
    }
    passed / window
}

#[inline(always)]
fn halved(score: u16, times: u32) -> u16 {
    if times > 15 { 0 } else { score >> times }
}

/// Whether the port has not been counted yet, or not on this destination.
#[inline(always)]
fn is_new(slot: &Slot, probe: &Probe) -> bool {
    let port_known = word(slot, probe) & bit(probe) != 0;
    let host_known = slot.hosts & (1 << (probe.host_bit & 31)) != 0;
    !(port_known && host_known)
}

#[inline(always)]
fn note(slot: &mut Slot, probe: &Probe) {
    if word(slot, probe) & bit(probe) == 0 {
        let [_, b, c, d, e] = slot.recent;
        slot.recent = [b, c, d, e, probe.port];
    }
    let known = word(slot, probe) | bit(probe);
    if probe.port_bit & 64 == 0 {
        slot.ports[0] = known;
    } else {
        slot.ports[1] = known;
    }
    slot.hosts |= 1 << (probe.host_bit & 31);
    compare_path(slot, probe.hop_limit);
    slot.kinds |= probe.kinds;
}

#[inline(always)]
fn word(slot: &Slot, probe: &Probe) -> u64 {
    let [low, high] = slot.ports;
    if probe.port_bit & 64 == 0 { low } else { high }
}

#[inline(always)]
fn bit(probe: &Probe) -> u64 {
    1 << (probe.port_bit & 63)
}

#[cfg(test)]
mod tests;
