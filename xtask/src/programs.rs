//! The programs of the tests that are run as they are: the demonstration and the measurements.

use std::{path::Path, process::Command};

use anyhow::Result;

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

/// Measures the firewall.
pub fn bench(quick: bool, json: Option<&Path>) -> Result<()> {
    build(Build::Release)?;
    let mut bench = program("bench", Build::Release);
    if quick {
        bench.arg("--quick");
    }
    if let Some(file) = json {
        bench.arg("--json").arg(file);
    }
    sh::run(&mut bench)
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
