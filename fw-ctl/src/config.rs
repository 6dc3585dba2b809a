//! The configuration file, `/etc/fw-ctl/fw-ctl.toml`. Unknown keys are refused with their line.

mod api;
pub mod geo;
mod lists;
mod mirror;
pub mod policy_file;
mod rules;
mod scan;

use std::{
    collections::BTreeSet,
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use fw_common::Prefix;
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::de::DeTable;

pub use self::{
    api::{Api, Tls},
    geo::Geo,
    mirror::{Backend, Mirror},
};
use crate::{
    api::wire::RulePut,
    backend::xdp::{
        links::Mode,
        shape::{self, Shape},
    },
    detect::settings::Settings,
    feed::{Feed, Source},
    policy::{entry::ListName, guard::MAX_NAMED, refusal::Refusal},
};

/// Where the file is unless told otherwise; it need not be there.
pub const DEFAULT_PATH: &str = "/etc/fw-ctl/fw-ctl.toml";

/// Everything that can be configured. Without a file, what [`Default`] says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Interfaces to protect.
    pub interfaces: Vec<String>,
    /// How to attach.
    #[serde(deserialize_with = "text")]
    pub mode: Mode,
    /// Count what would be dropped, drop nothing.
    pub observe: bool,
    /// Who can never be dropped.
    pub guard: Guard,
    /// What makes a scan, and what follows from it.
    #[serde(deserialize_with = "scan::Table::deserialize")]
    pub scan: Settings,
    /// Netfilter, and what every new connection meets there.
    pub mirror: Mirror,
    /// Who may use the API, and where.
    pub api: Api,
    /// Where webhooks may go.
    pub webhooks: Webhooks,
    /// Countries and autonomous systems.
    pub geo: Geo,
    /// Sizes of the kernel's tables.
    pub tables: Tables,
    /// Where feeds may come from.
    pub feeds: Feeds,
    /// Lists that are kept from files and URLs.
    #[serde(rename = "list", deserialize_with = "lists::tables")]
    pub lists: Vec<Feed>,
    /// Rules; [`Config::read`] refuses what is none.
    #[serde(rename = "rule", deserialize_with = "rules::tables")]
    pub rules: Vec<RulePut>,
}

/// `[guard]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// Prefixes to guard.
    #[serde(deserialize_with = "texts")]
    pub prefixes: Vec<Prefix>,
    /// Also own addresses, gateways, resolvers and live SSH peers.
    pub discover: bool,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            prefixes: Vec::new(),
            discover: true,
        }
    }
}

/// `[webhooks]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Webhooks {
    /// Networks that may be reached although they are not global, also by `http`. Who uses the API
    /// cannot add to them.
    #[serde(deserialize_with = "texts")]
    pub allow: Vec<Prefix>,
}

/// `[feeds]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Feeds {
    /// Networks that may be asked although they are not global, also by `http`. Who uses the API
    /// cannot add to them.
    #[serde(deserialize_with = "texts")]
    pub allow: Vec<Prefix>,
}

/// `[tables]`: how much the kernel's tables can hold. What is left out depends on the memory of the
/// host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tables {
    /// Blocks of IPv4.
    pub ipv4: Option<u32>,
    /// Blocks of IPv6.
    pub ipv6: Option<u32>,
    /// Allows of each family.
    pub allows: Option<u32>,
    /// What the program asks.
    pub lookup: Lookup,
}

/// Entries that a table can be configured for.
const MAX_ENTRIES: u32 = 1 << 24;

/// `[tables] lookup`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lookup {
    /// The flat tables.
    #[default]
    Flat,
    /// The tries alone.
    Trie,
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not understood; names line and column.
    #[error("{}: {detail}", path.display())]
    Parse {
        /// Which.
        path: PathBuf,
        /// Line, column, and what is wrong there.
        detail: String,
    },
}

impl Config {
    /// Reads a file. One that was not asked for may be missing.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        let file = path.unwrap_or(Path::new(DEFAULT_PATH));
        match fs::read_to_string(file) {
            Ok(text) => Self::parse(&text).map_err(|detail| ConfigError::Parse {
                path: file.to_owned(),
                detail,
            }),
            Err(error) if path.is_none() && error.kind() == io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(source) => Err(ConfigError::Read {
                path: file.to_owned(),
                source,
            }),
        }
    }

    /// Reads a text. The error names line and column.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let place = error.span().map(|span| span.start);
            located(text, place, error.message())
        })?;
        config.scan.validate().map_err(|error| {
            let place = place(text, "scan", None, error.key);
            located(text, place, &error.to_string())
        })?;
        config.api.validate().map_err(|(key, error)| {
            let place = place(text, "api", None, key);
            located(text, place, &error)
        })?;
        config.geo.validate().map_err(|(key, error)| {
            let place = place(text, "geo", None, key);
            located(text, place, &error)
        })?;
        rules::check(text, &config.rules)?;
        rules::check_endless(text, &config.rules)?;
        let plain =
            |list: &&Feed| matches!(&list.source, Source::Url(url) if url.scheme() == "http");
        if config.feeds.allow.is_empty()
            && let Some(list) = config.lists.iter().find(plain)
        {
            let name = &list.name;
            return Err(format!(
                "list {name}: http is only for networks that `allow` of `[feeds]` names"
            ));
        }
        let mut names = BTreeSet::new();
        for list in &config.lists {
            if !names.insert(&list.name) {
                return Err(format!("two lists cannot both be {}", list.name));
            }
        }
        if config.guard.prefixes.len() > MAX_NAMED {
            return Err(format!(
                "at most {MAX_NAMED} prefixes can be guarded by name"
            ));
        }
        let sizes = [config.tables.ipv4, config.tables.ipv6, config.tables.allows];
        if let Some(size) = sizes
            .into_iter()
            .flatten()
            .find(|size| !(1..=MAX_ENTRIES).contains(size))
        {
            return Err(format!(
                "a table holds 1 to {MAX_ENTRIES} entries, not {size}"
            ));
        }
        Ok(config)
    }

    /// The shape of the kernel's tables, on a host with so many bytes of memory.
    pub fn shape(&self, memory: u64) -> Shape {
        let usual = Shape::for_memory(memory);
        Shape {
            ipv4: self.tables.ipv4.unwrap_or(usual.ipv4),
            ipv6: self.tables.ipv6.unwrap_or(usual.ipv6),
            allows: self.tables.allows.unwrap_or(usual.allows),
            lookup: match self.tables.lookup {
                Lookup::Flat => shape::Lookup::Flat,
                Lookup::Trie => shape::Lookup::Tries,
            },
            ..usual
        }
    }
}

/// Where a key stands in a table of the file, or in one of several of this name; where it is not
/// there, the table.
fn place(file: &str, table: &str, index: Option<usize>, key: &str) -> Option<usize> {
    let file = DeTable::parse(file).ok()?;
    let mut table = file.get_ref().get(table)?;
    if let Some(index) = index {
        table = table.get_ref().as_array()?.get(index)?;
    }
    let value = table.get_ref().as_table()?.get(key).unwrap_or(table);
    Some(value.span().start)
}

/// Line and column of a place.
fn position(text: &str, place: Option<usize>) -> (usize, usize) {
    let before = place
        .and_then(|start| text.get(..start))
        .unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    (line, column)
}

/// What is wrong in one line, with the place in front.
fn located(text: &str, place: Option<usize>, message: &str) -> String {
    let (line, column) = position(text, place);
    let message = message.replace('\n', " ");
    format!("line {line}, column {column}: {message}")
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "native" => Ok(Self::Native),
            "skb" => Ok(Self::Skb),
            "hw" => Ok(Self::Hw),
            _ => Err(format!("mode {text:?} is none of auto, native, skb, hw")),
        }
    }
}

fn list_name<'de, D: Deserializer<'de>>(from: D) -> Result<ListName, D::Error> {
    let name: ListName = text(from)?;
    match name.as_str() {
        ListName::AUTO => Err(D::Error::custom(Refusal::Detectors)),
        ListName::LOCAL => Err(D::Error::custom("list local is the operator's own")),
        _ if name.is_geo() => Err(D::Error::custom(Refusal::Countries(name))),
        _ => Ok(name),
    }
}

/// A value that is written as text.
fn text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<T, D::Error> {
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

/// Values that are written as texts; the error says which one it is about.
fn texts<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<Vec<T>, D::Error> {
    let parsed = |text: String| {
        text.parse()
            .map_err(|error| D::Error::custom(format!("{text:?}: {error}")))
    };
    Vec::<String>::deserialize(from)?
        .into_iter()
        .map(parsed)
        .collect()
}

#[cfg(test)]
mod tests;
