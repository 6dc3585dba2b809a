//! The process that rolls back if the daemon is dead by then.
//!
//! It waits beside the daemon and does nothing as long as one lives, not even if that one hangs:
//! whoever holds the lock of the state directory rolls back by himself.

use std::{
    io,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use super::{Options, mirror, problem::Failure, recover};
use crate::{api::wire::Code, host::clock, policy::time::BootSecs, store};

/// A daemon that lives is given this long.
const GRACE: Duration = Duration::from_secs(1);

/// How often the clock is looked at: boot time goes on while the machine sleeps, sleeping does not.
const STEP: Duration = Duration::from_millis(200);

/// How soon a rollback that failed is tried again, at first and in the end.
const RETRY: Duration = Duration::from_secs(1);
const MAX_RETRY: Duration = Duration::from_secs(30);

/// The waiting process. It outlives this one, unless it is ended.
pub struct Sentinel(Child);

impl Sentinel {
    /// Starts one that waits for a second of boot time.
    ///
    /// # Errors
    /// This program cannot be run.
    pub fn start(options: &Options, due: BootSecs) -> io::Result<Self> {
        // Also when the file was replaced by another version meanwhile.
        let mut command = Command::new("/proc/self/exe");
        command.arg("recover").arg(format!("--due={}", due.0));
        let path = |flag: &str, path: &std::path::Path| format!("--{flag}={}", path.display());
        if let Some(config) = &options.config {
            command.arg(path("config", config));
        }
        for interface in &options.interfaces {
            command.arg(format!("--iface={interface}"));
        }
        if let Some(mode) = options.mode {
            command.arg(format!("--mode={}", mode.name()));
        }
        if options.observe {
            command.arg("--observe");
        }
        command
            .arg(path("state-dir", &options.state_dir))
            .arg(path("pin-dir", &options.pin_dir))
            .arg(path("socket", &options.socket))
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            // A signal to the daemon's group is not for it.
            .process_group(0);
        command.spawn().map(Self)
    }

    /// Nothing is left to roll back.
    pub fn end(mut self) {
        // It has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `fw-ctl recover`: what the sentinel does.
///
/// # Errors
/// Why it could not roll back.
pub fn wait_and_recover(options: &Options, due: BootSecs) -> Result<(), Failure> {
    let end = Duration::from_secs(due.0.into()) + GRACE;
    while clock::now().boot < end {
        thread::sleep(STEP);
    }
    let mut pause = RETRY;
    let stands = || options.pin_dir.exists() || mirror::stands();
    // Without a database there is nothing to go back to; one that cannot be read may have it.
    let has_store = || options.state_dir.join(store::FILE).exists();
    let waits = || store::waits(&options.state_dir).unwrap_or(true);
    // Also where nothing waits: a daemon that was killed after the kernel and before the database
    // heard of a policy has left one in force that is written down nowhere. Who took everything
    // off the host took this too.
    while has_store() && stands() {
        match recover(options) {
            Ok(()) => break,
            // A daemon lives, and has seen to it.
            Err(failure) if failure.code == Code::Conflict && !waits() => break,
            Err(failure) => tracing::error!(error = %failure, "cannot roll back yet"),
        }
        thread::sleep(pause);
        pause = MAX_RETRY.min(pause * 2);
    }
    Ok(())
}
