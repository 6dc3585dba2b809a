//! What goes over the socket, in both directions. The daemon and the command line share these
//! types and nothing else.
//!
//! Times are RFC 3339 in UTC, `null` means never, numbers are numbers.

mod event;
mod policy;
mod problem;
mod rules;
mod scan;
mod status;
mod verdict;

pub use event::{DropSample, Event, EventKind, EventsQuery};
pub use policy::{
    Batch, Changed, Entry, GuardPut, Guarded, Items, List, Put, PutItem, Refused, Replace,
};
pub use problem::{Code, Problem, ProblemBody};
pub use rules::{
    Applied, Apply, Base, Diff, LayerChange, MirrorStatus, Pending, PolicyText, Rule, RuleAdded,
    RulePut,
};
#[cfg(test)]
pub(crate) use scan::tests as scan_examples;
pub use scan::{
    RollUp, ScanBlocks, ScanChange, ScanEvent, ScanReset, ScanServed, ScanSource, ScanStatus,
    ScanTotals, Unroll,
};
pub use status::{Interface, Program, Samples, Status, Table, Total, Version};
pub use verdict::{Check, Layer, ProbePacket, Why, WhyQuery};
