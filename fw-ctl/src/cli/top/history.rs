//! The last minutes, second by second.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, VecDeque},
};

use crate::api::wire::Second;

/// Seconds that are kept: as many as the daemon keeps.
const KEPT: usize = 300;

/// What became of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// They passed.
    Pass,
    /// They were dropped.
    Drop,
    /// They would have been, but for observe mode.
    Observe,
}

/// Packets of one outcome and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// What became of them.
    pub outcome: Outcome,
    /// Why; empty for those that passed.
    pub reason: String,
    /// In the last second.
    pub now: u64,
    /// In all seconds.
    total: u64,
    /// Packets a second, the latest last.
    pub columns: Vec<u64>,
}

/// Seconds in the order they came.
#[derive(Debug, Default)]
pub struct History(VecDeque<Second>);

impl History {
    /// The last second.
    pub fn last(&self) -> Option<&Second> {
        self.0.back()
    }

    /// Adds seconds. Those that are there already, or are older, are left out.
    pub fn extend(&mut self, seconds: Vec<Second>) {
        for second in seconds {
            if self.last().is_none_or(|last| last.time < second.time) {
                self.0.push_back(second);
            }
        }
        let over = self.0.len().saturating_sub(KEPT);
        self.0.drain(..over);
    }

    /// What passed, and behind it each reason, that of most packets first; each in so many columns.
    pub fn series(&self, width: usize) -> Vec<Series> {
        let columns = Columns::of(&self.0, width);
        let mut series: BTreeMap<(Outcome, &str), Series> = BTreeMap::new();
        for second in &self.0 {
            let column = columns.at(second);
            for ((outcome, reason), count) in counts(second) {
                let entry = series.entry((outcome, reason));
                let series = entry.or_insert_with(|| Series::new(outcome, reason, width));
                series.total += count;
                if let Some(column) = column {
                    series.columns[column] += count;
                }
            }
        }
        for (key, now) in self.last().into_iter().flat_map(counts) {
            series.entry(key).and_modify(|series| series.now = now);
        }
        let mut series: Vec<Series> = series.into_values().collect();
        series.sort_by_key(|series| (series.outcome != Outcome::Pass, Reverse(series.total)));
        for series in &mut series {
            columns.average(&mut series.columns);
        }
        series
    }
}

impl Series {
    fn new(outcome: Outcome, reason: &str, width: usize) -> Self {
        Self {
            outcome,
            reason: reason.to_owned(),
            now: 0,
            total: 0,
            columns: vec![0; width],
        }
    }
}

fn counts(second: &Second) -> impl Iterator<Item = ((Outcome, &str), u64)> {
    let pass = ((Outcome::Pass, ""), second.pass);
    let drop = second.drop.iter();
    let drop = drop.map(|(reason, count)| ((Outcome::Drop, reason.as_str()), *count));
    let observe = second.observe.iter();
    let observe = observe.map(|(reason, count)| ((Outcome::Observe, reason.as_str()), *count));
    [pass].into_iter().chain(drop).chain(observe)
}

/// Which column a second is drawn in.
struct Columns {
    /// Seconds in a column.
    each: i64,
    /// Number of the last column, counted from 1970: so a second stays with its neighbours.
    last: i64,
    /// How many seconds are known of each.
    known: Vec<u64>,
}

impl Columns {
    fn of(seconds: &VecDeque<Second>, width: usize) -> Self {
        let each = KEPT.div_ceil(width.max(1)) as i64;
        let last = seconds.back().map_or(0, |last| last.time.as_second());
        let mut columns = Self {
            each,
            last: last.div_euclid(each),
            known: vec![0; width],
        };
        for second in seconds {
            if let Some(column) = columns.at(second) {
                columns.known[column] += 1;
            }
        }
        columns
    }

    fn at(&self, second: &Second) -> Option<usize> {
        let ago = self.last - second.time.as_second().div_euclid(self.each);
        let ago = usize::try_from(ago).ok()?;
        self.known.len().checked_sub(ago + 1)
    }

    /// Makes packets of a column packets a second; what is not nothing stays visible.
    fn average(&self, columns: &mut [u64]) {
        for (column, known) in columns.iter_mut().zip(&self.known) {
            *column = column.div_ceil(*known.max(&1));
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn second(at: i64, pass: u64, block: u64) -> Second {
        let reasons = |count| match count {
            0 => BTreeMap::new(),
            count => [("block".to_owned(), count)].into(),
        };
        Second {
            time: Timestamp::from_second(at).expect("a time"),
            pass,
            drop: reasons(block),
            observe: BTreeMap::new(),
        }
    }

    #[test]
    fn seconds_are_kept_once_and_in_order() {
        let mut history = History::default();
        history.extend((0..400).map(|at| second(at, 1, 0)).collect());
        history.extend(vec![second(399, 9, 0), second(5, 9, 0), second(400, 2, 0)]);
        assert_eq!(history.0.len(), KEPT);
        assert_eq!(history.last().map(|last| last.pass), Some(2));
    }

    #[test]
    fn a_column_is_the_rate_of_its_seconds_and_the_latest_stands_last() {
        let mut history = History::default();
        history.extend((0..300).map(|at| second(at, 10, 0)).collect());
        history.extend(vec![second(300, 10, 7)]);
        let series = history.series(60);
        assert_eq!(series.len(), 2);
        assert_eq!((series[0].outcome, series[0].now), (Outcome::Pass, 10));
        assert_eq!(series[0].columns[..59], [10; 59]);
        assert_eq!(series[1].reason, "block");
        assert_eq!(series[1].columns[57..], [0, 0, 7]);
        // Of five seconds, one: 7 packets are more than 1 a second.
        history.extend((301..305).map(|at| second(at, 10, 0)).collect());
        assert_eq!(history.series(60)[1].columns[57..], [0, 0, 2]);
    }

    #[test]
    fn a_reason_that_has_ceased_is_still_drawn() {
        let mut history = History::default();
        history.extend(vec![second(1, 0, 7), second(2, 1, 0)]);
        let series = history.series(300);
        assert_eq!(series[1].now, 0);
        assert_eq!(series[1].columns[298..], [7, 0]);
        assert!(History::default().series(0).is_empty());
    }
}
