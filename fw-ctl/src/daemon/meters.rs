//! What monitoring asks for: numbers that only grow, counted here, and what stands elsewhere, read
//! when somebody asks.

use std::time::Duration;

use fw_common::{abi, abi::Counter, reason::Outcome};
use prometheus_client::metrics::histogram::Histogram;

use super::{
    owner::Owner,
    problem::{Failure, kernel},
};
use crate::{
    api::wire::Table,
    policy::{
        change::Draft,
        entry::{Action, Entry},
        table::Count,
        time::Now,
    },
};

/// What had a block made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// Somebody who used the API.
    Operator,
    /// The scan detector.
    Scan,
    /// The configuration file and what it names.
    Configuration,
    /// A policy that came back.
    Rollback,
}

impl Trigger {
    /// In the order of their counts.
    pub const ALL: [Self; 4] = [
        Self::Operator,
        Self::Scan,
        Self::Configuration,
        Self::Rollback,
    ];

    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Scan => "scan",
            Self::Configuration => "configuration",
            Self::Rollback => "rollback",
        }
    }

    /// By who asked. Names of users and tokens are no label: there may be any number of them.
    fn of(by: &str) -> Self {
        match by.split(' ').next() {
            Some("uid" | "token") => Self::Operator,
            Some("scan") => Self::Scan,
            Some("configuration") => Self::Configuration,
            _ => Self::Rollback,
        }
    }
}

/// Seconds of `apply_seconds`: from one entry to a million.
const APPLY_SECONDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// What only grows while the daemon lives.
#[derive(Debug)]
pub struct Meters {
    blocks: [u64; Trigger::ALL.len()],
    expired: u64,
    applied: Histogram,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            blocks: Default::default(),
            expired: 0,
            applied: Histogram::new(APPLY_SECONDS),
        }
    }
}

impl Meters {
    /// Counts what a draft that is true now made and ended.
    pub(super) fn count(&mut self, draft: &Draft, now: Now, by: &str) {
        let has_ended = |entry: &Entry| {
            let end = entry.deadline();
            end.is_some_and(|deadline| deadline <= now.boot_secs())
        };
        for edit in &draft.edits {
            match (&edit.before, &edit.after) {
                (None, Some(_)) if edit.action == Action::Block => {
                    self.blocks[Trigger::of(by) as usize] += 1;
                }
                (Some(before), None) if has_ended(before) => self.expired += 1,
                _ => {}
            }
        }
    }

    /// Counts a change that store and kernel took so long for.
    pub(super) fn applied(&self, took: Duration) {
        self.applied.observe(took.as_secs_f64());
    }
}

/// All that `GET /metrics` tells, at one moment.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// By interface; of those that are not counted apart, under an empty name.
    pub packets: Vec<(String, Vec<(Outcome, Counter)>)>,
    /// Of every list.
    pub entries: Vec<(String, Count)>,
    /// How full the tables in the kernel are.
    pub tables: Vec<Table>,
    /// Bytes of the kernel's memory that all maps take.
    pub memory: u64,
    /// Blocks that were made.
    pub blocks: Vec<(Trigger, u64)>,
    /// Entries that came to their end.
    pub expired: u64,
    /// Sources that have points.
    pub scan_sources: u64,
    /// Thresholds crossed.
    pub scan_crossings: u64,
    /// How long changes took.
    pub applied: Histogram,
    /// How often the mirror was mended.
    pub drifts: u64,
    /// Events that somebody did not get.
    pub events_lost: u64,
    /// Prefixes.
    pub guarded: usize,
    /// What is wrong at the moment.
    pub alarms: usize,
    /// Every configured interface, its mode, and whether its packets go through the program.
    pub attached: Vec<(String, Option<String>, bool)>,
    /// Of the daemon.
    pub version: &'static str,
    /// [`abi::VERSION`].
    pub abi: u32,
}

impl Owner {
    /// `GET /metrics`
    ///
    /// # Errors
    /// The kernel's maps cannot be read.
    pub fn metrics(&self) -> Result<Metrics, Failure> {
        let failed = |error| kernel("cannot read the counters in the kernel", &error);
        let scan = self.xdp.scan.totals().map_err(failed)?;
        let (_, samples_lost) = self.xdp.samples().map_err(failed)?;
        let memory = self
            .xdp
            .memory()
            .map_err(|error| kernel("cannot ask the kernel for the sizes of its tables", &error))?;
        let interfaces = self.interface_reports().into_iter();
        let blocks = Trigger::ALL.into_iter().zip(self.meters.blocks);
        Ok(Metrics {
            packets: self.xdp.counters.by_interface().map_err(failed)?,
            entries: self.list_counts(),
            tables: self.fill(),
            memory: memory.iter().map(|map| map.bytes).sum(),
            blocks: blocks.collect(),
            expired: self.meters.expired,
            scan_sources: self.watched()?.0,
            scan_crossings: scan.crossings,
            applied: self.meters.applied.clone(),
            drifts: self.mirror.drifts,
            events_lost: self.broadcast.lost() + samples_lost + scan.lost,
            guarded: self.policy.guard.len(),
            alarms: self.alarms.len(),
            attached: interfaces
                .map(|interface| (interface.name, interface.mode, interface.attached))
                .collect(),
            version: env!("CARGO_PKG_VERSION"),
            abi: abi::VERSION,
        })
    }

    fn list_counts(&self) -> Vec<(String, Count)> {
        let lists = self.policy.lists().map(|(name, id)| {
            let [allows, blocks] = Action::ALL.map(|action| self.policy.table(action).count(id));
            let count = Count {
                ipv4: allows.ipv4 + blocks.ipv4,
                ipv6: allows.ipv6 + blocks.ipv6,
            };
            (name.to_string(), count)
        });
        lists.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::{
        change::Edit,
        entry::{Comment, ListId, Place},
        time::{BootSecs, WallSecs},
    };

    const NOW: Now = Now {
        boot: Duration::from_secs(100),
        wall: WallSecs(1_000_000),
    };

    fn edit(action: Action, before: Option<Option<u32>>, after: Option<Option<u32>>) -> Edit {
        let entry = |end: Option<u32>| Entry::new(Comment::default(), NOW.wall, end.map(BootSecs));
        Edit {
            action,
            place: Place {
                prefix: "192.0.2.7".parse().expect("a prefix"),
                list: ListId(1),
            },
            before: before.map(entry),
            after: after.map(entry),
        }
    }

    #[test]
    fn a_new_block_is_counted_under_what_had_it_made() {
        let mut meters = Meters::default();
        let draft = Draft::of(vec![
            edit(Action::Block, None, Some(None)),
            edit(Action::Block, Some(None), Some(Some(200))),
            edit(Action::Allow, None, Some(None)),
            edit(Action::Block, Some(None), None),
        ]);
        for by in [
            "uid 0",
            "token grafana",
            "scan",
            "configuration",
            "the daemon ends",
        ] {
            meters.count(&draft, NOW, by);
        }
        assert_eq!(meters.blocks, [2, 1, 1, 1]);
        assert_eq!(meters.expired, 0);
    }

    #[test]
    fn only_what_has_come_to_its_end_has_expired() {
        let mut meters = Meters::default();
        let ended = edit(Action::Allow, Some(Some(100)), None);
        let early = edit(Action::Block, Some(Some(101)), None);
        meters.count(&Draft::of(vec![ended, early]), NOW, "expiry");
        assert_eq!((meters.expired, meters.blocks), (1, [0; 4]));
    }
}
