//! Many who listen while much changes: nobody loses an event without being told, and memory stays.

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Write as _},
    os::unix::net::UnixStream,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use fw_ctl::{
    api::wire::{Batch, Changed, PutItem},
    cli::client::Client,
};
use fw_tests::lab::Lab;
use serde_json::{Value, json};

use super::configure;
use crate::memory;

const LISTENERS: usize = 200;
/// Changes of a batch.
const BATCH: u32 = 100;
/// Changes a second.
const RATE: u32 = 10_000;
/// What is told of every change.
const PATH: &str = "/api/v1/events?kinds=block,unblock";

/// What one listener got.
#[derive(Clone, Copy, Default)]
struct Heard {
    events: u64,
    lost: u64,
}

/// Changes for a while, with everybody listening.
pub fn measure(quick: bool) -> Result<Value> {
    let seconds = if quick { 3 } else { 10 };
    let lab = Lab::named("bench-api");
    configure(&lab)?;
    let daemon = lab.daemon().start();
    let client = Client::new(lab.socket());
    let [before, _] = memory::now_and_peak(daemon.pid())?;
    let end = AtomicBool::new(false);
    let (heard, changes, took) = thread::scope(|scope| {
        let listeners: Vec<_> = (0..LISTENERS)
            .map(|_| {
                let stream = subscribe(&lab);
                scope.spawn(|| listen(stream?, &end))
            })
            .collect();
        let start = Instant::now();
        let changed = change(&client, seconds, start);
        let took = start.elapsed();
        end.store(true, Relaxed);
        let heard = listeners
            .into_iter()
            .map(|one| one.join().expect("no panic"));
        let heard = heard.collect::<Result<Vec<Heard>>>();
        heard.and_then(|heard| Ok((heard, changed?, took)))
    })?;
    let [after, peak] = memory::now_and_peak(daemon.pid())?;
    let missing = heard
        .iter()
        .filter(|one| one.events + one.lost != changes)
        .count();
    let sum = |of: fn(&Heard) -> u64| heard.iter().map(of).sum::<u64>();
    let (got, lost) = (sum(|one| one.events), sum(|one| one.lost));
    let rate = changes as f64 / took.as_secs_f64();
    println!("\n{LISTENERS} who listen, while {changes} entries change, {rate:.0} a second");
    println!(
        "  {got} events came, {lost} were said to be lost, {missing} listeners miss any without being told"
    );
    println!(
        "  memory: {} MiB before, {} MiB after, {} MiB at most",
        before >> 20,
        after >> 20,
        peak >> 20
    );
    ensure!(missing == 0, "events were lost that nobody was told of");
    Ok(json!({
        "listeners": LISTENERS, "changes": changes, "seconds": took.as_secs_f64(),
        "events": got, "lost_and_told": lost, "listeners_that_miss_some": missing,
        "memory_before": before, "memory_after": after, "memory_peak": peak,
    }))
}

/// Blocks and unblocks, as many a second; how many changes that were.
fn change(client: &Client, seconds: u32, start: Instant) -> Result<u64> {
    let mut changes = 0;
    for number in 0..seconds * RATE / BATCH {
        let first = 0x6440_0000 + number / 2 * BATCH;
        let addresses =
            (first..first + BATCH).map(|bits| std::net::Ipv4Addr::from(bits).to_string());
        let batch = match number % 2 {
            0 => Batch {
                block: addresses
                    .map(|prefix| PutItem {
                        prefix,
                        ..PutItem::default()
                    })
                    .collect(),
                ..Batch::default()
            },
            _ => Batch {
                unblock: addresses.collect(),
                ..Batch::default()
            },
        };
        let changed: Changed = client.post("/batch", &batch)?;
        changes += (changed.added + changed.removed) as u64;
        let due = Duration::from_secs(1) * (number + 1) / (RATE / BATCH);
        thread::sleep(due.saturating_sub(start.elapsed()));
    }
    Ok(changes)
}

/// A stream whose beginning has come.
fn subscribe(lab: &Lab) -> Result<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(lab.socket())?;
    write!(stream, "GET {PATH} HTTP/1.1\r\nHost: fw-ctl\r\n\r\n")?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line)? > 2 {
        line.clear();
    }
    Ok(stream)
}

/// Counts what comes, and after the end until nothing more does.
fn listen(mut stream: BufReader<UnixStream>, end: &AtomicBool) -> Result<Heard> {
    stream
        .get_ref()
        .set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut heard = Heard::default();
    let mut line = String::new();
    loop {
        match stream.read_line(&mut line) {
            Ok(0) => return Ok(heard),
            Ok(_) => {}
            // Half a line is kept.
            Err(error) if error.kind() == ErrorKind::WouldBlock && !end.load(Relaxed) => continue,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(heard),
            Err(error) => return Err(error.into()),
        }
        if let Some(data) = line.strip_prefix("data: ") {
            // Reading each of them whole would take what the daemon needs.
            match data.contains(r#""event":"lost""#) {
                true => {
                    let event: Value = serde_json::from_str(data)?;
                    heard.lost += event["count"].as_u64().unwrap_or(0);
                }
                false => heard.events += 1,
            }
        }
        line.clear();
    }
}
