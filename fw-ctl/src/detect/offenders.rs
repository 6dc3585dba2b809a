//! Who scanned, how often, and how long each stays blocked.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use fw_common::{Prefix, abi};

use super::{
    caps::{Grants, InForce, Taken},
    escalation,
    sentence::{Crossing, Evidence, Response, Sentence},
    settings::{Mode, Settings},
};
use crate::policy::time::{BootSecs, Now};

/// Sources that are remembered at most: some ten megabytes.
const MAX_RECORDS: usize = 100_000;

/// What is remembered of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Offences as they were remembered at the last one, which is among them.
    pub offences: u32,
    /// Those of them that were proven. Only they make a block longer: a forged one must not.
    pub proven: u32,
    /// Second of boot time of the last one; negative if that was before this boot.
    pub last: i64,
    /// Of the last one.
    pub evidence: Evidence,
    /// When the block ends, or ended.
    pub until: BootSecs,
    /// What was seen the last time: `10 ports (21, 22, 23)`.
    pub seen: String,
}

impl Record {
    fn in_force(&self, at: BootSecs) -> bool {
        self.until > at
    }

    /// How many of its offences are remembered.
    fn remembered(&self, offences: u32, at: BootSecs, settings: &Settings) -> u32 {
        let since = i64::from(at.0).saturating_sub(self.last);
        escalation::remembered(settings, offences, u64::try_from(since).unwrap_or(0))
    }
}

/// Every source that is remembered.
#[derive(Debug, Default)]
pub struct Offenders {
    records: BTreeMap<Prefix, Record>,
    /// The same by the end of their blocks, the last to end last.
    ends: BTreeMap<(BootSecs, Prefix), Evidence>,
    /// What changed since it was last saved.
    unsaved: BTreeSet<Prefix>,
    grants: Grants,
}

impl Offenders {
    /// As the store knows them, with the kernel's account.
    pub fn restore(records: impl IntoIterator<Item = (Prefix, Record)>, grants: Grants) -> Self {
        let mut offenders = Self {
            grants,
            ..Self::default()
        };
        for (source, record) in records {
            offenders.set(source, Some(record));
        }
        offenders.saved();
        offenders
    }

    /// How many sources are remembered.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The sources whose blocks are in force, the last to end first.
    pub fn blocked(&self, now: Now) -> impl Iterator<Item = (Prefix, &Record)> {
        let running = self.running(now);
        running.filter_map(|(source, _)| Some((source, self.records.get(&source)?)))
    }

    /// Those of them that are not proven: a look at the host's connections may do that.
    pub fn unproven(&self, now: Now) -> impl Iterator<Item = Prefix> {
        let unproven = |(_, evidence): &(Prefix, Evidence)| *evidence == Evidence::Unproven;
        self.running(now).filter(unproven).map(|(source, _)| source)
    }

    /// How many blocks are in force.
    pub fn in_force(&self, now: Now) -> InForce {
        InForce {
            total: self.running(now).count() as u64,
            unproven: self.unproven(now).count() as u64,
        }
    }

    fn running(&self, now: Now) -> impl Iterator<Item = (Prefix, Evidence)> {
        let second = now.boot_secs();
        let by_end = self.ends.iter().rev();
        let running = by_end.take_while(move |((until, _), _)| *until > second);
        running.map(|((_, source), evidence)| (*source, *evidence))
    }

    /// How many blocks the kernel may have written in all: see [`Grants::refill`].
    pub fn refill(&mut self, taken: Taken, settings: &Settings, now: Now) -> u64 {
        let own = self.in_force(now);
        self.grants.refill(taken, own, settings, now)
    }

    /// Judges a crossing. `None` if there is nothing to say: the source is blocked already, and
    /// the report was on its way. `random` is spread evenly over all its values.
    pub fn judge(
        &mut self,
        crossing: &Crossing,
        evidence: Evidence,
        settings: &Settings,
        now: Now,
        random: u32,
    ) -> Option<Sentence> {
        if crossing.block.is_some() {
            self.grants.heard();
        }
        if settings.mode == Mode::Off {
            return None;
        }
        let (source, at) = (crossing.source, crossing.at);
        let known = self.records.get(&source);
        if known.is_some_and(|record| record.in_force(at)) {
            if evidence == Evidence::Proven {
                self.prove(source, settings, now, random);
            }
            return None;
        }
        let before = |count: fn(&Record) -> u32| {
            known.map_or(0, |record| record.remembered(count(record), at, settings))
        };
        let offence = before(|record| record.offences) + 1;
        let proven = before(|record| record.proven);
        let ttl = match evidence {
            Evidence::Unproven => settings.ttl,
            Evidence::Proven => escalation::ttl(settings, proven, random),
        };
        let until = match (crossing.block, evidence) {
            (Some(kernel), Evidence::Proven) if proven > 0 => Some(kernel.max(end(at, ttl))),
            (Some(kernel), _) => Some(kernel),
            (None, Evidence::Proven) => self.has_room(settings, now).then(|| end(at, ttl)),
            (None, Evidence::Unproven) => None,
        };
        let response = match (until, settings.mode) {
            (None, _) => Response::Capped,
            (_, Mode::Enforce) => Response::Block,
            _ => Response::Observe,
        };
        if let Some(until) = until {
            let record = Record {
                offences: offence,
                proven: proven + u32::from(evidence == Evidence::Proven),
                last: at.0.into(),
                evidence,
                until,
                seen: crossing.seen(),
            };
            self.make_room(settings, now);
            self.set(source, Some(record));
        }
        Some(Sentence {
            offence,
            evidence,
            response,
            ttl: until.map_or(ttl, |until| lasting(at, until)),
            until,
        })
    }

    /// A source that is blocked turns out not to be forged. The block may last longer from here
    /// on; says whether anything changed.
    pub fn prove(&mut self, source: Prefix, settings: &Settings, now: Now, random: u32) -> bool {
        let Some(record) = self.records.get(&source) else {
            return false;
        };
        if record.evidence == Evidence::Proven || !record.in_force(now.boot_secs()) {
            return false;
        }
        let mut record = record.clone();
        let ttl = escalation::ttl(settings, record.proven, random);
        let last = BootSecs(u32::try_from(record.last).unwrap_or(0));
        if record.proven > 0 {
            record.until = record.until.max(end(last, ttl));
        }
        record.evidence = Evidence::Proven;
        record.proven += 1;
        self.set(source, Some(record));
        true
    }

    /// Forgets every source in `prefix`, which somebody has allowed, guarded or unblocked. Says
    /// which were blocked.
    pub fn pardon(&mut self, prefix: Prefix, now: Now) -> Vec<Prefix> {
        let from = self.records.range(prefix..);
        let below: Vec<_> = from
            .take_while(|(source, _)| prefix.covers(source))
            .map(|(source, record)| (*source, record.in_force(now.boot_secs())))
            .collect();
        for (source, _) in &below {
            self.set(*source, None);
        }
        let freed = below.into_iter().filter(|(_, blocked)| *blocked);
        freed.map(|(source, _)| source).collect()
    }

    /// Forgets the sources whose offences are all forgotten.
    pub fn forget(&mut self, settings: &Settings, now: Now) {
        let at = now.boot_secs();
        let gone = |record: &Record| {
            !record.in_force(at) && record.remembered(record.offences, at, settings) == 0
        };
        let gone: Vec<Prefix> = self
            .records
            .iter()
            .filter(|(_, record)| gone(record))
            .map(|(source, _)| *source)
            .collect();
        for source in gone {
            self.set(source, None);
        }
    }

    /// What the store does not have yet; `None` for what it shall forget.
    pub fn unsaved(&self) -> impl Iterator<Item = (Prefix, Option<&Record>)> {
        let changed = self.unsaved.iter();
        changed.map(|source| (*source, self.records.get(source)))
    }

    /// The store has it all.
    pub fn saved(&mut self) {
        self.unsaved.clear();
    }

    /// For a block that the kernel did not write.
    fn has_room(&self, settings: &Settings, now: Now) -> bool {
        let taken = self.in_force(now).total + self.grants.promised();
        taken < u64::from(settings.max_blocks)
    }

    /// For one record more. Whoever may have been forged and is not blocked goes first, then the
    /// oldest that is not blocked.
    fn make_room(&mut self, settings: &Settings, now: Now) {
        if self.records.len() < MAX_RECORDS {
            return;
        }
        self.forget(settings, now);
        let at = now.boot_secs();
        let worth = |record: &Record| (record.in_force(at), record.proven > 0, record.last);
        let least = self.records.iter().min_by_key(|(_, record)| worth(record));
        let full = self.records.len() >= MAX_RECORDS;
        if let Some(source) = least.map(|(source, _)| *source).filter(|_| full) {
            self.set(source, None);
        }
    }

    fn set(&mut self, source: Prefix, record: Option<Record>) {
        self.unsaved.insert(source);
        if let Some(record) = &record {
            self.ends.insert((record.until, source), record.evidence);
        }
        let after = record.as_ref().map(|record| record.until);
        let before = match record {
            Some(record) => self.records.insert(source, record),
            None => self.records.remove(&source),
        };
        if let Some(before) = before.filter(|before| Some(before.until) != after) {
            self.ends.remove(&(before.until, source));
        }
    }
}

/// [`abi::NEVER`] is no end: every automatic block has one.
fn end(at: BootSecs, ttl: Duration) -> BootSecs {
    let ttl = u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX);
    BootSecs(at.0.saturating_add(ttl).min(abi::NEVER - 1))
}

fn lasting(at: BootSecs, until: BootSecs) -> Duration {
    Duration::from_secs(until.0.saturating_sub(at.0).into())
}

#[cfg(test)]
mod tests;
