//! The maps, as `fw_common::abi` describes them. The controller checks both against each other
//! when it loads the object.

use aya_ebpf::{
    btf_maps::{Array, HashMap, LpmTrie, PerCpuArray, RingBuf},
    macros::btf_map,
};
use fw_common::{
    abi::{
        self, AutoV6, ClassV4, ClassV6, Config, Counter, DropEvent, Entry, HostV4, HostV6,
        LimitCount, PortWord, RowV4, RowV6, RuleRow, Sampler, ScanEvent, Scanner, TrieV4, TrieV6,
    },
    flat::v6,
    iface,
    limit::{Buckets, Limit},
    parse::Packet,
    scan::{Claim, Slot},
    verdict::Ruled,
};

const fn capacity(spec: &abi::MapSpec) -> usize {
    spec.capacity as usize
}

const NO_PREALLOC: usize = abi::NO_PREALLOC as usize;

/// Prefixes, each with the number of its row.
type Trie<K, const N: usize> = LpmTrie<K, u32, N>;
type Hosts<K, const N: usize> = HashMap<K, Entry, N, NO_PREALLOC>;
type Mapped<V, const N: usize> = Array<V, N, { abi::MMAPABLE as usize }>;

#[btf_map]
pub static ROWS_V4: Mapped<RowV4, { capacity(&abi::ROWS_V4) }> = Array::new();
#[btf_map]
pub static ROWS_V6: Mapped<RowV6, { capacity(&abi::ROWS_V6) }> = Array::new();
#[btf_map]
pub static DIR_V4: Mapped<u64, { capacity(&abi::DIR_V4) }> = Array::new();
#[btf_map]
pub static CHUNKS_V4: Mapped<u64, { capacity(&abi::CHUNKS_V4) }> = Array::new();
#[btf_map]
pub static FENCES_V6: Mapped<[u64; v6::FENCE], { capacity(&abi::FENCES_V6) }> = Array::new();
#[btf_map]
pub static LEAVES_V6: Mapped<u64, { capacity(&abi::LEAVES_V6) }> = Array::new();
#[btf_map]
pub static ROOT: Mapped<u64, { capacity(&abi::ROOT) }> = Array::new();
#[btf_map]
pub static NEAR: Mapped<u64, { capacity(&abi::NEAR) }> = Array::new();
#[btf_map]
pub static GUARD_V4: Trie<TrieV4, { capacity(&abi::GUARD_V4) }> = LpmTrie::new();
#[btf_map]
pub static GUARD_V6: Trie<TrieV6, { capacity(&abi::GUARD_V6) }> = LpmTrie::new();
#[btf_map]
pub static ALLOW_V4: Trie<TrieV4, { capacity(&abi::ALLOW_V4) }> = LpmTrie::new();
#[btf_map]
pub static ALLOW_V6: Trie<TrieV6, { capacity(&abi::ALLOW_V6) }> = LpmTrie::new();
#[btf_map]
pub static BLOCK_V4: Trie<TrieV4, { capacity(&abi::BLOCK_V4) }> = LpmTrie::new();
#[btf_map]
pub static BLOCK_V6: Trie<TrieV6, { capacity(&abi::BLOCK_V6) }> = LpmTrie::new();
#[btf_map]
pub static AUTO_V4: Hosts<HostV4, { capacity(&abi::AUTO_V4) }> = HashMap::new();
#[btf_map]
pub static AUTO_V6: Hosts<AutoV6, { capacity(&abi::AUTO_V6) }> = HashMap::new();
#[btf_map]
pub static AUTO_NEAR: Mapped<u64, { capacity(&abi::AUTO_NEAR) }> = Array::new();
#[btf_map]
pub static CONFIG: Array<Config, { capacity(&abi::CONFIG) }> = Array::new();
#[btf_map]
pub static COUNTERS: PerCpuArray<Counter, { capacity(&abi::COUNTERS) }> = PerCpuArray::new();
#[btf_map]
pub static IFACES: Array<u64, { capacity(&abi::IFACES) }> = Array::new();
#[btf_map]
pub static IFACE_NAMES: Array<[u8; iface::NAME], { capacity(&abi::IFACE_NAMES) }> = Array::new();
#[btf_map]
pub static SAMPLER: PerCpuArray<Sampler, { capacity(&abi::SAMPLER) }> = PerCpuArray::new();
#[btf_map]
pub static EVENTS: RingBuf<DropEvent, { capacity(&abi::EVENTS) }> = RingBuf::new();

#[btf_map]
pub static SCAN: Mapped<Slot, { capacity(&abi::SCAN) }> = Array::new();
#[btf_map]
pub static CLAIMS: Array<[Claim; abi::SLOTS as usize], { capacity(&abi::CLAIMS) }> = Array::new();
#[btf_map]
pub static SCANNER: PerCpuArray<Scanner, { capacity(&abi::SCANNER) }> = PerCpuArray::new();
#[btf_map]
pub static TAKEN: Array<u64, { capacity(&abi::TAKEN) }> = Array::new();
#[btf_map]
pub static PORTS: Array<PortWord, { capacity(&abi::PORTS) }> = Array::new();
#[btf_map]
pub static OWN: HashMap<HostV6, u32, { capacity(&abi::OWN) }, NO_PREALLOC> = HashMap::new();
#[btf_map]
pub static SCANS: RingBuf<ScanEvent, { capacity(&abi::SCANS) }> = RingBuf::new();

#[btf_map]
pub static PORT_CLASS: Mapped<u64, { capacity(&abi::PORT_CLASS) }> = Array::new();
#[btf_map]
pub static CLASSES: Mapped<u64, { capacity(&abi::CLASSES) }> = Array::new();
#[btf_map]
pub static CLASS_V4: LpmTrie<ClassV4, RuleRow, { capacity(&abi::CLASS_V4) }> = LpmTrie::new();
#[btf_map]
pub static CLASS_V6: LpmTrie<ClassV6, RuleRow, { capacity(&abi::CLASS_V6) }> = LpmTrie::new();
#[btf_map]
pub static LIMITS: Mapped<Limit, { capacity(&abi::LIMITS) }> = Array::new();
#[btf_map]
pub static LIMIT_COUNTS: PerCpuArray<LimitCount, { capacity(&abi::LIMIT_COUNTS) }> =
    PerCpuArray::new();
#[btf_map]
pub static BUCKETS: Mapped<Buckets, { capacity(&abi::BUCKETS) }> = Array::new();

/// This CPU's packet. Not pinned: it holds nothing from one packet to the next.
#[btf_map]
pub static PACKET: PerCpuArray<Packet, 1> = PerCpuArray::new();

/// What rules say of this CPU's packet, as [`PACKET`].
#[btf_map]
pub static RULED: PerCpuArray<Ruled, 1> = PerCpuArray::new();

/// Where the packet at hand is read into.
#[inline(always)]
pub fn packet() -> Option<&'static mut Packet> {
    let packet = PACKET.get_ptr_mut(0)?;
    // SAFETY: this CPU's own element, and one program runs on a CPU at a time. It is written before
    // it is read; zeroes, as the kernel made it, are a packet too.
    Some(unsafe { &mut *packet })
}

/// What rules say of the packet at hand. The verifier knows nothing of what stands there; it would
/// walk the scan detector again for each thing that rules can say.
#[inline(always)]
pub fn ruled() -> Option<&'static mut Ruled> {
    let ruled = RULED.get_ptr_mut(0)?;
    // SAFETY: as in `packet`.
    Some(unsafe { &mut *ruled })
}

/// Lets the compiler forget what it knows of a value. Of the packet, it would make a copy of what
/// follows for every way of reading one, and the verifier walks them all.
#[inline(always)]
pub fn forget<T>(value: &T) {
    // SAFETY: moves a register onto itself; to the compiler, it may have written the value.
    #[cfg(target_arch = "bpf")]
    unsafe {
        core::arch::asm!("{value} = {value}", value = in(reg) value, options(nostack));
    }
    #[cfg(not(target_arch = "bpf"))]
    let _ = value;
}

/// The runtime switches. An array's element always exists; its absence would mean: drop as told,
/// sample nothing, watch nobody.
#[inline(always)]
pub fn config() -> Option<&'static Config> {
    CONFIG.get(0)
}

/// Who holds a slot. `slot` is one of `scan::slot_of`.
#[inline(always)]
pub fn claim(slot: u32) -> Option<&'static mut Claim> {
    let claims = CLAIMS.get_ptr_mut(0)?.cast::<Claim>();
    // SAFETY: below the number of claims, which the verifier checks. Two CPUs may write at once:
    // each writes a byte, and either's is as good.
    Some(unsafe { &mut *claims.add((slot & (abi::SLOTS - 1)) as usize) })
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

/// Seconds of `CLOCK_MONOTONIC`, as of the last tick: a tenth of the price, for windows.
#[inline(always)]
pub fn coarse_seconds() -> u32 {
    // SAFETY: the helper takes no arguments and has no preconditions (Linux 5.11).
    let nanoseconds = unsafe { aya_ebpf::helpers::generated::bpf_ktime_get_coarse_ns() };
    (nanoseconds / 1_000_000_000) as u32
}
