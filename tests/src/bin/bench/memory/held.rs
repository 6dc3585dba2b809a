//! What it takes to hold a list.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
    path::Path,
    time::Duration,
};

use anyhow::{Context as _, Result};
use aya::maps::MapData;
use fw_common::abi;
use fw_tests::lab::{Lab, daemon::Daemon};
use serde_json::{Value, json};

use super::bytes;
use crate::{idle, mirror::size_of_sets};

/// Memory, and what it costs to keep it.
pub struct Held {
    /// The daemon's, after it took the list in.
    pub imported: Resident,
    /// The daemon's, after it was started with the list.
    pub restarted: Resident,
    /// Every map of ours in the kernel, in bytes, whether it is mapped into the daemon or not.
    pub kernel: u64,
    /// The sets of ipset with the same list, in bytes.
    pub sets: u64,
    /// Processor time of a daemon that has nothing to do.
    pub idle: Duration,
}

/// What a process has in memory, in bytes.
#[derive(Clone, Copy)]
pub struct Resident {
    /// Its own: heap and stacks.
    pub anonymous: u64,
    /// Files: its program, and the tables of the kernel that it has mapped.
    pub mapped: u64,
    /// The most that both were together, until then.
    pub peak: u64,
}

impl Resident {
    fn of(process: u32) -> Result<Self> {
        let mapped = ["RssFile", "RssShmem"].map(|name| bytes(process, name));
        let [files, shared] = mapped;
        Ok(Self {
            anonymous: bytes(process, "RssAnon")?,
            mapped: files? + shared?,
            peak: bytes(process, "VmHWM")?,
        })
    }

    fn json(self) -> Value {
        json!({
            "anonymous": self.anonymous,
            "mapped": self.mapped,
            "peak": self.peak,
        })
    }
}

impl Held {
    /// While ipset holds the same.
    pub fn after_import(lab: &Lab, daemon: &Daemon<'_>) -> Result<Self> {
        let resident = Resident::of(daemon.pid())?;
        Ok(Self {
            imported: resident,
            restarted: resident,
            kernel: of_maps(lab.pins())?,
            sets: size_of_sets(lab)?,
            idle: Duration::ZERO,
        })
    }

    /// At a daemon that was started with the list.
    pub fn look_again(&mut self, daemon: &Daemon<'_>) -> Result<()> {
        self.idle = idle::cpu(daemon)?;
        self.restarted = Resident::of(daemon.pid())?;
        Ok(())
    }

    /// For people.
    pub fn print(&self, is_promised: bool) {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let promise = if is_promised {
            " (to reach: 150 MB)"
        } else {
            ""
        };
        for (when, resident) in [("import", self.imported), ("restart", self.restarted)] {
            let Resident {
                anonymous,
                mapped,
                peak,
            } = resident;
            println!(
                "  daemon after {when:<8} {:6.1} MB of its own{promise}, {:.1} MB mapped, at most {:.1} MB so far",
                mb(anonymous),
                mb(mapped),
                mb(peak)
            );
        }
        println!(
            "  tables in the kernel  {:6.1} MB; sets of ipset {:.1} MB",
            mb(self.kernel),
            mb(self.sets)
        );
        println!(
            "  idle daemon           {:.2} ms of CPU in {} s",
            self.idle.as_secs_f64() * 1e3,
            idle::WATCHED
        );
    }

    /// For programs; memory in bytes.
    pub fn json(&self) -> Value {
        json!({
            "daemon_after_import": self.imported.json(),
            "daemon_after_restart": self.restarted.json(),
            "kernel": self.kernel,
            "ipset": self.sets,
            "idle_cpu_s": self.idle.as_secs_f64(),
            "idle_watched_s": idle::WATCHED,
        })
    }
}

/// What the kernel says that all pinned maps take, in bytes.
fn of_maps(pins: &Path) -> Result<u64> {
    let folder = pins.join(format!("v{}", abi::VERSION));
    let mut sum = 0;
    for pin in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        // Program and links are pinned beside them.
        let Ok(map) = MapData::from_pin(pin?.path()) else {
            continue;
        };
        let fd = map.fd().as_fd().as_raw_fd();
        let facts = fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
        let fact = |name| facts.lines().find_map(|line: &str| line.strip_prefix(name));
        if fact("map_type:").is_some() {
            let bytes = fact("memlock:").context("no size of a map")?;
            sum += bytes.trim().parse::<u64>()?;
        }
    }
    Ok(sum)
}
