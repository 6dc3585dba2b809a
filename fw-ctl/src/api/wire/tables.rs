//! The kernel's tables.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What can be full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Table {
    /// Whose room it is, or the name of a map.
    pub name: String,
    /// Entries in it.
    pub used: usize,
    /// Entries it can hold.
    pub capacity: usize,
}

impl Table {
    /// How full it is, in percent.
    pub fn fill(&self) -> usize {
        (self.used * 100).checked_div(self.capacity).unwrap_or(0)
    }
}

/// What a map takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Memory {
    /// Its name.
    pub map: String,
    /// As the kernel accounts them.
    pub bytes: u64,
}
