//! What the tests take from PyPI, in a place of its own.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{apt::Apt, sh};

/// Asks an API what its OpenAPI document promises.
const SCHEMATHESIS: &str = "4.32.5";

/// Where the tool is.
pub fn schemathesis() -> PathBuf {
    bin("schemathesis")
}

/// Installs what is missing.
pub fn ensure(apt: &mut Apt) -> Result<()> {
    let version = sh::ask(Command::new(schemathesis()).arg("--version"));
    if version.is_some_and(|version| version.contains(SCHEMATHESIS)) {
        return Ok(());
    }
    let mut look = Command::new("python3");
    if sh::ask(look.args(["-c", "import ensurepip, venv"])).is_none() {
        apt.install(&["python3-venv".to_owned()])?;
    }
    println!("setup: installing schemathesis {SCHEMATHESIS} from PyPI into target/python");
    let mut venv = Command::new("python3");
    sh::run(venv.args(["-m", "venv"]).arg(place())).context("cannot make a place for it")?;
    let wanted = format!("schemathesis=={SCHEMATHESIS}");
    let mut pip = Command::new(bin("pip"));
    sh::run(pip.args(["install", "--quiet", "--disable-pip-version-check", &wanted]))
        .with_context(|| format!("cannot install {wanted}"))
}

fn place() -> PathBuf {
    sh::target_dir().join("python")
}

fn bin(name: &str) -> PathBuf {
    place().join("bin").join(name)
}
