//! What goes over the socket, in both directions. The daemon and the command line share these
//! types and nothing else.
//!
//! Times are RFC 3339 in UTC, `null` means never, numbers are numbers.

mod bench;
mod event;
mod feed;
mod geo;
mod item;
mod policy;
mod problem;
mod rules;
mod scan;
mod stats;
mod status;
mod tables;
mod token;
mod verdict;
mod webhook;

pub use bench::{Bench, Cost, PacketCost};
pub use event::{DropSample, EntryEvent, Event, EventKind, EventsQuery, Kinds};
pub use feed::{Feed, FeedDone, FeedPut};
pub use geo::{Geo, GeoChange, GeoChanged, GeoFile, GeoFound, GeoList, GeoReset, GeoStatus};
pub use item::{MAX_ITEMS, PutItem, ReadItem};
pub use policy::{
    Batch, BatchOf, Changed, Entry, GuardPut, Guarded, Items, List, Put, PutOf, Refused, Replace,
    ReplaceOf,
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
pub use stats::{Sampled, SampledPort, SampledSource, Second, Stats, StatsQuery};
pub use status::{Interface, Program, Samples, Status, Total, Version};
pub use tables::{Memory, Table};
pub use token::{Token, TokenMade, TokenPut};
pub use verdict::{Check, Layer, ProbePacket, Why, WhyQuery};
pub use webhook::{Hidden, Webhook, WebhookAdded, WebhookFormat, WebhookPut, WebhookTested};
