//! Reading the packet.

#[cfg(target_arch = "bpf")]
use core::arch::asm;

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
    programs::XdpContext,
};
use fw_common::parse::Frame;

/// The verifier wants an upper bound on what is added to a packet pointer. Larger than the largest
/// offset the parser can reach: 14 of Ethernet, 2 tags of 4, 40 of IPv6, 6 extensions of 2,048.
const OFFSET_MASK: usize = 0x3fff;

/// The linear part of a frame, read directly.
pub struct Linear {
    start: usize,
    end: usize,
}

impl Linear {
    #[inline(always)]
    pub fn new(context: &XdpContext) -> Self {
        Self {
            start: context.data(),
            end: context.data_end(),
        }
    }

    #[inline(always)]
    pub fn length(&self) -> u64 {
        (self.end - self.start) as u64
    }
}

impl Frame for Linear {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let start = self.start + (offset & OFFSET_MASK);
        if start + N > self.end {
            return None;
        }
        // SAFETY: the comparison above, which the verifier checks, keeps `N` bytes inside the packet.
        Some(unsafe { load(start) })
    }
}

/// Bytes of a packet in as few loads as they take: the compiler, which thinks that this machine knows
/// no unaligned words, would load each byte by itself.
///
/// # Safety
/// At `start` are `N` bytes of a packet.
#[cfg(target_arch = "bpf")]
#[inline(always)]
unsafe fn load<const N: usize>(start: usize) -> [u8; N] {
    macro_rules! word {
        ($type:ty, $at:expr) => {{
            let word: u64;
            // SAFETY: by the caller. The kernel lets packets be read unaligned wherever the processor
            // does (`HAVE_EFFICIENT_UNALIGNED_ACCESS`).
            unsafe {
                asm!(
                    concat!("{word} = *(", stringify!($type), " *)({start} + ", $at, ")"),
                    word = out(reg) word,
                    start = in(reg) start,
                    options(nostack, readonly, pure),
                );
            }
            (word as $type).to_ne_bytes()
        }};
    }
    let mut bytes = [0; N];
    match N {
        16 => {
            bytes[..8].copy_from_slice(&word!(u64, 0));
            bytes[8..].copy_from_slice(&word!(u64, 8));
        }
        4 => bytes.copy_from_slice(&word!(u32, 0)),
        2 => bytes.copy_from_slice(&word!(u16, 0)),
        1 => bytes.copy_from_slice(&word!(u8, 0)),
        _ => unreachable!(),
    }
    bytes
}

#[cfg(not(target_arch = "bpf"))]
unsafe fn load<const N: usize>(_start: usize) -> [u8; N] {
    [0; N]
}

/// A multi-buffer frame, read through a helper: its linear part may end inside the headers, and a
/// source hidden that way must be read all the same.
pub struct Buffers<'a>(&'a XdpContext);

impl<'a> Buffers<'a> {
    #[inline(always)]
    pub fn new(context: &'a XdpContext) -> Self {
        Self(context)
    }

    /// Bytes of the frame, fragments included.
    #[inline(always)]
    pub fn length(&self) -> u64 {
        // SAFETY: the pointer is the context this program was called with.
        unsafe { bpf_xdp_get_buff_len(self.0.as_ptr().cast()) }
    }
}

impl Frame for Buffers<'_> {
    #[inline(always)]
    fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        // SAFETY: the context is ours, and the buffer has the `N` bytes the helper is told of.
        let result = unsafe {
            bpf_xdp_load_bytes(
                self.0.as_ptr().cast(),
                offset as u32,
                bytes.as_mut_ptr().cast(),
                N as u32,
            )
        };
        (result == 0).then_some(bytes)
    }
}
