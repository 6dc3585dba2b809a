//! Builds the kernel program and the packet generator of the tests, and puts them where the build
//! scripts of fw-ctl and fw-tests pick them up.

use std::fs;

use anyhow::{Context, Result};

use crate::{sh, toolchain::Toolchain};

const TARGET: &str = "bpfel-unknown-none";

/// What is built: `target/fw-ebpf.o` and `target/fw-flood.o`.
const PROGRAMS: [&str; 2] = ["fw-ebpf", "fw-flood"];

/// Builds all of [`PROGRAMS`].
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

    PROGRAMS.iter().try_for_each(|name| {
        let built = folder.join(TARGET).join("bpf").join(name);
        let object =
            fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
        place(&format!("target/{name}.o"), &object)
    })
}

/// A new time stamp on the same bytes would rebuild all that holds them.
fn place(path: &str, object: &[u8]) -> Result<()> {
    let file = sh::root().join(path);
    if fs::read(&file).is_ok_and(|old| old == object) {
        return Ok(());
    }
    fs::write(&file, object).with_context(|| format!("cannot write {}", file.display()))?;
    println!("{path}: {} bytes", object.len());
    Ok(())
}
