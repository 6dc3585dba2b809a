//! The flat tables in the kernel's memory: see [`fw_common::flat`] for what the program reads there.
//!
//! - [`rows`], with [`address`]: what is listed, each prefix once
//! - [`sweep`]: from prefixes to ranges (pure)
//! - [`v4`] with [`arena`], [`v6`]: ranges in memory
//! - [`grace`]: what may still be read
//! - [`family`]: rows and their index, changed together

pub mod address;
pub mod arena;
pub mod family;
pub mod grace;
pub mod rows;
pub mod sweep;
pub mod v4;
pub mod v6;

#[cfg(test)]
mod tests;
