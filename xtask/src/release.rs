//! The release build, and the programs of the tests that are run as they are: the demonstration
//! and the measurements.

use std::{path::Path, process::Command};

use anyhow::Result;

use crate::{build_ebpf, setup, sh};

/// Shows the firewall at work.
pub fn demo() -> Result<()> {
    build()?;
    sh::run(&mut program("demo"))
}

/// Measures the firewall.
pub fn bench(quick: bool, json: Option<&Path>) -> Result<()> {
    build()?;
    let mut bench = program("bench");
    if quick {
        bench.arg("--quick");
    }
    if let Some(file) = json {
        bench.arg("--json").arg(file);
    }
    sh::run(&mut bench)
}

/// Tells a program of the tests which fw-ctl to run.
pub fn with_fw_ctl(command: &mut Command) -> &mut Command {
    command.env("FW_CTL_BIN", sh::target_dir().join("release/fw-ctl"))
}

fn build() -> Result<()> {
    build_ebpf::run(&setup::all()?)?;
    sh::run(&mut sh::cargo(
        "build --release --locked -p fw-ctl -p fw-tests --bins",
    ))
}

fn program(name: &str) -> Command {
    let mut command = Command::new(sh::target_dir().join("release").join(name));
    with_fw_ctl(&mut command);
    command
}
