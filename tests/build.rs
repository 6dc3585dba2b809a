//! Puts the packet generator inside the tests.

use std::{env, fs, path::PathBuf};

fn main() {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let object = manifest.join("../target/fw-flood.o");
    println!("cargo::rerun-if-changed={}", object.display());
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default()).join("fw-flood.o");
    if let Err(error) = fs::copy(&object, &out) {
        println!(
            "cargo::error=no packet generator at target/fw-flood.o ({error}): run `cargo xtask build-ebpf`"
        );
    }
}
