//! The limits, and what became of what they name.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::atomic::{AtomicU64, Ordering},
};

use aya::{
    maps::{MapData, PerCpuArray, PerCpuValues},
    util::nr_cpus,
};
use fw_common::{
    abi::{self, LimitCount},
    limit::Limit,
};

use super::{super::sys::Mapped, set};
use crate::{
    plan::ruleset::LimitRow,
    policy::{rate::Per, rule::RuleId},
};

/// The map of the limits, and that of their counts.
pub struct Limits {
    /// Two for each [`Limit`]: the interval, and the rest, which stays as long as the rule does.
    words: Mapped,
    counts: PerCpuArray<MapData, LimitCount>,
}

impl Limits {
    /// Over the maps.
    pub fn new(words: Mapped, counts: PerCpuArray<MapData, LimitCount>) -> Self {
        Self { words, counts }
    }

    /// Finds a place for each limit: the one it has, with the rate of now, or a free one. Nothing
    /// is taken away.
    pub fn place<'a>(
        &mut self,
        limits: impl Iterator<Item = &'a LimitRow>,
    ) -> io::Result<BTreeMap<RuleId, u16>> {
        let used: BTreeMap<u64, u16> = self.used().map(|(number, rest)| (rest, number)).collect();
        let taken: BTreeSet<u16> = used.values().copied().collect();
        let mut free = (1..abi::LIMIT_COUNT as u16).filter(|number| !taken.contains(number));
        let mut places = BTreeMap::new();
        for row in limits {
            let [interval, rest] = words(row);
            let number = match used.get(&rest) {
                Some(number) => *number,
                None => {
                    let number = free.next().ok_or(io::ErrorKind::StorageFull)?;
                    self.reset(number)?;
                    number
                }
            };
            let [held_interval, held_rest] = self.slot(number);
            set(held_interval, interval);
            set(held_rest, rest);
            places.insert(row.id, number);
        }
        Ok(places)
    }

    /// Whether no other limit has a place.
    pub fn are_all(&self, places: &BTreeMap<RuleId, u16>) -> bool {
        self.used().count() == places.len()
    }

    /// Takes every other limit away.
    pub fn retain(&mut self, places: &BTreeMap<RuleId, u16>) {
        let kept: BTreeSet<u16> = places.values().copied().collect();
        let used: Vec<u16> = self.used().map(|(number, _)| number).collect();
        for number in used.into_iter().filter(|number| !kept.contains(number)) {
            for word in self.slot(number) {
                word.store(0, Ordering::Relaxed);
            }
        }
    }

    /// What became of the connections that each limit names.
    pub fn counts(&self) -> io::Result<BTreeMap<RuleId, LimitCount>> {
        let mut counts: BTreeMap<RuleId, LimitCount> = BTreeMap::new();
        for (number, rest) in self.used() {
            let cpus = self.counts.get(&number.into(), 0);
            let sum = counts.entry(rule(rest)).or_default();
            for cpu in cpus.map_err(io::Error::other)?.iter() {
                sum.offered += cpu.offered;
                sum.exceeded += cpu.exceeded;
                sum.unmetered += cpu.unmetered;
            }
        }
        Ok(counts)
    }

    /// Places in use, each with its second word.
    fn used(&self) -> impl Iterator<Item = (u16, u64)> {
        let rests = self.words.words().iter().skip(1).step_by(2);
        let rests = rests.map(|word| word.load(Ordering::Relaxed));
        (0..).zip(rests).filter(|(_, rest)| *rest != 0)
    }

    fn slot(&self, number: u16) -> [&AtomicU64; 2] {
        let words = self.words.words();
        let first = 2 * usize::from(number);
        [&words[first], &words[first + 1]]
    }

    /// The counts of a place begin anew. Nobody counts there: no class names it.
    fn reset(&mut self, number: u16) -> io::Result<()> {
        let cpus = nr_cpus().map_err(|(_, error)| error)?;
        let zeroes = PerCpuValues::try_from(vec![LimitCount::default(); cpus])?;
        let written = self.counts.set(number.into(), zeroes, 0);
        written.map_err(io::Error::other)
    }
}

/// A [`Limit`] as two words: the layout, in the order of the machine.
fn words(row: &LimitRow) -> [u64; 2] {
    let limit = Limit {
        interval_ns: row.rate.interval_ns(),
        rule: row.id.0,
        burst: u16::try_from(row.burst).unwrap_or(u16::MAX),
        shared: u16::from(row.per == Per::All),
    };
    let ([a, b, c, d], [e, f], [g, h]) = (
        limit.rule.to_ne_bytes(),
        limit.burst.to_ne_bytes(),
        limit.shared.to_ne_bytes(),
    );
    [
        limit.interval_ns,
        u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
    ]
}

fn rule(rest: u64) -> RuleId {
    let [a, b, c, d, ..] = rest.to_ne_bytes();
    RuleId(u32::from_ne_bytes([a, b, c, d]))
}
