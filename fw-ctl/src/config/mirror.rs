//! `[mirror]`: netfilter, and what every new connection meets there.

use std::str::FromStr;

use serde::Deserialize;

use super::text;
use crate::policy::{rule::Verdict, rules::Base};

/// `[mirror]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Table")]
pub struct Mirror {
    /// What keeps the policy in netfilter.
    pub backend: Backend,
    /// Blocks count for forwarded packets too.
    pub forward: bool,
    /// Invalid packets and the default, where no command said otherwise.
    pub base: Base,
}

/// What keeps the policy in netfilter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// What is live on the host.
    #[default]
    Auto,
    /// Chains and sets, by the variant of iptables that is live on the host.
    Iptables,
    /// A table of its own.
    Nftables,
    /// Nothing does.
    None,
}

impl Backend {
    /// As typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Iptables => "iptables",
            Self::Nftables => "nftables",
            Self::None => "none",
        }
    }
}

impl FromStr for Backend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "iptables" => Ok(Self::Iptables),
            "nftables" => Ok(Self::Nftables),
            "none" => Ok(Self::None),
            _ => Err(format!(
                "backend {text:?} is none of auto, iptables, nftables, none"
            )),
        }
    }
}

/// As it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    #[serde(deserialize_with = "text")]
    backend: Backend,
    forward: bool,
    #[serde(deserialize_with = "text")]
    default: Verdict,
    drop_invalid: bool,
}

impl Default for Table {
    fn default() -> Self {
        let Mirror {
            backend,
            forward,
            base,
        } = Mirror::default();
        Self {
            backend,
            forward,
            default: base.default,
            drop_invalid: base.drop_invalid,
        }
    }
}

impl From<Table> for Mirror {
    fn from(table: Table) -> Self {
        Self {
            backend: table.backend,
            forward: table.forward,
            base: Base {
                default: table.default,
                drop_invalid: table.drop_invalid,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn the_whole_table_is_read() {
        let config = Config::parse(
            r#"
            [mirror]
            backend = "nftables"
            forward = true
            default = "drop"
            drop_invalid = false
            "#,
        );
        let expected = Mirror {
            backend: Backend::Nftables,
            forward: true,
            base: Base {
                default: Verdict::Drop,
                drop_invalid: false,
            },
        };
        assert_eq!(config.expect("a good file").mirror, expected);
    }

    #[test]
    fn what_is_not_in_the_table_is_as_without_one() {
        for text in ["", "[mirror]", "[mirror]\nbackend = \"auto\""] {
            let config = Config::parse(text).expect(text);
            assert_eq!(config.mirror, Mirror::default(), "{text}");
        }
        let config = Config::parse("mirror.default = \"drop\"").expect("a key with a dot");
        assert_eq!(config.mirror.base.default, Verdict::Drop);
        assert!(config.mirror.base.drop_invalid);
    }

    #[test]
    fn the_shipped_file_has_every_key() {
        let refused = Config::parse("[mirror]\nnonsense = 1").expect_err("no such key");
        let known: Vec<&str> = refused.split('`').skip(3).step_by(2).collect();
        let shipped: toml::Table = include_str!("../../dist/fw-ctl.toml")
            .parse()
            .expect("a good file");
        let shown = shipped["mirror"].as_table().expect("a table");
        assert_eq!(shown.len(), known.len());
        assert!(
            known.iter().all(|key| shown.contains_key(*key)),
            "{known:?}"
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (line, parts) in [
            (
                "bckend = \"auto\"",
                ["line 3, column 1", "unknown field `bckend`"],
            ),
            (
                "backend = \"ufw\"",
                ["line 3, column 11", "\"ufw\" is none of auto, iptables"],
            ),
            ("backend = 1", ["line 3, column 11", "expected a string"]),
            ("forward = \"yes\"", ["line 3, column 11", "boolean"]),
            (
                "default = \"pass\"",
                ["line 3, column 11", "\"pass\" is neither accept nor drop"],
            ),
            ("drop_invalid = 0", ["line 3, column 16", "boolean"]),
        ] {
            let text = format!("observe = true\n[mirror]\n{line}\n[api]\n");
            let error = Config::parse(&text).expect_err(line);
            for part in parts {
                assert!(error.contains(part), "{line}: {error}");
            }
        }
    }
}
