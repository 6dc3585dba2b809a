//! Entries, lists, the guard, and changes to them.

use std::ops::Not;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Code, Geo, PutItem, item::Described};

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// `192.0.2.1` or `192.0.2.0/24`.
    pub prefix: String,
    /// `block` or `allow`.
    pub action: String,
    /// Whether it only counts what it would drop; not there if it does not.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub observed: bool,
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
    /// Where all of it is at home; `null` where that is not known.
    #[serde(default)]
    pub geo: Option<Geo>,
}

/// A list of anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
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

/// A [`PutOf`] with its items in memory.
pub type Put = PutOf<Vec<PutItem>>;

/// `POST /blocks`, `POST /allows`: all or nothing unless `keep_going`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(bound = "")]
pub struct PutOf<I> {
    /// What to add.
    #[schema(value_type = Vec<Described>)]
    pub items: I,
    /// List to add to; `local` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Leave out what is refused instead of refusing everything.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub keep_going: bool,
    /// Refuse what is there already (409).
    #[serde(default, skip_serializing_if = "Not::not")]
    pub strict: bool,
    /// Check and count only.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub dry_run: bool,
}

/// A [`ReplaceOf`] with its items in memory.
pub type Replace = ReplaceOf<Vec<PutItem>>;

/// `PUT /lists/{name}`: the list has exactly these entries of this action afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(bound = "")]
pub struct ReplaceOf<I> {
    /// `block` or `allow`.
    pub action: String,
    /// All of its entries.
    #[schema(value_type = Vec<Described>)]
    pub items: I,
    /// As in [`Put`].
    #[serde(default, skip_serializing_if = "Not::not")]
    pub keep_going: bool,
    /// As in [`Put`].
    #[serde(default, skip_serializing_if = "Not::not")]
    pub dry_run: bool,
}

/// A [`BatchOf`] with its items in memory.
pub type Batch = BatchOf<Vec<PutItem>>;

/// `POST /batch`: several changes, all or nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(bound = "")]
pub struct BatchOf<I> {
    /// To be added to the blocks of `local`.
    #[serde(default)]
    #[schema(value_type = Vec<Described>)]
    pub block: I,
    /// To be added to the allows of `local`.
    #[serde(default)]
    #[schema(value_type = Vec<Described>)]
    pub allow: I,
    /// Blocked prefixes to be removed from every list.
    #[serde(default)]
    pub unblock: Vec<String>,
    /// Allowed prefixes to be removed from every list.
    #[serde(default)]
    pub unallow: Vec<String>,
    /// Check and count only.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub dry_run: bool,
}

/// What a change did, or with `dry_run` would do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct List {
    /// Its name.
    pub name: String,
    /// Number of blocks, IPv4 and IPv6.
    pub blocks: usize,
    /// Number of allows, IPv4 and IPv6.
    pub allows: usize,
}

/// A guarded prefix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Guarded {
    /// The network.
    pub prefix: String,
    /// `reserved`, `configured`, `added`, `own-address`, `gateway`, `resolver` or `ssh-peer`.
    pub source: String,
}

/// `POST /guard`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GuardPut {
    /// To be guarded from now on.
    pub prefixes: Vec<String>,
}
