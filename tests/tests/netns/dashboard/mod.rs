//! The dashboard: a real browser on this machine's loopback, a real daemon in the lab.
//!
//! - [`door`]: `fw-ctl dashboard` and whom it lets in
//! - [`modules`]: parts of the page, each by itself
//! - [`page`]: what the page shows and does, by mouse and by keyboard
//! - [`hostile`]: names that want to be more than text, and what the page may reach
//! - [`places`]: where an address is at home
//! - [`bounds`]: ten thousand events, and nobody who looks
//! - [`tokens`]: the page over TCP
//! - [`pictures`]: how it looks under a scan and a flood

mod bounds;
mod browser;
mod door;
mod hostile;
mod modules;
mod page;
mod pictures;
mod places;
mod tokens;

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use fw_tests::lab::{Lab, command::binary};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A running `fw-ctl dashboard`, outside of the lab's namespaces: the socket is within its reach,
/// and its port within the browser's.
struct Dashboard {
    child: Child,
    /// `http://127.0.0.1:PORT`
    origin: String,
    /// What it printed.
    url: String,
}

impl Dashboard {
    fn start(lab: &Lab, arguments: &[&str]) -> Self {
        // It dies with this process, however that ends.
        let mut child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(binary())
            .arg("dashboard")
            .env("FW_CTL_SOCKET", lab.socket())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("fw-ctl starts");
        let mut url = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout)
            .read_line(&mut url)
            .expect("it prints");
        let url = url.trim_end().to_owned();
        let (origin, _) = url.split_once("/?token=").expect("an address");
        Self {
            child,
            origin: origin.to_owned(),
            url,
        }
    }

    /// The port it has opened.
    fn port(&self) -> u16 {
        let (_, port) = self.origin.rsplit_once(':').expect("a port");
        port.parse().expect("a number")
    }

    /// Ctrl-C, which must end it well.
    fn interrupt(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"));
        kill(pid, Signal::SIGINT).expect("it runs");
        let status = self.child.wait().expect("it ends");
        assert_eq!(status.code(), Some(0));
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
