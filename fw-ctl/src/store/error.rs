//! Why the store fails.

use std::{io, path::PathBuf};

use rusqlite::{ErrorCode, ffi::SQLITE_IOERR_SHMSIZE};

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory could not be made or read.
    #[error("cannot use the state directory {}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// SQLite says the file is damaged, or it is no database.
    #[error("the database {} is damaged: {detail}", path.display())]
    Corrupt {
        /// Which.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// Written by a later version.
    #[error("the database {} has schema {found}, this version knows {known}", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Removed or replaced while it was open.
    #[error("the database {} is gone, or is another file now", path.display())]
    Gone {
        /// Which.
        path: PathBuf,
    },
    /// No room left.
    #[error("no room left on the disk of the database")]
    DiskFull(#[source] rusqlite::Error),
    /// Anything else.
    #[error("the database refused")]
    Sqlite(#[source] rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let full = error.sqlite_error().is_some_and(|error| {
            error.code == ErrorCode::DiskFull || error.extended_code == SQLITE_IOERR_SHMSIZE
        });
        match full {
            true => Self::DiskFull(error),
            false => Self::Sqlite(error),
        }
    }
}
