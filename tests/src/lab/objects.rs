//! What is loaded in the kernel, as `bpftool` sees it.

use std::{collections::BTreeSet, fs, process::Command};

use serde_json::Value;

use super::daemon::{Daemon, eventually};

/// Ids of programs, maps and links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Of programs.
    pub programs: BTreeSet<u64>,
    /// Of maps.
    pub maps: BTreeSet<u64>,
    /// Of links.
    pub links: BTreeSet<u64>,
}

impl Objects {
    /// What a daemon holds.
    pub fn of(daemon: &Daemon<'_>) -> Self {
        let mut objects = Self::default();
        let folder = format!("/proc/{}/fdinfo", daemon.pid());
        for entry in fs::read_dir(folder).expect("the daemon lives").flatten() {
            // A descriptor may be closed meanwhile.
            let text = fs::read_to_string(entry.path()).unwrap_or_default();
            let id = |name: &str| {
                let mut fields = text.lines().filter_map(|line| line.split_once(':'));
                let (_, value) = fields.find(|(field, _)| *field == name)?;
                value.trim().parse::<u64>().ok()
            };
            // A link names its program too.
            objects.links.extend(id("link_id"));
            objects.programs.extend(id("prog_id"));
            objects.maps.extend(id("map_id"));
        }
        objects
    }

    /// Those of these that are still in the kernel.
    pub fn loaded(&self) -> Self {
        let loaded = |kind, ids: &BTreeSet<u64>| ids & &list(kind);
        Self {
            programs: loaded("prog", &self.programs),
            maps: loaded("map", &self.maps),
            links: loaded("link", &self.links),
        }
    }

    /// Fails the test unless all of these leave the kernel. It frees maps in its own time.
    #[track_caller]
    pub fn must_be_gone(&self) {
        eventually("the last program, map and link is gone", || {
            self.loaded() == Self::default()
        });
    }
}

fn list(kind: &str) -> BTreeSet<u64> {
    let output = Command::new("bpftool")
        .args(["--json", kind, "show"])
        .output();
    let output = output.expect("bpftool starts");
    let objects: Value = serde_json::from_slice(&output.stdout).expect("bpftool prints JSON");
    let objects = objects.as_array().expect("bpftool prints a list");
    objects
        .iter()
        .filter_map(|object| object["id"].as_u64())
        .collect()
}
