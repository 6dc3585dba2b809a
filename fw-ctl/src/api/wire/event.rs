//! What `GET /events` streams.

use std::{collections::BTreeSet, fmt, net::IpAddr, ops::Not, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use utoipa::{IntoParams, ToSchema};

use super::{Geo, RollUp, ScanEvent, Unroll};

/// One line of `GET /events` (server-sent events) and of `fw-ctl tail --json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A block is new, or ends at another time.
    Block(EntryEvent),
    /// A block was taken back before its end.
    Unblock(EntryEvent),
    /// An allow is new, or ends at another time.
    Allow(EntryEvent),
    /// An allow was taken back before its end.
    Unallow(EntryEvent),
    /// An entry has come to its end.
    Expire(EntryEvent),
    /// The policy changed: rules, settings, the guard, or many entries at once.
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
        /// Whether its packets go through the program from now on.
        attached: bool,
        /// What, in words.
        detail: String,
    },
    /// Something of ours in netfilter was changed or gone, and was repaired.
    Drift {
        /// When.
        time: Timestamp,
        /// `iptables-nft`, `iptables-legacy` or `nftables`.
        layer: String,
        /// What, in words.
        detail: String,
    },
    /// Something is wrong, or is well again.
    Alarm {
        /// When.
        time: Timestamp,
        /// What it is about, one word or two.
        subject: String,
        /// What is wrong; `null` when it is well again.
        message: Option<String>,
    },
    /// A source crossed a threshold of the scan detector.
    Scan(ScanEvent),
    /// Blocked sources of one network became one block.
    RollUp(RollUp),
    /// The block of a network is taken back.
    Unroll(Unroll),
    /// A sampled drop.
    Drop(DropSample),
    /// Events that this listener did not get: it was too slow, or away for too long.
    Lost {
        /// When that was found out.
        time: Timestamp,
        /// How many; `null` where nobody knows, because the daemon was started anew.
        count: Option<u64>,
    },
}

impl Event {
    /// What it is.
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::Block(_) => EventKind::Block,
            Self::Unblock(_) => EventKind::Unblock,
            Self::Allow(_) => EventKind::Allow,
            Self::Unallow(_) => EventKind::Unallow,
            Self::Expire(_) => EventKind::Expire,
            Self::Changed { .. } => EventKind::Changed,
            Self::Interface { .. } => EventKind::Interface,
            Self::Drift { .. } => EventKind::Drift,
            Self::Alarm { .. } => EventKind::Alarm,
            Self::Scan(_) => EventKind::Scan,
            Self::RollUp(_) => EventKind::RollUp,
            Self::Unroll(_) => EventKind::Unroll,
            Self::Drop(_) => EventKind::Drop,
            Self::Lost { .. } => EventKind::Lost,
        }
    }
}

/// What an event is: its word in `event`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "as in Event")]
pub enum EventKind {
    Block,
    Unblock,
    Allow,
    Unallow,
    Expire,
    Changed,
    Interface,
    Drift,
    Alarm,
    Scan,
    RollUp,
    Unroll,
    Drop,
    Lost,
}

impl EventKind {
    /// Each of them.
    pub const ALL: [Self; 14] = [
        Self::Block,
        Self::Unblock,
        Self::Allow,
        Self::Unallow,
        Self::Expire,
        Self::Changed,
        Self::Interface,
        Self::Drift,
        Self::Alarm,
        Self::Scan,
        Self::RollUp,
        Self::Unroll,
        Self::Drop,
        Self::Lost,
    ];

    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Allow => "allow",
            Self::Unallow => "unallow",
            Self::Expire => "expire",
            Self::Changed => "changed",
            Self::Interface => "interface",
            Self::Drift => "drift",
            Self::Alarm => "alarm",
            Self::Scan => "scan",
            Self::RollUp => "roll_up",
            Self::Unroll => "unroll",
            Self::Drop => "drop",
            Self::Lost => "lost",
        }
    }

    /// Whether it is one of the scan detector's, which stand in the security log.
    pub const fn is_scan(self) -> bool {
        matches!(self, Self::Scan | Self::RollUp | Self::Unroll)
    }
}

/// Kinds of events, written `block,scan`. What was lost is always told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinds(BTreeSet<EventKind>);

impl Kinds {
    /// These.
    pub fn of(kinds: impl IntoIterator<Item = EventKind>) -> Self {
        Self(kinds.into_iter().chain([EventKind::Lost]).collect())
    }

    /// Whether events of this kind are asked for.
    pub fn contains(&self, kind: EventKind) -> bool {
        self.0.contains(&kind)
    }
}

/// All but sampled drops, which cost the kernel something.
impl Default for Kinds {
    fn default() -> Self {
        let all = EventKind::ALL.into_iter();
        Self::of(all.filter(|kind| *kind != EventKind::Drop))
    }
}

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let kind = |word: &str| {
            let kinds = EventKind::ALL.into_iter();
            let mut named = kinds.filter(|kind| kind.name() == word);
            named.next().ok_or_else(|| {
                let word: String = word.chars().take(64).collect();
                format!("{word:?} is none of {}", Self::of(EventKind::ALL))
            })
        };
        Ok(Self::of(
            text.split(',').map(kind).collect::<Result<Vec<_>, _>>()?,
        ))
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked = self.0.iter().filter(|kind| **kind != EventKind::Lost);
        let names: Vec<&str> = asked.map(|kind| kind.name()).collect();
        f.write_str(&names.join(","))
    }
}

impl Serialize for Kinds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Kinds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// The query of `GET /events`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Leave the rest out; drops are sampled only if they are named.
    #[serde(default)]
    #[param(value_type = Option<String>)]
    pub kinds: Kinds,
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EntryEvent {
    /// Version of this layout: 1.
    pub schema: u32,
    /// When.
    pub time: Timestamp,
    /// `192.0.2.1` or `192.0.2.0/24`.
    pub prefix: String,
    /// `block` or `allow`.
    pub action: String,
    /// Name of the list.
    pub list: String,
    /// Empty without one.
    pub comment: String,
    /// Who asked: `uid 0`, `token NAME`, `scan`, `expiry`, `configuration`.
    pub by: String,
    /// Whether it was there before, with another end or comment.
    pub updated: bool,
    /// Whether it only counts what it would drop; not there if it does not.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub observed: bool,
    /// Seconds it had left; `null` without an end.
    pub ttl_s: Option<u64>,
    /// When it ends or would have; `null` without an end.
    pub expires_at: Option<Timestamp>,
    /// Where all of it is at home; `null` where that is not known.
    #[serde(default)]
    pub geo: Option<Geo>,
}

/// A sampled drop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DropSample {
    /// When.
    pub time: Timestamp,
    /// Name of the interface, or its index as text once it is gone.
    pub interface: String,
    /// Source address; `null` where it could not be read.
    #[schema(value_type = Option<String>)]
    pub source: Option<IpAddr>,
    /// Destination address.
    #[schema(value_type = Option<String>)]
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
    /// Where the source is at home; `null` where that is not known.
    #[serde(default)]
    pub geo: Option<Geo>,
}
