//! The scan detector's place in the daemon: what the kernel is told, and how the list `auto`
//! follows from what it reports.
//!
//! - [`blocks`]: the list `auto`
//! - [`crossings`]: sources that crossed a threshold: heard, judged, told
//! - [`ports`]: which ports are served
//! - [`report`]: `GET /scan` and changes of the settings

pub mod blocks;
pub mod crossings;
pub mod ports;
pub mod report;

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use aya::maps::MapError;
use fw_common::{
    Prefix,
    abi::{self, PortWord},
    parse::Address,
    scan::{self, ONE, Thresholds},
};

use self::crossings::Heard;
use super::{
    handle::Handle,
    owner::Owner,
    problem::{Failure, kernel},
    security_log::SecurityLog,
};
use crate::{
    backend::xdp::{Xdp, scan::Crossings},
    config::Config,
    detect::{
        blocks::Blocks,
        caps::{Grants, Taken},
        offenders::Offenders,
        ports::{PortSet, Ports},
        served::Served,
        settings::{Mode, Overrides, Settings},
    },
    host::{clock, listeners, random::random},
    policy::time::Now,
    store::Store,
};

/// Subject of the alarm while the list `auto` is not what it should be.
pub(super) const BLOCKS: &str = "scan blocks";

/// How soon a list that could not be written is tried again.
const RETRY_SECS: u32 = 10;

/// What the daemon knows of scans.
pub struct Detector {
    /// What `scan set` said.
    pub(super) overrides: Overrides,
    /// The configuration, with the overrides on top.
    pub(super) settings: Settings,
    pub(super) offenders: Offenders,
    /// What the list `auto` holds, and why.
    pub(super) blocks: Blocks,
    pub(super) served: Served,
    /// The port words, as the kernel has them.
    words: Vec<PortWord>,
    /// Where answers to this host's own questions arrive. Never narrowed: whoever has used other
    /// ports once will again.
    answers: Option<Ports>,
    /// Whether the kernel knows what is served, from this daemon or from the one before.
    ready: bool,
    /// Addresses of this host.
    own: BTreeSet<IpAddr>,
    heard: Heard,
    pub(super) log: SecurityLog,
    /// Events that could not be written there.
    pub(super) unlogged: u64,
    seed: u64,
    /// As the kernel has it.
    granted: u64,
    /// Sources whose packets came over more than one path: their being real proves nothing.
    suspects: BTreeSet<Prefix>,
    /// Reports that had been lost when the blocks were last compared with the kernel's.
    lost: u64,
}

impl Detector {
    /// Goes on where a former daemon stopped.
    ///
    /// # Errors
    /// The kernel's maps or the database cannot be read.
    pub fn resume(
        config: &Config,
        store: &mut Store,
        xdp: &Xdp,
        now: Now,
    ) -> Result<Self, Failure> {
        let failed = |error: MapError| kernel("cannot read the detector's maps", &error);
        let overrides = store.overrides()?;
        let settings = overrides.over(&config.scan);
        let before = xdp.config().map_err(failed)?;
        let (taken, totals) = (xdp.scan.taken(), xdp.scan.totals());
        let taken = taken.map_err(failed)?;
        // Were the count of what was taken lost, all that was ever granted would be room.
        let most = taken.saturating_add(settings.unproven_per_minute.into());
        let granted = before.granted.min(most);
        let grants = Grants::resume(taken, granted, &settings, now);
        let words = xdp.scan.ports().map_err(failed)?;
        let served = PortSet::from_words(words.iter().map(|word| word.served));
        let seed = match before.seed {
            0 => random().map_err(|error| kernel("cannot read random numbers", &error))?,
            seed => seed,
        };
        Ok(Self {
            offenders: Offenders::restore(store.offenders()?, grants),
            blocks: Blocks::default(),
            answers: listeners::answers(&served),
            served: Served::resume(served),
            ready: words.iter().any(|word| word.served != 0),
            words,
            own: BTreeSet::new(),
            heard: Heard::default(),
            log: SecurityLog::new(store.directory(), settings.classic_log),
            unlogged: 0,
            seed,
            granted,
            suspects: BTreeSet::new(),
            lost: totals.map_err(failed)?.lost,
            overrides,
            settings,
        })
    }

    /// Whether anything is counted.
    pub fn is_on(&self) -> bool {
        self.settings.mode != Mode::Off
    }

    /// Bits of an address that make one source, whichever of ours it probes.
    pub(super) fn source_length(&self, address: IpAddr) -> u8 {
        let (source, v6_prefix) = (address.into(), self.settings.v6_prefix);
        let own = self.own.iter().map(|own| Address::from(*own));
        let lengths = own
            .chain([Address::NONE])
            .map(|own| scan::length_of(&source, &own, v6_prefix.into()));
        lengths.max().unwrap_or(v6_prefix)
    }

    /// The detector's part of the runtime switches.
    pub(super) fn switches(&self) -> abi::Config {
        let secs = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
        let points = |ports: u32| u16::try_from(ports).unwrap_or(u16::MAX).saturating_mul(ONE);
        let settings = &self.settings;
        abi::Config {
            scan: match settings.mode {
                // What is served must be known first.
                _ if !self.ready => abi::Config::SCAN_OFF,
                Mode::Off => abi::Config::SCAN_OFF,
                Mode::Observe => abi::Config::SCAN_OBSERVE,
                Mode::Enforce => abi::Config::SCAN_ENFORCE,
            },
            granted: self.granted,
            seed: self.seed,
            thresholds: Thresholds {
                points: points(settings.ports),
                slow: points(settings.slow_ports),
                window: secs(settings.window),
                slow_window: secs(settings.slow_window),
            },
            ttl: secs(settings.ttl),
            bait: points(settings.bait_weight),
            // Without the range, none of the ports is excepted.
            ephemeral: self
                .answers
                .map_or([1, 0], |range| [range.first, range.last]),
            v6_prefix: settings.v6_prefix.into(),
            ..abi::Config::default()
        }
    }
}

impl Owner {
    /// Every second: what the kernel may block by itself, and what was lost.
    pub(super) fn watch_scans(&mut self, crossings: &mut Crossings, handle: &Handle) {
        let result = self.refill(crossings, handle);
        self.note("scan", result);
    }

    fn refill(&mut self, crossings: &mut Crossings, handle: &Handle) -> Result<(), Failure> {
        let now = clock::now();
        if self.alarms.contains_key(BLOCKS) && now.boot_secs().0.is_multiple_of(RETRY_SECS) {
            let result = self.renew_blocks(now);
            self.note(BLOCKS, result);
        }
        let failed = |error: MapError| kernel("cannot read the detector's maps", &error);
        // In this order: what is counted as taken is in the ring, or was lost.
        let blocks = self.xdp.scan.taken().map_err(failed)?;
        let lost = self.xdp.scan.totals().map_err(failed)?.lost;
        self.hear(crossings, handle);
        if self.scan.heard.is_busy() {
            // Taken, and not yet known as a block.
            return Ok(());
        }
        if lost > self.scan.lost {
            self.scan.lost = lost;
            tracing::warn!(
                lost,
                "reports of scans were lost, looking at the kernel's blocks"
            );
            let adopted = self.adopt_blocks(now)?;
            self.renew_blocks_over(&adopted, now)?;
        }
        let taken = Taken { blocks, lost };
        let room = self.scan.offenders.refill(taken, &self.scan.settings, now);
        // Whoever does not fit into the kernel's guard must not be blocked there.
        let granted = match self.alarms.contains_key("guard") {
            true => 0,
            false => room,
        };
        if granted != self.scan.granted {
            self.scan.granted = granted;
            self.configure()?;
        }
        Ok(())
    }

    /// Addresses of this host, whose ports can be probed.
    pub(super) fn take_own(&mut self, own: &[IpAddr]) -> Result<(), Failure> {
        let own: BTreeSet<IpAddr> = own.iter().copied().collect();
        if own != self.scan.own {
            let written = self.xdp.scan.set_own(own.iter().copied());
            written.map_err(|error| kernel("cannot write the own addresses", &error))?;
            self.scan.own = own;
        }
        Ok(())
    }
}
