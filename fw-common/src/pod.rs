//! The layouts as [`aya::Pod`], for the controller only.
#![expect(
    unsafe_code,
    reason = "`Pod` is an unsafe trait; this file is where it is implemented"
)]

use crate::{
    abi::{
        Config, Counter, DropEvent, Entry, LimitCount, PortWord, Probe, RowV4, RowV6, RuleRow,
        Sampler, ScanEvent, Scanner,
    },
    limit::{Buckets, Limit},
    scan::Slot,
};

macro_rules! pod {
    ($($layout:ty),+) => {
        $(
            // SAFETY: `repr(C)`, integers and arrays of integers only, no padding (sizes are
            // asserted in `abi`), so every bit pattern is a value and every byte is initialised.
            unsafe impl aya::Pod for $layout {}
        )+
    };
}

pod!(
    Buckets, Config, Counter, DropEvent, Entry, Limit, LimitCount, PortWord, Probe, RowV4, RowV6,
    RuleRow, Sampler, ScanEvent, Scanner, Slot
);
