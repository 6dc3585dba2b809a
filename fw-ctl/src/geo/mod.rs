//! Countries and autonomous systems, as files in the format of MaxMind say them.
//!
//! - [`code`]: what can be selected
//! - [`selection`]: what is
//! - [`home`]: what a record says, in whatever layout
//! - [`database`]: one file, and [`databases`]: all of them together
//! - [`ranges`]: sets of addresses
//! - [`compile`]: from the files to the prefixes of a selection (pure)

pub mod code;
pub mod compile;
pub mod database;
pub mod databases;
pub mod home;
pub mod ranges;
pub mod selection;

#[cfg(test)]
#[path = "../../../tests/src/mmdb.rs"]
pub(crate) mod mmdb;
