//! The maps as the tables `decide` asks.

use core::ptr::NonNull;

use aya_ebpf::programs::XdpContext;
use fw_common::{
    abi::{self, Entry},
    flat::presence,
    parse::{Address, Packet},
    reason::Family,
    scan,
    verdict::{Ruled, Tables},
};

use crate::{
    flat,
    maps::{self, AUTO_NEAR, AUTO_V4, AUTO_V6, ROWS_V4, ROWS_V6},
    rules,
};

/// What the tables say of the source of a packet. Entries whose deadline passed are not among it.
pub struct KernelTables<'a> {
    /// Of the packet that is decided about.
    pub context: &'a XdpContext,
    /// Whether the controller asks, and nothing may be counted.
    pub asked: bool,
    guarded: bool,
    allow: Option<NonNull<Entry>>,
    block: Option<NonNull<Entry>>,
}

impl<'a> KernelTables<'a> {
    /// Looks the source up.
    #[inline(always)]
    pub fn of(context: &'a XdpContext, asked: bool, source: &Address) -> Self {
        let answer = flat::find(source);
        let protect = row(source, answer.protect);
        let guarded = protect.is_some_and(|entry| flags(entry) & Entry::KIND == Entry::GUARD);
        Self {
            context,
            asked,
            guarded,
            allow: if guarded { None } else { live(protect) },
            block: first(auto(source), || live(row(source, answer.block))),
        }
    }
}

/// A row by its number.
#[inline(always)]
fn row(source: &Address, number: u32) -> Option<NonNull<Entry>> {
    if number == 0 {
        return None;
    }
    match source.family {
        Family::V6 => NonNull::new(ROWS_V6.get_ptr_mut(number)?.cast()),
        _ => NonNull::new(ROWS_V4.get_ptr_mut(number)?.cast()),
    }
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

/// What the program wrote itself, then the row of the longest prefix: the controller writes into
/// each row the latest deadline of all that cover it. An entry that is only observed gives way to
/// one that is enforced.
#[inline(always)]
fn first(
    own: Option<NonNull<Entry>>,
    row: impl FnOnce() -> Option<NonNull<Entry>>,
) -> Option<NonNull<Entry>> {
    match own {
        Some(entry) if !observed(entry) => own,
        Some(_) => row().filter(|covering| !observed(*covering)).or(own),
        None => row(),
    }
}

#[inline(always)]
fn flags(entry: NonNull<Entry>) -> u8 {
    // SAFETY: as in `live`.
    unsafe { (*entry.as_ptr()).flags }
}

/// Whether the entry drops nothing.
#[inline(always)]
pub fn observed(entry: NonNull<Entry>) -> bool {
    flags(entry) & Entry::OBSERVED != 0
}

/// What the program has blocked itself, if it may have.
#[inline(always)]
fn auto(source: &Address) -> Option<NonNull<Entry>> {
    let (word, bit) = presence::auto(source);
    let near = AUTO_NEAR.get(word).is_none_or(|bits| bits & bit != 0);
    if near { blocked_here(source) } else { None }
}

/// What the program has blocked itself. A function of its own: the stack of a program is 512 bytes,
/// for all functions that are called at a time.
#[inline(never)]
pub fn blocked_here(source: &Address) -> Option<NonNull<Entry>> {
    let entry = match source.family {
        Family::V4 => NonNull::new(AUTO_V4.get_ptr_mut(source.octets_v4())?),
        Family::V6 => {
            let length = maps::config()?.v6_prefix as u8;
            auto_v6(source, 128).or_else(|| auto_v6(source, length))
        }
        Family::None => None,
    };
    live(entry)
}

#[inline(never)]
fn auto_v6(source: &Address, length: u8) -> Option<NonNull<Entry>> {
    NonNull::new(AUTO_V6.get_ptr_mut(scan::auto_key(source, length))?)
}

impl Tables for KernelTables<'_> {
    type Entry = NonNull<Entry>;

    #[inline(always)]
    fn guarded(&self, _source: &Address) -> bool {
        self.guarded
    }

    #[inline(always)]
    fn allowed(&self, _source: &Address) -> Option<Self::Entry> {
        self.allow
    }

    #[inline(always)]
    fn blocked(&self, _source: &Address) -> Option<Self::Entry> {
        self.block
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
