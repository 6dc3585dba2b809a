//! An adaptive limit under a real load: connections to a real service, of which a flood makes
//! eleven times as many for a while.
//!
//! What is offered and what is accepted is counted at both ends, not by the firewall.

mod load;
mod plot;
mod reasons;

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use fw_tests::lab::{Lab, address::V4, daemon::eventually};
use serde_json::{Value, json};

use self::{load::Load, reasons::Reasons};

const PORT: u16 = 8080;
/// Connections a second, for all sources together.
const RATE: u32 = 100;
const FLOOR: u32 = 50;
const CEILING: u32 = 200;
/// Connections a second that are usual, and those of a flood.
const USUAL: u32 = 40;
const FLOOD: u32 = 440;

/// A stretch of the load.
#[derive(Clone, Copy)]
struct Phase {
    name: &'static str,
    secs: usize,
    /// Connections a second.
    rate: u32,
}

/// In the first minute the limit only learns; from the floor to the ceiling it needs 70 seconds.
fn phases(quick: bool) -> [Phase; 4] {
    let phase = |name, secs, rate| Phase { name, secs, rate };
    let [flood, calm] = if quick { [16, 14] } else { [40, 75] };
    [
        phase("learning", 60, USUAL),
        phase("usual", 15, USUAL),
        phase("flood", flood, FLOOD),
        phase("usual again", calm, USUAL),
    ]
}

/// What was seen of one second.
struct Second {
    /// Connections that were tried.
    offered: u64,
    /// Those that the service got.
    accepted: u64,
    /// Connections a second that the limit let through at its end.
    limit: u32,
}

/// Draws beside `file`, which the caller writes.
pub fn measure(quick: bool, file: &Path) -> Result<Value> {
    let lab = &Lab::named("bench-adaptive");
    let service = lab.listen(V4.server, PORT);
    let _daemon = lab.daemon().start();
    eventually("the service is known", || {
        let served = &lab.json(&["scan"])["served"]["tcp"];
        served.to_string().contains(&format!("\"{PORT}\""))
    });
    let [rate, floor, ceiling] = [RATE, FLOOR, CEILING].map(|rate| format!("{rate}/second"));
    let service_name = format!("tcp/{PORT}");
    let mut add = vec![
        "limit",
        "add",
        &service_name,
        "--per",
        "all",
        "--burst",
        "20",
    ];
    add.extend([
        "--rate",
        &rate,
        "--adaptive",
        "--floor",
        &floor,
        "--ceiling",
        &ceiling,
    ]);
    lab.fw(&add).must(0);

    let phases = phases(quick);
    let reasons = Reasons::follow(lab)?;
    let start = Instant::now();
    let load = Load::at(USUAL);
    let seconds = load.run(lab, service, || watch(lab, &load, start, &phases))?;
    let changes = reasons.stop(start)?;

    println!("\nadaptive limit: {rate} for all on {service_name}, from {floor} to {ceiling}");
    let stretches = stretches(&phases, &seconds);
    for (phase, seconds) in &stretches {
        let of = |value: fn(&Second) -> u64| {
            seconds.iter().map(value).sum::<u64>() as f64 / seconds.len() as f64
        };
        println!(
            "  {:<12}{:3} s   offered {:6.1}/s   accepted {:6.1}/s   limit at its end {:3}/s",
            phase.name,
            phase.secs,
            of(|second| second.offered),
            of(|second| second.accepted),
            seconds.last().map_or(0, |second| second.limit),
        );
    }
    for (second, reason) in &changes {
        println!("  {second:6.1} s   {reason}");
    }
    let flooded = stretches.iter().filter(|(phase, _)| phase.rate == FLOOD);
    let mut flooded = flooded.flat_map(|(_, seconds)| *seconds);
    ensure!(
        flooded.any(|second| second.limit == FLOOR),
        "the limit did not come down to {floor}"
    );

    plot::draw(&file.with_extension("svg"), &phases, &seconds)?;
    Ok(json!({
        "limit": { "rate": rate, "floor": floor, "ceiling": ceiling, "per": "all", "burst": 20 },
        "phases": phases.map(|phase| {
            json!({ "name": phase.name, "secs": phase.secs, "rate": phase.rate })
        }),
        "seconds": seconds.iter().map(Second::json).collect::<Vec<_>>(),
        "changes": changes.iter().map(|(second, reason)| {
            json!({ "second": second, "reason": reason })
        }).collect::<Vec<_>>(),
    }))
}

/// Drives the load through its phases, and looks once a second.
fn watch(lab: &Lab, load: &Load, start: Instant, phases: &[Phase]) -> Result<Vec<Second>> {
    let mut seconds: Vec<Second> = Vec::new();
    let mut before = [0; 2];
    for phase in phases {
        load.set_rate(phase.rate);
        for _ in 0..phase.secs {
            let end = start + Duration::from_secs(seconds.len() as u64 + 1);
            thread::sleep(end.saturating_duration_since(Instant::now()));
            let now = load.counted();
            seconds.push(Second {
                offered: now[0] - before[0],
                accepted: now[1] - before[1],
                limit: limit(lab)?,
            });
            before = now;
        }
    }
    Ok(seconds)
}

/// `rate_now` of the only limit: `87/second`
fn limit(lab: &Lab) -> Result<u32> {
    let listed = lab.json(&["limit", "list"]);
    let rate = listed["items"][0]["rate_now"].as_str();
    let count = rate.and_then(|rate| rate.strip_suffix("/second"));
    let count = count.with_context(|| format!("no rate in {listed}"))?;
    Ok(count.parse()?)
}

/// The seconds of each phase.
fn stretches<'a>(phases: &[Phase], mut seconds: &'a [Second]) -> Vec<(Phase, &'a [Second])> {
    let mut stretches = Vec::new();
    for phase in phases {
        let (these, rest) = seconds.split_at(phase.secs.min(seconds.len()));
        stretches.push((*phase, these));
        seconds = rest;
    }
    stretches
}

impl Second {
    fn json(&self) -> Value {
        json!({ "offered": self.offered, "accepted": self.accepted, "limit": self.limit })
    }
}
