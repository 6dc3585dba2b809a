//! Network namespaces: entered by other programs through `nsenter`, and by a thread of this
//! process.
//!
//! Not `ip netns exec`, which mounts a new `/sys` over the one that bpffs is mounted in.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use nix::sched::{CloneFlags, setns};

/// A namespace that lives as long as this value.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one; a namespace of this name that was left behind goes first.
    pub fn create(name: String) -> Self {
        let namespace = Self { name };
        if namespace.path().exists() {
            namespace.delete();
        }
        run(Command::new("ip").args(["netns", "add", &namespace.name]));
        // Addresses are usable at once, without two seconds of duplicate address detection.
        namespace.enter(|| {
            for group in ["all", "default"] {
                set(&format!("net/ipv6/conf/{group}/accept_dad"), "0");
            }
        });
        namespace.ip("link set lo up");
        namespace
    }

    /// The name `ip netns` knows it by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    pub fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// A command that runs inside.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path().display()))
            .arg("--")
            .arg(program);
        command
    }

    /// Runs `ip`, with one command a line.
    pub fn ip(&self, lines: &str) {
        let mut ip = Command::new("ip")
            .args(["-netns", &self.name, "-batch", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("ip starts");
        let mut input = ip.stdin.take().expect("ip has an input");
        input.write_all(lines.as_bytes()).expect("ip reads");
        drop(input);
        let status = ip.wait().expect("ip ends");
        assert!(status.success(), "in {}, ip failed: {lines}", self.name);
    }

    /// Calls a function inside, on a thread of its own. A socket made there stays there.
    pub fn enter<T: Send>(&self, call: impl FnOnce() -> T + Send) -> T {
        let file = File::open(self.path()).expect("the namespace exists");
        let inside = move || {
            setns(file, CloneFlags::CLONE_NEWNET).expect("the namespace can be entered");
            call()
        };
        thread::scope(|scope| scope.spawn(inside).join().expect("no panic inside"))
    }

    fn delete(&self) {
        run(Command::new("ip").args(["netns", "delete", &self.name]));
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.delete();
    }
}

/// Sets a kernel parameter of the calling thread's namespace.
fn set(parameter: &str, value: &str) {
    let file = Path::new("/proc/sys").join(parameter);
    std::fs::write(&file, value).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
}

/// Runs a program that must succeed.
pub fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
