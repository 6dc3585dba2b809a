//! What a well-behaved client on the socket waits for while others do what they should not, over TCP.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use fw_ctl::{
    api::wire::{Changed, Check, Put, PutItem},
    cli::client::Client,
};
use fw_tests::lab::{Lab, http::API};
use serde_json::{Value, json};

use super::configure;
use crate::samples::Samples;

/// The well-behaved client waits no longer than this, in 99 of 100 cases.
const PROMISED: Duration = Duration::from_millis(50);

/// Between two questions of the well-behaved client.
const PAUSE: Duration = Duration::from_millis(5);

/// Requests that are sent without waiting for answers.
const AT_ONCE: usize = 64;

/// What is done beside the well-behaved client.
struct Abuse<'a> {
    name: &'static str,
    /// Does it until it is told to end, and counts.
    act: &'a (dyn Fn(&AtomicBool, &AtomicU64) + Sync),
    /// How many threads do it.
    threads: usize,
    /// How long at least.
    time: Duration,
    /// How often at least.
    count: u64,
}

/// Each abuse in turn, after a calm time.
pub fn measure(quick: bool) -> Result<Value> {
    let lab = Lab::named("bench-api");
    configure(&lab)?;
    let _daemon = lab.daemon().start();
    let token = lab.token("abuse", "read");
    let seconds = Duration::from_secs(if quick { 5 } else { 15 });
    let million = if quick { 100_000 } else { 1_000_000 };
    let head = |token: &str| {
        format!(
            "GET /api/v1/version HTTP/1.1\r\nHost: {API}\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
    };
    let (known, unknown) = (head(&token), head("fwctl_00"));
    let large = format!(
        "POST /api/v1/blocks HTTP/1.1\r\nHost: {API}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let calm = |end: &AtomicBool, _: &AtomicU64| {
        while !end.load(Relaxed) {
            thread::sleep(PAUSE);
        }
    };
    let slow = |end: &AtomicBool, count: &AtomicU64| connect_slowly(&lab, end, count);
    let guess = |end: &AtomicBool, count: &AtomicU64| ask(&lab, &unknown, end, count);
    let flood = |end: &AtomicBool, count: &AtomicU64| ask(&lab, &known, end, count);
    let bodies = |end: &AtomicBool, count: &AtomicU64| send_bodies(&lab, &large, end, count);
    let abuses = [
        Abuse {
            name: "calm",
            act: &calm,
            threads: 1,
            time: seconds,
            count: 0,
        },
        Abuse {
            name: "slow connections",
            act: &slow,
            threads: 2,
            time: seconds,
            count: 10_000,
        },
        Abuse {
            name: "requests without a token that is one",
            act: &guess,
            threads: 4,
            time: seconds,
            count: million,
        },
        Abuse {
            name: "requests with a token",
            act: &flood,
            threads: 4,
            time: seconds,
            count: million,
        },
        Abuse {
            name: "bodies of 100 MB",
            act: &bodies,
            threads: 4,
            time: seconds,
            count: 100,
        },
    ];
    println!("\na well-behaved client on the socket, while over TCP there are");
    let mut report = Vec::new();
    for abuse in &abuses {
        report.push(abuse.measure(&lab)?);
    }
    let blocks = lab.json(&["list", "blocks"])["total"].clone();
    ensure!(blocks == 0, "somebody blocked something: {blocks}");
    Ok(json!(report))
}

impl Abuse<'_> {
    fn measure(&self, lab: &Lab) -> Result<Value> {
        let (end, count) = (AtomicBool::new(false), AtomicU64::new(0));
        let start = Instant::now();
        let waited = thread::scope(|scope| {
            for _ in 0..self.threads {
                scope.spawn(|| (self.act)(&end, &count));
            }
            let waited = behave(lab, || {
                start.elapsed() >= self.time && count.load(Relaxed) >= self.count
            });
            end.store(true, Relaxed);
            waited
        });
        let waited = waited?;
        let p99 = waited.percentile(99);
        let (count, took) = (count.load(Relaxed), start.elapsed().as_secs_f64());
        let [fastest, slowest] = waited.range();
        let verdict = if p99 <= PROMISED { "" } else { "  NOT reached" };
        println!(
            "  {:<38} {count:>8} in {took:5.1} s   waits {:.1?}, 99 %: {p99:.1?}, at most {slowest:.1?} (50 ms){verdict}",
            self.name,
            waited.median(),
        );
        Ok(json!({
            "abuse": self.name,
            "count": count,
            "seconds": took,
            "questions": waited.len(),
            "fastest_s": fastest.as_secs_f64(),
            "median_s": waited.median().as_secs_f64(),
            "p99_s": p99.as_secs_f64(),
            "slowest_s": slowest.as_secs_f64(),
        }))
    }
}

/// Asks and changes something, again and again.
fn behave(lab: &Lab, is_over: impl Fn() -> bool) -> Result<Samples> {
    let client = Client::new(lab.socket());
    let put = Put {
        items: vec![PutItem {
            prefix: "203.0.113.9".into(),
            ..PutItem::default()
        }],
        ..Put::default()
    };
    let mut waited = Samples::default();
    while !is_over() {
        let start = Instant::now();
        let _: Check = client.get("/check?address=203.0.113.9")?;
        waited.add(start.elapsed());
        let start = Instant::now();
        let _: Changed = client.post("/blocks", &put)?;
        waited.add(start.elapsed());
        let start = Instant::now();
        let _: Changed = client.delete("/blocks/203.0.113.9")?;
        waited.add(start.elapsed());
        thread::sleep(PAUSE);
    }
    Ok(waited)
}

fn connect(lab: &Lab) -> Result<TcpStream> {
    let address = API.parse().context("no address")?;
    let patience = Duration::from_secs(2);
    let stream = lab
        .server
        .enter(|| TcpStream::connect_timeout(&address, patience))?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    Ok(stream)
}

/// Opens connections that say half a request, and keeps the last thousand.
fn connect_slowly(lab: &Lab, end: &AtomicBool, count: &AtomicU64) {
    let mut held = std::collections::VecDeque::new();
    while !end.load(Relaxed) {
        if let Ok(mut stream) = connect(lab) {
            // Those beyond the limit are closed at once.
            let _closed = stream.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: ");
            held.push_back(stream);
            count.fetch_add(1, Relaxed);
        }
        if held.len() > 1000 {
            held.pop_front();
        }
    }
}

/// Sends requests as fast as they are taken.
fn ask(lab: &Lab, text: &str, end: &AtomicBool, count: &AtomicU64) {
    let many = text.repeat(AT_ONCE);
    while !end.load(Relaxed) {
        let Ok(mut stream) = connect(lab) else {
            continue;
        };
        let mut answers = vec![0; 64 << 10];
        while !end.load(Relaxed) && stream.write_all(many.as_bytes()).is_ok() {
            let mut left = AT_ONCE;
            while left > 0 {
                let Ok(length @ 1..) = stream.read(&mut answers) else {
                    break;
                };
                let found = answers[..length]
                    .windows(9)
                    .filter(|part| *part == b"HTTP/1.1 ")
                    .count();
                count.fetch_add(found as u64, Relaxed);
                left = left.saturating_sub(found);
            }
            if left > 0 {
                break;
            }
        }
    }
}

/// Sends bodies that have no end until they are refused.
fn send_bodies(lab: &Lab, head: &str, end: &AtomicBool, count: &AtomicU64) {
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    while !end.load(Relaxed) {
        let Ok(mut stream) = connect(lab) else {
            continue;
        };
        let _refused = stream.write_all(head.as_bytes());
        let _all = (0..100).all(|_| stream.write_all(chunk.as_bytes()).is_ok());
        count.fetch_add(1, Relaxed);
    }
}
