//! Where things are kept: bpffs, pins, the state directory, the socket.

use std::{fs, io, os::unix::net::UnixStream, path::Path};

use fw_common::abi;
use nix::{
    errno::Errno,
    sys::{
        statfs::{BPF_FS_MAGIC, statfs},
        statvfs::statvfs,
    },
    unistd::{AccessFlags, access},
};

use super::Check;
use crate::{
    backend::xdp::pins::{Pins, links_in},
    cli::Places,
};

/// Below this much free space the state directory is as good as full.
const FULL_BYTES: u64 = 1 << 20;

/// Below this much it soon will be.
const LOW_BYTES: u64 = 64 << 20;

/// All of them.
pub(super) fn checks(places: &Places, socket: &Path) -> Vec<Check> {
    vec![
        bpffs(&places.pin_dir),
        pins(&places.pin_dir),
        state(&places.state_dir),
        daemon(socket),
    ]
}

/// Itself, or what it would be made in.
fn existing(path: &Path) -> &Path {
    path.ancestors()
        .find(|path| path.exists())
        .unwrap_or(Path::new("/"))
}

fn bpffs(pin_dir: &Path) -> Check {
    const USUAL: &str = "/sys/fs/bpf";
    let found = pin_dir.display();
    let mount_point = match pin_dir.starts_with(USUAL) {
        true => Path::new(USUAL),
        false => pin_dir,
    };
    let mount = format!("mount -t bpf bpf {}", mount_point.display());
    let mend = match mount_point.exists() {
        true => mount,
        false => format!("mkdir -p {} && {mount}", mount_point.display()),
    };
    match statfs(existing(pin_dir)) {
        Ok(kind) if kind.filesystem_type() == BPF_FS_MAGIC => {
            Check::ok("bpffs", format!("{found} is on one"))
        }
        Ok(_) => Check::fail(
            "bpffs",
            format!("{found} is not on a BPF file system"),
            mend,
        ),
        Err(errno) => Check::fail("bpffs", format!("{found}: {}", errno.desc()), mend),
    }
}

fn pins(pin_dir: &Path) -> Check {
    if let Err(error) = fs::read_dir(pin_dir) {
        return match error.kind() {
            io::ErrorKind::NotFound => Check::ok("pins", "none: nothing of ours is loaded"),
            _ => Check::warn(
                "pins",
                format!("cannot read {}: {error}", pin_dir.display()),
                "run it as root",
            ),
        };
    }
    let own = format!("v{}", abi::VERSION);
    let versions = Pins::new(pin_dir).versions();
    let mut others = false;
    let found = versions.iter().map(|directory| {
        let version = directory.file_name().unwrap_or_default().to_string_lossy();
        others |= version != own;
        match &*links_in(directory) {
            [] => format!("{version} without interfaces"),
            links => format!("{version} on {}", links.join(", ")),
        }
    });
    let found: Vec<_> = found.collect();
    match (found.is_empty(), others) {
        (true, _) => Check::ok("pins", "none: nothing of ours is loaded"),
        (false, false) => Check::ok("pins", found.join("; ")),
        (false, true) => Check::warn(
            "pins",
            format!("{}; this build is {own}", found.join("; ")),
            "start the daemon, which takes the links over, or fw-ctl detach",
        ),
    }
}

fn state(state_dir: &Path) -> Check {
    let found = state_dir.display();
    let directory = existing(state_dir);
    let writable = AccessFlags::W_OK | AccessFlags::X_OK;
    match access(directory, writable) {
        Err(Errno::EROFS) => {
            let mend = "mount it writable, or use another --state-dir";
            return Check::fail("state", format!("{found} is read-only"), mend);
        }
        Err(errno) => {
            let mend = "run it as root, or use another --state-dir";
            return Check::fail("state", format!("{found}: {}", errno.desc()), mend);
        }
        Ok(()) => (),
    }
    match statvfs(directory) {
        Ok(space) => room(state_dir, space.blocks_available() * space.fragment_size()),
        Err(errno) => Check::fail(
            "state",
            format!("{found}: {}", errno.desc()),
            "use another --state-dir",
        ),
    }
}

fn room(state_dir: &Path, free_bytes: u64) -> Check {
    let found = format!(
        "{} is writable, {} MiB free",
        state_dir.display(),
        free_bytes >> 20
    );
    let mend = "free some space, or use another --state-dir";
    match free_bytes {
        ..FULL_BYTES => Check::fail("state", found, mend),
        FULL_BYTES..LOW_BYTES => Check::warn("state", found, mend),
        LOW_BYTES.. => Check::ok("state", found),
    }
}

fn daemon(socket: &Path) -> Check {
    let found = socket.display();
    match UnixStream::connect(socket) {
        Ok(_) => Check::ok("daemon", format!("answers on {found}")),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Check::warn(
            "daemon",
            format!("{found} is not for this user"),
            "run it as root, or join the socket's group",
        ),
        Err(error) => Check::warn(
            "daemon",
            format!("does not answer on {found}: {error}"),
            "fw-ctl run -i IFACE, or systemctl start fw-ctl",
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::cli::doctor::State::{Fail, Ok, Warn};

    #[test]
    fn pins_elsewhere_than_on_bpffs_fail_with_the_command_that_helps() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let pin_dir = directory.path().join("pins");
        let check = bpffs(&pin_dir);
        assert_eq!(check.state, Fail);
        let shown = pin_dir.display();
        assert_eq!(
            check.mend.as_deref(),
            Some(&*format!("mkdir -p {shown} && mount -t bpf bpf {shown}"))
        );
        fs::create_dir(&pin_dir).expect("a temporary directory");
        assert_eq!(
            bpffs(&pin_dir).mend,
            Some(format!("mount -t bpf bpf {shown}"))
        );
    }

    #[test]
    fn pins_are_told_by_version_and_interface() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let own = directory.path().join(format!("v{}", abi::VERSION));
        let none = "none: nothing of ours is loaded";
        assert_eq!(pins(&own).found, none, "no such directory");
        assert_eq!(pins(directory.path()).found, none);
        fs::create_dir(&own).expect("a temporary directory");
        fs::write(own.join("link-eth0"), "").expect("a temporary directory");
        let check = pins(directory.path());
        assert_eq!(
            (check.state, check.found),
            (Ok, format!("v{} on eth0", abi::VERSION))
        );
        fs::create_dir(directory.path().join("v9999")).expect("a temporary directory");
        let check = pins(directory.path());
        assert_eq!(check.state, Warn);
        assert!(
            check.found.contains("v9999 without interfaces"),
            "{}",
            check.found
        );
    }

    #[test]
    fn state_needs_a_place_to_be_written_and_room() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let deep = directory.path().join("not/yet/made");
        assert_ne!(state(&deep).state, Fail, "{:?}", state(&deep));
        assert_eq!(state(Path::new("/proc/fw-ctl")).state, Fail);
        let room = |bytes| room(Path::new("/x"), bytes).state;
        assert_eq!(
            [room(0), room(FULL_BYTES), room(LOW_BYTES)],
            [Fail, Warn, Ok]
        );
    }

    #[test]
    fn a_daemon_answers_or_how_to_start_it_is_told() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let socket = directory.path().join("socket");
        assert_eq!(daemon(&socket).state, Warn, "no socket");
        let listener = UnixListener::bind(&socket).expect("a temporary directory");
        assert_eq!(daemon(&socket).state, Ok);
        drop(listener);
        // A child that another test is starting holds it until it becomes another program.
        let refuses = |_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            daemon(&socket).state == Warn
        };
        assert!((0..100).any(refuses), "a socket nobody listens to");
    }
}
