//! What a packet costs.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /bench`: the loaded program on this machine, a packet after the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Bench {
    /// Version of this layout: 1.
    pub schema: u32,
    /// How it was measured, and what is not in it.
    pub method: String,
    /// The program's id in the kernel.
    pub program: u32,
    /// How often each packet was measured.
    pub rounds: usize,
    /// The cost of a frame that is no IP, with all that is around a run of the program: the least
    /// that can be measured.
    pub floor: Cost,
    /// Packets of which the policy has an example.
    pub packets: Vec<PacketCost>,
}

/// Mean time of a run, over the rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cost {
    /// The quickest round.
    pub min_ns: u64,
    /// Half of the rounds were quicker.
    pub median_ns: u64,
    /// Runs of one round.
    pub runs: u32,
}

/// A packet, what becomes of it, and what that costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PacketCost {
    /// What it is.
    pub packet: String,
    /// Where it claims to come from.
    #[schema(value_type = String)]
    pub source: IpAddr,
    /// Name of a [`fw_common::reason::Reason`], as the program said.
    pub reason: String,
    /// What it costs.
    #[serde(flatten)]
    pub cost: Cost,
}
