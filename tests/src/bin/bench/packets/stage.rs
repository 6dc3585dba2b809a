//! Everything that is compared, with lists of one size in it.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use fw_common::reason::Family;
use fw_ctl::backend::xdp::shape::Lookup;
use fw_tests::{
    lab::{
        Lab,
        flood::{Bare, Generator},
    },
    lists::Lists,
};

use super::{
    clock::{Effort, timed},
    ends::{End, Filter, Link, Seen, Way},
    lanes::{Measured, in_turns},
    netfilter::Netfilter,
    ours::{FwCtl, Mode},
    sources::{Fate, Listed, Sources},
    xdp_filter,
};

/// The control: no decision at all.
pub const DROP: &str = "bare XDP_DROP";
/// What it costs to make a frame and free it.
pub const GENERATOR: &str = "generator alone";
/// The lists alone.
pub const OURS: &str = "fw-ctl";
/// With the detector counting.
pub const OBSERVES: &str = "fw-ctl, detector observes";
/// With the detector blocking.
pub const ENFORCES: &str = "fw-ctl, detector enforces";
/// With somebody who watches the drops.
pub const SAMPLED: &str = "fw-ctl, drops sampled";
/// With the tries alone, for comparison.
pub const TRIE: &str = "fw-ctl, LPM tries only";
/// As many as it takes.
pub const XDP_FILTER: &str = "xdp-filter, 8,000 addresses";

/// A measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Of all packets.
    pub family: Family,
    /// Of all packets.
    pub sources: Sources,
    /// Where they are made.
    pub way: Way,
}

impl Scenario {
    /// As printed.
    pub fn name(self) -> String {
        let Self {
            family,
            sources,
            way,
        } = self;
        format!(
            "{}, {}, {}",
            way.name(),
            family.name(),
            sources.name(family)
        )
    }
}

/// One thing to compare.
#[derive(Clone, Copy)]
struct Lane {
    name: &'static str,
    end: usize,
    mode: Mode,
}

/// All filters, each at the end of its link.
pub struct Stage<'lab> {
    lab: &'lab Lab,
    lanes: Vec<Lane>,
    ends: Vec<End>,
    /// What is listed.
    pub listed: Listed,
    /// What xdp-filter drops.
    few: Vec<IpAddr>,
    /// The programs without a decision, as long as they are attached.
    programs: Generator,
}

impl<'lab> Stage<'lab> {
    /// Loads the lists everywhere. Sources are drawn from what stays when they are `renewed`.
    pub fn new(lab: &'lab Lab, lists: &Lists, renewed: &Lists) -> Result<Self> {
        let listed = Listed::in_both(lists, renewed);
        let few = listed.first_hosts(xdp_filter::MOST);
        let mut stage = Self {
            lab,
            lanes: Vec::new(),
            ends: Vec::new(),
            programs: Listed::packets_of(&few)?,
            listed,
            few,
        };
        let bare = stage.link()?.bare(&mut stage.programs, Bare::Drop)?;
        stage.add(bare, &[(DROP, Mode::Lists), (GENERATOR, Mode::Lists)]);
        stage.add_fw_ctl(lists)?;
        let xdp_filter = stage.link()?.xdp_filter(&stage.few)?;
        stage.add(xdp_filter, &[(XDP_FILTER, Mode::Lists)]);
        for rules in Netfilter::ALL {
            let end = stage.link()?.netfilter(&mut stage.programs, rules, lists)?;
            stage.add(end, &[(rules.name(), Mode::Lists)]);
        }
        Ok(stage)
    }

    fn add_fw_ctl(&mut self, lists: &Lists) -> Result<()> {
        let pins = self.lab.pins();
        let modes = [
            (OURS, Mode::Lists),
            (OBSERVES, Mode::Observing),
            (ENFORCES, Mode::Enforcing),
            (SAMPLED, Mode::Sampling),
        ];
        self.add_tables(pins, Lookup::Flat, lists, &modes)?;
        let beside = PathBuf::from(format!("{}-tries", pins.display()));
        self.add_tables(&beside, Lookup::Tries, lists, &[(TRIE, Mode::Lists)])
    }

    fn add_tables(
        &mut self,
        pins: &Path,
        lookup: Lookup,
        lists: &Lists,
        modes: &[(&'static str, Mode)],
    ) -> Result<()> {
        let mut ours = FwCtl::open(pins, lookup)?;
        ours.block(lists)?;
        let end = self.link()?.fw_ctl(ours)?;
        self.add(end, modes);
        Ok(())
    }

    fn link(&self) -> Result<Link> {
        Link::new(self.lab, self.ends.len())
    }

    fn add(&mut self, end: End, modes: &[(&'static str, Mode)]) {
        let number = self.ends.len();
        let lanes = modes.iter().map(|(name, mode)| Lane {
            name,
            end: number,
            mode: *mode,
        });
        self.lanes.extend(lanes);
        self.ends.push(end);
    }

    /// The end that holds a lane.
    pub fn end(&self, lane: &str) -> Result<&End> {
        let mut lanes = self.lanes.iter().filter(|other| other.name == lane);
        let lane = lanes.next().with_context(|| format!("no {lane}"))?;
        Ok(&self.ends[lane.end])
    }

    /// Measures all that can be compared with these packets, and makes sure that each filter decided
    /// about each of them as it should.
    pub fn measure(&mut self, scenario: Scenario, effort: Effort) -> Result<Measured> {
        let Scenario {
            family,
            sources,
            way,
        } = scenario;
        let lanes: Vec<Lane> = self
            .lanes
            .iter()
            .copied()
            .filter(|lane| self.takes(*lane, scenario))
            .collect();
        let mut packets = self.listed.packets(sources, family)?;
        let mut packets_of_few = Listed::packets_of(&self.few)?;
        let before = self.seen(&lanes, family)?;
        let mut sent = vec![0; self.ends.len()];

        let names: Vec<_> = lanes.iter().map(|lane| lane.name).collect();
        let measured = in_turns(&names, effort.rounds, |lane| {
            let lane = lanes[lane];
            let generator = match lane.name {
                XDP_FILTER => &mut packets_of_few,
                _ => &mut packets,
            };
            let end = &self.ends[lane.end];
            end.set_mode(lane.mode)?;
            if way == Way::OneProgram {
                end.take_aim(generator)?;
            }
            if lane.name == GENERATOR {
                let discard = |count| generator.discard(count);
                return end.send(self.lab, generator, way, |_| timed(&discard, effort));
            }
            let made = generator.made()?;
            let cost = end.send(self.lab, generator, way, |send| timed(send, effort))?;
            sent[lane.end] += generator.made()? - made;
            Ok(cost)
        })?;

        let after = self.seen(&lanes, family)?;
        for lane in &lanes {
            let seen = [before[lane.end], after[lane.end]];
            if let [Some(before), Some(after)] = seen {
                let seen = after.since(before);
                let judged = judge(seen, sent[lane.end], sources.fate(), self.tells(*lane));
                judged.with_context(|| format!("{} has not decided as it should", lane.name))?;
            }
        }
        Ok(measured)
    }

    fn seen(&mut self, lanes: &[Lane], family: Family) -> Result<Vec<Option<Seen>>> {
        let mut seen = vec![None; self.ends.len()];
        for lane in lanes {
            seen[lane.end] = self.ends[lane.end].seen(family)?;
        }
        Ok(seen)
    }

    /// Whether a lane can be compared in a scenario.
    fn takes(&self, lane: Lane, scenario: Scenario) -> bool {
        let Scenario {
            family, sources, ..
        } = scenario;
        let is_hit = sources.fate() == Fate::Listed;
        match &self.ends[lane.end].filter {
            // In one program, it is the same as to drop.
            Filter::Drop => lane.name == DROP || scenario.way == Way::Link,
            Filter::FwCtl(_) if lane.name == TRIE => sources != Sources::Forged,
            Filter::FwCtl(_) => match lane.mode {
                Mode::Lists | Mode::Enforcing => true,
                Mode::Observing => sources == Sources::Forged,
                Mode::Sampling => is_hit,
            },
            // What it does not drop it gives to the stack.
            Filter::XdpFilter(_) => family == Family::V4 && matches!(sources, Sources::Hosts(_)),
            Filter::Netfilter(rules) => match sources {
                Sources::Forged => false,
                Sources::Everywhere => rules.sees_everything(),
                Sources::Inside(_) => rules.holds_prefixes(),
                _ => true,
            },
        }
    }

    /// Whether the counters of a lane tell who is listed.
    fn tells(&self, lane: Lane) -> bool {
        match &self.ends[lane.end].filter {
            Filter::Netfilter(rules) => rules.tells(),
            _ => true,
        }
    }
}

/// Whether a filter decided about all packets that were sent, and as it should. A frame in a thousand
/// may be missing: a veth loses some when its queue runs over.
fn judge(seen: Seen, sent: u64, fate: Fate, tells: bool) -> Result<()> {
    let Seen { listed, other } = seen;
    ensure!(
        listed + other >= sent - sent / 1000,
        "of {sent} packets it saw {seen:?}"
    );
    match fate {
        Fate::Listed if tells => ensure!(
            other == 0,
            "{other} packets that are listed were not dropped"
        ),
        Fate::Unlisted if tells => ensure!(
            listed == 0,
            "{listed} packets that are not listed were dropped"
        ),
        _ => {}
    }
    Ok(())
}
