//! Answering the controller: see [`Probe`].

use core::ptr::NonNull;

use aya_ebpf::programs::XdpContext;
use fw_common::{
    abi::{Entry, Probe},
    reason::Outcome,
};

/// Writes the answer if the frame carries a question, and says whether it did.
#[inline(always)]
pub fn answer(context: &XdpContext, outcome: Outcome, entry: Option<NonNull<Entry>>) -> bool {
    let meta = context.metadata();
    if meta + size_of::<Probe>() > context.metadata_end() {
        return false;
    }
    let probe = meta as *mut Probe;
    // SAFETY: the metadata area has the bytes of a `Probe`, by the comparison above, and starts
    // at a multiple of four, as the kernel demands (`xdp_metalen_invalid`). An entry is a live
    // map value.
    unsafe {
        if (*probe).magic != Probe::QUESTION {
            return false;
        }
        (*probe).magic = Probe::ANSWER;
        (*probe).reason = outcome.reason as u8;
        (*probe).family = outcome.family as u8;
        (*probe).observed = u8::from(outcome.observed);
        (*probe).length = entry.map_or(0, |entry| (*entry.as_ptr()).length);
        (*probe).list = entry.map_or(0, |entry| (*entry.as_ptr()).list);
        (*probe).deadline = entry.map_or(0, |entry| (*entry.as_ptr()).deadline);
    }
    true
}
