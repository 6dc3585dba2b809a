//! What processes take, as `/proc` tells.

pub mod held;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::unistd::{SysconfVar, sysconf};

/// Between two looks: the mark of a process that ends between them is missed by what it grew in
/// this time.
const LOOK: Duration = Duration::from_millis(2);

/// Watches the processes below one.
pub struct Peak {
    stop: Arc<AtomicBool>,
    watcher: JoinHandle<u64>,
}

impl Peak {
    /// Begins.
    pub fn below(parent: u32) -> Self {
        let stop: Arc<AtomicBool> = Arc::default();
        let told = Arc::clone(&stop);
        let watcher = thread::spawn(move || {
            let mut most = 0;
            let program = program(parent);
            while !told.load(Ordering::Relaxed) {
                most = most.max(largest_below(parent, program.as_deref()));
                thread::sleep(LOOK);
            }
            most
        });
        Self { stop, watcher }
    }

    /// Ends; gives the most bytes that one of them had at a time.
    pub fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.watcher.join().expect("the watcher watches")
    }
}

/// Processes come and go meanwhile: what cannot be read is gone. One that still is the program that
/// made it shares that one's memory, until it becomes another.
fn largest_below(parent: u32, maker: Option<&Path>) -> u64 {
    let threads = fs::read_dir(format!("/proc/{parent}/task"));
    let mut largest = 0;
    for thread in threads.into_iter().flatten().flatten() {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().flat_map(str::parse) {
            let own = bytes(child, "VmHWM").unwrap_or_default();
            if program(child).as_deref() != maker {
                largest = largest.max(own);
            }
            largest = largest.max(largest_below(child, maker));
        }
    }
    largest
}

/// What a process runs.
fn program(process: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{process}/exe")).ok()
}

/// What a process has, and the most that it had, in bytes.
pub fn now_and_peak(process: u32) -> Result<[u64; 2]> {
    Ok([bytes(process, "VmRSS")?, bytes(process, "VmHWM")?])
}

/// A line of `/proc/PID/status`.
fn bytes(process: u32, name: &str) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let value = lines.next().and_then(|rest| rest.split_whitespace().next());
    let kib: u64 = value.with_context(|| format!("no {name}"))?.parse()?;
    Ok(kib * 1024)
}

/// Processor time of the children of a process that have ended, and of theirs.
pub fn cpu_of_children(process: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program, in brackets, may hold anything; the state is the first field after it.
    let (_, fields) = text.rsplit_once(") ").context("no fields")?;
    let ticks: u64 = fields
        .split(' ')
        .skip(13)
        .take(2)
        .map(str::parse::<u64>)
        .sum::<Result<_, _>>()?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("no length of a tick")?;
    Ok(Duration::from_secs_f64(ticks as f64 / per_second as f64))
}
