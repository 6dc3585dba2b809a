//! What the detector says of itself, and changes of its settings.

use std::{
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

use fw_common::{
    Prefix, abi,
    scan::{self, CROSSED, ONE, Slot, Thresholds},
};

use super::super::{
    owner::Owner,
    problem::{Failure, bad_input, kernel},
    security_log::SecurityLog,
};
use crate::{
    api::wire::{self, ScanSource, ScanStatus},
    detect::{
        ports::{PortSet, Ports, Protocol},
        settings::{ModeError, Overrides, Settings},
    },
    host::clock,
};

/// Sources that the report names.
const NEAREST: usize = 10;

impl Owner {
    /// `GET /scan`
    ///
    /// # Errors
    /// The detector's maps cannot be read.
    pub fn scan_status(&self) -> Result<ScanStatus, Failure> {
        self.status_of(&self.scan.settings, &self.scan.overrides)
    }

    fn status_of(&self, settings: &Settings, overrides: &Overrides) -> Result<ScanStatus, Failure> {
        let failed = |error| kernel("cannot read the detector's maps", &error);
        let now = clock::now();
        let totals = self.xdp.scan.totals().map_err(failed)?;
        let taken = self.xdp.scan.taken().map_err(failed)?;
        let in_force = self.scan.offenders.in_force(now);
        let (watched, sources) = self.watched()?;
        let served = self.scan.served.ports();
        Ok(ScanStatus {
            schema: 1,
            mode: settings.mode.name().to_owned(),
            changed: overrides.names().into_iter().map(str::to_owned).collect(),
            ports: settings.ports,
            window_s: settings.window.as_secs(),
            slow_ports: settings.slow_ports,
            slow_window_s: settings.slow_window.as_secs(),
            ttl_s: settings.ttl.as_secs(),
            escalation_s: settings.escalation.iter().map(Duration::as_secs).collect(),
            forget_s: settings.forget.as_secs(),
            bait: Protocol::ALL
                .into_iter()
                .flat_map(|protocol| settings.bait.ranges(protocol))
                .map(|ports| ports.to_string())
                .collect(),
            bait_weight: settings.bait_weight,
            v6_prefix: settings.v6_prefix,
            grace_s: settings.grace.as_secs(),
            roll_up: settings.roll_up,
            served: wire::ScanServed {
                tcp: numbers(served, Protocol::Tcp),
                udp: numbers(served, Protocol::Udp),
            },
            watched,
            slots: abi::SCAN.capacity.into(),
            blocks: wire::ScanBlocks {
                in_force: in_force.total,
                unproven: in_force.unproven,
                max: settings.max_blocks.into(),
                max_unproven: settings.max_unproven.into(),
                per_minute: settings.unproven_per_minute.into(),
                room: self.scan.granted.saturating_sub(taken),
            },
            totals: wire::ScanTotals {
                crossings: totals.crossings,
                capped: totals.capped,
                limited: totals.limited,
                lost: totals.lost,
            },
            offenders: self.scan.offenders.len(),
            sources,
        })
    }

    /// How many sources have points, and those nearest to a threshold.
    ///
    /// # Errors
    /// The detector's maps cannot be read.
    pub(in super::super) fn watched(&self) -> Result<(u64, Vec<ScanSource>), Failure> {
        let limits = self.scan.switches().thresholds;
        let second = clock::monotonic_secs();
        let mut watched = 0;
        let mut nearest: Vec<(u32, Slot)> = Vec::new();
        let read = self.xdp.scan.slots(|slot| {
            let Some(slot) = aged(slot, &limits, second) else {
                return;
            };
            watched += 1;
            nearest.push((nearness(&slot, &limits), slot));
            if nearest.len() > 4 * NEAREST {
                keep_nearest(&mut nearest);
            }
        });
        read.map_err(|error| kernel("cannot read the detector's slots", &error))?;
        keep_nearest(&mut nearest);
        let shown = nearest
            .iter()
            .filter_map(|(_, slot)| self.shown(slot, second));
        Ok((watched, shown.collect()))
    }

    /// How far a source has come, if it has points.
    ///
    /// # Errors
    /// The detector's maps cannot be read.
    pub(in super::super) fn watched_source(
        &self,
        address: IpAddr,
    ) -> Result<Option<ScanSource>, Failure> {
        let switches = self.scan.switches();
        let source = scan::source(&address.into(), self.scan.source_length(address));
        let index = scan::slot_of(scan::hash(&source, switches.seed));
        let read = self.xdp.scan.slot(index);
        let slot = read.map_err(|error| kernel("cannot read the detector's slots", &error))?;
        let second = clock::monotonic_secs();
        let counted = slot
            .filter(|slot| slot.source == source)
            .and_then(|slot| aged(slot, &switches.thresholds, second));
        Ok(counted.and_then(|slot| self.shown(&slot, second)))
    }

    fn shown(&self, slot: &Slot, second: u32) -> Option<ScanSource> {
        let address = Ipv6Addr::from(slot.source).to_canonical();
        let length = self.scan.source_length(address);
        Some(ScanSource {
            source: Prefix::new(address, length)?.to_string(),
            score: f64::from(slot.points) / f64::from(ONE),
            slow_score: f64::from(slot.slow) / f64::from(ONE),
            distinct_ports: slot.ports.iter().map(|word| word.count_ones()).sum(),
            ports: slot.recent.into_iter().filter(|port| *port != 0).collect(),
            last_s: second.saturating_sub(slot.start).into(),
        })
    }

    /// `PATCH /scan`
    ///
    /// # Errors
    /// A value out of its bounds; nothing was changed.
    pub fn scan_change(
        &mut self,
        change: &wire::ScanChange,
        by: &str,
    ) -> Result<ScanStatus, Failure> {
        let read = |text: &String| text.parse();
        let mode = change.mode.as_ref().map(read).transpose();
        let asked = Overrides {
            mode: mode.map_err(|error: ModeError| bad_input(error.to_string()))?,
            ports: change.ports,
            window: change.window_s.map(Duration::from_secs),
            ttl: change.ttl_s.map(Duration::from_secs),
        };
        self.override_with(asked.or(self.scan.overrides.clone()), change.dry_run, by)
    }

    /// `DELETE /scan`: back to the configuration.
    ///
    /// # Errors
    /// The database cannot be written.
    pub fn scan_reset(&mut self, dry_run: bool, by: &str) -> Result<ScanStatus, Failure> {
        self.override_with(Overrides::default(), dry_run, by)
    }

    fn override_with(
        &mut self,
        overrides: Overrides,
        dry_run: bool,
        by: &str,
    ) -> Result<ScanStatus, Failure> {
        let settings = overrides.over(&self.config.scan);
        let valid = settings.validate();
        valid.map_err(|error| bad_input(error.to_string()))?;
        if dry_run {
            return self.status_of(&settings, &overrides);
        }
        let change = self.store.begin()?;
        change.write_overrides(&overrides)?;
        change.commit()?;
        self.scan.overrides = overrides;
        self.adopt_settings(settings)?;
        self.revised();
        let names = self.scan.overrides.names().join(", ");
        let now = clock::now();
        self.tell(
            now,
            by,
            &match names.is_empty() {
                true => "scan: as configured".to_owned(),
                false => format!("scan: {names} set"),
            },
        );
        self.scan_status()
    }

    /// Makes settings true that are within their bounds.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(in super::super) fn adopt_settings(&mut self, settings: Settings) -> Result<(), Failure> {
        let now = clock::now();
        let before = std::mem::replace(&mut self.scan.settings, settings);
        self.scan.log = SecurityLog::new(self.store.directory(), self.scan.settings.classic_log);
        self.configure()?;
        self.mark_blocks();
        let marked = match before.mode == self.scan.settings.mode {
            true => Vec::new(),
            false => self.listed(),
        };
        self.renew_blocks_over(&marked, now)
    }
}

fn numbers(set: &PortSet, protocol: Protocol) -> Vec<String> {
    set.ranges(protocol).iter().map(Ports::numbers).collect()
}

/// What a slot comes to by now, with the time of its last probe; `None` without points.
fn aged(mut slot: Slot, limits: &Thresholds, second: u32) -> Option<Slot> {
    if slot.points == CROSSED {
        return None;
    }
    let last = slot.start;
    scan::pass_time(&mut slot, limits, second);
    slot.start = last;
    (slot.points > 0 || slot.slow > 0).then_some(slot)
}

/// How near a source is to a threshold, in thousandths.
fn nearness(slot: &Slot, limits: &Thresholds) -> u32 {
    let share = |score: u16, limit: u16| u32::from(score) * 1000 / u32::from(limit.max(1));
    share(slot.points, limits.points).max(share(slot.slow, limits.slow))
}

fn keep_nearest(slots: &mut Vec<(u32, Slot)>) {
    slots.sort_by_key(|(nearness, _)| std::cmp::Reverse(*nearness));
    slots.truncate(NEAREST);
}
