//! Where our objects stand on bpffs.
//!
//! ```text
//! PIN_DIR/v4/BLOCK_V4 ...    maps, named as in `fw_common::abi`
//! PIN_DIR/v4/NAME-new        a map of another shape that is being filled to take NAME's place
//! PIN_DIR/v4/program         the program the links run
//! PIN_DIR/v4/link-eth0       what holds the program on the interface
//! PIN_DIR/v4/renamed-eth0    the same, for a moment, while links change their names
//! ```
//! `v4` is [`abi::VERSION`]: a controller with another ABI never reads these maps, but takes over
//! the links, so that an upgrade leaves no gap.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use fw_common::abi;
use nix::{
    fcntl::{Flock, FlockArg},
    sys::statfs::{BPF_FS_MAGIC, statfs},
};

const LINK: &str = "link-";
const ASIDE: &str = "renamed-";

/// The pin directory of this ABI.
#[derive(Clone, Debug)]
pub struct Pins {
    base: PathBuf,
}

/// Why the pin directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PinsError {
    /// Not on a BPF file system.
    #[error("{} is not on a BPF file system", path.display())]
    NotBpffs {
        /// The pin directory.
        path: PathBuf,
    },
    /// Another daemon holds it.
    #[error("another fw-ctl uses the pin directory {}", path.display())]
    Locked {
        /// The pin directory.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("cannot use the pin directory {}", path.display())]
    Io {
        /// What was touched.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Pins {
    /// Pins below `base`.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self { base: base.into() }
    }

    /// The directory of this ABI.
    pub fn directory(&self) -> PathBuf {
        self.base.join(format!("v{}", abi::VERSION))
    }

    /// Of a map.
    pub fn map(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// Of a map that is to take the place of the one with this name. bpffs refuses names with a
    /// dot (`kernel/bpf/inode.c`, `bpf_lookup`).
    pub fn new_map(&self, name: &str) -> PathBuf {
        self.directory().join(format!("{name}-new"))
    }

    /// Removes what a start has made beside the old and not put in its place.
    pub fn remove_new(&self) {
        let names = |path: &PathBuf| path.to_string_lossy().ends_with("-new");
        for path in entries(&self.directory()).into_iter().filter(names) {
            // What is gone needs no removal, and the next start tries again.
            let _ = fs::remove_file(path);
        }
    }

    /// Of the program.
    pub fn program(&self) -> PathBuf {
        self.directory().join("program")
    }

    /// Of an interface's link.
    pub fn link(&self, interface: &str) -> PathBuf {
        self.directory().join(format!("{LINK}{interface}"))
    }

    /// Makes the directory and locks it for this process: one controller writes the maps.
    ///
    /// # Errors
    /// [`PinsError`]
    pub fn claim(&self) -> Result<Flock<File>, PinsError> {
        let directory = self.directory();
        fs::create_dir_all(&directory).map_err(|source| self.io(&directory, source))?;
        let kind = statfs(&directory).map_err(|errno| self.io(&directory, errno.into()))?;
        if kind.filesystem_type() != BPF_FS_MAGIC {
            // Ours by the line above, and empty: nothing of the user's is touched.
            let _ = fs::remove_dir(&directory);
            let _ = fs::remove_dir(&self.base);
            return Err(PinsError::NotBpffs {
                path: self.base.clone(),
            });
        }
        self.lock()
    }

    /// Locks the directory that is there.
    ///
    /// # Errors
    /// [`PinsError::Locked`] while another controller holds it.
    pub fn lock(&self) -> Result<Flock<File>, PinsError> {
        let handle = File::open(&self.base).map_err(|source| self.io(&self.base, source))?;
        Flock::lock(handle, FlockArg::LockExclusiveNonblock).map_err(|_| PinsError::Locked {
            path: self.base.clone(),
        })
    }

    /// Names of the interfaces with a pinned link.
    pub fn links(&self) -> Vec<String> {
        links_in(&self.directory())
    }

    /// Moves the links of other ABI versions here and returns the directories they came from.
    ///
    /// # Errors
    /// [`PinsError::Io`]
    pub fn adopt_links(&self) -> Result<Vec<PathBuf>, PinsError> {
        let others = self.others();
        for directory in &others {
            for interface in links_in(directory) {
                let from = directory.join(format!("{LINK}{interface}"));
                fs::rename(&from, self.link(&interface))
                    .map_err(|source| self.io(&from, source))?;
            }
        }
        Ok(others)
    }

    /// Gives each link the name that `name_of` has for it. Names may have been exchanged, so all
    /// links step aside first; one that a kill left there is found by the next start.
    ///
    /// # Errors
    /// [`PinsError::Io`]
    pub fn rename_links(&self, name_of: impl Fn(&Path) -> Option<String>) -> Result<(), PinsError> {
        for interface in self.links() {
            let from = self.link(&interface);
            if name_of(&from).is_some_and(|name| name != interface) {
                let aside = self.directory().join(format!("{ASIDE}{interface}"));
                fs::rename(&from, aside).map_err(|source| self.io(&from, source))?;
            }
        }
        for from in entries(&self.directory()) {
            let name = from
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if name.starts_with(ASIDE)
                && let Some(interface) = name_of(&from)
            {
                fs::rename(&from, self.link(&interface))
                    .map_err(|source| self.io(&from, source))?;
            }
        }
        Ok(())
    }

    /// The directories of other ABI versions.
    pub fn others(&self) -> Vec<PathBuf> {
        let mut versions = self.versions();
        versions.retain(|version| *version != self.directory());
        versions
    }

    /// The directories of every ABI version that is there.
    pub fn versions(&self) -> Vec<PathBuf> {
        entries(&self.base)
            .into_iter()
            .filter(|path| {
                path.file_name()
                    .and_then(|name| name.to_str()?.strip_prefix('v'))
                    .is_some_and(|number| number.parse::<u32>().is_ok())
            })
            .collect()
    }

    fn io(&self, path: &Path, source: io::Error) -> PinsError {
        PinsError::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// Names of the interfaces whose links are pinned in a directory.
pub fn links_in(directory: &Path) -> Vec<String> {
    entries(directory)
        .into_iter()
        .filter_map(|path| Some(path.file_name()?.to_str()?.strip_prefix(LINK)?.to_owned()))
        .collect()
}

/// What stands in a directory, in order; nothing when it cannot be read.
pub fn entries(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
