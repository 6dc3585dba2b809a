//! What is dropped now: seconds of counters, and a minute of samples.
//!
//! - [`window`]: who was sampled

pub mod window;

use std::collections::VecDeque;

use fw_common::{abi::Counter, reason::Outcome};
use jiff::Timestamp;

use self::window::Window;
use super::{
    owner::{Owner, wire_time},
    problem::{Failure, kernel},
};
use crate::{
    api::wire::{self, Second, Total},
    host::clock,
    policy::time::Now,
};

/// Seconds that are kept.
const SECONDS: usize = 300;

/// Counters since the maps were made.
type Totals = Vec<(Outcome, Counter)>;

/// What is kept from one second to the next.
#[derive(Default)]
pub struct Stats {
    /// Totals at the last second.
    before: Option<Totals>,
    seconds: VecDeque<Second>,
    /// Who was dropped lately.
    pub(super) window: Window,
}

impl Stats {
    /// Takes the totals at a second's end.
    fn take(&mut self, time: Timestamp, totals: Totals) {
        if let Some(before) = self.before.replace(totals.clone()) {
            if self.seconds.len() == SECONDS {
                self.seconds.pop_front();
            }
            self.seconds.push_back(second(time, &before, &totals));
        }
    }
}

/// What was counted between two readings.
fn second(time: Timestamp, before: &Totals, now: &Totals) -> Second {
    let mut second = Second {
        time,
        ..Second::default()
    };
    for ((outcome, now), (_, before)) in now.iter().zip(before) {
        // Counters of a map that was made anew begin at 0.
        let packets = now.packets.saturating_sub(before.packets);
        if packets == 0 {
            continue;
        }
        let by_reason = match outcome.action() {
            "drop" => &mut second.drop,
            "observe" => &mut second.observe,
            _ => {
                second.pass += packets;
                continue;
            }
        };
        *by_reason
            .entry(outcome.reason.name().to_owned())
            .or_default() += packets;
    }
    second
}

impl Owner {
    /// Once a second: how many packets had which outcome in it.
    pub(super) fn count_second(&mut self) {
        match self.xdp.counters.totals() {
            Ok(totals) => self.stats.take(wire_time(clock::now().wall), totals),
            Err(error) => tracing::warn!(%error, "cannot read the counters in the kernel"),
        }
    }

    /// `GET /stats`
    ///
    /// # Errors
    /// The kernel's counters cannot be read.
    pub fn stats(&mut self, after: Option<Timestamp>) -> Result<wire::Stats, Failure> {
        self.sample_for_a_while();
        let now = clock::now();
        let seconds = self.stats.seconds.iter();
        let seconds = seconds.filter(|second| after.is_none_or(|after| second.time > after));
        Ok(wire::Stats {
            schema: 1,
            time: wire_time(now.wall),
            seconds: seconds.cloned().collect(),
            sampled: self.sampled(now),
            totals: self.totals()?,
        })
    }

    fn sampled(&mut self, now: Now) -> wire::Sampled {
        let mut sampled = self.stats.window.report(now.boot_secs());
        for source in &mut sampled.sources {
            source.geo = self.home(source.source);
        }
        sampled
    }

    /// Packets by outcome, without outcomes that never were.
    pub(super) fn totals(&self) -> Result<Vec<Total>, Failure> {
        let failed = |error| kernel("cannot read the counters in the kernel", &error);
        let totals = self.xdp.counters.totals().map_err(failed)?.into_iter();
        let counted = totals.filter(|(_, counter)| counter.packets > 0);
        Ok(counted
            .map(|(outcome, counter)| Total {
                action: outcome.action().to_owned(),
                reason: outcome.reason.name().to_owned(),
                family: outcome.family.name().to_owned(),
                packets: counter.packets,
                bytes: counter.bytes,
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(packets: u64) -> Totals {
        let counter = Counter {
            packets,
            bytes: packets * 60,
        };
        Outcome::all().map(|outcome| (outcome, counter)).collect()
    }

    #[test]
    fn a_second_is_what_the_counters_grew_by() {
        let time = Timestamp::UNIX_EPOCH;
        let second = second(time, &counted(5), &counted(7));
        let passing = Outcome::all().filter(|outcome| outcome.action() == "pass");
        assert_eq!(second.pass, 2 * passing.count() as u64);
        for (action, counted) in [("drop", &second.drop), ("observe", &second.observe)] {
            let outcomes = Outcome::all().filter(|outcome| outcome.action() == action);
            assert_eq!(counted.values().sum::<u64>(), 2 * outcomes.count() as u64);
        }
    }

    #[test]
    fn counters_that_began_anew_are_no_packets() {
        let second = second(Timestamp::UNIX_EPOCH, &counted(9), &counted(1));
        assert_eq!(
            second,
            Second {
                time: second.time,
                ..Second::default()
            }
        );
    }

    #[test]
    fn so_many_seconds_are_kept_the_latest_last() {
        let mut stats = Stats::default();
        for number in 0..SECONDS as i64 + 10 {
            let time = Timestamp::from_second(number).expect("a time");
            stats.take(time, counted(number as u64));
        }
        assert_eq!(stats.seconds.len(), SECONDS);
        let last = stats.seconds.back().expect("a second");
        assert_eq!(last.time.as_second(), SECONDS as i64 + 9);
    }
}
