//! Lists that are kept from a URL or a file, and brought up to date from time to time.
//!
//! Knows what such a list is and what may become of it; when it is applied, and to what, is the
//! daemon's ([`crate::daemon::feeds`]).
//!
//! - [`definition`]: what a feed is (pure)
//! - [`judge`]: whether what came is taken (pure)
//! - [`pace`]: when to look again (pure)
//! - [`fetch`]: getting it from a URL
//! - [`copy`]: what is in force, and the last good text on the disk

pub mod copy;
mod definition;
mod fetch;
mod judge;
mod pace;

pub use self::{
    definition::{Bounds, Feed, Source},
    fetch::{Answer, Fetched, Trouble, Validators, fetch},
    judge::{Refused, Size, Taken, judge},
    pace::{after_failure, after_success},
};
