//! Counters.

use core::ptr::NonNull;

use aya_ebpf::programs::XdpContext;
use fw_common::{abi::Entry, iface, reason::Outcome};

use crate::maps::{COUNTERS, IFACES};

/// Counts a packet under its interface and outcome. Per-CPU, and a program is not preempted by
/// itself, so a plain addition is enough.
#[inline(always)]
pub fn outcome(context: &XdpContext, outcome: Outcome, length: u64) {
    let index = context.ingress_ifindex() as u32;
    let word = IFACES.get(iface::place(index)).copied();
    let slot = iface::slot(word.unwrap_or_default(), index);
    if let Some(counter) = COUNTERS.get_ptr_mut(outcome.index_in(slot)) {
        // SAFETY: non-null, and this CPU's own element.
        unsafe {
            (*counter).packets += 1;
            (*counter).bytes += length;
        }
    }
}

/// Counts a packet in the entry that decided it. Entries are shared by all CPUs.
#[inline(always)]
pub fn entry(entry: NonNull<Entry>, length: u64) {
    // SAFETY: a live map value; both fields are aligned to 8 bytes by the layout of key and value,
    // and are only ever touched atomically while the program runs.
    unsafe {
        atomic_add(&raw mut (*entry.as_ptr()).packets, 1);
        atomic_add(&raw mut (*entry.as_ptr()).bytes, length);
    }
}

/// `core` has no atomic arithmetic for this target; the instruction set does (`BPF_ATOMIC`).
///
/// # Safety
/// `counter` is aligned and may be written.
#[cfg(target_arch = "bpf")]
#[inline(always)]
unsafe fn atomic_add(counter: *mut u64, value: u64) {
    // SAFETY: by the caller; the instruction touches nothing but these eight bytes.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({counter} + 0) += {value}",
            counter = in(reg) counter,
            value = in(reg) value,
            options(nostack),
        );
    }
}

#[cfg(not(target_arch = "bpf"))]
unsafe fn atomic_add(_counter: *mut u64, _value: u64) {}
