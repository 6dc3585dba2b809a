//! fw-ctl as it decides, loaded through its library: without a daemon, which decides nothing.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use aya::programs::{ProgramFd, ProgramInfo};
use fw_common::{
    Prefix,
    abi::{self, Config, Entry, PortWord},
    reason::Reason,
    scan::{ONE, Thresholds},
};
use fw_ctl::{
    backend::xdp::{
        Xdp, detach,
        links::Mode as Attach,
        pins::Pins,
        shape::{Lookup, Pass, Shape},
    },
    detect::settings::Settings,
    host::links,
    plan::{CheckedPlan, Op, Plan, diff_guard},
    policy::guard::Guard,
};
use fw_tests::{
    lab::{
        address::{V4, V6},
        namespace::Namespace,
    },
    lists::Lists,
};

use super::{ends::Seen, sources::SERVED};

/// What is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The lists.
    Lists,
    /// The scan detector besides, only counting.
    Observing,
    /// The scan detector besides.
    Enforcing,
    /// Samples of drops besides, as while somebody watches them.
    Sampling,
}

/// fw-ctl on an interface. Dropped, it is taken off.
pub struct FwCtl {
    xdp: Xdp,
    pins: PathBuf,
    guard: Guard,
}

impl FwCtl {
    /// Loads it, empty.
    pub fn open(pins: &Path, lookup: Lookup) -> Result<Self> {
        // What a killed run left.
        detach::detach(pins, None)?;
        let shape = Shape {
            lookup,
            // So that the stack behind is not in the figure.
            pass: Pass::Nowhere,
            ..Shape::default()
        };
        let xdp = Xdp::open(pins, &shape)?;
        let mut ours = Self {
            xdp,
            pins: pins.to_owned(),
            guard: Guard::default(),
        };
        ours.serve()?;
        Ok(ours)
    }

    /// Guards what is always guarded, and names the server's addresses and its one service.
    fn serve(&mut self) -> Result<()> {
        let plan = Plan {
            guard: diff_guard(&self.guard, &BTreeMap::new()),
            ..Plan::default()
        };
        let plan = self.check(plan)?;
        self.apply(&plan)?;
        let scan = &mut self.xdp.scan;
        scan.set_own([V4.server, V6.server].into_iter())?;
        let before = scan.ports()?;
        let mut after = before.clone();
        let word: &mut PortWord = &mut after[usize::from(SERVED / 64)];
        word.served |= 1 << (SERVED % 64);
        Ok(scan.set_ports(&before, &after)?)
    }

    /// Blocks what is on the lists.
    pub fn block(&mut self, lists: &Lists) -> Result<()> {
        let plan = self.plan([], lists.all())?;
        self.apply(&plan)
    }

    /// Blocks these no longer, and those from now on.
    pub fn plan(
        &self,
        gone: impl IntoIterator<Item = Prefix>,
        new: impl IntoIterator<Item = Prefix>,
    ) -> Result<CheckedPlan> {
        const LIST: u16 = 7;
        let row = |prefix| Some(Entry::new(prefix, LIST, abi::NEVER));
        let gone = gone.into_iter().map(|prefix| Op {
            prefix,
            before: row(prefix),
            after: None,
        });
        let new = new.into_iter().map(|prefix| Op {
            prefix,
            before: None,
            after: row(prefix),
        });
        let mut block: Vec<Op<Entry>> = gone.chain(new).collect();
        block.sort_by_key(|op| op.prefix);
        self.check(Plan {
            block,
            ..Plan::default()
        })
    }

    fn check(&self, plan: Plan) -> Result<CheckedPlan> {
        Ok(plan.check(&self.guard, self.xdp.tables.guarded())?)
    }

    /// Makes it true.
    pub fn apply(&mut self, plan: &CheckedPlan) -> Result<()> {
        Ok(self.xdp.tables.apply(plan)?)
    }

    /// Attaches it to an interface.
    pub fn attach(&mut self, namespace: &Namespace, interface: &str) -> Result<()> {
        namespace.enter(|| {
            let links = links::interfaces()?;
            let mut links = links.iter();
            let link = links.find(|link| link.name == interface);
            self.xdp
                .attach(link.context("no such interface")?, Attach::Native)?;
            anyhow::Ok(())
        })?;
        Ok(self.xdp.settle(&[])?)
    }

    /// The program, which knows multi-buffer packets.
    pub fn program(&self) -> Result<ProgramFd> {
        Ok(ProgramInfo::from_pin(Pins::new(&self.pins).program())?.fd()?)
    }

    /// Switches on and off.
    pub fn set_mode(&mut self, mode: Mode) -> Result<()> {
        Ok(self.xdp.set_config(switches(mode))?)
    }

    /// What became of the packets until now.
    pub fn seen(&self) -> Result<Seen> {
        let mut seen = Seen::default();
        for (outcome, counter) in self.xdp.counters.totals()? {
            match outcome.reason {
                Reason::Block => seen.listed += counter.packets,
                _ => seen.other += counter.packets,
            }
        }
        Ok(seen)
    }
}

impl Drop for FwCtl {
    fn drop(&mut self) {
        // What stays, the next run takes off.
        drop(detach::detach(&self.pins, None));
    }
}

/// The runtime switches, as the daemon sets them by default; nothing is granted to the detector, so
/// that it blocks nobody who would then cost less.
fn switches(mode: Mode) -> Config {
    let settings = Settings::default();
    let points = |ports: u32| ports as u16 * ONE;
    Config {
        scan: match mode {
            Mode::Lists | Mode::Sampling => Config::SCAN_OFF,
            Mode::Observing => Config::SCAN_OBSERVE,
            Mode::Enforcing => Config::SCAN_ENFORCE,
        },
        sample_until: match mode {
            Mode::Sampling => u32::MAX,
            _ => 0,
        },
        samples_per_sec: 100,
        seed: 1,
        thresholds: Thresholds {
            points: points(settings.ports),
            slow: points(settings.slow_ports),
            window: settings.window.as_secs() as u32,
            slow_window: settings.slow_window.as_secs() as u32,
        },
        ttl: settings.ttl.as_secs() as u32,
        bait: points(settings.bait_weight),
        ephemeral: [32_768, 60_999],
        v6_prefix: settings.v6_prefix.into(),
        ..Config::default()
    }
}
