//! Taking everything of ours off the host, with or without a daemon.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    links,
    pins::{Pins, entries, links_in},
};

/// What was taken off.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Detached {
    /// Interfaces the program was on.
    pub interfaces: Vec<String>,
    /// Pins that were removed.
    pub pins: usize,
}

/// Something could not be taken off.
#[derive(Debug, thiserror::Error)]
#[error("cannot remove {}", path.display())]
pub struct DetachError {
    /// What is still there.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Takes our program off one interface, or with `None` everything of ours of every ABI version.
/// What is not there is no error; files that are not ours stay, and so does their directory.
///
/// # Errors
/// Names the first thing that could not be taken off.
pub fn detach(pin_dir: &Path, interface: Option<&str>) -> Result<Detached, DetachError> {
    let mut detached = Detached::default();
    for directory in Pins::new(pin_dir).versions() {
        for name in links_in(&directory) {
            if interface.is_some_and(|wanted| wanted != name) {
                continue;
            }
            let path = directory.join(format!("link-{name}"));
            links::detach_pin(&path).map_err(|source| failed(&path, source))?;
            detached.pins += 1;
            detached.interfaces.push(name);
        }
        if interface.is_none() {
            for path in entries(&directory) {
                fs::remove_file(&path).map_err(|source| failed(&path, source))?;
                detached.pins += 1;
            }
            fs::remove_dir(&directory).map_err(|source| failed(&directory, source))?;
        }
    }
    if interface.is_none() && pin_dir.exists() && entries(pin_dir).is_empty() {
        fs::remove_dir(pin_dir).map_err(|source| failed(pin_dir, source))?;
    }
    Ok(detached)
}

fn failed(path: &Path, source: io::Error) -> DetachError {
    DetachError {
        path: path.to_owned(),
        source,
    }
}
