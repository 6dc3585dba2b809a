//! The configuration file, `/etc/fw-ctl/fw-ctl.toml`. Unknown keys are refused with their line.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use fw_common::{Prefix, abi};
use serde::Deserialize;

use crate::{
    backend::xdp::links::Mode,
    policy::{
        entry::{Action, ListName},
        guard::MAX_NAMED,
    },
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
    #[serde(deserialize_with = "mode")]
    pub mode: Mode,
    /// Count what would be dropped, drop nothing.
    pub observe: bool,
    /// Who can never be dropped.
    pub guard: Guard,
    /// Who may use the socket.
    pub api: Api,
    /// Sizes of the kernel's tables.
    pub tables: Tables,
    /// Files that are kept as lists of their own.
    #[serde(rename = "list")]
    pub lists: Vec<ListFile>,
}

/// `[guard]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Guard {
    /// Prefixes to guard.
    #[serde(deserialize_with = "prefixes")]
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

/// `[api]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Group that may use the socket beside root, if it exists.
    pub group: String,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            group: "fw-ctl".to_owned(),
        }
    }
}

/// `[tables]`: entries that each table of an action can hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tables {
    /// Of each of the four block tables.
    pub blocks: Option<u32>,
    /// Of each of the four allow tables.
    pub allows: Option<u32>,
}

/// `[[list]]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListFile {
    /// Name of the list.
    #[serde(deserialize_with = "list_name")]
    pub name: ListName,
    /// What its entries do.
    #[serde(deserialize_with = "action")]
    pub action: Action,
    /// The file.
    pub path: PathBuf,
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
    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| located(text, &error))?;
        let mut names = std::collections::BTreeSet::new();
        for list in &config.lists {
            if list.name == ListName::local() || !names.insert(&list.name) {
                return Err(format!("two lists cannot both be {}", list.name));
            }
        }
        if config.guard.prefixes.len() > MAX_NAMED {
            return Err(format!(
                "at most {MAX_NAMED} prefixes can be guarded by name"
            ));
        }
        if [config.tables.blocks, config.tables.allows].contains(&Some(0)) {
            return Err("a table of 0 entries holds nothing".to_owned());
        }
        Ok(config)
    }

    /// Capacities that differ from the maps' own, by map name.
    pub fn capacities(&self) -> BTreeMap<&'static str, u32> {
        let blocks = [
            abi::BLOCK_V4,
            abi::BLOCK_V6,
            abi::BLOCK_HOST_V4,
            abi::BLOCK_HOST_V6,
        ];
        let allows = [
            abi::ALLOW_V4,
            abi::ALLOW_V6,
            abi::ALLOW_HOST_V4,
            abi::ALLOW_HOST_V6,
        ];
        let sized = |specs: [abi::MapSpec; 4], size: Option<u32>| {
            specs
                .into_iter()
                .filter_map(move |spec| Some((spec.name, size?)))
        };
        sized(blocks, self.tables.blocks)
            .chain(sized(allows, self.tables.allows))
            .collect()
    }
}

/// What is wrong in one line, with the place in front.
fn located(text: &str, error: &toml::de::Error) -> String {
    let before = error
        .span()
        .and_then(|span| text.get(..span.start))
        .unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let message = error.message().replace('\n', " ");
    format!("line {line}, column {column}: {message}")
}

impl std::str::FromStr for Mode {
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

fn mode<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Mode, D::Error> {
    parsed(String::deserialize(from)?)
}

fn list_name<'de, D: serde::Deserializer<'de>>(from: D) -> Result<ListName, D::Error> {
    parsed(String::deserialize(from)?)
}

fn action<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Action, D::Error> {
    parsed(String::deserialize(from)?)
}

fn prefixes<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Prefix>, D::Error> {
    Vec::<String>::deserialize(from)?
        .into_iter()
        .map(|text| {
            text.parse::<Prefix>()
                .map_err(|error| serde::de::Error::custom(format!("{text:?}: {error}")))
        })
        .collect()
}

fn parsed<T: std::str::FromStr, E: serde::de::Error>(text: String) -> Result<T, E>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(E::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_file_is_read() {
        let config = Config::parse(
            r#"
            interfaces = ["eth0", "eth1"]
            mode = "skb"
            observe = true
            [guard]
            prefixes = ["10.0.0.7/24"]
            discover = false
            [api]
            group = "wheel"
            [tables]
            blocks = 1000
            [[list]]
            name = "partners"
            action = "allow"
            path = "/etc/fw-ctl/partners.txt"
            "#,
        )
        .expect("a good file");
        assert_eq!(config.interfaces, ["eth0", "eth1"]);
        assert_eq!((config.mode, config.observe), (Mode::Skb, true));
        assert_eq!(config.guard.prefixes[0].to_string(), "10.0.0.0/24");
        assert!(!config.guard.discover);
        assert_eq!(config.capacities()["BLOCK_HOST_V6"], 1000);
        assert!(!config.capacities().contains_key("ALLOW_V4"));
        assert_eq!(config.lists[0].action, Action::Allow);
    }

    #[test]
    fn without_a_file_the_defaults_protect() {
        let config = Config::parse("").expect("an empty file");
        assert_eq!(config, Config::default());
        assert!(config.guard.discover && !config.observe);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, parts) in [
            ("interfces = []", ["line 1", "interfces"]),
            ("\n[guard]\nprefixes = [\"10.0.0\"]", ["line 3", "10.0.0"]),
            ("mode = \"fast\"", ["line 1", "fast"]),
            (
                "[[list]]\nname = \"a b\"\naction = \"block\"\npath = \"x\"",
                ["line 2", "list name"],
            ),
            (
                "[[list]]\nname = \"x\"\naction = \"drop\"\npath = \"x\"",
                ["line 3", "drop"],
            ),
            (
                "[[list]]\nname = \"local\"\naction = \"block\"\npath = \"x\"",
                ["two lists", "local"],
            ),
            ("[tables]\nblocks = 0", ["0 entries", "nothing"]),
        ] {
            let error = Config::parse(text).expect_err(text);
            for part in parts {
                assert!(error.contains(part), "{text}: {error}");
            }
        }
    }
}
