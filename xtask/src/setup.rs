//! Makes a bare machine ready; on one that is, it only looks.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{
    apt::Apt,
    sh,
    toolchain::{self, Toolchain},
};

/// What the tests and the demonstration call, and the package that brings it.
const PROGRAMS: [(&str, &str); 17] = [
    ("bpftool", "bpftool"),
    ("cc", "gcc"),
    ("chromedriver", "chromium-driver"),
    ("chromium", "chromium"),
    ("curl", "curl"),
    ("ip", "iproute2"),
    ("ipset", "ipset"),
    ("iptables", "iptables"),
    ("masscan", "masscan"),
    ("nft", "nftables"),
    ("nmap", "nmap"),
    ("openssl", "openssl"),
    ("ping", "iputils-ping"),
    ("python3", "python3"),
    ("tmux", "tmux"),
    ("ufw", "ufw"),
    ("zmap", "zmap"),
];

/// What scripts of the tests import into Debian's Python, and the package that brings it.
const MODULES: [(&str, &str); 1] = [("prometheus_client", "python3-prometheus-client")];

/// What the report about detection calls besides, and the package that brings it. psad wants to
/// send mail: to msmtp, which is no server, unless there is one already.
const DETECTION: [(&str, &str); 7] = [
    ("hping3", "hping3"),
    ("portsentry", "portsentry"),
    ("psad", "psad"),
    ("scanlogd", "scanlogd"),
    ("sendmail", "msmtp-mta"),
    ("ulogd", "ulogd2"),
    ("vsftpd", "vsftpd"),
];
/// Those of them that Debian starts with the machine.
const SERVICES: [&str; 5] = ["portsentry", "psad", "scanlogd", "ulogd2", "vsftpd"];
/// Debian asks it before a package starts a service; 101 means no.
const POLICY: &str = "/usr/sbin/policy-rc.d";

const BPFFS: &str = "/sys/fs/bpf";

/// Everything: what builds the kernel program and what runs it.
pub fn all() -> Result<Toolchain> {
    let mut apt = Apt::default();
    machine(&mut apt)?;
    toolchain::ensure(&mut apt)
}

/// Only what builds the kernel program.
pub fn toolchain() -> Result<Toolchain> {
    toolchain::ensure(&mut Apt::default())
}

/// What the report about detection needs besides. It starts these programs itself, in a network
/// namespace; as services of this machine they stay off.
pub fn detection() -> Result<()> {
    let missing = missing(&DETECTION);
    if missing.is_empty() {
        return Ok(());
    }
    let asked = fs::exists(POLICY).with_context(|| format!("cannot look at {POLICY}"))?;
    if asked || !sh::is_root() {
        // Whoever has a policy of their own is asked by it.
        return Apt::default().install(&missing);
    }
    fs::write(POLICY, "#!/bin/sh\nexit 101\n")
        .and_then(|()| fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)))
        .with_context(|| format!("cannot write {POLICY}"))?;
    let installed = Apt::default().install(&missing);
    fs::remove_file(POLICY).with_context(|| format!("cannot remove {POLICY}"))?;
    installed?;
    let services = SERVICES
        .iter()
        .filter(|name| missing.iter().any(|package| package == *name))
        .collect::<Vec<_>>();
    if sh::find("systemctl").is_some() && !services.is_empty() {
        sh::run(Command::new("systemctl").arg("disable").args(services))
            .context("cannot keep the services from starting with the machine")?;
    }
    Ok(())
}

/// The packages of the programs that are not here.
fn missing(programs: &[(&str, &str)]) -> Vec<String> {
    let missing = programs
        .iter()
        .filter(|(program, _)| sh::find(program).is_none());
    missing.map(|&(_, package)| package.to_owned()).collect()
}

fn machine(apt: &mut Apt) -> Result<()> {
    let mut packages = missing(&PROGRAMS);
    let modules = MODULES.iter().filter(|(module, _)| !has_module(module));
    packages.extend(modules.map(|&(_, package)| package.to_owned()));
    apt.install(&packages)?;

    let mounts = fs::read_to_string("/proc/mounts").context("cannot read /proc/mounts")?;
    if !has_bpffs(&mounts) {
        ensure!(
            sh::is_root(),
            "bpffs is not mounted: run `sudo mount -t bpf bpf {BPFFS}`"
        );
        sh::run(Command::new("mount").args(["-t", "bpf", "bpf", BPFFS]))
            .context("cannot mount bpffs, where links and maps are pinned")?;
    }
    println!("setup: the programs of the tests are here, bpffs is at {BPFFS}");
    Ok(())
}

/// Another Python may come first on the path, and know nothing of Debian's packages.
fn has_module(module: &str) -> bool {
    let import = format!("import {module}");
    sh::ask(Command::new("/usr/bin/python3").args(["-c", &import])).is_some()
}

fn has_bpffs(mounts: &str) -> bool {
    mounts.lines().any(|mount| {
        let mut fields = mount.split(' ').skip(1);
        fields.next() == Some(BPFFS) && fields.next() == Some("bpf")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bpffs_is_known_by_its_place_and_its_type() {
        assert!(has_bpffs("bpf /sys/fs/bpf bpf rw,relatime 0 0\n"));
        assert!(!has_bpffs("tmpfs /sys/fs/bpf tmpfs rw 0 0\n"));
        assert!(!has_bpffs("bpf /mnt/bpf bpf rw 0 0\n"));
    }
}
