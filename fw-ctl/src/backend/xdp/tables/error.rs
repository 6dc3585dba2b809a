//! What can go wrong.

use std::io;

use fw_common::abi::MapSpec;

/// Why a plan was not applied. The tables are as they were.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It does not fit.
    #[error("table {table} is full: it holds {capacity} entries and would need {needed}")]
    Full {
        /// Which.
        table: &'static str,
        /// Entries it can hold.
        capacity: usize,
        /// Entries it would have to hold.
        needed: usize,
    },
    /// The kernel refused an operation.
    #[error("the kernel refused to change table {table}")]
    Refused {
        /// Name of the map.
        table: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The kernel refused, and then refused to take back what was done before.
    #[error("the kernel refused to change table {table}, and to restore it")]
    Broken {
        /// Name of the map.
        table: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A map that has no room.
pub fn full(spec: &MapSpec, capacity: usize, needed: usize) -> ApplyError {
    ApplyError::Full {
        table: spec.name,
        capacity,
        needed,
    }
}
