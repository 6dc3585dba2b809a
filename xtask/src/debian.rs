//! What the tests take of Debian without installing it.
//!
//! Installed, fail2ban is started with the machine, and crowdsec makes itself known to its makers.
//! The tests start both themselves, in a network namespace and with a configuration of their own.

use std::path::PathBuf;

use anyhow::Result;

use crate::{apt::Apt, sh};

/// A program of each package, and the package.
const PROGRAMS: [(&str, &str); 2] = [
    ("usr/bin/fail2ban-server", "fail2ban"),
    ("usr/bin/cscli", "crowdsec"),
];

/// Unpacks what is missing.
pub fn ensure(apt: &mut Apt) -> Result<()> {
    let place = place();
    let missing: Vec<String> = PROGRAMS
        .iter()
        .filter(|(program, _)| !place.join(program).is_file())
        .map(|&(_, package)| package.to_owned())
        .collect();
    apt.unpack(&missing, &place)
}

/// Where the lab looks for them (`fw_tests::lab::debian`).
fn place() -> PathBuf {
    sh::target_dir().join("debian")
}
