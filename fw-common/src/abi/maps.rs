//! The maps: names, shapes, keys.

use super::{
    AutoV6, ClassV4, ClassV6, Config, Counter, Entry, HostV4, LimitCount, NO_PREALLOC, PortWord,
    RowV4, RowV6, RuleRow, Sampler, Scanner, TrieV4, TrieV6,
};
use crate::{
    flat::{presence, v4, v6},
    iface,
    limit::{Buckets, Limit, SETS},
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

impl MapSpec {
    /// Whether it is one of the tables that refer to each other by numbers of rows.
    pub fn is_flat(&self) -> bool {
        let flat = [
            ROWS_V4, ROWS_V6, DIR_V4, CHUNKS_V4, FENCES_V6, LEAVES_V6, ROOT, NEAR, GUARD_V4,
            GUARD_V6, ALLOW_V4, ALLOW_V6, BLOCK_V4, BLOCK_V6,
        ];
        flat.iter().any(|spec| spec.name == self.name)
    }
}

/// Words of 64 ports for one protocol.
pub const PORT_WORDS: u32 = 1024;

/// Slots of the scan detector; a power of two.
pub const SLOTS: u32 = 1 << 18;

/// Classes of rules, with 0, which has none, and so many that old and new ones fit.
pub const CLASS_COUNT: u32 = 1 << 12;

/// Limits, with 0, which is none, and so many that old and new ones fit.
pub const LIMIT_COUNT: u32 = 1 << 11;

/// Limits of a class.
pub const CLASS_LIMITS: usize = 4;

/// `BPF_F_MMAPABLE` (Linux 5.5): the values start at a page.
pub const MMAPABLE: u32 = 1 << 10;

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

/// An array that the controller writes as memory.
const fn mapped(name: &'static str, value: usize, cap: u32) -> MapSpec {
    MapSpec {
        flags: MMAPABLE,
        ..array(name, MapKind::Array, value, cap)
    }
}

const TRIE_KEY_V4: usize = 4 + size_of::<TrieV4>();
const TRIE_KEY_V6: usize = 4 + size_of::<TrieV6>();
const CLASS_KEY_V4: usize = 4 + size_of::<ClassV4>();
const CLASS_KEY_V6: usize = 4 + size_of::<ClassV6>();
const ENTRY: usize = size_of::<Entry>();

/// Rows that all listed prefixes of IPv4 take. The controller loads the object with other sizes.
const ROWS: u32 = 1 << 16;

/// [`RowV4`]s: every listed prefix of IPv4, half as many again, in buckets of [`crate::flat::hosts`].
/// Row 0 is none.
pub const ROWS_V4: MapSpec = mapped("ROWS_V4", size_of::<RowV4>(), ROWS);
/// [`RowV6`]s: every listed prefix of IPv6, as [`ROWS_V4`].
pub const ROWS_V6: MapSpec = mapped("ROWS_V6", size_of::<RowV6>(), ROWS / 4);
/// The directory of [`crate::flat::v4`].
pub const DIR_V4: MapSpec = mapped("DIR_V4", 8, v4::SLOTS);
/// The chunks of [`crate::flat::v4`], a range a word: room for two for each row, twice.
pub const CHUNKS_V4: MapSpec = mapped("CHUNKS_V4", 8, 8 * ROWS);
/// The fences of [`crate::flat::v6`], both regions.
pub const FENCES_V6: MapSpec = mapped("FENCES_V6", 8 * v6::FENCE, 2 * LEAVES);
/// The leaves of [`crate::flat::v6`], word by word.
pub const LEAVES_V6: MapSpec = mapped("LEAVES_V6", 8, LEAVES * 3 * v6::LEAF as u32);
/// Leaves for so many rows, twice, when they are two thirds full.
const LEAVES: u32 = ROWS / 4 / 5;
/// Which half is read: of IPv4 in the first word, as [`v6::Root`] in the second. Then the words that
/// are named below.
pub const ROOT: MapSpec = mapped("ROOT", 8, 6);
/// The word of [`ROOT`] that is not 0 while somebody writes flat tables.
pub const ROOT_WRITING: usize = 2;
/// The word of [`ROOT`] with the seed of [`crate::flat::hosts`]; 0 before the controller came.
pub const ROOT_SEED: usize = 3;
/// The words of [`ROOT`] with the number of buckets, of IPv4 and of IPv6.
pub const ROOT_BUCKETS: [usize; 2] = [4, 5];
/// Bits of [`presence`].
pub const NEAR: MapSpec = mapped("NEAR", 8, presence::WORDS);

/// IPv4 hosts that the program has blocked itself, until the controller makes rows of them.
pub const AUTO_V4: MapSpec = table(
    "AUTO_V4",
    MapKind::Hash,
    size_of::<HostV4>(),
    ENTRY,
    1 << 16,
);
/// The same for IPv6 prefixes.
pub const AUTO_V6: MapSpec = table(
    "AUTO_V6",
    MapKind::Hash,
    size_of::<AutoV6>(),
    ENTRY,
    1 << 16,
);
/// Bits of [`presence::auto`], set by the program.
pub const AUTO_NEAR: MapSpec = mapped("AUTO_NEAR", 8, presence::WORDS_AUTO);

/// Guarded prefixes; the value is the number of a row.
pub const GUARD_V4: MapSpec = table("GUARD_V4", MapKind::LpmTrie, TRIE_KEY_V4, 4, ROWS);
/// See [`GUARD_V4`].
pub const GUARD_V6: MapSpec = table("GUARD_V6", MapKind::LpmTrie, TRIE_KEY_V6, 4, ROWS / 4);
/// Allowed prefixes shorter than a host, as [`GUARD_V4`].
pub const ALLOW_V4: MapSpec = table("ALLOW_V4", MapKind::LpmTrie, TRIE_KEY_V4, 4, ROWS);
/// See [`ALLOW_V4`].
pub const ALLOW_V6: MapSpec = table("ALLOW_V6", MapKind::LpmTrie, TRIE_KEY_V6, 4, ROWS / 4);
/// Blocked prefixes shorter than a host, as [`GUARD_V4`].
pub const BLOCK_V4: MapSpec = table("BLOCK_V4", MapKind::LpmTrie, TRIE_KEY_V4, 4, ROWS);
/// See [`BLOCK_V4`].
pub const BLOCK_V6: MapSpec = table("BLOCK_V6", MapKind::LpmTrie, TRIE_KEY_V6, 4, ROWS / 4);
/// [`Config`].
pub const CONFIG: MapSpec = array("CONFIG", MapKind::Array, size_of::<Config>(), 1);
/// [`Counter`]s of each slot of [`iface`].
pub const COUNTERS: MapSpec = array(
    "COUNTERS",
    MapKind::PerCpuArray,
    size_of::<Counter>(),
    iface::SLOTS * Outcome::COUNT as u32,
);
/// Words of [`iface`]: the slot of each interface.
pub const IFACES: MapSpec = array("IFACES", MapKind::Array, 8, iface::WORDS);
/// The name that each slot was given to, so that it stays with it. Only the controller reads them.
pub const IFACE_NAMES: MapSpec = array("IFACE_NAMES", MapKind::Array, iface::NAME, iface::SLOTS);
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
pub const MAPS: [MapSpec; 37] = [
    ROWS_V4,
    ROWS_V6,
    DIR_V4,
    CHUNKS_V4,
    FENCES_V6,
    LEAVES_V6,
    ROOT,
    NEAR,
    GUARD_V4,
    GUARD_V6,
    ALLOW_V4,
    ALLOW_V6,
    BLOCK_V4,
    BLOCK_V6,
    AUTO_V4,
    AUTO_V6,
    AUTO_NEAR,
    CONFIG,
    COUNTERS,
    IFACES,
    IFACE_NAMES,
    SAMPLER,
    EVENTS,
    SCAN,
    CLAIMS,
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
