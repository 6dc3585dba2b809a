//! 100,000 entries in netfilter: imported with each backend, beside the same list loaded by hand.

mod by_hand;

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use fw_tests::lab::{Lab, daemon::Daemon, netfilter::Backend};
use serde_json::{Value, json};

pub use self::by_hand::size_of_sets;
use crate::{
    import::{self, PREFIXES},
    memory::{self, Peak},
    samples::{Samples, cpu_of_children, time},
};

const LIST: &str = "bench";
/// In no list.
const ONE: &str = "100.64.0.1";

/// Backends as the configuration names them, and how the lab reads what they hold.
const BACKENDS: [(&str, Option<Backend>); 3] = [
    ("none", None),
    ("iptables", Some(Backend::IptablesNft)),
    ("nftables", Some(Backend::Nftables)),
];

/// One way of loading the list.
#[derive(Default)]
struct Row {
    name: String,
    /// Until every entry is in force.
    load: Samples,
    /// Of every process that had a part in it.
    cpu: Samples,
    /// One entry more.
    add: Samples,
    /// One entry less.
    remove: Samples,
    /// Everything anew.
    repair: Option<Samples>,
    /// Memory, in bytes, of the tool that talks to the kernel, at most.
    tool: Option<u64>,
    /// Memory, in bytes, of the daemon: afterwards, and at most.
    daemon: Option<[u64; 2]>,
    /// Memory, in bytes, of the sets, where the kernel tells.
    sets: Option<u64>,
}

/// Takes turns; the first round is the one in which memory is watched and the sets are counted, and
/// its times do not count.
pub fn measure(lab: &Lab, rounds: usize) -> Result<Value> {
    let prefixes = import::prefixes();
    let list = lab.directory().join("list");
    import::write_list(&list, &prefixes)?;
    let by_hand = by_hand::Files::write(lab.directory(), &prefixes)?;

    let mut ours = BACKENDS.map(|_| Row::default());
    let mut theirs = [Row::default(), Row::default()];
    for round in 0..=rounds {
        for (row, (configured, backend)) in ours.iter_mut().zip(BACKENDS) {
            keep_with(lab, configured)?;
            let daemon = lab.daemon().start();
            match round {
                0 => row.watch(lab, &daemon, &list, backend)?,
                _ => row.run(lab, &daemon, &list, backend.is_some())?,
            }
            lab.fw(&["flush", LIST, "--yes"]).must(0);
            daemon.term();
        }
        let [ipset, nft] = &mut theirs;
        by_hand.ipset(lab, ipset, round == 0)?;
        by_hand.nft(lab, nft, round == 0)?;
    }

    println!("\n{PREFIXES} entries mirrored ({rounds} rounds in turns, medians, ms; memory in MB)");
    println!("  load: process start to exit; sets: as ipset tells, nft does not");
    println!(
        "  {:<24}{:>8}{:>8}{:>9}{:>9}{:>9}{:>8}{:>16}{:>8}",
        "", "load", "CPU", "one more", "one less", "repair", "tool", "daemon (peak)", "sets"
    );
    let rows: Vec<&Row> = ours.iter().chain(&theirs).collect();
    rows.iter().for_each(|row| row.print());
    Ok(json!({
        "prefixes": PREFIXES,
        "rows": rows.iter().map(|row| row.json()).collect::<Vec<_>>(),
    }))
}

impl Row {
    /// What the import takes in memory, and whether all is there after it.
    fn watch(
        &mut self,
        lab: &Lab,
        daemon: &Daemon<'_>,
        list: &Path,
        backend: Option<Backend>,
    ) -> Result<()> {
        let name = lab.mirror()["backend"].as_str().map(str::to_owned);
        self.name = format!("fw-ctl, {}", name.context("no name of the mirror")?);
        let peak = Peak::below(daemon.pid());
        time(&mut import(lab, list))?;
        let tool = peak.stop();
        self.daemon = Some(memory::now_and_peak(daemon.pid())?);
        let Some(backend) = backend else {
            return Ok(());
        };
        self.tool = Some(tool);
        let inside = lab.mirrored(backend, "block").len();
        ensure!(inside == PREFIXES, "{inside} entries in the mirror");
        if backend != Backend::Nftables {
            self.sets = Some(size_of_sets(lab)?);
        }
        Ok(())
    }

    fn run(
        &mut self,
        lab: &Lab,
        daemon: &Daemon<'_>,
        list: &Path,
        is_mirrored: bool,
    ) -> Result<()> {
        let cpu = || -> Result<_> {
            Ok(daemon.cpu_time() + memory::cpu_of_children(daemon.pid())? + cpu_of_children()?)
        };
        let before = cpu()?;
        self.load.add(time(&mut import(lab, list))?);
        self.cpu.add(cpu()? - before);
        self.add.add(time(lab.command().args(["block", ONE]))?);
        self.remove.add(time(lab.command().args(["unblock", ONE]))?);
        if is_mirrored {
            let repair = self.repair.get_or_insert_default();
            repair.add(time(lab.command().arg("repair"))?);
        }
        Ok(())
    }

    fn print(&self) {
        let ms = |samples: &Samples| format!("{:.1}", samples.median().as_secs_f64() * 1e3);
        let mb = |bytes: u64| format!("{:.0}", bytes as f64 / 1e6);
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        println!(
            "  {:<24}{:>8}{:>8}{:>9}{:>9}{:>9}{:>8}{:>16}{:>8}",
            self.name,
            ms(&self.load),
            ms(&self.cpu),
            ms(&self.add),
            ms(&self.remove),
            or_dash(self.repair.as_ref().map(ms)),
            or_dash(self.tool.map(mb)),
            or_dash(
                self.daemon
                    .map(|[after, peak]| format!("{} ({})", mb(after), mb(peak)))
            ),
            or_dash(self.sets.map(mb)),
        );
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "load": self.load.json(),
            "cpu": self.cpu.json(),
            "add_one": self.add.json(),
            "remove_one": self.remove.json(),
            "repair": self.repair.as_ref().map(Samples::json),
            "tool_peak_bytes": self.tool,
            "daemon_bytes": self.daemon.map(|[after, _]| after),
            "daemon_peak_bytes": self.daemon.map(|[_, peak]| peak),
            "sets_bytes": self.sets,
        })
    }
}

/// Says what the next daemon keeps the mirror with, and that its tables are as large as installed.
pub fn keep_with(lab: &Lab, backend: &str) -> Result<()> {
    let text = format!("[tables]\n[mirror]\nbackend = \"{backend}\"\n");
    fs::write(lab.config(), text).context("cannot write the configuration")
}

/// Waits for the mirror before it ends.
fn import(lab: &Lab, list: &Path) -> Command {
    let mut import = lab.command();
    import.args(["import", "--list", LIST]).arg(list);
    import
}
