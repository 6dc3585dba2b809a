//! `cargo xtask bench`: what the control plane costs, beside `ipset` and `nft` in the same run, what
//! a packet costs, and what an adaptive limit does under load.
//!
//! Every figure is taken from a real daemon on a real interface in a network namespace. Prints the
//! machine, the rounds and every figure with its spread, and writes the same as JSON.
#![expect(clippy::print_stdout, reason = "a benchmark prints figures")]

mod adaptive;
mod api;
mod charts;
mod control;
mod geo;
mod idle;
mod import;
mod latency;
mod machine;
mod memory;
mod mirror;
mod packets;
mod samples;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use clap::{Parser, ValueEnum};
use fw_tests::lab::Lab;
use nix::unistd::geteuid;
use serde_json::{Map, Value, json};

/// Measures the firewall on this machine.
#[derive(Parser)]
struct Args {
    /// The only section to measure; all but `adaptive` when left out.
    section: Option<Section>,
    /// Fewer and shorter runs.
    #[arg(long)]
    quick: bool,
    /// Write the figures here instead of target/reports/bench.json, or that of the section.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// A list of up to a million: loading, changing, reading it, starting again with it.
    Control,
    /// Packets.
    Packets,
    /// Loading a list into netfilter too.
    Mirror,
    /// A file of countries: from the disk to the kernel.
    Geo,
    /// The API: what a good client waits for beside bad ones, and many who listen.
    Api,
    /// A limit that adapts, under a load of three minutes.
    Adaptive,
}

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        geteuid().is_root(),
        "the benchmark loads programs: run it as root"
    );
    let machine = machine::facts();
    for (name, value) in &machine {
        println!("{name:<13}{value}");
    }
    let file = args.json.map_or_else(|| default_file(args.section), Ok)?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let machine: BTreeMap<_, _> = machine.into_iter().collect();
    let mut report = Map::from_iter([("machine".to_owned(), json!(machine))]);
    for section in Section::value_variants() {
        let is_wanted = match args.section {
            Some(only) => only == *section,
            None => *section != Section::Adaptive,
        };
        if is_wanted {
            report.insert(section.name(), section.measure(args.quick, &file)?);
        }
    }

    fs::write(&file, format!("{:#}\n", Value::Object(report)))
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

impl Section {
    fn measure(self, quick: bool, file: &Path) -> Result<Value> {
        match self {
            Self::Control => Ok(control::measure(quick)?.json()),
            Self::Packets => packets::measure(quick, file),
            Self::Mirror => mirror::measure(&Lab::named("bench"), if quick { 3 } else { 7 }),
            Self::Geo => geo::measure(quick),
            Self::Api => api::measure(quick),
            Self::Adaptive => adaptive::measure(quick, file),
        }
    }

    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// In the target directory that this program was built in.
fn default_file(only: Option<Section>) -> Result<PathBuf> {
    let ours = env::current_exe().context("this program has no path")?;
    let target = ours
        .parent()
        .and_then(Path::parent)
        .context("not built by cargo")?;
    let name = only.map_or_else(|| "bench".to_owned(), Section::name);
    Ok(target.join(format!("reports/{name}.json")))
}
