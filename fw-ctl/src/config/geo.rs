//! `[geo]`: files that say where addresses are, and what follows from it.

use std::path::PathBuf;

use serde::Deserialize;

use super::texts;
use crate::geo::{code::Code, selection::Selection};

/// Files there can be.
pub const MAX_FILES: usize = 8;

/// `[geo]`
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Geo {
    /// Files in the format of MaxMind; the first that knows countries says the country.
    pub databases: Vec<PathBuf>,
    /// Countries and autonomous systems to block.
    #[serde(deserialize_with = "texts")]
    pub block: Vec<Code>,
    /// If there are any, everything else is blocked.
    #[serde(deserialize_with = "texts")]
    pub only: Vec<Code>,
}

impl Geo {
    /// What is selected, without what commands said.
    pub fn selection(&self) -> Selection {
        Selection {
            block: self.block.iter().copied().collect(),
            only: self.only.iter().copied().collect(),
        }
    }

    /// Whether its parts go together; names the key that does not.
    ///
    /// # Errors
    /// The key, and what is wrong with it.
    pub(super) fn validate(&self) -> Result<(), (&'static str, String)> {
        for (key, codes) in [("block", &self.block), ("only", &self.only)] {
            if !codes.is_empty() && self.databases.is_empty() {
                return Err((key, format!("{key} means nothing without databases")));
            }
            if codes.len() > Selection::MAX {
                let message = format!("{key} names more than {}", Selection::MAX);
                return Err((key, message));
            }
        }
        match self.databases.len() > MAX_FILES {
            true => Err(("databases", format!("at most {MAX_FILES} files are read"))),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{config::Config, geo::selection::joined};

    #[test]
    fn files_and_codes_are_read() {
        let config = Config::parse(
            "[geo]\ndatabases = [\"/a.mmdb\", \"/b.mmdb\"]\nblock = [\"KP\", \"AS64500\"]\nonly = [\"DE\", \"AT\"]",
        );
        let geo = config.expect("a good file").geo;
        assert_eq!(geo.databases.len(), 2);
        let selection = geo.selection();
        assert_eq!(joined(&selection.block), "KP AS64500");
        assert_eq!(joined(&selection.only), "AT DE");
        let none = Config::parse("[geo]\ndatabases = [\"/a.mmdb\"]").expect("files alone");
        assert!(none.geo.selection().is_empty());
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (lines, place, reason) in [
            ("files = []", "line 2, column 1", "unknown field `files`"),
            ("block = [\"kp\"]", "line 2, column 9", "\"kp\": neither"),
            (
                "only = [\"DE\", \"AS4294967296\"]",
                "line 2, column 8",
                "\"AS4294967296\": neither",
            ),
            ("block = \"KP\"", "line 2, column 9", "expected a sequence"),
            (
                "\nonly = [\"DE\"]",
                "line 3, column 8",
                "only means nothing without databases",
            ),
            (
                "databases = [\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\",\"i\"]",
                "line 2, column 13",
                "at most 8 files",
            ),
        ] {
            let refused = Config::parse(&format!("[geo]\n{lines}")).expect_err(lines);
            assert!(
                refused.contains(place) && refused.contains(reason),
                "{refused}"
            );
        }
    }
}
