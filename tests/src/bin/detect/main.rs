//! `cargo xtask detect`: real scanners, real services and innocent crowds against the detector.
//!
//! Two servers in network namespaces get the same scans at the same time: one is guarded by fw-ctl
//! in mode `enforce`, the other watched by psad, scanlogd and portsentry. What is counted is taken
//! from both ends of the link, packet by packet. Prints a table in Markdown, writes the same as
//! JSON, and fails if a scan is not found, a packet gets through after the block, or an innocent
//! source is blocked.
#![expect(clippy::print_stdout, reason = "a report is printed")]

mod attacks;
mod benign;
mod ftp;
mod guarded;
#[path = "../bench/machine.rs"]
mod machine;
mod neighbours;
mod report;
mod services;

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use fw_tests::lab::Lab;
use nix::unistd::geteuid;

use serde_json::Value;

use crate::{
    attacks::Attack,
    guarded::Finding,
    neighbours::{Neighbours, PSAD_STEP, Watched},
    report::{Guarded, Report},
    services::Service,
};

/// Scans a server that fw-ctl guards, and one that its neighbours watch.
#[derive(Parser)]
struct Args {
    /// One speed, smaller crowds, and no scan that takes minutes.
    #[arg(long)]
    quick: bool,
    /// The patient scan against the thresholds as installed: a quarter of an hour.
    #[arg(long, conflicts_with = "quick")]
    long: bool,
    /// Write the figures here instead of target/reports/detect.json.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Thresholds for a probe in 15 seconds and a run of minutes: still none that its window can hold.
const SOONER: &str = "window = \"10s\"\nports = 8\nslow_ports = 8\n";
/// scanlogd tells of five scans, and then falls silent until it has seen none for 20 seconds.
const BURST: usize = 4;
/// What lets it speak again.
const REST: Duration = Duration::from_secs(21);
/// Between two scans otherwise: no part of psad's step, or all would meet it in the same phase.
const PACE: Duration = Duration::from_millis(3300);

fn main() -> Result<()> {
    let args = Args::parse();
    ensure!(
        geteuid().is_root(),
        "the report makes network namespaces and loads a program: run it as root"
    );
    let start = Instant::now();
    let attacks = attacks::all(args.quick);
    // Nothing that takes minutes in a quick run.
    let patient = (!args.quick).then(|| attacks::patient(args.long));
    let (guarded, waited, watched) = thread::scope(|scope| {
        let watched = scope.spawn(|| watched(attacks.iter().chain(&patient)));
        let patient = patient.as_ref();
        let waited = patient.map(|attack| scope.spawn(|| waited(attack, args.long)));
        let guarded = guarded(&attacks, args.quick);
        let waited = waited.map(|thread| thread.join().expect("no panic there"));
        (guarded, waited, watched.join().expect("no panic there"))
    });
    let mut guarded = guarded?;
    guarded
        .findings
        .extend(waited.transpose()?.into_iter().flatten());
    let report = Report {
        guarded,
        watched: watched?,
        took: start.elapsed(),
    };
    println!("{}", report.markdown());
    write(&report.json(), args.json)?;
    report.judge()
}

/// The scans, and then the innocent, where fw-ctl guards.
fn guarded(attacks: &[Attack], quick: bool) -> Result<Guarded> {
    let lab = Lab::named("detect");
    lab.open_range();
    fs::write(lab.config(), "[scan]\nmode = \"enforce\"\n")?;
    let _services = Service::usual(&lab);
    let _daemon = lab.daemon().start();
    let scan = |attack: &Attack, number| guarded::scan(&lab, attack, number);
    let innocent = || benign::run(&lab, quick);
    let (findings, outcomes) = in_turn(attacks.iter(), |_| Duration::ZERO, scan, innocent)?;
    Ok(Guarded {
        findings: findings.concat(),
        outcomes,
        detector: lab.json(&["scan", "status"]),
    })
}

/// The patient scan where fw-ctl guards: as installed in the long run, which takes a quarter of an
/// hour, and otherwise with thresholds that it reaches within minutes.
fn waited(attack: &Attack, long: bool) -> Result<Vec<Finding>> {
    let lab = Lab::named("detect-patient");
    lab.open_range();
    let sooner = if long { "" } else { SOONER };
    let settings = format!("[scan]\nmode = \"enforce\"\n{sooner}");
    fs::write(lab.config(), settings)?;
    let _services = Service::usual(&lab);
    let _daemon = lab.daemon().start();
    guarded::scan(&lab, attack, 1)
}

/// The same scans where the neighbours watch.
fn watched<'a>(attacks: impl Iterator<Item = &'a Attack>) -> Result<Vec<Watched>> {
    let lab = Lab::named("detect-watched");
    lab.open_range();
    let _services = Service::usual(&lab);
    let neighbours = Neighbours::start(&lab)?;
    let scan = |attack: &Attack, number| attack.run(&lab, number);
    let pace = |done: usize| match done.is_multiple_of(BURST) {
        true => REST,
        false => PACE,
    };
    let (shots, ()) = in_turn(attacks, pace, scan, || Ok(()))?;
    // psad reads in steps, and may be behind.
    thread::sleep(PSAD_STEP * 3);
    let shots = shots.into_iter().flatten();
    Ok(shots.map(|shot| neighbours.judge(shot)).collect())
}

/// One scan after the other, with a pause that depends on how many are done, and then something
/// else; slow scans run beside all of it. Each has its number.
fn in_turn<'a, T: Send, U>(
    attacks: impl Iterator<Item = &'a Attack>,
    pace: impl Fn(usize) -> Duration,
    scan: impl Fn(&Attack, u16) -> Result<T> + Sync,
    then: impl FnOnce() -> Result<U>,
) -> Result<(Vec<T>, U)> {
    thread::scope(|scope| {
        let scan = &scan;
        let (slow, quick): (Vec<_>, Vec<_>) =
            attacks.zip(1..).partition(|(attack, _)| attack.is_slow());
        let slow: Vec<_> = slow
            .into_iter()
            .map(|(attack, number)| scope.spawn(move || scan(attack, number)))
            .collect();
        let mut results = Vec::new();
        for (attack, number) in quick {
            results.push(scan(attack, number)?);
            thread::sleep(pace(results.len()));
        }
        let rest = then()?;
        for thread in slow {
            results.push(thread.join().expect("no panic there")?);
        }
        Ok((results, rest))
    })
}

/// Into the target directory that this program was built in, unless told otherwise.
fn write(report: &Value, file: Option<PathBuf>) -> Result<()> {
    let beside = || {
        let ours = env::current_exe().context("this program has no path")?;
        let target = ours.parent().and_then(Path::parent);
        let file = target.map(|target| target.join("reports/detect.json"));
        file.context("not built by cargo")
    };
    let file = file.map_or_else(beside, Ok)?;
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(&file, format!("{report:#}\n"))
        .with_context(|| format!("cannot write {}", file.display()))?;
    println!("written to {}", file.display());
    Ok(())
}
