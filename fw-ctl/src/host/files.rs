//! Files: what stands in those that somebody else names, and whether one is still the same.

use std::{
    fs::{Metadata, OpenOptions, metadata, remove_file, rename},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

/// A list of ten million prefixes fits, and so does every file of where addresses are.
const MAX_BYTES: u64 = 256 << 20;

/// The text of a regular file. Bytes that are no UTF-8 are replaced. A pipe or a device, which
/// could keep the reader waiting for ever or never end, is refused, and so is a file that is too
/// large.
///
/// # Errors
/// As [`std::fs::read`].
pub fn read_regular(path: &Path) -> io::Result<String> {
    let (bytes, _) = read_stamped(path)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The bytes of a regular file, as [`read_regular`], and which file that was.
///
/// # Errors
/// As [`std::fs::read`]; also when it was written to meanwhile.
pub fn read_stamped(path: &Path) -> io::Result<(Vec<u8>, Stamp)> {
    // To open a device may do something already.
    if !metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    if found.len() > MAX_BYTES {
        return Err(io::Error::other(format!(
            "larger than {} MiB",
            MAX_BYTES >> 20
        )));
    }
    let mut bytes = Vec::new();
    // Files of /proc have no length, and some no end.
    (&mut file).take(MAX_BYTES).read_to_end(&mut bytes)?;
    match Stamp::of(&file.metadata()?) {
        stamp if stamp == Stamp::of(&found) => Ok((bytes, stamp)),
        _ => Err(io::Error::other("it is being written")),
    }
}

/// What changes when a file is written to, or when another one takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    identity: (u64, u64),
    bytes: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl Stamp {
    fn of(found: &Metadata) -> Self {
        Self {
            identity: (found.dev(), found.ino()),
            bytes: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
        }
    }

    /// Of the file that is there now, if one is.
    pub fn now(path: &Path) -> Option<Self> {
        let found = metadata(path).ok()?;
        Some(Self::of(&found))
    }
}

/// Writes a file as a whole or not at all: who reads it meanwhile, or after a crash, finds the old one
/// or the new one.
///
/// # Errors
/// As [`std::fs::write`].
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let written = write(&new, content).and_then(|()| rename(&new, path));
    if written.is_err() {
        // A part of it would take what is left of a disk that is full.
        let _gone = remove_file(new);
    }
    written
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_data()
}

/// Device and inode: another file of the same name is another file.
pub fn identity(path: &Path) -> Option<(u64, u64)> {
    let found = metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    use nix::{sys::stat::Mode, unistd::mkfifo};
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_file_is_read_and_what_could_hang_or_never_end_is_refused() {
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("file");
        std::fs::write(&file, b"192.0.2.1 \xff").expect("written");
        assert_eq!(read_regular(&file).expect("read"), "192.0.2.1 \u{fffd}");
        let pipe = directory.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).expect("a pipe");
        for path in [&pipe, Path::new("/dev/zero"), directory.path()] {
            assert!(read_regular(path).is_err(), "{}", path.display());
        }
        assert!(read_regular(&directory.path().join("none")).is_err());
    }

    #[test]
    fn another_content_or_another_file_is_seen() {
        let directory = TempDir::new().expect("a directory");
        let (file, other) = (
            directory.path().join("file"),
            directory.path().join("other"),
        );
        std::fs::write(&file, "a").expect("written");
        let (bytes, stamp) = read_stamped(&file).expect("read");
        assert_eq!(
            (bytes.as_slice(), Stamp::now(&file)),
            (&b"a"[..], Some(stamp))
        );
        std::fs::write(&file, "ab").expect("written");
        let longer = Stamp::now(&file);
        assert_ne!(longer, Some(stamp));
        std::fs::write(&other, "ab").expect("written");
        rename(&other, &file).expect("moved");
        assert_ne!(Stamp::now(&file), longer);
        assert_eq!(Stamp::now(&other), None);
    }
}
