//! What the daemon costs while nothing happens.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result};
use fw_tests::lab::{Lab, daemon::Daemon};
use serde_json::{Value, json};

use crate::import;

/// Memory with an empty and with a full list, processor time over some seconds of each.
pub fn measure(lab: &Lab, seconds: u64) -> Result<Value> {
    let list = lab.directory().join("list");
    import::write_list(&list, &import::prefixes())?;
    let daemon = lab.daemon().start();
    lab.fw(&["flush", "local", "--yes"]).must(0);

    println!("\nidle daemon (to reach: under 30 MB, no CPU)");
    let empty = observe("no entries", &daemon, seconds)?;
    lab.fw(&["import", &list.display().to_string()]).must(0);
    let full = observe("100,000 entries", &daemon, seconds)?;
    Ok(json!({ "seconds": seconds, "empty": empty, "full": full }))
}

fn observe(what: &str, daemon: &Daemon<'_>, seconds: u64) -> Result<Value> {
    let before = daemon.cpu_time();
    thread::sleep(Duration::from_secs(seconds));
    let cpu_ms = (daemon.cpu_time() - before).as_secs_f64() * 1e3;
    let (resident, peak) = (status_kib(daemon, "VmRSS")?, status_kib(daemon, "VmHWM")?);
    let mb = |kib: u64| kib as f64 * 1024.0 / 1e6;
    println!(
        "  {what:<16}{:6.1} MB resident (at most {:.1} MB so far), {cpu_ms:.2} ms of CPU in {seconds} s",
        mb(resident),
        mb(peak)
    );
    Ok(json!({ "resident_mb": mb(resident), "peak_mb": mb(peak), "cpu_ms": cpu_ms }))
}

/// A line of `/proc/PID/status`.
fn status_kib(daemon: &Daemon<'_>, name: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = lines
        .next()
        .and_then(|value| value.split_whitespace().next());
    Ok(value.with_context(|| format!("no {name}"))?.parse()?)
}
