//! What `GET /events` streams.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RollUp, ScanEvent, Unroll};

/// One line of `GET /events` (server-sent events) and of `fw-ctl tail --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A sampled drop.
    Drop(DropSample),
    /// The policy changed.
    Changed {
        /// When.
        time: Timestamp,
        /// What, in words.
        detail: String,
        /// Who asked: `uid 0`, `expiry`, `configuration`.
        by: String,
    },
    /// An interface was attached, lost or found again.
    Interface {
        /// When.
        time: Timestamp,
        /// Which.
        interface: String,
        /// What, in words.
        detail: String,
    },
    /// A source crossed a threshold of the scan detector.
    Scan(ScanEvent),
    /// Blocked sources of one network became one block.
    RollUp(RollUp),
    /// The block of a network is taken back.
    Unroll(Unroll),
}

impl Event {
    /// Whether it is one of the scan detector's, which stand in the security log.
    pub const fn is_scan(&self) -> bool {
        match self {
            Self::Scan(_) | Self::RollUp(_) | Self::Unroll(_) => true,
            Self::Drop(_) | Self::Changed { .. } | Self::Interface { .. } => false,
        }
    }
}

/// The query of `GET /events`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Leave the rest out; without drops, none is sampled.
    pub only: Option<EventKind>,
}

/// Events that can be asked for by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Those of the scan detector.
    Scans,
}

/// A sampled drop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DropSample {
    /// When.
    pub time: Timestamp,
    /// Name of the interface, or its index as text once it is gone.
    pub interface: String,
    /// Source address; `null` where it could not be read.
    pub source: Option<IpAddr>,
    /// Destination address.
    pub destination: Option<IpAddr>,
    /// IANA protocol number.
    pub protocol: u8,
    /// 0 where there is none.
    pub source_port: u16,
    /// 0 where there is none; type and code of ICMP.
    pub destination_port: u16,
    /// VLAN ids, outer first.
    pub vlans: Vec<u16>,
    /// Bytes from the Ethernet header on.
    pub length: u32,
    /// Name of a [`fw_common::reason::Reason`].
    pub reason: String,
    /// List that decided.
    pub list: Option<String>,
    /// Observe mode: it passed.
    pub observed: bool,
}
