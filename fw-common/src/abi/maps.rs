//! The maps: names, shapes, keys.

use core::net::IpAddr;

use super::{
    ClassV4, ClassV6, Config, Counter, Entry, LimitCount, NO_PREALLOC, PortWord, RuleRow, Sampler,
    Scanner, TrieV4, TrieV6,
};
use crate::{
    limit::{Buckets, Limit, SETS},
    prefix::Prefix,
    reason::Outcome,
    scan::{Claim, Slot},
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

/// Words of 64 ports for one protocol.
pub const PORT_WORDS: u32 = 1024;

/// Slots of the scan detector; a power of two.
pub const SLOTS: u32 = 1 << 18;

/// Words of 64 bits for the addresses of one family: a bit for each /20.
pub const NEAR_WORDS: u32 = 1 << 14;

/// Classes of rules, with 0, which has none, and so many that old and new ones fit.
pub const CLASS_COUNT: u32 = 1 << 12;

/// Limits, with 0, which is none, and so many that old and new ones fit.
pub const LIMIT_COUNT: u32 = 1 << 11;

/// Limits of a class.
pub const CLASS_LIMITS: usize = 4;

/// `BPF_F_MMAPABLE` (Linux 5.5): the values start at a page.
const MMAPABLE: u32 = 1 << 10;

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
const CLASS_KEY_V4: usize = 4 + size_of::<ClassV4>();
const CLASS_KEY_V6: usize = 4 + size_of::<ClassV6>();
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

/// Scan state: a [`Slot`] for each source that is watched. Page-aligned memory, so that each slot
/// is one cache line.
pub const SCAN: MapSpec = MapSpec {
    flags: MMAPABLE,
    ..array("SCAN", MapKind::Array, size_of::<Slot>(), SLOTS)
};
/// One element of [`SLOTS`] [`Claim`]s: who holds which slot, small enough to stay in the cache of
/// a processor.
pub const CLAIMS: MapSpec = array(
    "CLAIMS",
    MapKind::Array,
    size_of::<Claim>() * SLOTS as usize,
    1,
);
/// Bits of [`crate::near`]: [`NEAR_WORDS`] words for IPv4, then as many for IPv6. Written by program
/// and controller at once, so only atomically.
pub const NEAR: MapSpec = MapSpec {
    flags: MMAPABLE,
    ..array("NEAR", MapKind::Array, 8, 2 * NEAR_WORDS)
};
/// [`Scanner`].
pub const SCANNER: MapSpec = array("SCANNER", MapKind::PerCpuArray, size_of::<Scanner>(), 1);
/// One `u64`: blocks the program has written since the map was made, to be compared with
/// [`Config::granted`].
pub const TAKEN: MapSpec = array("TAKEN", MapKind::Array, 8, 1);
/// [`PortWord`]s: [`PORT_WORDS`] for TCP, then as many for UDP.
pub const PORTS: MapSpec = array(
    "PORTS",
    MapKind::Array,
    size_of::<PortWord>(),
    2 * PORT_WORDS,
);
/// This host's own addresses, which alone are probed: an IPv4 address as v4-mapped IPv6 address.
pub const OWN: MapSpec = table("OWN", MapKind::Hash, 16, 4, 1 << 16);
/// [`super::ScanEvent`]s.
pub const SCANS: MapSpec = MapSpec {
    name: "SCANS",
    ..EVENTS
};

/// The class of each TCP port: four in a word, that of port `p` in the 16 bits from `16 * (p % 4)`
/// on; 0 for a port that no rule names. Read while it is written, so only word by word.
pub const PORT_CLASS: MapSpec = MapSpec {
    flags: MMAPABLE,
    ..array("PORT_CLASS", MapKind::Array, 8, 1 << 14)
};
/// The limits of each class in the order they are asked: numbers of [`CLASS_LIMITS`] elements of
/// [`LIMITS`] in a word, the first one lowest; 0 behind the last.
pub const CLASSES: MapSpec = MapSpec {
    flags: MMAPABLE,
    ..array("CLASSES", MapKind::Array, 8, CLASS_COUNT)
};
/// [`RuleRow`]s by class and source: the longest source wins.
pub const CLASS_V4: MapSpec = table(
    "CLASS_V4",
    MapKind::LpmTrie,
    CLASS_KEY_V4,
    size_of::<RuleRow>(),
    1 << 16,
);
/// See [`CLASS_V4`].
pub const CLASS_V6: MapSpec = table(
    "CLASS_V6",
    MapKind::LpmTrie,
    CLASS_KEY_V6,
    size_of::<RuleRow>(),
    1 << 16,
);
/// [`Limit`]s.
pub const LIMITS: MapSpec = MapSpec {
    flags: MMAPABLE,
    ..array("LIMITS", MapKind::Array, size_of::<Limit>(), LIMIT_COUNT)
};
/// [`LimitCount`]s of [`LIMITS`].
pub const LIMIT_COUNTS: MapSpec = array(
    "LIMIT_COUNTS",
    MapKind::PerCpuArray,
    size_of::<LimitCount>(),
    LIMIT_COUNT,
);
/// [`Buckets`] of all limits, aligned as [`SCAN`].
pub const BUCKETS: MapSpec = MapSpec {
    flags: MMAPABLE,
    ..array("BUCKETS", MapKind::Array, size_of::<Buckets>(), SETS)
};

/// Every pinned map.
pub const MAPS: [MapSpec; 29] = [
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
    SCAN,
    CLAIMS,
    NEAR,
    SCANNER,
    TAKEN,
    PORTS,
    OWN,
    SCANS,
    PORT_CLASS,
    CLASSES,
    CLASS_V4,
    CLASS_V6,
    LIMITS,
    LIMIT_COUNTS,
    BUCKETS,
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
