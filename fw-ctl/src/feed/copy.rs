//! The last good copy of a feed, in the state directory: what is compared with, and what is applied
//! when the server says that it has nothing new.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::fetch::Validators;
use crate::{
    host::files::{read_regular, replace},
    policy::entry::ListName,
};

/// Where the copies are, in the state directory.
const DIRECTORY: &str = "feeds";

/// What is known of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Where it came from: what another address sent is no copy of this feed.
    pub url: String,
    /// What the server called it.
    pub validators: Validators,
    /// When it came.
    pub fetched_at: Timestamp,
    /// When the server last said that it is as it was.
    pub checked_at: Timestamp,
    /// Prefixes in it.
    pub entries: usize,
}

/// The place of one copy.
#[derive(Clone, Debug)]
pub struct Copy {
    text: PathBuf,
    about: PathBuf,
}

impl Copy {
    /// That of a feed.
    pub fn of(state_dir: &Path, name: &ListName) -> Self {
        // Names have no `/` and do not begin with a dot.
        let file = |end| state_dir.join(DIRECTORY).join(format!("{name}.{end}"));
        Self {
            text: file("list"),
            about: file("json"),
        }
    }

    /// What is known of it; `None` where there is none that came from there.
    pub fn about(&self, url: &str) -> Option<About> {
        let about: About = serde_json::from_str(&read_regular(&self.about).ok()?).ok()?;
        (about.url == url && self.text.is_file()).then_some(about)
    }

    /// The list itself.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn text(&self) -> io::Result<Vec<u8>> {
        fs::read(&self.text)
    }

    /// Keeps another one. Were only the first half done, the next answer would be taken anew: what
    /// is known of a copy is never of a later one than the copy.
    ///
    /// # Errors
    /// The disk failed.
    pub fn keep(&self, text: &[u8], about: &About) -> io::Result<()> {
        if let Some(directory) = self.text.parent() {
            fs::create_dir_all(directory)?;
        }
        replace(&self.text, text)?;
        self.note(about)
    }

    /// Notes what else is known of it.
    ///
    /// # Errors
    /// The disk failed.
    pub fn note(&self, about: &About) -> io::Result<()> {
        replace(&self.about, &serde_json::to_vec(about)?)
    }

    /// Removes it.
    pub fn remove(&self) {
        for file in [&self.about, &self.text] {
            // What is not there needs no removal, and what stays is not read.
            let _gone = fs::remove_file(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn about(url: &str) -> About {
        About {
            url: url.into(),
            validators: Validators::default(),
            fetched_at: Timestamp::UNIX_EPOCH,
            checked_at: Timestamp::UNIX_EPOCH,
            entries: 1,
        }
    }

    #[test]
    fn a_copy_is_of_its_address_and_gone_when_it_is_removed() {
        let directory = TempDir::new().expect("a directory");
        let name = "feed:drop".parse().expect("a name");
        let copy = Copy::of(directory.path(), &name);
        assert_eq!(copy.about("https://a/"), None);
        copy.keep(b"192.0.2.1\n", &about("https://a/"))
            .expect("kept");
        assert_eq!(copy.about("https://a/"), Some(about("https://a/")));
        assert_eq!(copy.about("https://b/"), None, "another address");
        assert_eq!(copy.text().expect("read"), b"192.0.2.1\n");
        copy.remove();
        assert_eq!(copy.about("https://a/"), None);
        assert!(copy.text().is_err());
    }

    #[test]
    fn what_is_damaged_is_no_copy() {
        let directory = TempDir::new().expect("a directory");
        let name = "feed:drop".parse().expect("a name");
        let copy = Copy::of(directory.path(), &name);
        copy.keep(b"192.0.2.1\n", &about("https://a/"))
            .expect("kept");
        fs::write(&copy.about, "{").expect("written");
        assert_eq!(copy.about("https://a/"), None);
        copy.note(&about("https://a/")).expect("written");
        fs::remove_file(&copy.text).expect("removed");
        assert_eq!(copy.about("https://a/"), None);
    }
}
