//! What the detector saw, for people and for programs that read logs: one line an event, in files
//! of the state directory that bound themselves.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use crate::api::wire::{Event, EventKind, ScanEvent};

/// One JSON object a line.
pub const FILE: &str = "security.jsonl";

/// `2026-11-22T10:00:00Z | PORT_SCAN_BLOCKED | 192.0.2.7`
pub const CLASSIC_FILE: &str = "security.log";

/// A file that would grow beyond this makes room by becoming `.1`.
const MAX_BYTES: u64 = 16 << 20;

/// A log file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", path.display())]
pub struct SecurityLogError {
    /// Which.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// The log. Nothing is held open, so whoever rotates the files need not tell.
#[derive(Debug)]
pub struct SecurityLog {
    directory: PathBuf,
    classic: bool,
}

impl SecurityLog {
    /// In the state directory; with `classic`, also the classic file. Nothing is opened yet.
    pub fn new(directory: &Path, classic: bool) -> Self {
        Self {
            directory: directory.to_owned(),
            classic,
        }
    }

    /// Adds a line for each event of the detector, and for how many are lost; others leave none.
    ///
    /// # Errors
    /// The first file that cannot be written; the other one is tried, too.
    pub fn append(&self, events: &[Event]) -> Result<(), SecurityLogError> {
        let written = self.write(FILE, json(events));
        if !self.classic {
            return written;
        }
        written.and(self.write(CLASSIC_FILE, Ok(classic(events))))
    }

    fn write(&self, name: &str, lines: io::Result<String>) -> Result<(), SecurityLogError> {
        let path = self.directory.join(name);
        lines
            .and_then(|lines| add(&path, &lines))
            .map_err(|source| SecurityLogError { path, source })
    }
}

/// The lines of the events, as `GET /events` sends them.
fn json(events: &[Event]) -> io::Result<String> {
    let told = |event: &&Event| event.kind().is_scan() || event.kind() == EventKind::Lost;
    let scans = events.iter().filter(told);
    scans
        .map(|event| Ok(serde_json::to_string(event)? + "\n"))
        .collect()
}

/// The classic lines of the scans.
fn classic(events: &[Event]) -> String {
    let line = |event: &Event| {
        let Event::Scan(scan) = event else {
            return None;
        };
        let ScanEvent { time, source, .. } = scan;
        let what = match scan.action.as_str() {
            "capped" => "CAPPED",
            _ if scan.enforced => "BLOCKED",
            _ => "OBSERVED",
        };
        Some(format!("{time:.0} | PORT_SCAN_{what} | {source}\n"))
    };
    events.iter().filter_map(line).collect()
}

/// Adds whole lines to a file.
fn add(path: &Path, lines: &str) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    if length > 0 && length + lines.len() as u64 > MAX_BYTES {
        fs::rename(path, rotated(path))?;
        file = open(path)?;
    }
    // A full disk or a crash may have left half a line: ours begins a new one.
    if !ends_with_newline(&mut file)? {
        file.write_all(b"\n")?;
    }
    file.write_all(lines.as_bytes())
}

/// Opens or makes the file, and nothing that only has its name.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => io::Error::other("it is a symbolic link"),
            _ => error,
        })?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("it is not a regular file")),
    }
}

fn rotated(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".1");
    name.into()
}

/// Whether the file is empty or its last line is whole.
fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests;
