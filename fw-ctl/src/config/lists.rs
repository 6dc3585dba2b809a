//! `[[list]]`: lists that are kept from files and URLs.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de::Error};

use super::{list_name, rules::ttl, text};
use crate::{
    api::wire::{FeedPut, Hidden},
    feed::{Feed, Source},
    listfile::Format,
    outbound,
    policy::entry::{Action, ListName},
};

/// A table as it is written. What is left out is as for `fw-ctl feed add`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(deserialize_with = "list_name")]
    name: ListName,
    #[serde(deserialize_with = "text")]
    action: Action,
    path: Option<PathBuf>,
    url: Option<String>,
    #[serde(default = "auto", deserialize_with = "text")]
    format: Format,
    #[serde(default, deserialize_with = "ttl")]
    interval: Option<u64>,
    #[serde(default, deserialize_with = "ttl")]
    time_limit: Option<u64>,
    max_bytes: Option<u64>,
    max_entries: Option<u64>,
    widest_ipv4: Option<u8>,
    widest_ipv6: Option<u8>,
}

fn auto() -> Format {
    Format::Auto
}

/// Reads every table.
pub(super) fn tables<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Feed>, D::Error> {
    struct Row(Feed);
    impl<'de> Deserialize<'de> for Row {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            feed(Table::deserialize(from)?)
                .map(Row)
                .map_err(Error::custom)
        }
    }
    let rows = Vec::<Row>::deserialize(from)?;
    Ok(rows.into_iter().map(|Row(feed)| feed).collect())
}

fn feed(table: Table) -> Result<Feed, String> {
    let name = &table.name;
    let source = match (table.path, &table.url) {
        (Some(path), None) => Source::File(path),
        (None, Some(url)) => {
            let url = outbound::url(url);
            Source::Url(url.map_err(|why| format!("url of list {name} {why}"))?)
        }
        _ => return Err(format!("list {name} has either a path or a url")),
    };
    let put = FeedPut {
        name: table.name.to_string(),
        action: table.action.name().to_owned(),
        source: Hidden::default(),
        format: table.format.name().to_owned(),
        interval_s: table.interval,
        max_bytes: table.max_bytes,
        max_entries: table.max_entries,
        widest_ipv4: table.widest_ipv4,
        widest_ipv6: table.widest_ipv6,
        time_limit_s: table.time_limit,
    };
    Feed::of(&put, source).map_err(|error| format!("list {}: {error}", put.name))
}
