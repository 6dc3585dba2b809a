//! A packet generator for the tests: one frame, sent again and again, each time from another source
//! and to another port.
//!
//! It runs through `BPF_PROG_TEST_RUN` and keeps one core busy with little else than what is under
//! test. What the frame is (family, flags, payload, who gets it) is up to the caller; here the
//! source, the ports and the checksums over them are written anew.
//!
//! - [`flood_send`]: out of the interface that the caller names as the one it came in on
//! - [`flood_into`]: into the program in [`NEXT`]; without one the frame is dropped
//! - [`flood_drop`], [`flood_pass`]: no program at all, to compare with
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![expect(
    unsafe_code,
    reason = "packet memory, map values and globals are reached through raw pointers here"
)]
#![expect(
    missing_docs,
    reason = "the `xdp` macro does not carry the comments over"
)]

use core::ptr;

use aya_ebpf::{
    bindings::xdp_action::{XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_TX},
    btf_maps::{Array, ProgramArray},
    helpers::generated::bpf_ktime_get_ns,
    macros::{btf_map, xdp},
    programs::XdpContext,
};

/// How many sources take turns: 1 to `HOST_MASK` + 1.
#[unsafe(no_mangle)]
static SOURCES: u64 = 1;
/// What all sources have in common of the 32 bits that vary: an IPv4 address, or the second word
/// of an IPv6 address, so that each source is in a /64 of its own.
#[unsafe(no_mangle)]
static NETWORK: u32 = 0;
/// The bits of these that vary; all ones from the lowest on.
#[unsafe(no_mangle)]
static HOST_MASK: u32 = 0;
/// The first destination port.
#[unsafe(no_mangle)]
static FIRST_PORT: u16 = 0;
/// How many there are from there on; 0: the caller's ports stay as they are.
#[unsafe(no_mangle)]
static PORTS: u32 = 0;

/// Nanoseconds from one frame to the next at least; what is too early is not sent.
#[unsafe(no_mangle)]
static INTERVAL: u64 = 0;

/// How many frames were made, and when the next one is due, in nanoseconds of `CLOCK_MONOTONIC`.
#[btf_map]
static PROGRESS: Array<[u64; 2], 1> = Array::new();
/// The program under test.
#[btf_map]
static NEXT: ProgramArray<1> = ProgramArray::new();

/// Makes a frame and sends it, if it is due.
#[xdp]
pub fn flood_send(context: XdpContext) -> u32 {
    if !is_due() {
        return XDP_DROP;
    }
    match make(&context) {
        Some(()) => XDP_TX,
        None => XDP_ABORTED,
    }
}

/// Makes a frame and hands it to the program in [`NEXT`].
#[xdp(frags)]
pub fn flood_into(context: XdpContext) -> u32 {
    if make(&context).is_none() {
        return XDP_ABORTED;
    }
    // SAFETY: nothing here has to be dropped.
    unsafe { NEXT.tail_call(&context, 0) };
    XDP_DROP
}

/// Drops.
#[xdp(frags)]
pub fn flood_drop(_context: XdpContext) -> u32 {
    XDP_DROP
}

/// Passes.
#[xdp(frags)]
pub fn flood_pass(_context: XdpContext) -> u32 {
    XDP_PASS
}

/// The bytes of the source address that vary: all of an IPv4 address, the second word of an IPv6
/// address. By the lengths of the headers these are the same bytes of the frame.
const SOURCE: usize = 26;

/// Rewrites the frame; `None` if it is none of ours.
#[inline(always)]
fn make(context: &XdpContext) -> Option<()> {
    const IPV4: [u8; 2] = [8, 0];
    const IPV6: [u8; 2] = [0x86, 0xdd];
    let number = number()?;
    let frame = Frame::new(context);
    let turn = number.checked_rem(global(&SOURCES))?;
    let source = global(&NETWORK) | scattered(turn as u32);
    match frame.get(12)?.to_ne_bytes() {
        IPV4 => {
            let change = frame.put_long(SOURCE, source)?;
            frame.mend(24, change)?;
            let [_ttl, protocol] = frame.get(22)?.to_ne_bytes();
            write_transport(&frame, 34, protocol, number, change)
        }
        IPV6 => {
            let change = frame.put_long(SOURCE, source)?;
            let [protocol, _hop_limit] = frame.get(20)?.to_ne_bytes();
            write_transport(&frame, 54, protocol, number, change)
        }
        _ => None,
    }
}

/// The number of this frame.
#[inline(always)]
fn number() -> Option<u64> {
    let progress = PROGRESS.get_ptr_mut(0)?;
    // SAFETY: the element of the array, and one thread runs these programs.
    let [made, _] = unsafe { &mut *progress };
    *made += 1;
    Some(*made)
}

/// Whether it is time for the next frame.
#[inline(always)]
fn is_due() -> bool {
    /// Frames to catch up with after a pause; beyond, they would not fit into a queue.
    const BEHIND: u64 = 32;
    let interval = global(&INTERVAL);
    if interval == 0 {
        return true;
    }
    let Some(progress) = PROGRESS.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: as in `number`; the helper takes no arguments.
    let ([_, due], now) = unsafe { (&mut *progress, bpf_ktime_get_ns()) };
    if now < *due {
        return false;
    }
    *due = (*due).max(now.saturating_sub(BEHIND * interval)) + interval;
    true
}

/// Gives each number up to `HOST_MASK` another one: what multiplication by an odd number and a
/// shift to the right do can be undone.
#[inline(always)]
fn scattered(number: u32) -> u32 {
    let mask = global(&HOST_MASK);
    let product = number.wrapping_mul(0x9e37_79b1) & mask;
    (product ^ (product >> 15)).wrapping_mul(0x85eb_ca6b) & mask
}

/// Writes the ports of the TCP or UDP header at `at`, and its checksum, which covers them and the
/// source.
#[inline(always)]
fn write_transport(frame: &Frame, at: usize, protocol: u8, number: u64, change: u32) -> Option<()> {
    const UDP: u8 = 17;
    let mut change = change;
    let ports = global(&PORTS);
    if ports != 0 {
        // A source that comes again tries another port.
        let random = (number ^ (number >> 17)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let source = 1024 | (random >> 48) as u32;
        let offset = ((random & 0xffff_ffff) * u64::from(ports)) >> 32;
        let destination = u32::from(global(&FIRST_PORT)) + offset as u32;
        change += frame.put_long(at, (source << 16) | (destination & 0xffff))?;
    }
    let checksum = if protocol == UDP { 6 } else { 16 };
    frame.mend(at + checksum, change)
}

/// The bytes of a frame, as words that begin at even offsets and so are aligned.
struct Frame {
    start: usize,
    end: usize,
}

impl Frame {
    #[inline(always)]
    fn new(context: &XdpContext) -> Self {
        Self {
            start: context.data(),
            end: context.data_end(),
        }
    }

    #[inline(always)]
    fn word(&self, at: usize) -> Option<*mut u16> {
        let word = self.start + at;
        (word + 2 <= self.end).then_some(word as *mut u16)
    }

    #[inline(always)]
    fn get(&self, at: usize) -> Option<u16> {
        // SAFETY: inside the packet, by the comparison in `word`, which the verifier checks.
        self.word(at).map(|word| unsafe { *word })
    }

    /// Writes a word, and gives what that adds to the sum of the words.
    #[inline(always)]
    fn put(&self, at: usize, value: u16) -> Option<u32> {
        let word = self.word(at)?;
        // SAFETY: as in `get`.
        let old = unsafe { word.replace(value) };
        Some(u32::from(!old) + u32::from(value))
    }

    /// Writes a number of four bytes in network order.
    #[inline(always)]
    fn put_long(&self, at: usize, value: u32) -> Option<u32> {
        let [a, b, c, d] = value.to_be_bytes();
        let high = self.put(at, u16::from_ne_bytes([a, b]))?;
        let low = self.put(at + 2, u16::from_ne_bytes([c, d]))?;
        Some(high + low)
    }

    /// Mends a checksum after a change of the sum (RFC 1624, equation 3).
    #[inline(always)]
    fn mend(&self, at: usize, change: u32) -> Option<()> {
        let word = self.word(at)?;
        // SAFETY: as in `get`.
        unsafe {
            let sum = u32::from(!*word) + change;
            let sum = (sum & 0xffff) + (sum >> 16);
            *word = !((sum + (sum >> 16)) as u16);
        }
        Some(())
    }
}

/// A global as the loader set it, which the compiler must not know.
#[inline(always)]
fn global<T: Copy>(global: &'static T) -> T {
    // SAFETY: a reference is valid.
    unsafe { ptr::read_volatile(global) }
}

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo) -> ! {
    loop {}
}

/// On the host this is only linted.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
