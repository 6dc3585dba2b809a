//! Answering the controller: see [`Probe`].

use core::ptr::NonNull;

use aya_ebpf::programs::XdpContext;
use fw_common::{
    abi::{Entry, Probe},
    reason::Outcome,
};

/// The question that the frame carries, if it does.
#[inline(always)]
pub fn question(context: &XdpContext) -> Option<NonNull<Probe>> {
    let meta = context.metadata();
    if meta + size_of::<Probe>() > context.metadata_end() {
        return None;
    }
    let probe = NonNull::new(meta as *mut Probe)?;
    // SAFETY: the metadata area has the bytes of a `Probe`, by the comparison above, and starts
    // at a multiple of four, as the kernel demands (`xdp_metalen_invalid`).
    let magic = unsafe { (*probe.as_ptr()).magic };
    matches!(magic, Probe::QUESTION | Probe::REPEATED).then_some(probe)
}

/// Writes the answer over the question, unless that is to be asked again.
#[inline(always)]
pub fn answer(probe: NonNull<Probe>, outcome: Outcome, entry: Option<NonNull<Entry>>, rule: u32) {
    let probe = probe.as_ptr();
    // SAFETY: as in `question`. An entry is a live map value.
    unsafe {
        if (*probe).magic == Probe::REPEATED {
            return;
        }
        (*probe).magic = Probe::ANSWER;
        (*probe).reason = outcome.reason as u8;
        (*probe).family = outcome.family as u8;
        (*probe).observed = u8::from(outcome.observed);
        (*probe).length = entry.map_or(0, |entry| (*entry.as_ptr()).length);
        (*probe).list = entry.map_or(0, |entry| (*entry.as_ptr()).list);
        (*probe).deadline = entry.map_or(0, |entry| (*entry.as_ptr()).deadline);
        (*probe).rule = rule;
    }
}
