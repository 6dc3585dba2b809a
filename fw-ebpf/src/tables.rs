//! The maps as the tables `decide` asks.

use core::ptr::NonNull;

use aya_ebpf::{btf_maps::lpm_trie::Key, programs::XdpContext};
use fw_common::{
    abi::{self, Entry, TrieV4, TrieV6},
    near,
    parse::{Address, Packet},
    reason::Family,
    scan,
    verdict::{Ruled, Tables},
};

use crate::{
    maps::{
        self, ALLOW_HOST_V4, ALLOW_HOST_V6, ALLOW_V4, ALLOW_V6, BLOCK_HOST_V4, BLOCK_HOST_V6,
        BLOCK_V4, BLOCK_V6, GUARD_V4, GUARD_V6, NEAR,
    },
    rules,
};

/// Looks up in the maps.
pub struct KernelTables<'a> {
    /// Of the packet that is decided about.
    pub context: &'a XdpContext,
    /// Whether the controller asks, and nothing may be counted.
    pub asked: bool,
    /// Whether anything is listed near the source: if not, no table has anything to say.
    pub near: bool,
}

/// Whether anything is listed near an address. Without the bits, it may be.
#[inline(always)]
pub fn near(source: &Address) -> bool {
    let (word, bit) = near::place(source);
    NEAR.get(word).is_none_or(|bits| bits & bit != 0)
}

/// An entry whose deadline passed is as good as gone, and the next table is asked.
#[inline(always)]
fn live(entry: Option<NonNull<Entry>>) -> Option<NonNull<Entry>> {
    let entry = entry?;
    // SAFETY: a pointer into a map value. The kernel keeps the element's memory readable while
    // the program runs (RCU).
    let deadline = unsafe { (*entry.as_ptr()).deadline };
    (deadline == abi::NEVER || maps::boot_seconds() < deadline).then_some(entry)
}

#[inline(always)]
fn trie_v4(address: &Address) -> Key<TrieV4> {
    let [a, b, c, d] = address.octets_v4();
    Key::new(32, [a, b, c, d, 0, 0, 0, 0])
}

#[inline(always)]
fn trie_v6(address: &Address) -> Key<TrieV6> {
    Key::new(128, address.bytes)
}

/// The host's own entry, then that of the longest prefix that covers it: the controller writes
/// into each prefix the latest deadline of all that cover it. An entry that is only observed gives
/// way to one that is enforced.
#[inline(always)]
fn first(
    host: Option<NonNull<Entry>>,
    prefix: impl FnOnce() -> Option<NonNull<Entry>>,
) -> Option<NonNull<Entry>> {
    match host {
        Some(own) if !observed(own) => host,
        Some(_) => prefix().filter(|covering| !observed(*covering)).or(host),
        None => prefix(),
    }
}

/// Whether the entry drops nothing.
#[inline(always)]
pub fn observed(entry: NonNull<Entry>) -> bool {
    // SAFETY: as in `live`.
    unsafe { (*entry.as_ptr()).flags & Entry::OBSERVED != 0 }
}

macro_rules! lookup {
    ($source:expr, $host_v4:ident, $trie_v4:ident, $host_v6:ident, $trie_v6:ident) => {
        match $source.family {
            Family::V4 => first(
                live(
                    $host_v4
                        .get_ptr_mut($source.octets_v4())
                        .and_then(NonNull::new),
                ),
                || live($trie_v4.get(&trie_v4($source)).map(NonNull::from)),
            ),
            Family::V6 => first(
                live($host_v6.get_ptr_mut($source.bytes).and_then(NonNull::new)),
                || live($trie_v6.get(&trie_v6($source)).map(NonNull::from)),
            ),
            Family::None => None,
        }
    };
}

/// A function of its own: the stack of a program is 512 bytes, for all functions that are called
/// at a time.
#[inline(never)]
pub fn blocked(source: &Address) -> Option<NonNull<Entry>> {
    lookup!(source, BLOCK_HOST_V4, BLOCK_V4, BLOCK_HOST_V6, BLOCK_V6)
}

#[inline(never)]
fn allowed(source: &Address) -> Option<NonNull<Entry>> {
    lookup!(source, ALLOW_HOST_V4, ALLOW_V4, ALLOW_HOST_V6, ALLOW_V6)
}

#[inline(never)]
fn guarded(source: &Address) -> bool {
    match source.family {
        Family::V4 => GUARD_V4.get(&trie_v4(source)).is_some(),
        Family::V6 => GUARD_V6.get(&trie_v6(source)).is_some(),
        Family::None => false,
    }
}

impl Tables for KernelTables<'_> {
    type Entry = NonNull<Entry>;

    #[inline(always)]
    fn guarded(&self, source: &Address) -> bool {
        self.near && guarded(source)
    }

    #[inline(always)]
    fn allowed(&self, source: &Address) -> Option<Self::Entry> {
        if self.near { allowed(source) } else { None }
    }

    #[inline(always)]
    fn blocked(&self, source: &Address) -> Option<Self::Entry> {
        if self.near { blocked(source) } else { None }
    }

    #[inline(always)]
    fn crossed(&self, packet: &Packet, kind: scan::Kind) -> Option<Self::Entry> {
        if self.asked {
            return None;
        }
        crate::scan::count(self.context, packet, kind)
    }

    #[inline(always)]
    fn ruled(&self, packet: &Packet, kind: scan::Kind) -> Ruled {
        rules::ruled(packet, kind, self.asked)
    }
}
