//! The maps, as `fw_common::abi` describes them. The controller checks both against each other
//! when it loads the object.

use aya_ebpf::{
    btf_maps::{Array, HashMap, LpmTrie, PerCpuArray, RingBuf},
    macros::btf_map,
};
use fw_common::abi::{
    self, Config, Counter, DropEvent, Entry, HostV4, HostV6, Sampler, TrieV4, TrieV6,
};

const fn capacity(spec: &abi::MapSpec) -> usize {
    spec.capacity as usize
}

const NO_PREALLOC: usize = abi::NO_PREALLOC as usize;

type Guard<K, const N: usize> = LpmTrie<K, u32, N>;
type Trie<K, const N: usize> = LpmTrie<K, Entry, N>;
type Hosts<K, const N: usize> = HashMap<K, Entry, N, NO_PREALLOC>;

#[btf_map]
pub static GUARD_V4: Guard<TrieV4, { capacity(&abi::GUARD_V4) }> = LpmTrie::new();
#[btf_map]
pub static GUARD_V6: Guard<TrieV6, { capacity(&abi::GUARD_V6) }> = LpmTrie::new();
#[btf_map]
pub static ALLOW_V4: Trie<TrieV4, { capacity(&abi::ALLOW_V4) }> = LpmTrie::new();
#[btf_map]
pub static ALLOW_V6: Trie<TrieV6, { capacity(&abi::ALLOW_V6) }> = LpmTrie::new();
#[btf_map]
pub static ALLOW_HOST_V4: Hosts<HostV4, { capacity(&abi::ALLOW_HOST_V4) }> = HashMap::new();
#[btf_map]
pub static ALLOW_HOST_V6: Hosts<HostV6, { capacity(&abi::ALLOW_HOST_V6) }> = HashMap::new();
#[btf_map]
pub static BLOCK_V4: Trie<TrieV4, { capacity(&abi::BLOCK_V4) }> = LpmTrie::new();
#[btf_map]
pub static BLOCK_V6: Trie<TrieV6, { capacity(&abi::BLOCK_V6) }> = LpmTrie::new();
#[btf_map]
pub static BLOCK_HOST_V4: Hosts<HostV4, { capacity(&abi::BLOCK_HOST_V4) }> = HashMap::new();
#[btf_map]
pub static BLOCK_HOST_V6: Hosts<HostV6, { capacity(&abi::BLOCK_HOST_V6) }> = HashMap::new();
#[btf_map]
pub static CONFIG: Array<Config, { capacity(&abi::CONFIG) }> = Array::new();
#[btf_map]
pub static COUNTERS: PerCpuArray<Counter, { capacity(&abi::COUNTERS) }> = PerCpuArray::new();
#[btf_map]
pub static SAMPLER: PerCpuArray<Sampler, { capacity(&abi::SAMPLER) }> = PerCpuArray::new();
#[btf_map]
pub static EVENTS: RingBuf<DropEvent, { capacity(&abi::EVENTS) }> = RingBuf::new();

/// The runtime switches. An array's element always exists; its absence would mean: drop as told,
/// sample nothing.
#[inline(always)]
pub fn config() -> Config {
    match CONFIG.get(0) {
        Some(config) => *config,
        None => Config {
            observe: 0,
            sample_until: 0,
            samples_per_sec: 0,
            reserved: 0,
        },
    }
}

/// Seconds of `CLOCK_BOOTTIME`, the unit of deadlines.
#[inline(always)]
pub fn boot_seconds() -> u32 {
    (boot_nanoseconds() / 1_000_000_000) as u32
}

/// Nanoseconds of `CLOCK_BOOTTIME`: it goes on during suspend and knows no wall clock.
#[inline(always)]
pub fn boot_nanoseconds() -> u64 {
    // SAFETY: the helper takes no arguments and has no preconditions (Linux 5.8).
    unsafe { aya_ebpf::helpers::generated::bpf_ktime_get_boot_ns() }
}
