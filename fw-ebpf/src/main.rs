//! The kernel side: parse, decide, count.
//!
//! [`filter`] is the whole path of a packet. What it decides is `fw_common::verdict::decide`;
//! what it reads is in [`frame`], what it looks up in [`tables`].
//!
//! Everything is inlined into the two programs, which differ in one thing: `fwctl_frags` accepts
//! multi-buffer packets (Linux 5.18), `fwctl_linear` is for kernels that do not know them.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]
#![expect(
    unsafe_code,
    reason = "packet memory, map values and helpers are reached through raw pointers here"
)]
#![expect(
    missing_docs,
    reason = "the `xdp` macro does not carry the comments over"
)]

mod count;
mod flat;
mod frame;
mod lock;
mod maps;
mod probe;
mod rules;
mod sample;
mod scan;
mod tables;

use core::ptr::{self, NonNull};

use aya_ebpf::{
    bindings::xdp_action::{XDP_DROP, XDP_PASS},
    macros::xdp,
    programs::XdpContext,
};
use aya_log_ebpf::info;
use fw_common::{
    abi::{self, Entry},
    parse::{self, Packet},
    reason::Outcome,
    verdict,
};

use crate::{
    frame::{Buffers, Linear},
    tables::KernelTables,
};

/// What becomes of a packet that passes; a benchmark drops it, to leave the stack out of its figures.
#[unsafe(no_mangle)]
static PASS_ACTION: u32 = XDP_PASS;

/// Attached where the kernel knows multi-buffer XDP.
#[xdp(frags)]
pub fn fwctl_frags(context: XdpContext) -> u32 {
    filter::<true>(&context)
}

/// Attached elsewhere.
#[xdp]
pub fn fwctl_linear(context: XdpContext) -> u32 {
    filter::<false>(&context)
}

/// Never attached: the controller runs it once after each change of the configuration, and it says
/// what the kernel side reads there.
#[xdp]
pub fn fwctl_announce(context: XdpContext) -> u32 {
    if let Some(config) = maps::config() {
        info!(
            &context,
            "abi {} observe {} sample_until {} samples_per_sec {} scan {}",
            abi::VERSION,
            config.observe,
            config.sample_until,
            config.samples_per_sec,
            config.scan
        );
    }
    XDP_PASS
}

#[inline(always)]
fn filter<const FRAGS: bool>(context: &XdpContext) -> u32 {
    // Not on the stack: a packet in memory is unknown to the verifier, which otherwise would walk
    // what follows once for every way of reading it.
    let Some(packet) = maps::packet() else {
        return XDP_PASS;
    };
    let length = read::<FRAGS>(context, packet);
    maps::forget(packet);
    judge(context, packet, length)
}

/// Reads the packet, and says how long it is. A function of its own, so that its stack is free again
/// for what follows.
#[inline(never)]
fn read<const FRAGS: bool>(context: &XdpContext, packet: &mut Packet) -> u64 {
    // Otherwise the compiler hands the packet's end over as a number, and the verifier refuses that.
    maps::forget(context);
    let frame = Linear::new(context);
    let mut length = frame.length();
    if FRAGS {
        length = Buffers::new(context).length();
    }
    if length > frame.length() {
        parse::parse_into(&Buffers::new(context), packet);
    } else {
        parse::parse_into(&frame, packet);
    }
    length
}

#[inline(always)]
fn judge(context: &XdpContext, packet: &Packet, length: u64) -> u32 {
    let question = probe::question(context);
    let tables = KernelTables::of(context, question.is_some(), &packet.source);
    let decision = verdict::decide(packet, &tables);
    let drops = decision.reason.drops();
    let outcome = Outcome {
        reason: decision.reason,
        family: decision.family,
        observed: drops && is_observed(decision.entry),
    };
    if let Some(question) = question {
        probe::answer(question, outcome, decision.entry, decision.rule);
    } else {
        count::outcome(context, outcome, length);
        if let Some(entry) = decision.entry {
            count::entry(entry, length);
        }
        if drops {
            sample::drop(context, packet, outcome, decision.entry, length);
        }
    }
    if drops && !outcome.observed {
        XDP_DROP
    } else {
        // SAFETY: a reference is valid. Set by the loader, so the compiler must not know it.
        unsafe { ptr::read_volatile(&raw const PASS_ACTION) }
    }
}

/// Whether a drop is only counted: all are, or this entry's.
#[inline(always)]
fn is_observed(entry: Option<NonNull<Entry>>) -> bool {
    maps::config().is_some_and(|config| config.observe != 0) || entry.is_some_and(tables::observed)
}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// `bpf_xdp_load_bytes` and the other helpers are for GPL-compatible programs only.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";

/// On the host this crate is only linted.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
