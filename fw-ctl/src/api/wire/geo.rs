//! Countries and autonomous systems: where an address is at home, what is selected, and changes of it.

use std::{net::IpAddr, ops::Not};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Changed;

/// Where an address is at home, as far as the files know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Geo {
    /// Two letters.
    pub country: Option<String>,
    /// Number of its autonomous system.
    pub asn: Option<u32>,
    /// Whose that is; text from the file, at most 80 characters.
    pub as_name: Option<String>,
}

/// `GET /geo`, and a part of `GET /status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GeoStatus {
    /// Version of this layout: 1.
    pub schema: u32,
    /// The files of the configuration.
    pub files: Vec<GeoFile>,
    /// Countries (`KP`) and autonomous systems (`AS64500`) that are blocked.
    pub block: Vec<String>,
    /// If there are any, everything else is blocked.
    pub only: Vec<String>,
    /// What commands changed of the configuration: `block KP`, `only DE AT`.
    pub changed: Vec<String>,
    /// What is in force.
    pub lists: Vec<GeoList>,
    /// What that takes of the kernel's tables, about.
    pub bytes: u64,
    /// What is wrong; what was in force stays so.
    pub problem: Option<String>,
}

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GeoFile {
    /// As in the configuration.
    pub path: String,
    /// What it calls itself; `null`, with all that follows, if it was never read.
    pub kind: Option<String>,
    /// When it was made.
    pub built_at: Option<Timestamp>,
    /// How long ago that is.
    pub age_s: Option<u64>,
    /// Networks of which it says something.
    pub networks: Option<usize>,
    /// Whether the country of an address is looked up in it.
    pub countries: bool,
    /// Whether the autonomous system of an address is looked up in it.
    pub systems: bool,
    /// Why it cannot be read as it is now.
    pub problem: Option<String>,
}

/// A list of prefixes that follows from a selection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GeoList {
    /// `geo:KP`, `geo:AS64500`, or `geo:only`: all that is not in the countries that alone may pass.
    pub list: String,
    /// Prefixes of IPv4.
    pub ipv4: usize,
    /// Prefixes of IPv6.
    pub ipv6: usize,
}

/// `PATCH /geo`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GeoChange {
    /// Block these: `KP`, `AS64500`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub block: Vec<String>,
    /// Block these no more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unblock: Vec<String>,
    /// Block everything but these; an empty list ends that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    /// Say only what it would come to.
    #[serde(skip_serializing_if = "Not::not")]
    pub dry_run: bool,
}

/// The query of `DELETE /geo`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct GeoReset {
    /// Say only what it would come to.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a change of the selection came to, or would.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GeoChanged {
    /// Entries that changed.
    #[serde(flatten)]
    pub changed: Changed,
    /// All lists there are then.
    pub lists: Vec<GeoList>,
    /// What they take of the kernel's tables, about.
    pub bytes: u64,
}

/// `GET /geo/find`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GeoFound {
    /// As asked for.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// `null` where nothing is known.
    pub geo: Option<Geo>,
}
