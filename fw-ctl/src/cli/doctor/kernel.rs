//! What the kernel can do, and what it lets us do.

use std::{fs, io, path::Path};

use aya::{programs::ProgramType, sys::is_program_supported};
use nix::sys::utsname::uname;

use super::Check;
use crate::host::capabilities;

/// XDP links, the ring buffer and batches on LPM tries.
const FLOOR: (u32, u32) = (5, 15);

/// Packets of several buffers.
const FRAGS: (u32, u32) = (5, 18);

/// All of them.
pub(super) fn checks() -> Vec<Check> {
    vec![
        version(&release()),
        may(&capabilities::missing()),
        bpf(),
        btf(Path::new("/sys/kernel/btf/vmlinux")),
        jit(fs::read_to_string("/proc/sys/net/core/bpf_jit_enable")),
    ]
}

fn release() -> String {
    let named = uname().map(|name| name.release().to_string_lossy().into_owned());
    named.unwrap_or_default()
}

fn version(release: &str) -> Check {
    let found = format!("Linux {release}");
    match major_minor(release) {
        None => Check::warn("kernel", found, "needs Linux 5.15, and this is no version"),
        Some(version) if version < FLOOR => {
            Check::fail("kernel", found, "install Linux 5.15 or newer")
        }
        Some(version) if version < FRAGS => Check::warn(
            "kernel",
            format!("{found}: no packets of several buffers"),
            "for native mode with a large MTU install Linux 5.18 or newer",
        ),
        Some(_) => Check::ok("kernel", found),
    }
}

/// The first two numbers of `6.18.5-amd64`.
fn major_minor(release: &str) -> Option<(u32, u32)> {
    let (major, rest) = release.split_once('.')?;
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    Some((major.parse().ok()?, rest[..end].parse().ok()?))
}

fn may(missing: &[&str]) -> Check {
    match missing {
        [] => Check::ok("capabilities", "CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"),
        missing => Check::fail(
            "capabilities",
            format!("missing {}", missing.join(" and ")),
            "run it as root, or grant them (systemd: AmbientCapabilities=)",
        ),
    }
}

/// Whether an XDP program of two instructions loads.
fn bpf() -> Check {
    match is_program_supported(ProgramType::Xdp) {
        Ok(true) => Check::ok("bpf", "XDP programs load"),
        Ok(false) => Check::fail(
            "bpf",
            "this kernel has no XDP",
            "run a kernel with CONFIG_BPF_SYSCALL and CONFIG_NET",
        ),
        Err(error) => Check::fail(
            "bpf",
            format!("no XDP program loads: {:#}", anyhow::Error::new(error)),
            "run it as root; in a container grant CAP_BPF and the bpf system call",
        ),
    }
}

fn btf(path: &Path) -> Check {
    match path.exists() {
        true => Check::ok("btf", path.display().to_string()),
        false => Check::warn(
            "btf",
            "the kernel carries no type information",
            "bpftool shows less of our maps; run a kernel with CONFIG_DEBUG_INFO_BTF",
        ),
    }
}

fn jit(setting: io::Result<String>) -> Check {
    const ON: &str = "sysctl -w net.core.bpf_jit_enable=1";
    match setting.as_deref().map(str::trim) {
        Ok("1") => Check::ok("jit", "on"),
        Ok("2") => Check::warn("jit", "on, and it logs every program", ON),
        Ok(_) => Check::warn(
            "jit",
            "off: programs are interpreted, many times slower",
            ON,
        ),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Check::warn(
            "jit",
            "not shown in this network namespace",
            "look from the host's own: sysctl net.core.bpf_jit_enable",
        ),
        Err(error) => Check::warn("jit", format!("cannot be read: {error}"), ON),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State::{Fail, Ok, Warn};

    #[test]
    fn versions_are_compared_as_numbers() {
        for (release, state) in [
            ("6.18.5", Ok),
            ("6.1.0-18-amd64", Ok),
            ("5.18", Ok),
            ("5.18-rc1", Ok),
            ("10.0.1", Ok),
            ("5.17.15", Warn),
            ("5.15.0-91-generic", Warn),
            ("5.14.0-427.el9.x86_64", Fail),
            ("5.4.0", Fail),
            ("4.19.0", Fail),
            ("", Warn),
            ("linux", Warn),
        ] {
            let check = version(release);
            assert_eq!(check.state, state, "{release}");
            assert_eq!(check.mend.is_none(), state == Ok, "{release}");
        }
        assert_ne!(
            version(&release()).state,
            Fail,
            "these tests need XDP links themselves"
        );
    }

    #[test]
    fn the_missing_capability_is_named() {
        assert_eq!(may(&[]).state, Ok);
        let check = may(&["CAP_BPF", "CAP_NET_ADMIN"]);
        assert_eq!(check.state, Fail);
        assert_eq!(check.found, "missing CAP_BPF and CAP_NET_ADMIN");
    }

    #[test]
    fn the_compiler_is_on_or_there_is_a_mend() {
        let read = |text: &str| io::Result::Ok(text.to_owned());
        assert_eq!(jit(read("1\n")).state, Ok);
        assert_eq!(jit(read("0\n")).state, Warn);
        assert_eq!(jit(read("2\n")).state, Warn);
        let hidden = jit(Err(io::ErrorKind::NotFound.into()));
        assert_eq!(hidden.found, "not shown in this network namespace");
    }

    #[test]
    fn type_information_is_there_or_not() {
        assert_eq!(btf(Path::new("/proc/self/status")).state, Ok);
        assert_eq!(btf(Path::new("/nowhere/btf")).state, Warn);
    }
}
