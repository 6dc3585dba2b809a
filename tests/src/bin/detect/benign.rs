//! Busy, clumsy and unlucky, but innocent: whoever is blocked here is blocked wrongly.

use std::{
    net::{IpAddr, TcpStream},
    process::Stdio,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use fw_tests::lab::{Lab, address::V4, scanners};
use serde_json::{Value, json};

use crate::{
    ftp, guarded,
    services::{Service, ask, get},
};

/// The server, as all of them know it.
const SERVER: IpAddr = V4.server;
/// The first number of their addresses, after those of the scans.
const FIRST: u16 = 0x8000;
/// Ports of services that all restart together, more of them than a scan may touch.
const RESTARTED: std::ops::Range<u16> = 8100..8112;
/// Ports that a badly configured program of a user asks for.
const WRONG: [u16; 4] = [5222, 8080, 8443, 9100];

/// One row.
struct Load {
    name: &'static str,
    run: fn(&Lab, u16, bool) -> Result<Done>,
}

/// What a load came to.
struct Done {
    /// Who took part.
    sources: Vec<IpAddr>,
    /// What worked, with its number.
    did: String,
}

/// What was made of a load.
pub struct Outcome {
    /// What it was.
    pub name: &'static str,
    /// What worked.
    pub did: String,
    /// How many took part.
    pub sources: usize,
    /// Who of them is blocked.
    pub blocked: Vec<IpAddr>,
}

const LOADS: [Load; 8] = [
    Load {
        name: "many clients on open ports",
        run: clients,
    },
    Load {
        name: "one source, one open port, connection after connection",
        run: one_client,
    },
    Load {
        name: "users behind one address, every fifth asks for a wrong port",
        run: users,
    },
    Load {
        name: "200 HTTP connections of one source at once",
        run: parallel,
    },
    Load {
        name: "passive FTP (vsftpd)",
        run: passive_ftp,
    },
    Load {
        name: "SYN-ACK backscatter to a new port each time",
        run: |lab, first, quick| backscatter(lab, first, quick, "-SA"),
    },
    Load {
        name: "RST backscatter to a new port each time",
        run: |lab, first, quick| backscatter(lab, first, quick, "-R"),
    },
    Load {
        name: "12 services restart under load",
        run: restart,
    },
];

/// Each load in turn, from sources of its own.
pub fn run(lab: &Lab, quick: bool) -> Result<Vec<Outcome>> {
    // Each has a /22 of its own.
    let numbers = (FIRST..).step_by(1024);
    let outcomes = LOADS.iter().zip(numbers).map(|(load, first)| {
        let done = (load.run)(lab, first, quick).with_context(|| load.name.to_owned())?;
        let blocks = guarded::blocks(lab);
        let is_blocked = |source: &&IpAddr| blocks.iter().any(|block| block.contains(**source));
        Ok(Outcome {
            name: load.name,
            blocked: done.sources.iter().filter(is_blocked).copied().collect(),
            sources: done.sources.len(),
            did: done.did,
        })
    });
    outcomes.collect()
}

impl Outcome {
    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "load": self.name,
            "did": self.did,
            "sources": self.sources,
            "blocked": self.blocked,
        })
    }
}

/// A thousand sources, two services each.
fn clients(lab: &Lab, first: u16, quick: bool) -> Result<Done> {
    let number = if quick { 200 } else { 1000 };
    let sources: Vec<IpAddr> = (first..first + number).map(scanners::source_v4).collect();
    for &source in &sources {
        get(lab, source, SERVER, 22)?;
        get(lab, source, SERVER, 80)?;
    }
    let did = format!("{} connections answered", 2 * sources.len());
    Ok(Done { sources, did })
}

/// As fast as it can, one after the other.
fn one_client(lab: &Lab, first: u16, quick: bool) -> Result<Done> {
    let source = scanners::source_v4(first);
    let number = if quick { 2000 } else { 10_000 };
    for _ in 0..number {
        get(lab, source, SERVER, 80)?;
    }
    Ok(Done::by(source, format!("{number} connections answered")))
}

/// Four pages each; some ask for a port that is closed, always for the same few.
fn users(lab: &Lab, first: u16, quick: bool) -> Result<Done> {
    let source = scanners::source_v4(first);
    let mut refused = 0;
    let users = if quick { 100 } else { 500 };
    for user in 0..users {
        for _ in 0..4 {
            get(lab, source, SERVER, 80)?;
        }
        if user % 5 == 0 {
            let wrong = WRONG[user / 5 % WRONG.len()];
            refused += usize::from(get(lab, source, SERVER, wrong).is_err());
        }
    }
    ensure!(refused == users / 5, "wrong ports answer");
    let did = format!(
        "{users} users: {} connections answered, {refused} refused",
        users * 4
    );
    Ok(Done::by(source, did))
}

/// All open at the same time.
fn parallel(lab: &Lab, first: u16, _quick: bool) -> Result<Done> {
    let source = scanners::source_v4(first);
    let open = || lab.connect(source, (SERVER, 80).into(), Duration::from_secs(3));
    let connections: Option<Vec<TcpStream>> = (0..200).map(|_| open()).collect();
    let connections = connections.context("not all connections can be open at once")?;
    connections.into_iter().try_for_each(ask)?;
    Ok(Done::by(source, "200 requests answered".to_owned()))
}

/// Each transfer on a data port that the server opens for it alone.
fn passive_ftp(lab: &Lab, first: u16, _quick: bool) -> Result<Done> {
    const TRANSFERS: usize = 30;
    let source = scanners::source_v4(first);
    let server = ftp::Server::start(lab)?;
    server.fetch(source, TRANSFERS)?;
    Ok(Done::by(source, format!("{TRANSFERS} files transferred")))
}

/// What comes back to a host whose address somebody else forges: answers to nothing.
fn backscatter(lab: &Lab, first: u16, quick: bool, flags: &str) -> Result<Done> {
    let source = scanners::source_v4(first);
    let number = if quick { 200 } else { 1000 };
    let capture = lab.capture();
    let mut hping = lab.attacker.command("hping3");
    hping
        .args([flags, "--quiet", "--spoof", &source.to_string()])
        .args(["--baseport", "80", "--destport", "++2000"])
        .args(["--interval", "u1000", "--count", &number.to_string()])
        .arg(SERVER.to_string())
        .stdin(Stdio::null());
    // It fails when nobody answers, as nobody does.
    hping.output().context("cannot start hping3")?;
    let passage = capture.end().of(source);
    ensure!(
        passage.sent >= number && passage.arrived == passage.sent,
        "{} of {} packets arrived",
        passage.arrived,
        passage.sent
    );
    Ok(Done::by(
        source,
        format!("{} packets arrived", passage.arrived),
    ))
}

/// Twenty clients go on asking for all services while these are closed for two seconds.
fn restart(lab: &Lab, first: u16, _quick: bool) -> Result<Done> {
    let sources: Vec<IpAddr> = (first..first + 20).map(scanners::source_v4).collect();
    let open = || RESTARTED.map(|port| Service::open(lab, SERVER, port));
    let [stop, closed] = [false, false].map(AtomicBool::new);
    let [before, refused, after] = [0, 0, 0].map(AtomicUsize::new);
    let client = |source: &IpAddr| {
        while !stop.load(Ordering::Relaxed) {
            for port in RESTARTED {
                let answered = get(lab, *source, SERVER, port).is_ok();
                let count = match (answered, closed.load(Ordering::Relaxed)) {
                    (false, _) => &refused,
                    (true, false) => &before,
                    (true, true) => &after,
                };
                count.fetch_add(1, Ordering::Relaxed);
            }
            thread::sleep(Duration::from_millis(100));
        }
    };
    let services: Vec<Service> = open().collect();
    thread::scope(|scope| {
        for source in &sources {
            scope.spawn(|| client(source));
        }
        // Services that have been there for a while.
        thread::sleep(Duration::from_secs(3));
        drop(services);
        thread::sleep(Duration::from_secs(2));
        closed.store(true, Ordering::Relaxed);
        let _services: Vec<Service> = open().collect();
        thread::sleep(Duration::from_secs(2));
        stop.store(true, Ordering::Relaxed);
    });
    let [before, refused, after] = [before, refused, after].map(AtomicUsize::into_inner);
    ensure!(
        before > 0 && refused > 0 && after > 0,
        "no restart under load"
    );
    let did = format!("{before} connections answered, {refused} refused, {after} answered again");
    Ok(Done { sources, did })
}

impl Done {
    fn by(source: IpAddr, did: String) -> Self {
        Self {
            sources: vec![source],
            did,
        }
    }
}
