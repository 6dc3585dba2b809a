//! What the kernel program and the controller must agree on, byte for byte.
//!
//! Layouts are `repr(C)` without implicit padding and their sizes are asserted below. Bump
//! [`VERSION`] when a name, a layout, a flag or the meaning of a field changes: maps are pinned
//! under it, so a new controller never reads an old program's memory.

mod maps;

use crate::{
    prefix::Prefix,
    reason::{Family, Outcome, Reason},
    scan::Thresholds,
};

pub use maps::*;

/// Version of everything in this module; it names the pin directory (`v6`).
pub const VERSION: u32 = 6;

/// A [`Entry::deadline`] that never passes.
pub const NEVER: u32 = u32::MAX;

/// Number of the list `auto`, whose entries the program writes itself.
pub const AUTO_LIST: u16 = 2;

/// `BPF_F_NO_PREALLOC`: elements are allocated when they are inserted, so a large capacity costs
/// memory only when it is used. The kernel demands it of LPM tries.
pub const NO_PREALLOC: u32 = 1;

/// The attached program; `xdp.frags` needs Linux 5.18.
pub const PROGRAM_FRAGS: &str = "fwctl_frags";
/// The same program for kernels without multi-buffer XDP.
pub const PROGRAM_LINEAR: &str = "fwctl_linear";
/// A program that is never attached: run once by the controller, it logs the configuration as the
/// kernel side reads it.
pub const PROGRAM_ANNOUNCE: &str = "fwctl_announce";

/// Key bytes of an LPM trie: the prefix length as a machine `u32`, then the address. An IPv4
/// address is followed by four zero bytes, because the value sits behind the key and its 64-bit
/// counters must stay aligned.
pub type TrieV4 = [u8; 8];
/// See [`TrieV4`].
pub type TrieV6 = [u8; 16];
/// As [`TrieV4`], behind a class in network order and two zero bytes: the rules of a class.
pub type ClassV4 = [u8; 8];
/// See [`ClassV4`].
pub type ClassV6 = [u8; 20];
/// Key of a table of single addresses.
pub type HostV4 = [u8; 4];
/// See [`HostV4`].
pub type HostV6 = [u8; 16];

/// Key of `AUTO_V6`: the length, then the address as two numbers, the higher half first.
pub type AutoV6 = [u64; 3];

/// A listed prefix. Deadline, list, length and flags are read and written as one word.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Second of `CLOCK_BOOTTIME` from which on the entry counts no more; [`NEVER`] for none.
    pub deadline: u32,
    /// Number of the list whose deadline this is.
    pub list: u16,
    /// Length of the prefix. A trie answers with the longest prefix that covers what it is asked
    /// for; this says which one it was.
    pub length: u8,
    /// [`Entry::OBSERVED`] or 0; in a row with its kind: [`Entry::GUARD`], [`Entry::ALLOW`] or
    /// [`Entry::BLOCK`].
    pub flags: u8,
    /// Packets decided by this entry, added atomically by the program.
    pub packets: u64,
    /// Their bytes, from the Ethernet header on.
    pub bytes: u64,
}

impl Entry {
    /// In `flags`: what this entry would drop passes and is counted as observed.
    pub const OBSERVED: u8 = 1;
    /// In `flags`: the bits of the kind. A row without a kind is free.
    pub const KIND: u8 = 6;
    /// In `flags`: a row of the guard; `list` is the number of a guard source.
    pub const GUARD: u8 = 2;
    /// In `flags`: a row that allows.
    pub const ALLOW: u8 = 4;
    /// In `flags`: a row that blocks.
    pub const BLOCK: u8 = 6;
    /// In `flags`: nothing refers to the row any more, but a packet on its way may still read it.
    pub const RETIRED: u8 = 8;
    /// In `flags`, of a row that blocks a host: who reads half 0 of [`ROOT`] finds it in its bucket,
    /// and, in the next bit, who reads half 1 does. A row in neither is not seen yet, or no more.
    pub const SEEN: u8 = 16;

    /// The entry of a prefix, without traffic.
    pub const fn new(prefix: Prefix, list: u16, deadline: u32) -> Self {
        Self {
            deadline,
            list,
            length: prefix.length(),
            flags: 0,
            packets: 0,
            bytes: 0,
        }
    }
}

/// A listed prefix of IPv4.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowV4 {
    /// What it says.
    pub entry: Entry,
    /// First address, as a number.
    pub address: u32,
    /// Zero.
    pub reserved: u32,
}

/// A listed prefix of IPv6.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowV6 {
    /// What it says.
    pub entry: Entry,
    /// First address as a number, the higher half first.
    pub address: [u64; 2],
    /// Zero, so that it is a line of cache.
    pub reserved: [u64; 3],
}

/// Runtime switches, in the one element of `CONFIG`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Not 0: what would be dropped passes and is counted as observed.
    pub observe: u32,
    /// Second of boot time until which drops are sampled; 0 while nobody listens. A deadline and
    /// not a switch, so that sampling ends by itself when the listener dies.
    pub sample_until: u32,
    /// Samples a second and CPU at most.
    pub samples_per_sec: u32,
    /// [`Config::SCAN_OFF`], [`Config::SCAN_OBSERVE`] or [`Config::SCAN_ENFORCE`].
    pub scan: u32,
    /// Blocks the program may have written in all, to be compared with `TAKEN`.
    pub granted: u64,
    /// Random, so that nobody can choose a slot.
    pub seed: u64,
    /// When a source has crossed.
    pub thresholds: Thresholds,
    /// Seconds a first block lasts.
    pub ttl: u32,
    /// Points a port of [`PortWord::bait`] counts.
    pub bait: u16,
    /// Ports this host's own connections come from, both ends included.
    pub ephemeral: [u16; 2],
    /// Bits of an IPv6 address that make one source.
    pub v6_prefix: u16,
    /// Zero.
    pub reserved: u32,
}

impl Config {
    /// Nothing is counted.
    pub const SCAN_OFF: u32 = 0;
    /// Who crosses is reported, and what would be dropped is counted.
    pub const SCAN_OBSERVE: u32 = 1;
    /// Who crosses is blocked.
    pub const SCAN_ENFORCE: u32 = 2;
}

/// 64 ports of one protocol: port `p` is bit `p % 64` of word `p / 64`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortWord {
    /// Somebody listens, or has just stopped.
    pub served: u64,
    /// Nobody listens, and nobody has any business there.
    pub bait: u64,
}

/// The one element of the per-CPU array `SCANNER`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanner {
    /// Second of boot time that `used` belongs to.
    pub second: u32,
    /// Events of crossings without a block in that second.
    pub used: u32,
    /// Sources that crossed.
    pub crossings: u64,
    /// Of these, left alone because nothing was granted, or the table was full.
    pub capped: u64,
    /// Of those, not told because the second was full.
    pub limited: u64,
    /// Not told because the ring was full.
    pub lost: u64,
}

/// A source that crossed, in the ring buffer `SCANS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanEvent {
    /// `CLOCK_BOOTTIME` in nanoseconds.
    pub time_ns: u64,
    /// As [`DropEvent::source`].
    pub source: [u8; 16],
    /// As `source`.
    pub destination: [u8; 16],
    /// Ports that were counted, hashed to a bit each.
    pub ports: [u64; 2],
    /// Destinations that were counted, hashed to a bit each.
    pub hosts: u32,
    /// Interface the crossing packet came in on.
    pub ifindex: u32,
    /// Deadline of the block; 0 where none was written.
    pub deadline: u32,
    /// Score of the window in points.
    pub points: u16,
    /// Score of the slow window in points.
    pub slow: u16,
    /// The last ports that were counted, oldest first; 0 where there are fewer.
    pub recent: [u16; 5],
    /// The port that crossed. The last of `recent`, unless it was known and its host was new.
    pub port: u16,
    /// [`Family`] as a number.
    pub family: u8,
    /// IANA protocol number of the crossing packet.
    pub protocol: u8,
    /// What was seen: bits of [`crate::scan::Kind`].
    pub kinds: u8,
    /// 1: observe mode, the packet passed.
    pub observed: u8,
    /// Bits of the source that were blocked.
    pub prefix_length: u8,
    /// [`crate::scan::Trigger`] as a number.
    pub trigger: u8,
    /// Zero.
    pub reserved: [u8; 2],
}

/// Value of `CLASS_V4` and `CLASS_V6`: what a rule makes of the connections of a source.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleRow {
    /// Number of the rule.
    pub rule: u32,
    /// Not 0: they are dropped.
    pub drops: u32,
}

/// Element of the per-CPU array `LIMIT_COUNTS`: what became of the connections that a limit names.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitCount {
    /// All of them.
    pub offered: u64,
    /// Too many.
    pub exceeded: u64,
    /// Passed because all buckets of their set were in use.
    pub unmetered: u64,
}

/// Element of the per-CPU array `COUNTERS`, at [`Outcome::index_in`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes from the Ethernet header on.
    pub bytes: u64,
}

/// The one element of the per-CPU array `SAMPLER`: how the sampling of drops went on this CPU.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sampler {
    /// Second of boot time that `used` belongs to.
    pub second: u32,
    /// Samples taken in that second.
    pub used: u32,
    /// Drops not sampled because the second was full.
    pub limited: u64,
    /// Samples lost because the ring was full.
    pub lost: u64,
}

/// A sampled drop in the ring buffer `EVENTS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropEvent {
    /// `CLOCK_BOOTTIME` in nanoseconds.
    pub time_ns: u64,
    /// Wire order; an IPv4 address takes the first four bytes, the rest is zero.
    pub source: [u8; 16],
    /// As `source`.
    pub destination: [u8; 16],
    /// Interface the frame came in on.
    pub ifindex: u32,
    /// Bytes from the Ethernet header on.
    pub length: u32,
    /// 0 where the packet has no ports, or they cannot be read.
    pub source_port: u16,
    /// See `source_port`; the type of an ICMP message in the high byte, its code in the low one.
    pub destination_port: u16,
    /// VLAN ids, outer first; [`NO_VLAN`] where there is none.
    pub vlans: [u16; 2],
    /// Number of the list that decided.
    pub list: u16,
    /// [`Reason`] as a number.
    pub reason: u8,
    /// [`Family`] as a number.
    pub family: u8,
    /// IANA protocol number.
    pub protocol: u8,
    /// 1: observe mode, the packet passed.
    pub observed: u8,
    /// Length of the prefix that decided; 0 without an entry.
    pub prefix_length: u8,
    /// Zero.
    pub reserved: u8,
}

/// A VLAN slot without a tag.
pub const NO_VLAN: u16 = u16::MAX;

/// Question and answer between the controller and the loaded program.
///
/// The controller puts one, with [`Probe::QUESTION`], into the XDP metadata of a frame it sends
/// through `BPF_PROG_TEST_RUN`. The program decides as for any packet, but instead of counting it
/// writes the answer there. No packet from a wire carries metadata of ours.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Probe {
    /// [`Probe::QUESTION`] going in, [`Probe::ANSWER`] coming out.
    pub magic: u32,
    /// [`Reason`] as a number.
    pub reason: u8,
    /// [`Family`] as a number.
    pub family: u8,
    /// Number of the list that decided; 0 without an entry.
    pub list: u16,
    /// The deciding entry's deadline; 0 without an entry.
    pub deadline: u32,
    /// 1: observe mode is on, and what would be dropped passes.
    pub observed: u8,
    /// Length of the prefix that decided; 0 without an entry.
    pub length: u8,
    /// Zero.
    pub reserved: u16,
    /// Number of the rule that decided; 0 without one.
    pub rule: u32,
}

impl Probe {
    /// Asked by the controller.
    pub const QUESTION: u32 = 0x3f57_4c43;
    /// Answered by the program.
    pub const ANSWER: u32 = 0x2157_4c43;
    /// As a question, but nothing is written: the same frame can be sent again and again, to see
    /// what deciding costs.
    pub const REPEATED: u32 = 0x2a57_4c43;
}

const _: () = {
    assert!(size_of::<Entry>() == 24);
    assert!(size_of::<RowV4>() == 32);
    assert!(size_of::<RowV6>() == 64);
    assert!(size_of::<Config>() == 64);
    assert!(size_of::<PortWord>() == 16);
    assert!(size_of::<Scanner>() == 40);
    assert!(size_of::<ScanEvent>() == 96);
    assert!(size_of::<RuleRow>() == 8);
    assert!(size_of::<LimitCount>() == 24);
    assert!(size_of::<Counter>() == 16);
    assert!(size_of::<Sampler>() == 24);
    assert!(size_of::<DropEvent>() == 64);
    // The kernel takes at most 32 bytes of metadata, in multiples of four (255 since Linux 6.10).
    assert!(size_of::<Probe>() == 20);
};

impl Probe {
    /// The answer's outcome, if the program wrote one this build understands.
    pub fn outcome(&self) -> Option<Outcome> {
        if self.magic != Self::ANSWER {
            return None;
        }
        Some(Outcome {
            reason: Reason::from_number(self.reason)?,
            family: Family::from_number(self.family)?,
            observed: self.observed != 0,
        })
    }
}
