//! Counting probes. What counts, and when a source has crossed, is `fw_common::scan`; here are the
//! slots, the ports, and the block that a crossing writes.

use core::ptr::NonNull;

use aya_ebpf::{
    EbpfContext as _,
    bindings::bpf_sock_tuple,
    helpers::generated::{bpf_sk_lookup_udp, bpf_sk_release, bpf_skc_lookup_tcp},
    programs::XdpContext,
};
use fw_common::{
    abi::{self, Config, Entry, PortWord, ScanEvent, Scanner},
    flat::presence,
    parse::{Packet, Transport},
    reason::Family,
    scan::{self, Claim, Kind, Probe, Slot, Step, Trigger},
};

use crate::{
    lock,
    maps::{self, AUTO_NEAR, AUTO_V4, AUTO_V6, PORTS, SCAN, SCANNER, SCANS},
    rules, tables,
};

/// Events a second and CPU of crossings that had no consequence.
const IDLE_EVENTS_PER_SEC: u32 = 64;

/// Counts a packet that may be a probe, and answers with the block if its source has crossed.
#[inline(never)]
pub fn count(context: &XdpContext, packet: &Packet, kind: Kind) -> Option<NonNull<Entry>> {
    let config = maps::config()?;
    if config.scan == Config::SCAN_OFF {
        return None;
    }
    let port = packet.destination_port;
    let word = port_word(packet)?;
    let bit = 1u64 << (port & 63);
    let served = word.served & bit != 0;
    let own_connection = config.ephemeral[0] <= port && port <= config.ephemeral[1];
    if served && kind != Kind::Syn || kind == Kind::Fin && own_connection {
        return None;
    }
    let source = scan::source(&packet.source, length(packet, config));
    let hash = scan::hash(&source, config.seed);
    let (place, tag) = (scan::slot_of(hash), scan::tag_of(hash));
    let claim = maps::claim(place)?;
    if served {
        if claim.tag == tag {
            forgive(place, &source, packet.hop_limit);
        }
        return None;
    }
    if !scan::looks(claim, tag) {
        return None;
    }
    if !rules::is_own(&packet.destination) {
        return None;
    }
    let bait = word.bait & bit != 0;
    let probe = Probe {
        port,
        port_bit: scan::port_bit(port, config.seed),
        host_bit: scan::host_bit(&scan::mapped(&packet.destination), config.seed),
        weight: if bait { config.bait } else { kind.weight() },
        kinds: kind as u8 | if bait { Kind::BAIT } else { 0 },
        tag,
        hop_limit: packet.hop_limit,
    };
    let slot = SCAN.get_ptr_mut(place)?;
    // SAFETY: an element of the array, which lives as long as the program.
    let lock = unsafe { lock::take(&raw mut (*slot).lock) }?;
    // SAFETY: as above, and the lock keeps every other CPU off the slot.
    let slot = unsafe { &mut *slot };
    let crossed = advance(context, packet, slot, claim, &source, &probe);
    lock::release(lock);
    crossed
}

/// One probe further, with the slot locked.
#[inline(always)]
fn advance(
    context: &XdpContext,
    packet: &Packet,
    slot: &mut Slot,
    claim: &mut Claim,
    source: &[u8; 16],
    probe: &Probe,
) -> Option<NonNull<Entry>> {
    let config = maps::config()?;
    let now = maps::coarse_seconds();
    if scan::has_crossed(slot, source) {
        // Another CPU may have written the block since this packet was looked up.
        let blocked = tables::blocked_here(&packet.source);
        if blocked.is_some() {
            return blocked;
        }
        scan::begin(slot, source, now);
    }
    let closed = || is_closed(context, packet);
    match scan::step(slot, claim, source, probe, &config.thresholds, now, closed) {
        Step::Nothing | Step::Counted => None,
        Step::Crossed(trigger) => {
            let time_ns = maps::boot_nanoseconds();
            let deadline = block(time_ns);
            tell(context, slot, deadline, trigger, time_ns);
            slot.points = scan::CROSSED;
            match deadline {
                0 => None,
                _ => tables::blocked_here(&packet.source),
            }
        }
    }
}

#[inline(never)]
fn forgive(place: u32, source: &[u8; 16], hop_limit: u8) {
    let (Some(slot), Some(config)) = (SCAN.get_ptr_mut(place), maps::config()) else {
        return;
    };
    let now = maps::coarse_seconds();
    // SAFETY: as in `count`.
    if let Some(lock) = unsafe { lock::take(&raw mut (*slot).lock) } {
        // SAFETY: as in `count`.
        scan::forgive(
            unsafe { &mut *slot },
            source,
            hop_limit,
            &config.thresholds,
            now,
        );
        lock::release(lock);
    }
}

#[inline(always)]
fn port_word(packet: &Packet) -> Option<&'static PortWord> {
    let protocol = match packet.transport {
        Transport::Udp => abi::PORT_WORDS,
        _ => 0,
    };
    PORTS.get(protocol + u32::from(packet.destination_port >> 6))
}

/// Writes the block of a source that crossed, and gives its deadline; 0 if there is no room.
#[inline(never)]
fn block(time_ns: u64) -> u32 {
    let (Some(packet), Some(config)) = (maps::packet(), maps::config()) else {
        return 0;
    };
    if !lock::grant(config.granted) {
        return 0;
    }
    // The nearest second, as the controller rounds.
    let nearest = (time_ns + 500_000_000) / 1_000_000_000;
    let deadline = (nearest as u32).saturating_add(config.ttl);
    let entry = Entry {
        deadline,
        list: abi::AUTO_LIST,
        length: length(packet, config),
        flags: match config.scan {
            Config::SCAN_ENFORCE => 0,
            _ => Entry::OBSERVED,
        },
        packets: 0,
        bytes: 0,
    };
    // Before the entry, or nobody would look for it.
    let (word, bit) = presence::auto(&packet.source);
    if let Some(word) = AUTO_NEAR.get_ptr_mut(word) {
        // SAFETY: an element of the array.
        unsafe { lock::set(word, bit) };
    }
    let written = match packet.source.family {
        Family::V6 => AUTO_V6.insert(scan::auto_key(&packet.source, entry.length), entry, 0),
        _ => AUTO_V4.insert(packet.source.octets_v4(), entry, 0),
    };
    if written.is_err() {
        lock::give_back();
        return 0;
    }
    deadline
}

/// Bits of the source's prefix.
#[inline(always)]
fn length(packet: &Packet, config: &Config) -> u8 {
    scan::length_of(&packet.source, &packet.destination, config.v6_prefix)
}

/// One event for a crossing. Those without a block are many in a spoofed flood, and limited.
#[inline(never)]
fn tell(context: &XdpContext, slot: &Slot, deadline: u32, trigger: Trigger, time_ns: u64) {
    let (Some(scanner), Some(packet), Some(config)) =
        (SCANNER.get_ptr_mut(0), maps::packet(), maps::config())
    else {
        return;
    };
    // SAFETY: non-null, and this CPU's own element.
    let scanner = unsafe { &mut *scanner };
    scanner.crossings += 1;
    if deadline == 0 {
        scanner.capped += 1;
        if !admit(scanner, (time_ns / 1_000_000_000) as u32) {
            scanner.limited += 1;
            return;
        }
    }
    let Some(mut event) = SCANS.reserve(0) else {
        scanner.lost += 1;
        return;
    };
    // SAFETY: the event has the size and alignment of its type; every byte is written below.
    unsafe {
        let event: *mut ScanEvent = event.as_mut_ptr();
        (*event).time_ns = time_ns;
        (*event).source = packet.source.bytes();
        (*event).destination = packet.destination.bytes();
        (*event).ports = slot.ports;
        (*event).hosts = slot.hosts;
        (*event).ifindex = context.ingress_ifindex() as u32;
        (*event).deadline = deadline;
        (*event).points = slot.points;
        (*event).slow = slot.slow;
        (*event).recent = slot.recent;
        (*event).port = packet.destination_port;
        (*event).family = packet.source.family as u8;
        (*event).protocol = packet.protocol;
        (*event).kinds = slot.kinds;
        (*event).observed = u8::from(config.observe != 0 || config.scan != Config::SCAN_ENFORCE);
        (*event).prefix_length = length(packet, config);
        (*event).trigger = trigger as u8;
        (*event).reserved = [0; 2];
    }
    event.submit(0);
}

/// A fixed number a second and CPU.
#[inline(always)]
fn admit(scanner: &mut Scanner, second: u32) -> bool {
    if scanner.second != second {
        scanner.second = second;
        scanner.used = 0;
    }
    scanner.used += 1;
    scanner.used <= IDLE_EVENTS_PER_SEC
}

/// Whether no socket here would take the packet. A service may be younger than the port words.
#[inline(never)]
fn is_closed(context: &XdpContext, packet: &Packet) -> bool {
    const V4: u32 = 12;
    const V6: u32 = 36;
    /// `BPF_F_CURRENT_NETNS`
    const HERE: u64 = u64::MAX;
    let (source, destination) = (&packet.source, &packet.destination);
    let [sh, sl] = packet.source_port.to_be_bytes();
    let [dh, dl] = packet.destination_port.to_be_bytes();
    let ports = u64::from_ne_bytes([sh, sl, dh, dl, 0, 0, 0, 0]);
    // Both layouts of `struct bpf_sock_tuple`: addresses, then ports, in wire order.
    let (mut tuple, size) = match (source.family, destination.family) {
        (Family::V4, Family::V4) => {
            let ([a, b, c, d], [e, f, g, h]) = (source.octets_v4(), destination.octets_v4());
            let addresses = u64::from_ne_bytes([a, b, c, d, e, f, g, h]);
            ([addresses, ports, 0, 0, 0], V4)
        }
        (Family::V6, Family::V6) => {
            let ([a, b], [c, d]) = (source.words(), destination.words());
            ([a, b, c, d, ports], V6)
        }
        _ => return true,
    };
    let context = context.as_ptr();
    let tuple = (&raw mut tuple).cast::<bpf_sock_tuple>();
    // SAFETY: the context is ours, the tuple has `size` bytes, and a socket that is found is given
    // back at once.
    unsafe {
        let socket = match packet.transport {
            Transport::Udp => bpf_sk_lookup_udp(context, tuple, size, HERE, 0),
            _ => bpf_skc_lookup_tcp(context, tuple, size, HERE, 0),
        };
        if socket.is_null() {
            return true;
        }
        bpf_sk_release(socket.cast());
    }
    false
}
