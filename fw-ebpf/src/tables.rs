//! The maps as the tables `decide` asks.

use core::ptr::NonNull;

use aya_ebpf::btf_maps::lpm_trie::Key;
use fw_common::{
    abi::{self, Entry, TrieV4, TrieV6},
    parse::Address,
    reason::Family,
    verdict::Tables,
};

use crate::maps::{
    self, ALLOW_HOST_V4, ALLOW_HOST_V6, ALLOW_V4, ALLOW_V6, BLOCK_HOST_V4, BLOCK_HOST_V6, BLOCK_V4,
    BLOCK_V6, GUARD_V4, GUARD_V6,
};

/// Looks up in the maps.
pub struct KernelTables;

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

/// Hosts first, then the prefixes that cover them. A trie finds the longest prefix only: the
/// controller writes into each prefix the latest deadline of all that cover it.
macro_rules! lookup {
    ($source:expr, $host_v4:ident, $trie_v4:ident, $host_v6:ident, $trie_v6:ident) => {
        match $source.family {
            Family::V4 => live(
                $host_v4
                    .get_ptr_mut($source.octets_v4())
                    .and_then(NonNull::new),
            )
            .or_else(|| live($trie_v4.get(&trie_v4($source)).map(NonNull::from))),
            Family::V6 => live($host_v6.get_ptr_mut($source.bytes).and_then(NonNull::new))
                .or_else(|| live($trie_v6.get(&trie_v6($source)).map(NonNull::from))),
            Family::None => None,
        }
    };
}

impl Tables for KernelTables {
    type Entry = NonNull<Entry>;

    #[inline(always)]
    fn guarded(&self, source: &Address) -> bool {
        match source.family {
            Family::V4 => GUARD_V4.get(&trie_v4(source)).is_some(),
            Family::V6 => GUARD_V6.get(&trie_v6(source)).is_some(),
            Family::None => false,
        }
    }

    #[inline(always)]
    fn allowed(&self, source: &Address) -> Option<Self::Entry> {
        lookup!(source, ALLOW_HOST_V4, ALLOW_V4, ALLOW_HOST_V6, ALLOW_V6)
    }

    #[inline(always)]
    fn blocked(&self, source: &Address) -> Option<Self::Entry> {
        lookup!(source, BLOCK_HOST_V4, BLOCK_V4, BLOCK_HOST_V6, BLOCK_V6)
    }
}
