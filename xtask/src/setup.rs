//! Makes a bare machine ready; on one that is, it only looks.

use std::{fs, process::Command};

use anyhow::{Context, Result, ensure};

use crate::{
    apt::Apt,
    sh,
    toolchain::{self, Toolchain},
};

/// What the tests and the demonstration call, and the package that brings it.
const PROGRAMS: [(&str, &str); 7] = [
    ("bpftool", "bpftool"),
    ("cc", "gcc"),
    ("ip", "iproute2"),
    ("ipset", "ipset"),
    ("iptables", "iptables"),
    ("nmap", "nmap"),
    ("ping", "iputils-ping"),
];

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

fn machine(apt: &mut Apt) -> Result<()> {
    let missing = PROGRAMS
        .iter()
        .filter(|(program, _)| sh::find(program).is_none())
        .map(|&(_, package)| package.to_owned())
        .collect::<Vec<_>>();
    apt.install(&missing)?;

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
