//! What goes over the socket, in both directions: `interface.md` in types. The daemon and the
//! command line share these and nothing else.
//!
//! Times are RFC 3339 in UTC, `null` means never, numbers are numbers.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// `192.0.2.1` or `192.0.2.0/24`.
    pub prefix: String,
    /// `block` or `allow`.
    pub action: String,
    /// Name of the list.
    pub list: String,
    /// Empty without one.
    pub comment: String,
    /// When it was first added.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// Seconds left.
    pub ttl_s: Option<u64>,
    /// Packets it decided since it was loaded into the kernel.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A list of anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Items<T> {
    /// Version of this layout: 1.
    pub schema: u32,
    /// As many as were asked for.
    pub items: Vec<T>,
    /// How many there are.
    pub total: usize,
}

impl<T> Items<T> {
    /// All of them.
    pub fn all(items: Vec<T>) -> Self {
        Self {
            schema: 1,
            total: items.len(),
            items,
        }
    }
}

/// `POST /blocks`, `POST /allows`: all or nothing unless `keep_going`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// What to add.
    pub items: Vec<PutItem>,
    /// List to add to; `local` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Leave out what is refused instead of refusing everything.
    #[serde(default)]
    pub keep_going: bool,
    /// Refuse what is there already (409).
    #[serde(default)]
    pub strict: bool,
    /// Check and count only.
    #[serde(default)]
    pub dry_run: bool,
}

/// One prefix of a [`Put`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PutItem {
    /// `192.0.2.1` or `192.0.2.0/24`.
    pub prefix: String,
    /// Seconds to live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// Empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub comment: String,
}

/// `PUT /lists/{name}`: the list has exactly these entries of this action afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replace {
    /// `block` or `allow`.
    pub action: String,
    /// All of its entries.
    pub items: Vec<PutItem>,
    /// As in [`Put`].
    #[serde(default)]
    pub keep_going: bool,
    /// As in [`Put`].
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /batch`: several changes, all or nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// To be added to the blocks of `local`.
    #[serde(default)]
    pub block: Vec<PutItem>,
    /// To be added to the allows of `local`.
    #[serde(default)]
    pub allow: Vec<PutItem>,
    /// Blocked prefixes to be removed from every list.
    #[serde(default)]
    pub unblock: Vec<String>,
    /// Allowed prefixes to be removed from every list.
    #[serde(default)]
    pub unallow: Vec<String>,
    /// Check and count only.
    #[serde(default)]
    pub dry_run: bool,
}

/// What a change did, or with `dry_run` would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Changed {
    /// Entries that are new.
    pub added: usize,
    /// Entries whose end or comment changed.
    pub updated: usize,
    /// Entries that are gone.
    pub removed: usize,
    /// Entries that were there already.
    pub unchanged: usize,
    /// Left out because of `keep_going`.
    pub refused: Vec<Refused>,
    /// What the user should know: host bits cleared, still blocked by another entry, ...
    pub warnings: Vec<String>,
}

/// A prefix that was refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// As asked for.
    pub prefix: String,
    /// Position among the items, from 0.
    pub index: usize,
    /// As in [`Problem`].
    pub code: Code,
    /// Why.
    pub message: String,
}

/// A list and its fill.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct List {
    /// Its name.
    pub name: String,
    /// Number of blocks, IPv4 and IPv6.
    pub blocks: usize,
    /// Number of allows, IPv4 and IPv6.
    pub allows: usize,
}

/// A guarded prefix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guarded {
    /// The network.
    pub prefix: String,
    /// `reserved`, `configured`, `added`, `own-address`, `gateway`, `resolver` or `ssh-peer`.
    pub source: String,
}

/// `POST /guard`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuardPut {
    /// To be guarded from now on.
    pub prefixes: Vec<String>,
}

/// `GET /check`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// The source asked for.
    pub address: IpAddr,
    /// `pass` or `drop`: what the loaded program did with a packet from it.
    pub verdict: String,
    /// Name of a [`fw_common::reason::Reason`].
    pub reason: String,
    /// Observe mode is on: what the reason would drop passes.
    pub observe: bool,
    /// The entry that decided.
    pub entry: Option<Entry>,
}

/// `GET /why?address=&port=&proto=&iface=&vlan=`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// The guarded prefix that covers it.
    pub guard: Option<Guarded>,
}

/// The packet of a [`Why`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProbePacket {
    /// Source address.
    pub source: IpAddr,
    /// Destination address: the interface's own, where it has one.
    pub destination: IpAddr,
    /// `tcp`, `udp` or `icmp`.
    pub protocol: String,
    /// Destination port; `null` for ICMP.
    pub port: Option<u16>,
    /// VLAN tag.
    pub vlan: Option<u16>,
    /// Interface it came in on, as the program sees it.
    pub interface: Option<String>,
    /// Bytes from the Ethernet header on.
    pub length: usize,
}

/// One layer's answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Layer {
    /// `xdp`; the mirror's later.
    pub name: String,
    /// `pass` or `drop`.
    pub verdict: String,
    /// In words.
    pub detail: String,
}

/// `GET /status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Every table in the kernel.
    pub tables: Vec<Table>,
    /// Packets by reason.
    pub totals: Vec<Total>,
    /// Number of guarded prefixes.
    pub guard: usize,
    /// State of the mirror in netfilter.
    pub mirror: String,
    /// Sampled drops that were lost or held back.
    pub samples: Samples,
}

/// The program in the kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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

/// A table in the kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Name of the map.
    pub map: String,
    /// Entries in it.
    pub used: usize,
    /// Entries it can hold.
    pub capacity: usize,
}

/// Packets with the same outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// Held back by the rate limit.
    pub limited: u64,
    /// Lost because the ring was full.
    pub lost: u64,
}

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

/// `GET /version`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Version {
    /// Of the daemon.
    pub version: String,
    /// [`fw_common::abi::VERSION`].
    pub abi: u32,
}

/// Body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// What went wrong.
    pub error: ProblemBody,
}

/// What went wrong. As an error it keeps its code on the way up through `anyhow`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ProblemBody {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Each refused item of a change of several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

impl ProblemBody {
    /// Without a hint and without refused items.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            refused: Vec::new(),
        }
    }

    /// With what to do about it.
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// Kinds of failure: each has one HTTP status and one exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Not understood: 400, exit 2.
    BadInput,
    /// Not there: 404, exit 2.
    NotFound,
    /// The daemon does not run: exit 3.
    NotRunning,
    /// 403, exit 4.
    Permission,
    /// Would cut a guarded address: 422, exit 5.
    GuardRefused,
    /// Done in part, because of `keep_going`: exit 6.
    Partly,
    /// A table, or the disk, is full: 507, exit 7.
    Full,
    /// Kernel or driver refused: 503, exit 8.
    Kernel,
    /// There already, with `strict`: 409, exit 10.
    Conflict,
    /// Larger than what is taken in one request: 413, exit 2.
    TooLarge,
    /// The state directory failed: 500, exit 1.
    Store,
    /// Anything else: 500, exit 1.
    Internal,
}

impl Code {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadInput => 400,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::GuardRefused => 422,
            Self::Kernel | Self::NotRunning => 503,
            Self::Full => 507,
            Self::Partly | Self::Store | Self::Internal => 500,
        }
    }

    /// The exit code of the command line.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Store | Self::Internal => 1,
            Self::BadInput | Self::NotFound | Self::TooLarge => 2,
            Self::NotRunning => 3,
            Self::Permission => 4,
            Self::GuardRefused => 5,
            Self::Partly => 6,
            Self::Full => 7,
            Self::Kernel => 8,
            Self::Conflict => 10,
        }
    }
}
