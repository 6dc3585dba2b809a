//! `cargo xtask bench`: what the control plane costs, beside `ipset` in the same run, and what a
//! packet costs.
//!
//! Every figure is taken from a real daemon on a real interface in a network namespace. Prints the
//! machine, the rounds and every figure with its spread, and writes the same as JSON.
#![expect(clippy::print_stdout, reason = "a benchmark prints figures")]

mod idle;
mod import;
mod latency;
mod machine;
mod packets;
mod samples;

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use fw_tests::lab::Lab;
use nix::unistd::geteuid;
use serde_json::json;

/// Measures the firewall on this machine.
#[derive(Parser)]
struct Args {
    /// Fewer and shorter runs.
    #[arg(long)]
    quick: bool,
    /// Write the figures here instead of target/reports/bench.json.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
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
    let lab = Lab::named("bench");
    let report = json!({
        "machine": machine.into_iter().collect::<BTreeMap<_, _>>(),
        "import": import::measure(&lab, if args.quick { 3 } else { 9 })?,
        "single": latency::measure(&lab, if args.quick { 20 } else { 50 })?,
        "idle": idle::measure(&lab, if args.quick { 3 } else { 10 })?,
        "packets": packets::measure(if args.quick { 9 } else { 31 })?,
    });
    drop(lab);

    let file = args.json.map_or_else(default_file, Ok)?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(&file, format!("{report:#}\n"))
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("\nwritten to {}", file.display());
    Ok(())
}

/// In the target directory that this program was built in.
fn default_file() -> Result<PathBuf> {
    let ours = env::current_exe().context("this program has no path")?;
    let target = ours
        .parent()
        .and_then(Path::parent)
        .context("not built by cargo")?;
    Ok(target.join("reports/bench.json"))
}
