//! Debian's packages: installed when something is missing, named when that is not allowed.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

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
        self.update();
        let mut install = get(&["install", "--yes", "--quiet=2", "--no-install-recommends"]);
        sh::run(install.args(packages)).with_context(|| format!("cannot install {names}"))
    }

    /// Unpacks the packages into a folder. Nothing of them is run, and no root is needed.
    pub fn unpack(&mut self, packages: &[String], place: &Path) -> Result<()> {
        if packages.is_empty() {
            return Ok(());
        }
        let names = packages.join(" ");
        if sh::find("apt-get").is_none() {
            bail!("missing in {}, by Debian's names: {names}", place.display());
        }
        println!("setup: unpacking {names} into {}", place.display());
        self.update();
        fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
        let mut download = get(&["download", "--quiet=2"]);
        sh::run(download.args(packages).current_dir(place))
            .with_context(|| format!("cannot download {names}"))?;
        for file in fs::read_dir(place).context("cannot read it again")? {
            let file = file?.path();
            if file.extension().is_some_and(|end| end == "deb") {
                sh::run(Command::new("dpkg-deb").arg("-x").arg(&file).arg(place))?;
                fs::remove_file(&file)?;
            }
        }
        Ok(())
    }

    /// Fetches the lists, once.
    fn update(&mut self) {
        if self.updated {
            return;
        }
        // One dead source of many fails the whole update: what counts is what comes after it.
        if let Err(error) = sh::run(&mut get(&["update", "--quiet=2"])) {
            println!("setup: {error}; going on with the lists at hand");
        }
        self.updated = true;
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
