//! What `core` has no operation for on this target: words that several CPUs change at once
//! (`BPF_ATOMIC` with `BPF_FETCH`, Linux 5.12).

use core::ptr::NonNull;

use crate::maps::TAKEN;

/// Attempts to take a lock: longer than a crossing holds it.
const SPINS: u32 = 64;

/// A lock that is held.
pub struct Lock(NonNull<u32>);

/// Takes the lock in a slot; `None` after [`SPINS`] attempts.
///
/// # Safety
/// `word` points into a map value.
#[inline(always)]
pub unsafe fn take(word: *mut u32) -> Option<Lock> {
    for _ in 0..SPINS {
        // SAFETY: by the caller.
        if unsafe { exchange(word, 1) } == 0 {
            return NonNull::new(word).map(Lock);
        }
    }
    None
}

/// Gives the lock back.
#[inline(always)]
pub fn release(lock: Lock) {
    // SAFETY: it was taken.
    unsafe { exchange(lock.0.as_ptr(), 0) };
}

/// Takes one of the blocks that were granted, if any is left.
#[inline(always)]
pub fn grant(granted: u64) -> bool {
    let Some(taken) = TAKEN.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: an element of the array.
    if unsafe { add(taken, 1) } < granted {
        return true;
    }
    give_back();
    false
}

/// Gives back what [`grant`] took.
#[inline(always)]
pub fn give_back() {
    if let Some(taken) = TAKEN.get_ptr_mut(0) {
        // SAFETY: an element of the array.
        unsafe { add(taken, u64::MAX) };
    }
}

/// Sets bits.
///
/// # Safety
/// `word` is aligned and may be written.
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub unsafe fn set(word: *mut u64, bits: u64) {
    // SAFETY: by the caller; the instruction touches nothing but these eight bytes.
    unsafe {
        core::arch::asm!(
            "lock *(u64 *)({word} + 0) |= {bits}",
            word = in(reg) word,
            bits = in(reg) bits,
            options(nostack),
        );
    }
}

/// Stores a value and answers with the one before; a full barrier.
///
/// # Safety
/// `word` is aligned and may be written.
#[cfg(target_arch = "bpf")]
#[inline(always)]
unsafe fn exchange(word: *mut u32, value: u32) -> u32 {
    let mut register = u64::from(value);
    // SAFETY: by the caller; the instruction touches nothing but these four bytes.
    unsafe {
        core::arch::asm!(
            "w2 = xchg32_32(r1 + 0, w2)",
            in("r1") word,
            inlateout("r2") register,
            options(nostack),
        );
    }
    register as u32
}

/// Adds and answers with the value before.
///
/// # Safety
/// `word` is aligned and may be written.
#[cfg(target_arch = "bpf")]
#[inline(always)]
unsafe fn add(word: *mut u64, value: u64) -> u64 {
    let mut register = value;
    // SAFETY: by the caller; the instruction touches nothing but these eight bytes.
    unsafe {
        core::arch::asm!(
            "r2 = atomic_fetch_add((u64 *)(r1 + 0), r2)",
            in("r1") word,
            inlateout("r2") register,
            options(nostack),
        );
    }
    register
}

#[cfg(not(target_arch = "bpf"))]
unsafe fn exchange(_word: *mut u32, _value: u32) -> u32 {
    0
}

#[cfg(not(target_arch = "bpf"))]
unsafe fn add(_word: *mut u64, _value: u64) -> u64 {
    0
}

#[cfg(not(target_arch = "bpf"))]
pub unsafe fn set(_word: *mut u64, _bits: u64) {}
