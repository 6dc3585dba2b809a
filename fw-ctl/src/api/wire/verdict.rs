//! What happens to a packet.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Entry, Geo, Guarded, ScanSource};

/// `GET /check`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// The source asked for.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// `pass` or `drop`: what the loaded program did with a packet from it.
    pub verdict: String,
    /// Name of a [`fw_common::reason::Reason`].
    pub reason: String,
    /// Observe mode is on: what the reason would drop passes.
    pub observe: bool,
    /// The entry that decided.
    pub entry: Option<Entry>,
    /// Where the source is at home; `null` where that is not known.
    #[serde(default)]
    pub geo: Option<Geo>,
}

/// What `GET /why` is asked: a packet from `address`, by default a TCP SYN.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct WhyQuery {
    /// Source address.
    pub address: String,
    /// Destination port of TCP and UDP.
    pub port: Option<u16>,
    /// `tcp`, `udp` or `icmp`.
    pub proto: Option<String>,
    /// Interface it comes in on.
    pub iface: Option<String>,
    /// VLAN tag.
    pub vlan: Option<u16>,
}

/// `GET /why`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// The verdict.
    #[serde(flatten)]
    pub check: Check,
    /// What was sent through the program.
    pub packet: ProbePacket,
    /// What each layer says.
    pub layers: Vec<Layer>,
    /// Every other entry and guard that covers the address.
    pub covering: Vec<Entry>,
    /// How near the source is to a threshold of the scan detector; `null` without points.
    pub scan: Option<ScanSource>,
    /// The guarded prefix that covers it.
    pub guard: Option<Guarded>,
}

/// The packet of a [`Why`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbePacket {
    /// Source address.
    #[schema(value_type = String)]
    pub source: IpAddr,
    /// Destination address: one of this host's own, where it has one of that family.
    #[schema(value_type = String)]
    pub destination: IpAddr,
    /// `tcp`, `udp` or `icmp`.
    pub protocol: String,
    /// Destination port; `null` where none was asked for.
    pub port: Option<u16>,
    /// VLAN tag.
    pub vlan: Option<u16>,
    /// Interface it came in on, as the program sees it.
    pub interface: Option<String>,
    /// Bytes from the Ethernet header on.
    pub length: usize,
}

/// One layer's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Layer {
    /// `xdp`; the mirror's later.
    pub name: String,
    /// `pass` or `drop`.
    pub verdict: String,
    /// In words.
    pub detail: String,
}
