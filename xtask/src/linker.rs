//! bpf-linker. It must be made with the LLVM major that wrote the bitcode: another one fails
//! with "Invalid record (Producer ... Reader ...)", or worse, only on some inputs.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{self, Command},
};

use anyhow::{Context, Result};

use crate::{apt, apt::Apt, sh};

const VERSION: &str = "0.13.0";

/// A linker for this LLVM: one built before, one on PATH, or one built now.
pub fn ensure(llvm: u32, apt: &mut Apt) -> Result<PathBuf> {
    if let Some(linker) = at_hand(llvm)? {
        return Ok(linker);
    }
    build(llvm, apt)?;
    at_hand(llvm)?.with_context(|| format!("bpf-linker for LLVM {llvm} was built and does not run"))
}

/// Whether `ensure` can succeed for this LLVM.
pub fn can_be_had(llvm: u32) -> bool {
    at_hand(llvm).is_ok_and(|linker| linker.is_some())
        || missing_packages(llvm)
            .iter()
            .all(|package| apt::offers(package))
}

fn at_hand(llvm: u32) -> Result<Option<PathBuf>> {
    let cached = home(llvm)?.join("bin/bpf-linker");
    if starts(&cached) {
        return Ok(Some(cached));
    }
    Ok(sh::find("bpf-linker").filter(|linker| starts(linker) && is_made_with(linker, llvm)))
}

/// Where the linker for this LLVM is kept, so that another checkout finds it.
fn home(llvm: u32) -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))
        .context("set HOME or XDG_CACHE_HOME: the eBPF linker is kept under it")?;
    Ok(cache.join(format!("fw-ctl/bpf-linker-{VERSION}-llvm{llvm}")))
}

fn starts(linker: &Path) -> bool {
    sh::ask(Command::new(linker).arg("--version")).is_some()
}

/// bpf-linker does not tell its LLVM, but its file does: by the name of the library it loads,
/// or by the producer string LLVM writes into bitcode if it was linked in.
fn is_made_with(linker: &Path, llvm: u32) -> bool {
    let mut search = Command::new("grep");
    search.args(["--quiet", "--text", "--fixed-strings"]);
    for name in [
        format!("libLLVM.so.{llvm}"),
        format!("libLLVM-{llvm}"),
        format!("LLVM{llvm}."),
    ] {
        search.args(["-e", &name]);
    }
    sh::ask(search.arg(linker)).is_some()
}

fn build(llvm: u32, apt: &mut Apt) -> Result<()> {
    apt.install(&missing_packages(llvm))?;
    let home = home(llvm)?;
    // Built beside its place and moved there, so that an interrupted build leaves no half cache.
    let rough = home.with_file_name(format!("building-{}", process::id()));
    println!("setup: building bpf-linker {VERSION} for LLVM {llvm}, once, in about two minutes");
    let mut install = sh::cargo("install --quiet --locked --no-default-features");
    install
        .args(["--features", &format!("llvm-{llvm}")])
        .arg("--root")
        .arg(&rough)
        .arg(format!("bpf-linker@{VERSION}"))
        .env("LLVM_PREFIX", prefix(llvm));
    sh::run(&mut install).with_context(|| format!("cannot build bpf-linker for LLVM {llvm}"))?;

    if home.exists() {
        fs::remove_dir_all(&home).with_context(|| format!("cannot replace {}", home.display()))?;
    }
    fs::rename(&rough, &home).with_context(|| format!("cannot create {}", home.display()))
}

/// What the build needs and does not find.
fn missing_packages(llvm: u32) -> Vec<String> {
    let prefix = prefix(llvm);
    let needs = [
        (prefix.join("bin/llvm-config"), format!("llvm-{llvm}-dev")),
        (
            prefix.join("lib/libPolly.a"),
            format!("libpolly-{llvm}-dev"),
        ),
        ("/usr/include/zstd.h".into(), "libzstd-dev".to_owned()),
        ("/usr/include/zlib.h".into(), "zlib1g-dev".to_owned()),
    ];
    let missing = needs.into_iter().filter(|(file, _)| !file.exists());
    missing.map(|(_, package)| package).collect()
}

/// Where Debian keeps this LLVM.
fn prefix(llvm: u32) -> PathBuf {
    PathBuf::from(format!("/usr/lib/llvm-{llvm}"))
}
