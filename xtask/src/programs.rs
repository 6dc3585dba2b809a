//! The programs of the tests that are run as they are: the demonstration and the measurements.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, ensure};
use clap::Args;

use crate::{build_ebpf, setup, sh};

/// Which build: the tests and the demonstration run the quickly built one, which checks its
/// arithmetic too; only what is measured is optimised.
#[derive(Clone, Copy)]
pub enum Build {
    /// `target/debug`
    Debug,
    /// `target/release`
    Release,
}

/// Shows the firewall at work.
pub fn demo() -> Result<()> {
    build(Build::Debug)?;
    sh::run(&mut program("demo", Build::Debug))
}

/// Measures the firewall, or one section of it.
pub fn bench(report: &Report, section: Option<&str>) -> Result<()> {
    report.make("bench", section.as_slice())
}

/// Scans the firewall, and its neighbours.
pub fn detect(report: &Report, long: bool) -> Result<()> {
    ensure!(
        sh::is_root(),
        "the report makes network namespaces and loads a program: run it as root"
    );
    setup::detection()?;
    report.make("detect", if long { &["--long"] } else { &[] })
}

/// How a program that measures is to be run.
#[derive(Args)]
pub struct Report {
    /// Fewer and shorter runs.
    #[arg(long)]
    quick: bool,
    /// Write the figures to this file instead of the one in target/reports.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Report {
    fn make(&self, name: &str, arguments: &[&str]) -> Result<()> {
        build(Build::Release)?;
        let mut program = program(name, Build::Release);
        program.args(arguments);
        if self.quick {
            program.arg("--quick");
        }
        if let Some(file) = &self.json {
            program.arg("--json").arg(file);
        }
        sh::run(&mut program)
    }
}

impl Build {
    fn directory(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// Tells a program of the tests which fw-ctl to run.
pub fn with_fw_ctl(command: &mut Command, build: Build) -> &mut Command {
    let path = sh::target_dir().join(build.directory()).join("fw-ctl");
    command.env("FW_CTL_BIN", path)
}

fn build(build: Build) -> Result<()> {
    build_ebpf::run(&setup::all()?)?;
    let mut command = sh::cargo("build --locked -p fw-ctl -p fw-tests --bins");
    if matches!(build, Build::Release) {
        command.arg("--release");
    }
    sh::run(&mut command)
}

fn program(name: &str, build: Build) -> Command {
    let path = sh::target_dir().join(build.directory()).join(name);
    let mut command = Command::new(path);
    with_fw_ctl(&mut command, build);
    command
}
