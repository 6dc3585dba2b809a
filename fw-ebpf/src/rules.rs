//! Rules about new TCP connections to this host: which ports are closed to a source, and how many
//! connections are too many. What is missing or full lets a connection pass.

use core::mem;

use aya_ebpf::btf_maps::lpm_trie::Key;
use fw_common::{
    abi::CLASS_LIMITS,
    limit::{self, Limit, Metered},
    parse::{Address, Packet},
    reason::Family,
    scan::{self, Kind},
    verdict::Ruled,
};

use crate::{
    lock,
    maps::{self, BUCKETS, CLASS_V4, CLASS_V6, CLASSES, LIMIT_COUNTS, LIMITS, OWN, PORT_CLASS},
};

/// What rules say of a packet; if the controller only asks, it counts in no limit.
#[inline(always)]
pub fn ruled(packet: &Packet, kind: Kind, asked: bool) -> Ruled {
    if kind == Kind::Syn {
        let class = class_of(packet.destination_port);
        if class != 0 {
            fwctl_rule(class, asked);
        }
    }
    // Always taken from memory: the verifier knows nothing of what stands there, and would walk the
    // scan detector again for what it knows to be nothing.
    maps::ruled().map_or(Ruled::default(), mem::take)
}

/// Notes what the rules of a class say of a SYN. Its name is public, so the verifier walks it once,
/// and not for every way that leads here.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn fwctl_rule(class: u16, asked: bool) -> u32 {
    if let (Some(packet), Some(ruled)) = (maps::packet(), maps::ruled())
        && is_own(&packet.destination)
    {
        ruled.exceeds = exceeded(class, asked);
        if ruled.exceeds == 0 {
            ruled.closed_by = closing(class, &packet.source);
        }
    }
    0
}

/// The class of a port; 0 for none.
#[inline(always)]
fn class_of(port: u16) -> u16 {
    let word = PORT_CLASS.get(u32::from(port >> 2)).copied();
    (word.unwrap_or(0) >> (16 * (port & 3))) as u16
}

/// Whether a packet is for this host. A function of its own, for its stack, as those below.
#[inline(never)]
pub fn is_own(destination: &Address) -> bool {
    OWN.get_ptr(scan::mapped(destination)).is_some()
}

/// Number of the rule whose limit the packet exceeds; 0 if it exceeds none.
#[inline(always)]
fn exceeded(class: u16, asked: bool) -> u32 {
    let mut numbers = CLASSES.get(u32::from(class)).copied().unwrap_or(0);
    if numbers == 0 {
        return 0;
    }
    let now = maps::boot_nanoseconds();
    for _ in 0..CLASS_LIMITS {
        let number = numbers as u16;
        if number == 0 {
            break;
        }
        let rule = exceeds(u32::from(number), now, asked);
        if rule != 0 {
            return rule;
        }
        numbers >>= 16;
    }
    0
}

/// Number of the rule if the packet exceeds this limit, else 0.
#[inline(never)]
fn exceeds(number: u32, now: u64, asked: bool) -> u32 {
    let Some(limit) = LIMITS.get(number) else {
        return 0;
    };
    let metered = meter(limit, now, asked);
    if !asked {
        count(number, metered);
    }
    match metered {
        Metered::Exceeded => limit.rule,
        Metered::Within | Metered::Unmetered => 0,
    }
}

#[inline(always)]
fn meter(limit: &Limit, now: u64, asked: bool) -> Metered {
    let (Some(packet), Some(config)) = (maps::packet(), maps::config()) else {
        return Metered::Unmetered;
    };
    let key = limit::key(&packet.source, limit, config.seed);
    let Some(buckets) = BUCKETS.get_ptr_mut(key.set) else {
        return Metered::Unmetered;
    };
    // SAFETY: an element of the array, which lives as long as the program.
    let Some(lock) = (unsafe { lock::take(&raw mut (*buckets).lock) }) else {
        return Metered::Unmetered;
    };
    // SAFETY: as above, and the lock keeps every other CPU off the set.
    let metered = limit::meter(unsafe { &mut *buckets }, key.tag, now, limit, !asked);
    lock::release(lock);
    metered
}

#[inline(always)]
fn count(number: u32, metered: Metered) {
    let Some(counts) = LIMIT_COUNTS.get_ptr_mut(number) else {
        return;
    };
    // SAFETY: non-null, and this CPU's own element.
    let counts = unsafe { &mut *counts };
    counts.offered += 1;
    match metered {
        Metered::Within => {}
        Metered::Exceeded => counts.exceeded += 1,
        Metered::Unmetered => counts.unmetered += 1,
    }
}

/// Number of the rule that closes the ports of a class to a source; 0 if none does.
#[inline(never)]
fn closing(class: u16, source: &Address) -> u32 {
    let [high, low] = class.to_be_bytes();
    let row = match source.family {
        Family::V4 => {
            let [a, b, c, d] = source.octets_v4();
            CLASS_V4.get(&Key::new(64, [high, low, 0, 0, a, b, c, d]))
        }
        Family::V6 => {
            let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = source.bytes();
            let key = [
                high, low, 0, 0, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p,
            ];
            CLASS_V6.get(&Key::new(160, key))
        }
        Family::None => None,
    };
    match row {
        Some(row) if row.drops != 0 => row.rule,
        _ => 0,
    }
}
