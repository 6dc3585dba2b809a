//! The contract between the kernel program and its controller.
//!
//! - [`abi`]: version, map names, capacities, key and value layouts
//! - [`flat`]: tables that answer in constant time
//! - [`iface`]: which interfaces are counted apart
//! - [`prefix`]: an IPv4 or IPv6 network
//! - [`limit`]: how many new connections are too many
//! - [`parse`]: a frame's headers, read through the [`parse::Frame`] trait
//! - [`reason`]: every outcome a packet can have, and how outcomes are counted
//! - [`scan`]: what counts as a probe, and when a source has scanned
//! - [`verdict`]: [`verdict::decide`], the one place that orders the decisions
//!
//! Everything here is pure `core` code: the same source is compiled into the kernel program, runs
//! in the host tests, and explains a verdict in `fw-ctl why`.
//!
//! Byte order: addresses and ports in keys and events keep their order on the wire inside byte
//! arrays; integers of our own are in the order of the machine. Addresses are [`core::net`] types,
//! which hold wire order.
#![no_std]

pub mod abi;
pub mod flat;
pub mod iface;
pub mod limit;
pub mod parse;
#[cfg(feature = "user")]
mod pod;
pub mod prefix;
pub mod reason;
pub mod scan;
pub mod verdict;

pub use prefix::Prefix;
