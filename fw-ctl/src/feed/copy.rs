//! What of a feed is in force, and the last good copy of its text in the state directory, which is
//! applied again when the server says that it has nothing new.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Feed, Source, fetch::Validators, judge::Size};
use crate::{host::files::replace, policy::entry::ListName};

/// Where the copies are, in the state directory.
const DIRECTORY: &str = "feeds";

/// What is known of the list in force. It is written down with the entries, or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Where it came from: what another address sent is no list of this feed.
    pub url: String,
    /// What its entries do.
    pub action: String,
    /// SHA-256 of its text.
    pub hash: [u8; 32],
    /// What the server called it.
    pub validators: Validators,
    /// When it came.
    pub fetched_at: Timestamp,
    /// When the server last said that it is as it was.
    pub checked_at: Timestamp,
    /// How large it is.
    pub size: Size,
}

impl About {
    /// Of a text that came just now.
    pub fn new(feed: &Feed, text: &[u8], validators: Validators, now: Timestamp) -> Self {
        Self {
            url: url(feed),
            action: feed.action.name().to_owned(),
            hash: Sha256::digest(text).into(),
            validators,
            fetched_at: now,
            checked_at: now,
            size: Size::default(),
        }
    }

    /// Whether it is of this feed, as the feed is now.
    pub fn is_of(&self, feed: &Feed) -> bool {
        self.url == url(feed) && self.action == feed.action.name()
    }
}

/// Empty for a file, which is its own copy.
fn url(feed: &Feed) -> String {
    match &feed.source {
        Source::File(_) => String::new(),
        Source::Url(url) => url.to_string(),
    }
}

/// The place of one copy.
#[derive(Clone, Debug)]
pub struct Copy(PathBuf);

impl Copy {
    /// That of a feed.
    pub fn of(state_dir: &Path, name: &ListName) -> Self {
        // Names have no `/` and do not begin with a dot.
        Self(state_dir.join(DIRECTORY).join(format!("{name}.list")))
    }

    /// Its text, if it is the one that has this hash.
    pub fn text(&self, hash: &[u8; 32]) -> Option<Vec<u8>> {
        let text = fs::read(&self.0).ok()?;
        (Sha256::digest(&text)[..] == *hash).then_some(text)
    }

    /// Keeps another one.
    ///
    /// # Errors
    /// The disk failed, and has no part of it.
    pub fn keep(&self, text: &[u8]) -> io::Result<()> {
        if let Some(directory) = self.0.parent() {
            fs::create_dir_all(directory)?;
        }
        replace(&self.0, text)
    }

    /// Removes all copies but those of these feeds.
    pub fn retain(state_dir: &Path, names: &BTreeSet<&ListName>) {
        let kept: BTreeSet<PathBuf> = names
            .iter()
            .map(|name| Self::of(state_dir, name).0)
            .collect();
        let files = fs::read_dir(state_dir.join(DIRECTORY))
            .into_iter()
            .flatten();
        for file in files.flatten().map(|file| file.path()) {
            if !kept.contains(&file) {
                // What stays is not read.
                let _gone = fs::remove_file(file);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_copy_is_what_was_kept_and_nothing_else() {
        let directory = TempDir::new().expect("a directory");
        let [one, two]: [ListName; 2] =
            ["feed:one", "feed:two"].map(|name| name.parse().expect(name));
        let copy = |name| Copy::of(directory.path(), name);
        let hash: [u8; 32] = Sha256::digest(b"192.0.2.1\n").into();
        assert_eq!(copy(&one).text(&hash), None);
        for name in [&one, &two] {
            copy(name).keep(b"192.0.2.1\n").expect("kept");
            assert_eq!(copy(name).text(&hash).as_deref(), Some(&b"192.0.2.1\n"[..]));
        }
        // Cut off, as after a power failure, or changed by somebody.
        fs::write(&copy(&one).0, b"192.0.2.1").expect("written");
        assert_eq!(copy(&one).text(&hash), None);
        Copy::retain(directory.path(), &BTreeSet::from([&one]));
        assert!(copy(&one).0.exists() && !copy(&two).0.exists());
    }
}
