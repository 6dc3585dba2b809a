//! A limit that adapts: it knows how many new connections are usual, tightens while there are far
//! more, and relaxes when that is over.
//!
//! What is usual is a moving mean and a moving mean deviation of the connections offered in a
//! second. In the first minute everything is learnt and nothing judged; after it, what is not load
//! is learnt, with a memory of about an hour. So a rise over hours becomes usual, and a flood does
//! not, however long it lasts; whoever stays just below load moves the mean slowly too.

use std::fmt;

use crate::policy::rate::{Adaptive, Rate};

/// Seconds in which everything is learnt and nothing is judged.
const LEARNING_SECS: u32 = 60;
/// Seconds that what is usual remembers.
const MEMORY_SECS: f64 = 4_096.0;
/// Connections a second that are never load.
const FEW: f64 = 5.0;
/// Deviations above the mean from which on a second is load.
const LOAD: f64 = 4.0;
/// Deviations above the mean up to which a second is calm. Between the two the rate stays.
const CALM: f64 = 2.0;
/// Seconds of load, one after the other, before the rate is tightened.
const LOAD_SECS: u32 = 3;
/// Seconds from any change to a tightening.
const TIGHTEN_SECS: u32 = 5;
/// Calm seconds, one after the other, before the rate is relaxed, and between two such steps.
const CALM_SECS: u32 = 10;

/// An adaptive limit at work.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapting {
    rate: Rate,
    usual: Usual,
    /// Seconds of load up to now, without one that is none.
    load_secs: u32,
    /// Calm seconds up to now, without one that is none.
    calm_secs: u32,
    /// Since the last change.
    held_secs: u32,
}

/// A change of the rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Before.
    pub from: Rate,
    /// From now on.
    pub to: Rate,
    /// Why, in words: `offered 812/second, usual 40 +- 12: 60/minute -> 42/minute`.
    pub reason: String,
}

impl Adapting {
    /// Begins at this rate, and knows nothing yet.
    pub fn new(rate: Rate) -> Self {
        Self {
            rate,
            usual: Usual::default(),
            load_secs: 0,
            calm_secs: 0,
            held_secs: u32::MAX,
        }
    }

    /// To be called once a second, with the new connections that were offered in it, whether they
    /// passed or not. The bounds have the unit of the rate.
    pub fn step(&mut self, offered: u64, bounds: Adaptive) -> Option<Changed> {
        let usual = self.usual;
        let is_load = usual.is_known() && usual.is_beyond(LOAD, offered);
        let is_calm = usual.is_known() && !usual.is_beyond(CALM, offered);
        if !is_load {
            self.usual.learn(offered);
        }
        let streak = |secs: u32, goes_on: bool| if goes_on { secs.saturating_add(1) } else { 0 };
        self.load_secs = streak(self.load_secs, is_load);
        self.calm_secs = streak(self.calm_secs, is_calm);
        self.held_secs = self.held_secs.saturating_add(1);

        let count = u64::from(self.rate.count());
        let (to, why) = if self.load_secs >= LOAD_SECS && self.held_secs >= TIGHTEN_SECS {
            (count * 7 / 10, String::new())
        } else if self.calm_secs >= CALM_SECS && self.held_secs >= CALM_SECS {
            let why = format!(", calm for {} seconds", self.calm_secs);
            ((count * 5 / 4).max(count + 1), why)
        } else {
            return None;
        };
        // What comes of it is a bound or lies between two rates, so it is a rate too.
        let bounded = to
            .max(u64::from(bounds.floor.count()))
            .min(u64::from(bounds.ceiling.count()));
        let to = Rate::new(u32::try_from(bounded).ok()?, self.rate.unit()).ok()?;
        let from = std::mem::replace(&mut self.rate, to);
        if from == to {
            return None;
        }
        self.held_secs = 0;
        let reason = format!("offered {offered}/second, usual {usual}{why}: {from} -> {to}");
        Some(Changed { from, to, reason })
    }
}

/// New connections offered in a second, as they usually are.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Usual {
    mean: f64,
    /// From the mean, on average.
    deviation: f64,
    /// Seconds learnt, up to [`LEARNING_SECS`].
    secs: u32,
}

impl Usual {
    fn is_known(self) -> bool {
        self.secs == LEARNING_SECS
    }

    /// Connections that do not know of each other deviate by the root of their number: traffic that
    /// seems more regular than that has only not been watched long enough.
    fn deviation(self) -> f64 {
        self.deviation.max(self.mean.sqrt())
    }

    fn is_beyond(self, deviations: f64, offered: u64) -> bool {
        offered as f64 > self.mean + deviations * self.deviation() + FEW
    }

    fn learn(&mut self, offered: u64) {
        let memory = if self.is_known() {
            MEMORY_SECS
        } else {
            self.secs += 1;
            f64::from(self.secs)
        };
        let error = offered as f64 - self.mean;
        self.mean += error / memory;
        self.deviation += (error.abs() - self.deviation) / memory;
    }
}

/// `40 +- 12`
impl fmt::Display for Usual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} +- {:.0}", self.mean, self.deviation())
    }
}

#[cfg(test)]
mod tests;
