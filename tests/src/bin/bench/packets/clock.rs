//! Processor time of frames.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, bail};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Frames in each round on each lane that warm tables and caches up.
    pub warm: u32,
    /// Frames after them, on the clock.
    pub timed: u32,
    /// Rounds in turns.
    pub rounds: usize,
}

/// Nanoseconds a frame, of one processor.
pub fn timed(send: &dyn Fn(u32) -> Result<()>, effort: Effort) -> Result<f64> {
    let processor = last_processor()?;
    stay_on(processor)?;
    let softirqs = Softirqs::of(processor)?;
    send(effort.warm)?;
    let spent = || anyhow::Ok(own_time()? + softirqs.time()?);
    let before = spent()?;
    send(effort.timed)?;
    let time = spent()? - before;
    Ok(time.as_secs_f64() * 1e9 / f64::from(effort.timed))
}

/// Time of this thread.
fn own_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// The other half of a link runs in soft interrupts: mostly in the thread that sends, but when there
/// is much at a time in a thread of the kernel's on the same processor.
struct Softirqs {
    schedstat: String,
}

impl Softirqs {
    fn of(processor: usize) -> Result<Self> {
        let name = format!("ksoftirqd/{processor}");
        for process in fs::read_dir("/proc")?.flatten() {
            let path = process.path();
            let comm = fs::read_to_string(path.join("comm")).unwrap_or_default();
            if comm.trim_end() == name {
                let schedstat = path.join("schedstat").display().to_string();
                return Ok(Self { schedstat });
            }
        }
        bail!("no {name}")
    }

    fn time(&self) -> Result<Duration> {
        let text = fs::read_to_string(&self.schedstat)?;
        let on_processor = text.split(' ').next().context("no time")?;
        Ok(Duration::from_nanos(on_processor.parse()?))
    }
}

/// It answers fewer interrupts than the first.
fn last_processor() -> Result<usize> {
    Ok(std::thread::available_parallelism()?.get() - 1)
}

/// Keeps this thread on a processor.
pub fn stay_on(processor: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(processor)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}
