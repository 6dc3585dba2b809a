//! Feeds: `GET|POST /feeds`, `DELETE /feeds/{name}`, `POST /feeds/{name}/refresh`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Changed, Hidden};

/// A feed as it is asked for: `POST /feeds`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedPut {
    /// The list that is kept.
    pub name: String,
    /// What its entries do: `block` or `allow`.
    #[serde(default = "block")]
    pub action: String,
    /// Where it comes from: a URL, or the absolute path of a file. A query may be a secret.
    pub source: Hidden,
    /// How it is written; `auto` by default.
    #[serde(default = "auto")]
    pub format: String,
    /// Seconds between two looks; an hour for a URL, none for a file by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<u64>,
    /// Bytes it may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Entries it may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_entries: Option<u64>,
    /// Length of the widest prefix of IPv4 it may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widest_ipv4: Option<u8>,
    /// Length of the widest prefix of IPv6 it may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widest_ipv6: Option<u8>,
    /// Seconds that its server may take for an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_limit_s: Option<u64>,
}

fn block() -> String {
    "block".to_owned()
}

fn auto() -> String {
    "auto".to_owned()
}

impl Default for FeedPut {
    fn default() -> Self {
        Self {
            name: String::new(),
            action: block(),
            source: Hidden::default(),
            format: auto(),
            interval_s: None,
            max_bytes: None,
            max_entries: None,
            widest_ipv4: None,
            widest_ipv6: None,
            time_limit_s: None,
        }
    }
}

/// A feed that is there: `GET /feeds`, and in `GET /status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Feed {
    /// The list that is kept.
    pub name: String,
    /// What its entries do.
    pub action: String,
    /// A path, or scheme and host of a URL; what follows may be a secret and is `...`.
    pub source: String,
    /// How it is written.
    pub format: String,
    /// `local` or `configuration`: who asked for it.
    pub origin: String,
    /// Seconds between two looks; `null` when it is only looked at on demand.
    pub interval_s: Option<u64>,
    /// Entries of the last good copy; `null` before the first.
    pub entries: Option<usize>,
    /// Lines of it that nobody could read.
    pub unread: usize,
    /// Entries of it that are left out, because they would cut somebody who is guarded.
    pub left_out: usize,
    /// When it came.
    pub fetched_at: Option<Timestamp>,
    /// When it was last looked at with success.
    pub checked_at: Option<Timestamp>,
    /// Seconds since then.
    pub age_s: Option<u64>,
    /// When it is looked at next; `null` on demand.
    pub next_at: Option<Timestamp>,
    /// Looks that failed since.
    pub failures: u32,
    /// Why the last one failed; `null` when it did not.
    pub problem: Option<String>,
}

/// Answer of `POST /feeds` and of `POST /feeds/{name}/refresh`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FeedDone {
    /// The feed, as it is now.
    pub feed: Feed,
    /// What became of its list.
    pub changed: Changed,
}
