//! Rules, the stateful base, policy files, and the state of the mirror.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{PutItem, item::Described};
use crate::policy::rule::text::RuleText;

/// A rule as it is asked for: `POST /rules`, `[[rule]]` of the configuration and of policy files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RulePut {
    /// `tcp/22`, `tcp/80,443,8000-8100`, `udp`, `icmp`, `gre`.
    pub service: String,
    /// `accept`, `drop` or `limit`.
    pub action: String,
    /// Prefixes whose connections it is about; everybody's by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// Of a limit: `10/minute`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<String>,
    /// Of a limit: connections beyond the rate that are let through at once; 5 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Of a limit: `source` (the default) or `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per: Option<String>,
    /// Of an adaptive limit: the lowest rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<String>,
    /// Of an adaptive limit: the highest rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<String>,
    /// `09:00-17:00`; always by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// With hours: `mon-fri`; every day by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<String>,
    /// With hours: IANA time zone; `UTC` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Seconds to live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// Empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

impl From<&RulePut> for RuleText {
    fn from(put: &RulePut) -> Self {
        let put = put.clone();
        Self {
            service: put.service,
            action: put.action,
            from: put.from,
            rate: put.rate,
            burst: put.burst,
            per: put.per,
            floor: put.floor,
            ceiling: put.ceiling,
            hours: put.hours,
            days: put.days,
            zone: put.zone,
        }
    }
}

/// A rule that is in force: `GET /rules`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rule {
    /// Its number, never given twice.
    pub id: u32,
    /// `limit`; `schedule` for what accepts or drops at hours; else `port`.
    pub kind: String,
    /// `tcp/22`
    pub service: String,
    /// `accept`, `drop` or `limit`.
    pub action: String,
    /// Whose connections; empty for everybody's.
    pub from: Vec<String>,
    /// Of a limit, where it started.
    pub rate: Option<String>,
    /// Of a limit, where it is now.
    pub rate_now: Option<String>,
    /// Of a limit.
    pub burst: Option<u32>,
    /// Of a limit: `source` or `all`.
    pub per: Option<String>,
    /// Of an adaptive limit.
    pub floor: Option<String>,
    /// Of an adaptive limit.
    pub ceiling: Option<String>,
    /// `09:00-17:00`
    pub hours: Option<String>,
    /// `mon-fri`
    pub days: Option<String>,
    /// `Europe/Berlin`
    pub zone: Option<String>,
    /// Whether its hours are on; true without hours.
    pub active: bool,
    /// When `active` changes next.
    pub next_change: Option<Timestamp>,
    /// Empty without one.
    pub comment: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Seconds left.
    pub ttl_s: Option<u64>,
    /// `local` or `configuration`.
    pub origin: String,
}

/// `POST /rules`, answer: what is in force, and what the operator should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleAdded {
    /// The rule.
    pub rule: Rule,
    /// Whether it, or its end or comment, is new.
    pub changed: bool,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// `GET /default`, `PUT /default`: what every new connection meets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Base {
    /// `accept` or `drop`: what becomes of a new connection that no rule names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether packets that belong to no connection and can begin none are dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_invalid: Option<bool>,
    /// Check only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// What the user should know; in answers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A policy as a file has it. What is not there stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyText {
    /// `accept` or `drop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// As in [`Base`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drop_invalid: Option<bool>,
    /// All blocks of list `local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Described>>)]
    pub blocks: Option<Vec<PutItem>>,
    /// All allows of list `local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Described>>)]
    pub allows: Option<Vec<PutItem>>,
    /// All prefixes of `guard add`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Vec<String>>,
    /// All rules of origin `local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<Vec<RulePut>>,
}

/// `POST /apply`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Apply {
    /// What to apply.
    pub policy: PolicyText,
    /// Seconds after which it is rolled back unless confirmed; never by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_s: Option<u32>,
    /// Check, and say what would change.
    #[serde(default)]
    pub dry_run: bool,
}

/// What `apply`, `confirm` and `rollback` came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// What each layer changed, or would change: `xdp`, and the mirror by its name.
    pub layers: Vec<LayerChange>,
    /// Until when it waits to be confirmed.
    pub pending: Option<Pending>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// What a layer changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LayerChange {
    /// `xdp`, `iptables-nft`, ...
    pub layer: String,
    /// One line a change, `+` or `-` in front.
    pub changes: Vec<String>,
    /// Changes beyond those that are spelled out.
    pub more: usize,
}

impl LayerChange {
    /// Changes that are spelled out.
    const MAX_SHOWN: usize = 50;

    /// The changes of a layer, the first of them spelled out.
    pub fn new(layer: &str, mut changes: Vec<String>) -> Self {
        let more = changes.len().saturating_sub(Self::MAX_SHOWN);
        changes.truncate(Self::MAX_SHOWN);
        Self {
            layer: layer.to_owned(),
            changes,
            more,
        }
    }
}

/// A policy that waits to be confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pending {
    /// When it is rolled back; `null` for one that was applied without a time limit.
    pub until: Option<Timestamp>,
    /// Seconds left.
    pub left_s: Option<u64>,
}

/// `GET /diff`: what differs between policy and layers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diff {
    /// Whether every layer is as it should be.
    pub equal: bool,
    /// By layer; those that are equal have no changes. `+` is what should be there and is not, `-`
    /// what is there and should not be.
    pub layers: Vec<LayerChange>,
}

/// State of the mirror, in `GET /status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MirrorStatus {
    /// `iptables-nft`, `iptables-legacy`, `nftables` or `none`.
    pub backend: String,
    /// `in step`, `behind` (with `detail`) or `none`.
    pub state: String,
    /// Why this backend, or what is wrong.
    pub detail: String,
    /// When it was last found equal.
    pub checked_at: Option<Timestamp>,
    /// How often something of ours was found changed or gone.
    pub drifts: u64,
    /// Rules in force.
    pub rules: usize,
    /// `accept` or `drop`.
    pub default: String,
}
