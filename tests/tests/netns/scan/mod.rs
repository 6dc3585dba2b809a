//! The scan detector: whom it blocks, whom it must not, and what an operator sees of it.
//!
//! - [`blocking`]: real scanners run into nothing
//! - [`benign`], [`clients`]: busy, clumsy and unlucky, but innocent
//! - [`escalation`]: who comes back is blocked for longer
//! - [`roll_up`]: networks, and who is spared in them
//! - [`observe`]: what enforce would have done
//! - [`operator`], [`settings`], [`caps`], [`ports`], [`log`]: what can be said to it, and what it
//!   says
//! - [`crashes`]: what a daemon that dies leaves to the kernel and to the next one

mod benign;
mod blocking;
mod caps;
mod clients;
mod crashes;
mod escalation;
mod log;
mod observe;
mod operator;
mod ports;
mod prober;
mod roll_up;
mod settings;

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, TcpListener, TcpStream},
    time::Duration,
};

use fw_tests::lab::{
    Lab,
    daemon::{Daemon, eventually},
    scanners,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// The detector drops what it finds; the rest is as installed.
const ENFORCE: &str = "mode = \"enforce\"";

/// A server with this table `[scan]`, and an attacker with many addresses.
fn lab(table: &str) -> Lab {
    let lab = Lab::new();
    lab.open_range();
    configure(&lab, table);
    lab
}

/// Writes the table `[scan]`.
fn configure(lab: &Lab, table: &str) {
    let config = format!("[scan]\n{table}\n");
    fs::write(lab.config(), config).expect("the configuration can be written");
}

/// Starts the daemon and waits until the detector knows which ports are served.
#[track_caller]
fn start(lab: &Lab) -> Daemon<'_> {
    let daemon = lab.daemon().start();
    lab.wait_for_detector();
    daemon
}

/// As [`start`], with the same hashes in every run: none of the ports that the test asks for shares
/// a bit with another.
#[track_caller]
fn start_with_known_hashes(lab: &Lab) -> Daemon<'_> {
    start(lab).kill_9();
    lab.set_scan_seed(0x5eed);
    start(lab)
}

/// Holds the daemon still meanwhile: what is reported and asked then waits for it side by side.
fn held<T>(daemon: &Daemon<'_>, call: impl FnOnce() -> T) -> T {
    let process = Pid::from_raw(i32::try_from(daemon.pid()).expect("a process id"));
    kill(process, Signal::SIGSTOP).expect("the daemon lives");
    let result = call();
    kill(process, Signal::SIGCONT).expect("the daemon lives");
    result
}

/// `fw-ctl scan`
fn status(lab: &Lab) -> Value {
    lab.json(&["scan"])
}

/// What the list `auto` blocks.
fn blocked(lab: &Lab) -> BTreeSet<String> {
    lab.prefixes("auto")
}

/// Every line of the security log.
fn events(lab: &Lab) -> Vec<Value> {
    let text = fs::read_to_string(lab.state().join("security.jsonl")).unwrap_or_default();
    let lines = text.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON in every line")
}

/// The crossings of this source, of which there are so many, in a moment at the latest.
#[track_caller]
fn crossings(lab: &Lab, source: IpAddr, number: usize) -> Vec<Value> {
    let source = source.to_string();
    let of_source = || -> Vec<Value> {
        let scans = events(lab)
            .into_iter()
            .filter(|event| event["event"] == "scan");
        scans.filter(|event| event["source"] == *source).collect()
    };
    eventually(&format!("crossing {number} of {source} is told"), || {
        of_source().len() >= number
    });
    let found = of_source();
    assert_eq!(found.len(), number, "{found:#?}");
    found
}

/// The last crossing of this source, its so-manieth.
#[track_caller]
fn crossing(lab: &Lab, source: IpAddr, number: usize) -> Value {
    crossings(lab, source, number).remove(number - 1)
}

/// Packets that were dropped, or (by `action`) would have been.
fn total(lab: &Lab, action: &str) -> u64 {
    let status = lab.json(&["status"]);
    let totals = status["totals"].as_array().expect("totals");
    let counted = totals.iter().filter(|total| total["action"] == action);
    counted.filter_map(|total| total["packets"].as_u64()).sum()
}

/// A TCP connection that stays, by which its source is proven.
struct Session {
    _ends: [TcpStream; 2],
    _listener: TcpListener,
}

impl Session {
    /// Not to port 22: the peer of an SSH session is guarded.
    #[track_caller]
    fn open(lab: &Lab, source: IpAddr) -> Self {
        let listener = lab.listen(scanners::target(source), 0);
        let port = listener.local_addr().expect("a port");
        let client = lab.connect(source, port, Duration::from_secs(5));
        let (server, _) = listener.accept().expect("a client");
        Self {
            _ends: [client.expect("a connection"), server],
            _listener: listener,
        }
    }
}
