//! What is dropped now, and why.

use std::{collections::BTreeMap, net::IpAddr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Geo, Total};

/// `GET /stats`. Asking for it lets the kernel sample drops for a few seconds, so whoever asks again
/// and again learns who is dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Stats {
    /// Version of this layout: 1.
    pub schema: u32,
    /// When.
    pub time: Timestamp,
    /// Packets by reason, since the maps were made.
    pub totals: Vec<Total>,
    /// The last seconds, the latest last; at most 300, and none up to the one that was named.
    pub seconds: Vec<Second>,
    /// What was sampled in the last minute.
    pub sampled: Sampled,
}

/// The query of `GET /stats`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct StatsQuery {
    /// Leave out the seconds up to this one.
    pub after: Option<Timestamp>,
}

/// What went through the program within one second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Second {
    /// Its end.
    pub time: Timestamp,
    /// Packets that passed.
    pub pass: u64,
    /// Packets that were dropped, by reason; without those that were not.
    pub drop: BTreeMap<String, u64>,
    /// Packets that observe mode let pass, by reason.
    pub observe: BTreeMap<String, u64>,
}

/// Who was dropped, by samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sampled {
    /// Over how many seconds.
    pub window_s: u64,
    /// How many samples.
    pub samples: u64,
    /// The sources of most of them, the first first.
    pub sources: Vec<SampledSource>,
    /// The ports of most of them, the first first.
    pub ports: Vec<SampledPort>,
}

/// A source among samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SampledSource {
    /// Its address.
    #[schema(value_type = String)]
    pub source: IpAddr,
    /// Name of the reason of the last of them.
    pub reason: String,
    /// List that decided about it.
    pub list: Option<String>,
    /// Of all samples, from 0 to 1.
    pub share: f64,
    /// Where it is at home; `null` where that is not known.
    #[serde(default)]
    pub geo: Option<Geo>,
}

/// A destination port among samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SampledPort {
    /// `tcp`, `udp`, or another protocol's name or number.
    pub protocol: String,
    /// `null` where the protocol has none.
    pub port: Option<u16>,
    /// Of all samples, from 0 to 1.
    pub share: f64,
}
