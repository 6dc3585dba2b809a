//! The state of the daemon and of the kernel side.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Feed, GeoStatus, List, Memory, MirrorStatus, Pending, Table};

/// `GET /status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Of the daemon.
    pub version: String,
    /// [`fw_common::abi::VERSION`].
    pub abi: u32,
    /// Process id of the daemon.
    pub pid: u32,
    /// When it started.
    pub started_at: Timestamp,
    /// What would be dropped passes.
    pub observe: bool,
    /// `ok`, or what is wrong.
    pub state: String,
    /// What is wrong, one sentence each.
    pub alarms: Vec<String>,
    /// The program in the kernel.
    pub program: Program,
    /// Every configured interface.
    pub interfaces: Vec<Interface>,
    /// Every list.
    pub lists: Vec<List>,
    /// How full the tables in the kernel are.
    pub tables: Vec<Table>,
    /// What every map in the kernel takes.
    pub memory: Vec<Memory>,
    /// Packets by reason.
    pub totals: Vec<Total>,
    /// Number of guarded prefixes.
    pub guard: usize,
    /// `off`, `observe` or `enforce`: the mode of the scan detector.
    pub scan: String,
    /// Countries and autonomous systems.
    pub geo: GeoStatus,
    /// State of the mirror in netfilter.
    pub mirror: MirrorStatus,
    /// Every list that is kept from elsewhere.
    pub feeds: Vec<Feed>,
    /// A policy that waits to be confirmed.
    pub pending: Option<Pending>,
    /// Sampled drops that were lost or held back.
    pub samples: Samples,
}

/// The program in the kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Program {
    /// Its name there.
    pub name: String,
    /// Its id there.
    pub id: u32,
    /// Its tag there.
    pub tag: String,
    /// Whether it takes multi-buffer packets, and why not.
    pub frags: bool,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its index; `null` while it is away.
    pub index: Option<u32>,
    /// Whether packets go through the program.
    pub attached: bool,
    /// `native`, `generic` or `offload`.
    pub mode: Option<String>,
    /// Why this mode, or why not attached.
    pub detail: String,
}

/// Packets with the same outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Total {
    /// `pass`, `drop` or `observe`.
    pub action: String,
    /// Name of a [`fw_common::reason::Reason`].
    pub reason: String,
    /// `ipv4`, `ipv6` or `none`.
    pub family: String,
    /// Since the maps were made.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How the sampling of drops went since the maps were made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Samples {
    /// Held back by the rate limit.
    pub limited: u64,
    /// Lost because the ring was full.
    pub lost: u64,
}

/// `GET /version`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Version {
    /// Of the daemon.
    pub version: String,
    /// [`fw_common::abi::VERSION`].
    pub abi: u32,
}
