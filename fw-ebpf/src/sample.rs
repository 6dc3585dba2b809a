//! Telling a listener of single drops, within bounds.

use core::ptr::NonNull;

use aya_ebpf::programs::XdpContext;
use fw_common::{
    abi::{Config, Entry, Sampler},
    parse::Packet,
    reason::Outcome,
};

use crate::maps::{self, EVENTS, SAMPLER};

/// Puts a drop into the ring, if somebody listens and this second has room.
#[inline(always)]
pub fn drop(
    context: &XdpContext,
    packet: &Packet,
    outcome: Outcome,
    entry: Option<NonNull<Entry>>,
    length: u64,
) {
    let Some(config) = maps::config() else {
        return;
    };
    if config.sample_until == 0 {
        return;
    }
    let now = maps::boot_nanoseconds();
    let Some(sampler) = SAMPLER.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: non-null, and this CPU's own element.
    let sampler = unsafe { &mut *sampler };
    if !admit(sampler, config, (now / 1_000_000_000) as u32) {
        return;
    }
    let Some(mut slot) = EVENTS.reserve(0) else {
        sampler.lost += 1;
        return;
    };
    // Written in place: the event would take a good part of the 512 bytes of stack.
    // SAFETY: the slot has the size and alignment of an event, and zeroes are one; every read and
    // write below stays inside it. An entry is a live map value.
    unsafe {
        let event = slot.as_mut_ptr();
        event.write_bytes(0, 1);
        (*event).time_ns = now;
        (*event).ifindex = context.ingress_ifindex() as u32;
        (*event).length = length as u32;
        (*event).list = entry.map_or(0, |entry| (*entry.as_ptr()).list);
        (*event).prefix_length = entry.map_or(0, |entry| (*entry.as_ptr()).length);
        (*event).reason = outcome.reason as u8;
        (*event).family = outcome.family as u8;
        (*event).observed = u8::from(outcome.observed);
        (*event).source = packet.source.bytes();
        (*event).destination = packet.destination.bytes();
        (*event).vlans = packet.vlans;
        (*event).protocol = packet.protocol;
        (*event).source_port = packet.source_port;
        (*event).destination_port = packet.destination_port;
    }
    slot.submit(0);
}

/// A fixed number a second and CPU.
#[inline(always)]
fn admit(sampler: &mut Sampler, config: &Config, second: u32) -> bool {
    if second >= config.sample_until {
        return false;
    }
    if sampler.second != second {
        sampler.second = second;
        sampler.used = 0;
    }
    if sampler.used >= config.samples_per_sec {
        sampler.limited += 1;
        return false;
    }
    sampler.used += 1;
    true
}
