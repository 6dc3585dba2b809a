//! What the daemon costs while nothing happens.

use std::{thread, time::Duration};

use anyhow::Result;
use fw_tests::lab::{Lab, daemon::Daemon};
use serde_json::{Value, json};

use crate::{import, memory};

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
    let before = cpu(daemon)?;
    thread::sleep(Duration::from_secs(seconds));
    let cpu_ms = (cpu(daemon)? - before).as_secs_f64() * 1e3;
    let [resident, peak] = memory::now_and_peak(daemon.pid())?;
    let mb = |bytes: u64| bytes as f64 / 1e6;
    println!(
        "  {what:<16}{:6.1} MB resident (at most {:.1} MB so far), {cpu_ms:.2} ms of CPU in {seconds} s",
        mb(resident),
        mb(peak)
    );
    Ok(json!({ "resident_mb": mb(resident), "peak_mb": mb(peak), "cpu_ms": cpu_ms }))
}

/// Its own, and that of the programs which look after the mirror.
fn cpu(daemon: &Daemon<'_>) -> Result<Duration> {
    Ok(daemon.cpu_time() + memory::cpu_of_children(daemon.pid())?)
}
