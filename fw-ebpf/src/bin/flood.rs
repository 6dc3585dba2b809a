//! A packet generator for the tests: one frame, sent again and again, each time from another source
//! and to another port.
//!
//! It runs through `BPF_PROG_TEST_RUN` and keeps one core busy with little else than what is under
//! test. What the frame is (family, flags, payload, who gets it) is up to the caller; here the
//! source, the ports and the checksums over them are written anew. Sources are made up inside a
//! prefix, or drawn from a table.
//!
//! - [`flood_send`]: out of the interface that the caller names as the one it came in on
//! - [`flood_into`]: into the program in [`NEXT`]; without one the frame is dropped
//! - [`flood_into_linear`]: the same for programs that do not know multi-buffer packets
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
/// Where in the frame the 32 bits are that vary: an IPv4 address, or the first or second word of an
/// IPv6 address, so that each source is in a /32 or a /64 of its own.
#[unsafe(no_mangle)]
static VARYING: u32 = 0;
/// What all sources have in common of these.
#[unsafe(no_mangle)]
static NETWORK: u32 = 0;
/// The bits that do vary; all ones from the lowest on.
#[unsafe(no_mangle)]
static HOST_MASK: u32 = 0;
/// How many sources [`TABLE`] holds; not 0: they come from there, and not in order.
#[unsafe(no_mangle)]
static TABLED: u32 = 0;
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
/// Addresses to draw from: a word for each of IPv4, four words for each of IPv6.
#[btf_map]
static TABLE: Array<u32, 1> = Array::new();
/// The program under test.
#[btf_map]
static NEXT: ProgramArray<1> = ProgramArray::new();
/// The same, if it does not know multi-buffer packets: the kernel mixes no such programs.
#[btf_map]
static NEXT_LINEAR: ProgramArray<1> = ProgramArray::new();

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

/// Makes a frame and hands it to the program in [`NEXT_LINEAR`].
#[xdp]
pub fn flood_into_linear(context: XdpContext) -> u32 {
    if make(&context).is_none() {
        return XDP_ABORTED;
    }
    // SAFETY: nothing here has to be dropped.
    unsafe { NEXT_LINEAR.tail_call(&context, 0) };
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

/// Where the source address begins in the frame.
const SOURCE_V4: usize = 26;
const SOURCE_V6: usize = 22;
/// Bytes that are written or read: all up to the checksum of TCP.
const LENGTH_V4: usize = 34 + 18;
const LENGTH_V6: usize = 54 + 18;

/// Rewrites the frame; `None` if it is none of ours.
#[inline(always)]
fn make(context: &XdpContext) -> Option<()> {
    const IPV4: [u8; 2] = [8, 0];
    const IPV6: [u8; 2] = [0x86, 0xdd];
    let number = number()?;
    let frame = Frame::new(context, LENGTH_V4)?;
    match frame.get(12).to_ne_bytes() {
        IPV4 => {
            let change = write_source::<1>(&frame, SOURCE_V4, number)?;
            frame.mend(24, change);
            let [_ttl, protocol] = frame.get(22).to_ne_bytes();
            write_transport(&frame, 34, protocol, number, change);
        }
        IPV6 => {
            let frame = Frame::new(context, LENGTH_V6)?;
            let change = write_source::<4>(&frame, SOURCE_V6, number)?;
            let [protocol, _hop_limit] = frame.get(20).to_ne_bytes();
            write_transport(&frame, 54, protocol, number, change);
        }
        _ => return None,
    }
    Some(())
}

/// Writes the source, an address of so many words at `at`, and gives what that adds to checksums.
#[inline(always)]
fn write_source<const WORDS: u32>(frame: &Frame, at: usize, number: u64) -> Option<u32> {
    let tabled = u64::from(global(&TABLED));
    if tabled == 0 {
        let turn = number.checked_rem(global(&SOURCES))?;
        let source = global(&NETWORK) | scattered(turn as u32);
        return Some(frame.put_long(global(&VARYING) as usize, source));
    }
    let drawn = ((random(number) >> 32) * tabled) >> 32;
    let mut change = 0;
    for word in 0..WORDS {
        let value = TABLE.get(drawn as u32 * WORDS + word)?;
        change += frame.put_long(at + 4 * word as usize, *value);
    }
    Some(change)
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

/// The number as 64 bits that look random (SplitMix64, Steele, Lea and Flood 2014).
#[inline(always)]
fn random(number: u64) -> u64 {
    let seed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Writes the ports of the TCP or UDP header at `at`, and its checksum, which covers them and the
/// source.
#[inline(always)]
fn write_transport(frame: &Frame, at: usize, protocol: u8, number: u64, change: u32) {
    const UDP: u8 = 17;
    let mut change = change;
    let ports = global(&PORTS);
    if ports != 0 {
        // A source that comes again tries another port.
        let random = random(number);
        let source = 1024 | (random >> 48) as u32;
        let offset = ((random & 0xffff_ffff) * u64::from(ports)) >> 32;
        let destination = u32::from(global(&FIRST_PORT)) + offset as u32;
        change += frame.put_long(at, (source << 16) | (destination & 0xffff));
    }
    let checksum = if protocol == UDP { 6 } else { 16 };
    frame.mend(at + checksum, change);
}

/// The first bytes of a frame, as words that begin at even offsets and so are aligned. They are
/// compared with its end once: the compiler turns many comparisons into sums that the verifier
/// refuses.
struct Frame {
    start: usize,
}

impl Frame {
    /// So many bytes, which nobody may go beyond.
    #[inline(always)]
    fn new(context: &XdpContext, length: usize) -> Option<Self> {
        let start = context.data();
        (start + length <= context.data_end()).then_some(Self { start })
    }

    #[inline(always)]
    fn word(&self, at: usize) -> *mut u16 {
        (self.start + at) as *mut u16
    }

    #[inline(always)]
    fn get(&self, at: usize) -> u16 {
        // SAFETY: inside the packet, by the comparison in `new`; the verifier makes sure of it.
        unsafe { *self.word(at) }
    }

    /// Writes a word, and gives what that adds to the sum of the words.
    #[inline(always)]
    fn put(&self, at: usize, value: u16) -> u32 {
        // SAFETY: as in `get`.
        let old = unsafe { self.word(at).replace(value) };
        u32::from(!old) + u32::from(value)
    }

    /// Writes a number of four bytes in network order.
    #[inline(always)]
    fn put_long(&self, at: usize, value: u32) -> u32 {
        let [a, b, c, d] = value.to_be_bytes();
        let high = self.put(at, u16::from_ne_bytes([a, b]));
        high + self.put(at + 2, u16::from_ne_bytes([c, d]))
    }

    /// Mends a checksum after a change of the sum (RFC 1624, equation 3).
    #[inline(always)]
    fn mend(&self, at: usize, change: u32) {
        let word = self.word(at);
        // SAFETY: as in `get`.
        unsafe {
            let sum = u32::from(!*word) + change;
            let sum = (sum & 0xffff) + (sum >> 16);
            *word = !((sum + (sum >> 16)) as u16);
        }
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
