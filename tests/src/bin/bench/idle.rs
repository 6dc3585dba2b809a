//! A daemon that starts with a full list, and one that has nothing to do.

use std::{thread, time::Duration};

use anyhow::Result;
use fw_tests::lab::daemon::Daemon;

use crate::{
    control::{Row, Stand, Way, in_turns, timed},
    memory,
};

/// How long a daemon is watched that has nothing to do, in seconds.
pub const WATCHED: u64 = 5;

/// Kills the daemon and starts another, until it answers and has everything in place.
pub fn restart<'lab>(stand: &'lab Stand, daemon: Daemon<'lab>) -> Result<(Daemon<'lab>, Row)> {
    let listed = stand.listed();
    let mut running = Some(daemon);
    let again = |_| {
        running.take().into_iter().for_each(Daemon::kill_9);
        let took = timed(|| {
            running = Some(stand.lab.daemon().start());
            stand.ask(&listed, true)
        })?;
        stand.check().map(|()| took)
    };
    let rows = in_turns(
        stand.rounds,
        vec![Way::new("kill -9 and start", "fw-ctl run", again)],
    )?;
    let row = rows.into_iter().next();
    Ok((running.zip(row)).expect("at least one round"))
}

/// Processor time that it takes in [`WATCHED`], with that of the programs which look after the
/// mirror.
pub fn cpu(daemon: &Daemon<'_>) -> Result<Duration> {
    let used = || anyhow::Ok(daemon.cpu_time() + memory::cpu_of_children(daemon.pid())?);
    let before = used()?;
    thread::sleep(Duration::from_secs(WATCHED));
    Ok(used()? - before)
}
