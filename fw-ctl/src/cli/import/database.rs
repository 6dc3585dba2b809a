//! fail2ban's database, which its server may be writing to. Nothing is ever written here.

use std::{fs::File, os::unix::fs::FileExt as _, path::Path, time::Duration};

use jiff::Zoned;
use rusqlite::{Connection, OpenFlags, Row};

use crate::{
    api::wire::ProblemBody,
    cli::failure::bad_input,
    listfile::{
        Parsed,
        fail2ban::{Ban, bans},
    },
};

/// How long a change of the server is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the head of a database says how it is written, and what it says with a log beside it:
/// such a one cannot be read without writing.
const WAY: u64 = 18;
const WITH_LOG: u8 = 2;

/// Reads the bans in force, as they are at one moment.
pub fn read(path: &Path, file: &File, now: &Zoned) -> Result<Parsed, ProblemBody> {
    let name = path.display();
    let mut way = [0];
    if file.read_exact_at(&mut way, WAY).is_ok() && way == [WITH_LOG] {
        let message = format!("{name} keeps a log beside it, which fail2ban does not");
        let hint = format!("copy it first: sqlite3 {name} \".backup copy.sqlite3\"");
        return Err(bad_input(message).with_hint(hint));
    }
    let found = in_force(path).map_err(|error| {
        let message = format!("cannot read {name} as the database of fail2ban: {error}");
        bad_input(message).with_hint("the versions from 0.11 on have a table bips, which is read")
    })?;
    Ok(bans(found, now))
}

fn in_force(path: &Path) -> rusqlite::Result<Vec<Ban>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = Connection::open_with_flags(path, flags)?;
    database.busy_timeout(PATIENCE)?;
    let mut bans =
        database.prepare("SELECT ip, jail, timeofban, bantime FROM bips ORDER BY rowid")?;
    let bans = bans.query_map([], |row: &Row<'_>| {
        Ok(Ban {
            id: row.get(0)?,
            jail: row.get(1)?,
            since_secs: row.get(2)?,
            lasts_secs: row.get(3)?,
        })
    })?;
    bans.collect()
}
