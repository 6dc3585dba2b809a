//! Measuring in turns, and what the rounds come to.

use anyhow::Result;
use fw_tests::lists::Random;
use serde_json::{Map, Value, json};

/// Times that a measurement is repeated whose control moved.
const ATTEMPTS: usize = 3;
/// The control may move by so much.
const STEADY: f64 = 0.15;

/// Nanoseconds a frame, one of each round.
#[derive(Clone, Debug, Default)]
pub struct Costs(Vec<f64>);

/// What came of some lanes.
#[derive(Clone, Debug)]
pub struct Measured {
    lanes: Vec<(&'static str, Costs)>,
    /// By how much the control differed before and after.
    moved: f64,
}

impl Costs {
    /// The round in the middle.
    pub fn median(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }

    /// The least disturbed round.
    pub fn min(&self) -> f64 {
        self.0.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// In the middle of what each round says of both.
    fn with(&self, other: &Self, compare: fn(f64, f64) -> f64) -> f64 {
        let rounds = self.0.iter().zip(&other.0);
        Self(
            rounds
                .map(|(ours, theirs)| compare(*ours, *theirs))
                .collect(),
        )
        .median()
    }
}

/// Measures each lane once a round, in another order each time: what one leaves in the caches is not
/// always for the same one. The first one is the control: when its cost is not the same
/// before and after, something else kept the machine busy, and all begins again.
pub fn in_turns(
    lanes: &[&'static str],
    rounds: usize,
    mut cost: impl FnMut(usize) -> Result<f64>,
) -> Result<Measured> {
    let mut measured = attempt(lanes, rounds, &mut cost)?;
    for _ in 1..ATTEMPTS {
        if measured.is_steady() {
            break;
        }
        measured = attempt(lanes, rounds, &mut cost)?;
    }
    Ok(measured)
}

fn attempt(
    lanes: &[&'static str],
    rounds: usize,
    cost: &mut impl FnMut(usize) -> Result<f64>,
) -> Result<Measured> {
    const CONTROL: usize = 0;
    let control = |cost: &mut dyn FnMut(usize) -> Result<f64>| -> Result<f64> {
        let costs: Result<_> = (0..rounds).map(|_| cost(CONTROL)).collect();
        Ok(Costs(costs?).min())
    };
    let before = control(cost)?;
    let mut costs = vec![Costs::default(); lanes.len()];
    let mut random = Random(4);
    let mut order: Vec<usize> = (0..lanes.len()).collect();
    for _ in 0..rounds {
        random.shuffle(&mut order);
        for lane in &order {
            costs[*lane].0.push(cost(*lane)?);
        }
    }
    let after = control(cost)?;
    Ok(Measured {
        lanes: lanes.iter().copied().zip(costs).collect(),
        moved: (after / before).max(before / after) - 1.0,
    })
}

impl Measured {
    /// Whether the control stayed where it was.
    pub fn is_steady(&self) -> bool {
        self.moved <= STEADY
    }

    /// One lane, if it is among them.
    pub fn lane(&self, name: &str) -> Option<&Costs> {
        let mut lanes = self.lanes.iter().filter(|(lane, _)| *lane == name);
        lanes.next().map(|(_, costs)| costs)
    }

    /// The rate on one lane as a share of that on another, if both are there and the control stayed.
    pub fn ratio(&self, lane: &str, to: &str) -> Option<f64> {
        self.compare(lane, to, |ours, theirs| theirs / ours)
    }

    /// How many nanoseconds one costs more than another, if both are there and the control stayed.
    pub fn difference(&self, lane: &str, from: &str) -> Option<f64> {
        self.compare(lane, from, |ours, theirs| ours - theirs)
    }

    fn compare(&self, lane: &str, with: &str, how: fn(f64, f64) -> f64) -> Option<f64> {
        let (ours, theirs) = (self.lane(lane)?, self.lane(with)?);
        self.is_steady().then(|| ours.with(theirs, how))
    }

    /// All of them.
    pub fn lanes(&self) -> impl Iterator<Item = (&'static str, &Costs)> {
        self.lanes.iter().map(|(name, costs)| (*name, costs))
    }

    /// For people.
    pub fn print(&self, title: &str) {
        let void = if self.is_steady() { "" } else { ": VOID" };
        println!(
            "  {title} (control moved by {:.0} %{void})",
            self.moved * 100.0
        );
        for (name, costs) in self.lanes() {
            let median = costs.median();
            println!(
                "    {name:<34}{median:8.1} ns   min {:8.1} ns   {:6.2} Mpps",
                costs.min(),
                1e3 / median
            );
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let lane = |(name, costs): (&str, &Costs)| {
            let costs = json!({ "median_ns": costs.median(), "min_ns": costs.min() });
            (name.to_owned(), costs)
        };
        let lanes: Map<String, Value> = self.lanes().map(lane).collect();
        json!({
            "lanes": lanes,
            "control_moved": self.moved,
            "void": !self.is_steady(),
        })
    }
}
