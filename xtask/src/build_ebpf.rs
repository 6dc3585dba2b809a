//! Builds the kernel program and puts it where fw-ctl's build script picks it up.

use std::fs;

use anyhow::{Context, Result};

use crate::{sh, toolchain::Toolchain};

const TARGET: &str = "bpfel-unknown-none";

/// Builds `target/fw-ebpf.o`.
pub fn run(toolchain: &Toolchain) -> Result<()> {
    let folder = sh::root().join("target/ebpf");
    let mut build = toolchain.cargo();
    build
        .args(["build", "--locked", "--package", "fw-ebpf"])
        .args(["--profile", "bpf", "-Z", "build-std=core"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&folder)
        .env(
            "CARGO_TARGET_BPFEL_UNKNOWN_NONE_RUSTFLAGS",
            "-Clink-arg=--btf",
        )
        .current_dir(sh::root());
    sh::run(&mut build).context("cannot build the kernel program")?;

    let built = folder.join(TARGET).join("bpf/fw-ebpf");
    let object = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    let place = sh::root().join("target/fw-ebpf.o");
    // A new time stamp on the same bytes would rebuild all of fw-ctl.
    if fs::read(&place).is_ok_and(|old| old == object) {
        return Ok(());
    }
    fs::write(&place, &object).with_context(|| format!("cannot write {}", place.display()))?;
    println!("target/fw-ebpf.o: {} bytes", object.len());
    Ok(())
}
