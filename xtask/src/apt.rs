//! Debian's packages: installed when something is missing, named when that is not allowed.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::sh;

/// Installs packages; the lists are fetched once, and only if something is to be installed.
#[derive(Default)]
pub struct Apt {
    updated: bool,
}

impl Apt {
    /// Installs the packages, or fails with the command that would.
    pub fn install(&mut self, packages: &[String]) -> Result<()> {
        if packages.is_empty() {
            return Ok(());
        }
        let names = packages.join(" ");
        if sh::find("apt-get").is_none() {
            bail!("missing here, by Debian's names: {names}; install them and run this again");
        }
        if !sh::is_root() {
            bail!(
                "missing here: run `sudo apt-get update && \
                 sudo apt-get install --no-install-recommends {names}`"
            );
        }
        println!("setup: installing {names}");
        if !self.updated {
            // One dead source of many fails the whole update: what counts is the install after it.
            if let Err(error) = sh::run(&mut get(&["update", "--quiet=2"])) {
                println!("setup: {error}; going on with the lists at hand");
            }
            self.updated = true;
        }
        let mut install = get(&["install", "--yes", "--quiet=2", "--no-install-recommends"]);
        sh::run(install.args(packages)).with_context(|| format!("cannot install {names}"))
    }
}

/// Whether the lists at hand have the package.
pub fn offers(package: &str) -> bool {
    sh::ask(Command::new("apt-cache").args(["show", package])).is_some()
}

fn get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(arguments)
        // A line for each package unpacked; errors come on the other channel.
        .stdout(Stdio::null());
    command
}
