//! How large the tables are, and what the program is loaded for.

use std::collections::BTreeMap;

use fw_common::{
    abi::{self, MapSpec, RowV4, RowV6},
    flat::{hosts::Row as _, v6::LEAF},
};

/// Sizes and switches that are fixed when the program is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Blocks of IPv4 there can be.
    pub ipv4: u32,
    /// Blocks of IPv6 there can be.
    pub ipv6: u32,
    /// Allows of each family there can be.
    pub allows: u32,
    /// What the program asks.
    pub lookup: Lookup,
    /// What becomes of packets that pass.
    pub pass: Pass,
}

/// What the program asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lookup {
    /// The flat tables.
    #[default]
    Flat,
    /// The tries alone, to show what they cost. They hold hosts too then.
    Tries,
}

/// What becomes of packets that pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pass {
    /// They go to the stack.
    #[default]
    On,
    /// They are dropped: for benchmarks that leave the stack out.
    Nowhere,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            ipv4: 1 << 20,
            ipv6: 1 << 18,
            allows: 1 << 16,
            lookup: Lookup::default(),
            pass: Pass::default(),
        }
    }
}

impl Shape {
    /// Blocks of each family that the scan detector can have, beside all others.
    pub const AUTO_ROOM: u32 = 1 << 16;
    /// Guarded prefixes of each family.
    pub const GUARD_ROOM: u32 = 1 << 12;

    /// The default for a host with so much memory: a quarter of it where there is little.
    pub fn for_memory(bytes: u64) -> Self {
        const ENOUGH: u64 = 3 << 30;
        let whole = Self::default();
        if bytes >= ENOUGH {
            return whole;
        }
        Self {
            ipv4: whole.ipv4 / 4,
            ipv6: whole.ipv6 / 4,
            ..whole
        }
    }

    /// Elements of each map whose size is not its own.
    pub fn capacities(&self) -> BTreeMap<&'static str, u32> {
        let rows = |blocks: u32| {
            let others = self
                .allows
                .saturating_add(Self::AUTO_ROOM + Self::GUARD_ROOM);
            blocks.saturating_add(others).min(MAX_ROWS)
        };
        let (v4, v6) = (rows(self.ipv4), rows(self.ipv6));
        // Half as many again: few buckets are full then.
        let buckets = |rows: u32, size: u32| (rows / 2 * 3 / size + 1) * size;
        // Two thirds full, two ranges a row; and as many again, for those that take their place.
        let leaves = v6 / 5 + 64;
        let sizes = [
            (&abi::ROWS_V4, buckets(v4, RowV4::BUCKET)),
            (&abi::ROWS_V6, buckets(v6, RowV6::BUCKET)),
            // A /20 with one host has three ranges, which take four words; twice, as above.
            (&abi::CHUNKS_V4, 8 * v4),
            (&abi::FENCES_V6, 2 * leaves),
            (&abi::LEAVES_V6, leaves * 3 * LEAF as u32),
        ];
        // Of another size where they hold hosts too: so a change of `lookup` makes all tables anew.
        let trie = |rows: u32| rows + u32::from(self.lookup == Lookup::Tries);
        let tries = [&abi::GUARD_V4, &abi::ALLOW_V4, &abi::BLOCK_V4].map(|spec| (spec, trie(v4)));
        let tries_v6 =
            [&abi::GUARD_V6, &abi::ALLOW_V6, &abi::BLOCK_V6].map(|spec| (spec, trie(v6)));
        let all = sizes.into_iter().chain(tries).chain(tries_v6);
        all.map(|(spec, size): (&MapSpec, u32)| (spec.name, size))
            .collect()
    }
}

/// `struct lpm_trie_node` before the key, in bytes (kernel/bpf/lpm_trie.c).
pub const TRIE_NODE: u64 = 40;

/// What so many prefixes of each family take of the tables, in bytes: rows, two ranges each, and nodes
/// of tries. Only the last are memory that was not taken at the start.
pub fn bytes_of(ipv4: usize, ipv6: usize) -> u64 {
    let of = |rows: &MapSpec, ranges: u32, trie: &MapSpec| {
        let node = TRIE_NODE + u64::from(trie.key_size - 4 + trie.value_size);
        u64::from(rows.value_size + 2 * ranges) + node
    };
    let v4 = of(&abi::ROWS_V4, abi::CHUNKS_V4.value_size, &abi::BLOCK_V4);
    let v6 = of(&abi::ROWS_V6, 3 * abi::LEAVES_V6.value_size, &abi::BLOCK_V6);
    ipv4 as u64 * v4 + ipv6 as u64 * v6
}

/// Rows of a family: what the numbers in a range can name, and far more memory than anybody has for
/// it.
const MAX_ROWS: u32 = 1 << 25;
