//! Measuring in turns.

use std::time::Duration;

use anyhow::Result;
use fw_tests::lab::Lab;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    time::{ClockId, clock_gettime},
    unistd::Pid,
};
use serde_json::{Map, Value, json};

/// Times that a measurement is repeated whose control moved.
const ATTEMPTS: usize = 3;
/// The control may move by so much.
const STEADY: f64 = 0.15;

/// Frames of a lane in each round. Many short rounds find the moments in which nobody disturbs.
pub const FRAMES: u32 = 200_000;

/// One way for frames.
pub struct Lane<'a> {
    /// What is on it.
    pub name: &'static str,
    /// Of the detector, where the filter is on it.
    pub mode: Option<&'static str>,
    /// Sends so many frames along it.
    pub run: &'a (dyn Fn(u32) -> Result<()> + Sync),
}

/// What came of it.
pub struct Measured {
    lanes: Vec<(&'static str, Costs)>,
    /// By how much the control differed before and after.
    moved: f64,
}

/// Nanoseconds a frame, one of each round.
#[derive(Default)]
struct Costs(Vec<f64>);

impl Costs {
    /// The least disturbed round, and the one in the middle.
    fn min_and_median(&self) -> [f64; 2] {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        [sorted[0], sorted[sorted.len() / 2]]
    }

    /// How much more than another, by the least disturbed rounds, and in the middle of what each
    /// round says.
    fn over(&self, other: &Self) -> [f64; 2] {
        let rounds = self.0.iter().zip(&other.0);
        let within = Self(rounds.map(|(ours, theirs)| ours - theirs).collect());
        let min = self.min_and_median()[0] - other.min_and_median()[0];
        [min, within.min_and_median()[1]]
    }
}

/// Sends frames along each lane in turns, on one processor. The first lane is the control: when
/// its cost is not the same before and after, something else kept the machine busy, and it begins
/// again.
pub fn in_turns(lab: &Lab, lanes: &[Lane<'_>], rounds: usize) -> Result<Measured> {
    stay_on_one_processor()?;
    let mut measured = attempt(lab, lanes, rounds)?;
    for _ in 1..ATTEMPTS {
        if measured.moved <= STEADY {
            break;
        }
        measured = attempt(lab, lanes, rounds)?;
    }
    Ok(measured)
}

fn attempt(lab: &Lab, lanes: &[Lane<'_>], rounds: usize) -> Result<Measured> {
    let control = || -> Result<f64> {
        let mut costs = Costs::default();
        for _ in 0..rounds {
            costs.0.push(lanes[0].cost(lab)?);
        }
        Ok(costs.min_and_median()[0])
    };
    let before = control()?;
    let mut costs: Vec<Costs> = lanes.iter().map(|_| Costs::default()).collect();
    for _ in 0..rounds {
        for (lane, costs) in lanes.iter().zip(&mut costs) {
            costs.0.push(lane.cost(lab)?);
        }
    }
    let after = control()?;
    Ok(Measured {
        lanes: lanes.iter().map(|lane| lane.name).zip(costs).collect(),
        moved: (after / before).max(before / after) - 1.0,
    })
}

impl Lane<'_> {
    /// Time of this thread on its processor, in nanoseconds a frame.
    fn cost(&self, lab: &Lab) -> Result<f64> {
        if let Some(mode) = self.mode {
            lab.fw(&["scan", "set", "--mode", mode]).must(0);
        }
        let before = processor_time()?;
        (self.run)(FRAMES)?;
        let time = processor_time()? - before;
        Ok(time.as_secs_f64() * 1e9 / f64::from(FRAMES))
    }
}

impl Measured {
    /// For people.
    pub fn print(&self, title: &str) {
        let void = if self.moved > STEADY { ": VOID" } else { "" };
        println!(
            "  {title} (control moved by {:.0} %{void})",
            self.moved * 100.0
        );
        for (name, costs) in &self.lanes {
            let [min, median] = costs.min_and_median();
            println!("    {name:<34}min {min:7.1}   median {median:7.1}");
        }
    }

    /// How much more one lane costs than another, and how much it may, if there is a bound.
    pub fn difference(&self, lane: &str, from: &str, to_reach: Option<u32>) -> Value {
        let of = |wanted| self.lanes.iter().find(|(name, _)| *name == wanted);
        let [min, median] = match (of(lane), of(from)) {
            (Some((_, costs)), Some((_, other))) => costs.over(other),
            _ => [f64::NAN; 2],
        };
        let bound = to_reach.map_or_else(String::new, |ns| format!(" (to reach: {ns})"));
        println!("    {lane} over {from}: min {min:.1}, median {median:.1}{bound}");
        json!({ "of": lane, "over": from, "min_ns": min, "median_ns": median })
    }

    /// For programs.
    pub fn json(&self, difference: Value) -> Value {
        let lane = |(name, costs): &(&str, Costs)| {
            let [min, median] = costs.min_and_median();
            (
                (*name).to_owned(),
                json!({ "min_ns": min, "median_ns": median }),
            )
        };
        let lanes: Map<String, Value> = self.lanes.iter().map(lane).collect();
        json!({
            "lanes": lanes,
            "difference": difference,
            "control_moved": self.moved,
            "void": self.moved > STEADY,
        })
    }
}

fn processor_time() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// The last one, which answers fewer interrupts than the first.
fn stay_on_one_processor() -> Result<()> {
    let last = std::thread::available_parallelism()?.get() - 1;
    let mut set = CpuSet::new();
    set.set(last)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &set)?)
}
