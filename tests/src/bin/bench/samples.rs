//! Measured times.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::{TimeVal, TimeValLike as _},
};
use serde_json::{Value, json};

/// Times of the same thing, sorted.
#[derive(Debug, Default)]
pub struct Samples(Vec<Duration>);

/// How often a thing is measured.
#[derive(Clone, Copy)]
pub struct Rounds {
    /// If it takes less than [`LONG`].
    pub short: usize,
    /// If it takes longer.
    pub long: usize,
}

const LONG: Duration = Duration::from_secs(1);

impl Rounds {
    /// Whether there are too few yet.
    pub fn want(self, samples: &Samples) -> bool {
        let is_long = samples.0.first().is_some_and(|fastest| *fastest >= LONG);
        samples.0.len() < if is_long { self.long } else { self.short }
    }
}

impl Samples {
    /// Adds one.
    pub fn add(&mut self, time: Duration) {
        let place = self.0.partition_point(|other| *other < time);
        self.0.insert(place, time);
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        self.0.iter().sum()
    }

    /// Half were faster.
    pub fn median(&self) -> Duration {
        self.0[self.0.len() / 2]
    }

    /// So many of a hundred were not slower.
    pub fn percentile(&self, of_100: usize) -> Duration {
        self.0[(self.0.len() * of_100).div_ceil(100).saturating_sub(1)]
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The fastest and the slowest.
    pub fn range(&self) -> [Duration; 2] {
        [self.0[0], self.0[self.0.len() - 1]]
    }

    /// For people.
    pub fn line(&self) -> String {
        let [min, max] = self.range();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        format!(
            "median {:9.2} ms   min {:9.2} ms   max {:9.2} ms   ({} rounds)",
            ms(self.median()),
            ms(min),
            ms(max),
            self.0.len()
        )
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let [min, max] = self.range().map(|time| time.as_secs_f64());
        json!({
            "rounds": self.0.len(),
            "median_s": self.median().as_secs_f64(),
            "min_s": min,
            "max_s": max,
        })
    }
}

/// Runs a program and gives the time from before its start to its end.
pub fn time(command: &mut Command) -> Result<Duration> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::piped());
    let start = Instant::now();
    let child = command.spawn();
    let ended = child.and_then(std::process::Child::wait_with_output);
    let took = start.elapsed();
    let output = ended.with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} failed: {}: {}", output.status, said.trim());
    }
    Ok(took)
}

/// Processor time of all children of this process that have been waited for, and of theirs.
pub fn cpu_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = |part: TimeVal| Duration::from_micros(part.num_microseconds() as u64);
    Ok(time(usage.user_time()) + time(usage.system_time()))
}
