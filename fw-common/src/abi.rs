//! What the kernel program and the controller must agree on, byte for byte.
//!
//! Layouts are `repr(C)` without implicit padding and their sizes are asserted below. Bump
//! [`VERSION`] when a name, a layout, a flag or the meaning of a field changes: maps are pinned
//! under it, so a new controller never reads an old program's memory.

use core::net::IpAddr;

use crate::{
    prefix::Prefix,
    reason::{Family, Outcome, Reason},
};

/// Version of everything in this module; it names the pin directory (`v1`).
pub const VERSION: u32 = 1;

/// A [`Entry::deadline`] that never passes.
pub const NEVER: u32 = u32::MAX;

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
/// Key of a host table.
pub type HostV4 = [u8; 4];
/// See [`HostV4`].
pub type HostV6 = [u8; 16];

/// Value of a block or allow table.
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
    /// Zero.
    pub reserved: u8,
    /// Packets decided by this entry, added atomically by the program.
    pub packets: u64,
    /// Their bytes, from the Ethernet header on.
    pub bytes: u64,
}

impl Entry {
    /// The entry of a prefix, without traffic.
    pub const fn new(prefix: Prefix, list: u16, deadline: u32) -> Self {
        Self {
            deadline,
            list,
            length: prefix.length(),
            reserved: 0,
            packets: 0,
            bytes: 0,
        }
    }
}

/// Runtime switches, in the one element of `CONFIG`. Read by the program when it drops.
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
    /// Zero.
    pub reserved: u32,
}

/// Element of the per-CPU array `COUNTERS`, at [`Outcome::index`].
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
}

impl Probe {
    /// Asked by the controller.
    pub const QUESTION: u32 = 0x3f57_4c43;
    /// Answered by the program.
    pub const ANSWER: u32 = 0x2157_4c43;
}

const _: () = {
    assert!(size_of::<Entry>() == 24);
    assert!(size_of::<Config>() == 16);
    assert!(size_of::<Counter>() == 16);
    assert!(size_of::<Sampler>() == 24);
    assert!(size_of::<DropEvent>() == 64);
    // The kernel takes at most 32 bytes of metadata, in multiples of four (255 since Linux 6.10).
    assert!(size_of::<Probe>() == 16);
};

/// Kernel map type, numbered as in `enum bpf_map_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum MapKind {
    /// `BPF_MAP_TYPE_HASH`
    Hash = 1,
    /// `BPF_MAP_TYPE_ARRAY`
    Array = 2,
    /// `BPF_MAP_TYPE_PERCPU_ARRAY`
    PerCpuArray = 6,
    /// `BPF_MAP_TYPE_LPM_TRIE`
    LpmTrie = 11,
    /// `BPF_MAP_TYPE_RINGBUF`
    RingBuf = 27,
}

/// A map's name and shape. A pinned map of another shape is never used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapSpec {
    /// Symbol in the object, and file name of the pin.
    pub name: &'static str,
    /// Kernel type.
    pub kind: MapKind,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value; of one CPU's where there is one each.
    pub value_size: u32,
    /// Elements, or bytes of a ring, unless configured.
    pub capacity: u32,
    /// Creation flags.
    pub flags: u32,
}

const fn table(name: &'static str, kind: MapKind, key: usize, value: usize, cap: u32) -> MapSpec {
    MapSpec {
        name,
        kind,
        key_size: key as u32,
        value_size: value as u32,
        capacity: cap,
        flags: NO_PREALLOC,
    }
}

const fn array(name: &'static str, kind: MapKind, value: usize, cap: u32) -> MapSpec {
    MapSpec {
        name,
        kind,
        key_size: 4,
        value_size: value as u32,
        capacity: cap,
        flags: 0,
    }
}

const TRIE_KEY_V4: usize = 4 + size_of::<TrieV4>();
const TRIE_KEY_V6: usize = 4 + size_of::<TrieV6>();
const ENTRY: usize = size_of::<Entry>();

/// Guarded prefixes: value is the number of a guard source, for people who dump the map.
pub const GUARD_V4: MapSpec = table("GUARD_V4", MapKind::LpmTrie, TRIE_KEY_V4, 4, 4096);
/// See [`GUARD_V4`].
pub const GUARD_V6: MapSpec = table("GUARD_V6", MapKind::LpmTrie, TRIE_KEY_V6, 4, 4096);
/// Allowed prefixes shorter than a host.
pub const ALLOW_V4: MapSpec = table("ALLOW_V4", MapKind::LpmTrie, TRIE_KEY_V4, ENTRY, 1 << 16);
/// See [`ALLOW_V4`].
pub const ALLOW_V6: MapSpec = table("ALLOW_V6", MapKind::LpmTrie, TRIE_KEY_V6, ENTRY, 1 << 16);
/// Allowed hosts.
pub const ALLOW_HOST_V4: MapSpec = table("ALLOW_HOST_V4", MapKind::Hash, 4, ENTRY, 1 << 16);
/// See [`ALLOW_HOST_V4`].
pub const ALLOW_HOST_V6: MapSpec = table("ALLOW_HOST_V6", MapKind::Hash, 16, ENTRY, 1 << 16);
/// Blocked prefixes shorter than a host.
pub const BLOCK_V4: MapSpec = table("BLOCK_V4", MapKind::LpmTrie, TRIE_KEY_V4, ENTRY, 1 << 18);
/// See [`BLOCK_V4`].
pub const BLOCK_V6: MapSpec = table("BLOCK_V6", MapKind::LpmTrie, TRIE_KEY_V6, ENTRY, 1 << 18);
/// Blocked hosts.
pub const BLOCK_HOST_V4: MapSpec = table("BLOCK_HOST_V4", MapKind::Hash, 4, ENTRY, 1 << 20);
/// See [`BLOCK_HOST_V4`].
pub const BLOCK_HOST_V6: MapSpec = table("BLOCK_HOST_V6", MapKind::Hash, 16, ENTRY, 1 << 18);
/// [`Config`].
pub const CONFIG: MapSpec = array("CONFIG", MapKind::Array, size_of::<Config>(), 1);
/// [`Counter`]s.
pub const COUNTERS: MapSpec = array(
    "COUNTERS",
    MapKind::PerCpuArray,
    size_of::<Counter>(),
    Outcome::COUNT as u32,
);
/// [`Sampler`].
pub const SAMPLER: MapSpec = array("SAMPLER", MapKind::PerCpuArray, size_of::<Sampler>(), 1);
/// [`DropEvent`]s.
pub const EVENTS: MapSpec = MapSpec {
    name: "EVENTS",
    kind: MapKind::RingBuf,
    key_size: 0,
    value_size: 0,
    capacity: 1 << 18,
    flags: 0,
};

/// Every pinned map.
pub const MAPS: [MapSpec; 14] = [
    GUARD_V4,
    GUARD_V6,
    ALLOW_V4,
    ALLOW_V6,
    ALLOW_HOST_V4,
    ALLOW_HOST_V6,
    BLOCK_V4,
    BLOCK_V6,
    BLOCK_HOST_V4,
    BLOCK_HOST_V6,
    CONFIG,
    COUNTERS,
    SAMPLER,
    EVENTS,
];

/// The bytes an LPM trie is asked with: prefix length, address, and for IPv4 the padding of
/// [`TrieV4`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrieKey {
    /// Of an IPv4 prefix.
    V4([u8; TRIE_KEY_V4]),
    /// Of an IPv6 prefix.
    V6([u8; TRIE_KEY_V6]),
}

impl From<Prefix> for TrieKey {
    fn from(prefix: Prefix) -> Self {
        let length = u32::from(prefix.length()).to_ne_bytes();
        match prefix.address() {
            IpAddr::V4(address) => {
                let mut key = [0; TRIE_KEY_V4];
                key[..4].copy_from_slice(&length);
                key[4..8].copy_from_slice(&address.octets());
                Self::V4(key)
            }
            IpAddr::V6(address) => {
                let mut key = [0; TRIE_KEY_V6];
                key[..4].copy_from_slice(&length);
                key[4..].copy_from_slice(&address.octets());
                Self::V6(key)
            }
        }
    }
}

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
