//! What a packet costs while one in a hundred entries is replaced again and again, as fast as another
//! processor can, and whether one gets a wrong verdict meanwhile.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, bail};
use fw_common::reason::Family;
use fw_ctl::plan::CheckedPlan;
use fw_tests::{
    lab::{Lab, flood::Generator},
    lists::Lists,
};
use serde_json::{Value, json};

use super::{
    clock::{Effort, stay_on, timed},
    ends::{Filter, Seen, Way, held},
    goals::{Bound, Goal},
    lanes::{Measured, in_turns},
    ours::{FwCtl, Mode},
    sources::{Fate, MANY, Sources},
    stage::{DROP, OURS, Stage},
};

/// What is measured, with the lists at rest and while they are rewritten.
const LANES: [([&str; 2], Family, Sources); 7] = [
    (
        [DROP, "bare XDP_DROP, rewriting"],
        Family::V4,
        Sources::Everywhere,
    ),
    (
        ["IPv4, everywhere", "IPv4, everywhere, rewriting"],
        Family::V4,
        Sources::Everywhere,
    ),
    (
        ["IPv4, beside listed", "IPv4, beside listed, rewriting"],
        Family::V4,
        Sources::Near(MANY),
    ),
    (
        ["IPv4, listed hosts", "IPv4, listed hosts, rewriting"],
        Family::V4,
        Sources::Hosts(MANY),
    ),
    (
        ["IPv4, inside prefixes", "IPv4, inside prefixes, rewriting"],
        Family::V4,
        Sources::Inside(MANY),
    ),
    (
        ["IPv6, beside listed", "IPv6, beside listed, rewriting"],
        Family::V6,
        Sources::Near(MANY),
    ),
    (
        ["IPv6, listed hosts", "IPv6, listed hosts, rewriting"],
        Family::V6,
        Sources::Hosts(MANY),
    ),
];

/// The other processor's part.
struct Writer<'a> {
    ours: &'a Mutex<FwCtl>,
    /// It works while this is set.
    works: AtomicBool,
    /// It ends when this is set.
    ends: AtomicBool,
    /// Entries replaced, and the nanoseconds it took.
    replaced: AtomicU64,
    spent: AtomicU64,
}

/// Ends the writer, also when the measurement fails.
struct Ending<'a>(&'a Writer<'a>);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.ends.store(true, Ordering::Relaxed);
    }
}

/// Packets that were decided as they must not be.
#[derive(Clone, Copy, Debug, Default)]
struct Wrong {
    listed_and_passed: u64,
    unlisted_and_dropped: u64,
}

/// Measures the stage of these lists, of which `renewed` has replaced some entries.
pub fn measure(
    lab: &Lab,
    stage: &Stage<'_>,
    [lists, renewed]: [&Lists; 2],
    effort: Effort,
) -> Result<(Value, Vec<Goal>)> {
    let (bare, ours) = (stage.end(DROP)?, stage.end(OURS)?);
    let Filter::FwCtl(fw_ctl) = &ours.filter else {
        bail!("{OURS} is none of ours");
    };
    ours.set_mode(Mode::Lists)?;
    let plans = plans(&held(fw_ctl), lists, renewed)?;
    let packets: Result<Vec<Generator>> = LANES
        .iter()
        .map(|(_, family, sources)| stage.listed.packets(*sources, *family))
        .collect();
    let packets = packets?;

    let writer = Writer::of(fw_ctl);
    let mut wrong = Wrong::default();
    let measured = thread::scope(|scope| {
        let rewriting = scope.spawn(|| writer.run(&plans));
        let ending = Ending(&writer);
        let names: Vec<&str> = LANES.iter().flat_map(|(names, ..)| *names).collect();
        let measured = in_turns(&names, effort.rounds, |lane| {
            let (generator, (_, _, sources)) = (&packets[lane / 2], LANES[lane / 2]);
            let end = if lane < 2 { bare } else { ours };
            let before = held(fw_ctl).seen()?;
            let cost = writer.beside(lane % 2 == 1, || {
                end.send(lab, generator, Way::Link, |send| timed(send, effort))
            })?;
            wrong.add(held(fw_ctl).seen()?.since(before), sources.fate());
            Ok(cost)
        });
        drop(ending);
        let written = rewriting.join();
        written.map_err(|_| anyhow!("the writer panicked"))??;
        measured
    })?;
    measured.print("while 1 % of the entries are replaced as fast as another processor can");
    Ok(report(&writer, &measured, wrong))
}

/// From the one to the other, and back.
fn plans(ours: &FwCtl, lists: &Lists, renewed: &Lists) -> Result<[CheckedPlan; 2]> {
    let pairs = || {
        lists
            .all()
            .zip(renewed.all())
            .filter(|(old, new)| old != new)
    };
    let old = || pairs().map(|(old, _)| old);
    let new = || pairs().map(|(_, new)| new);
    Ok([ours.plan(old(), new())?, ours.plan(new(), old())?])
}

impl Wrong {
    fn add(&mut self, seen: Seen, fate: Fate) {
        match fate {
            Fate::Listed => self.listed_and_passed += seen.other,
            Fate::Unlisted => self.unlisted_and_dropped += seen.listed,
            Fate::Mixed => {}
        }
    }
}

impl<'a> Writer<'a> {
    fn of(ours: &'a Mutex<FwCtl>) -> Self {
        Self {
            ours,
            works: AtomicBool::default(),
            ends: AtomicBool::default(),
            replaced: AtomicU64::default(),
            spent: AtomicU64::default(),
        }
    }

    /// Calls a function, and has the writer work meanwhile or not.
    fn beside<T>(&self, works: bool, call: impl FnOnce() -> T) -> T {
        self.works.store(works, Ordering::Relaxed);
        let result = call();
        self.works.store(false, Ordering::Relaxed);
        // What it has begun, it ends.
        drop(held(self.ours));
        result
    }

    /// Applies one plan after the other.
    fn run(&self, plans: &[CheckedPlan]) -> Result<()> {
        const PAUSE: Duration = Duration::from_micros(100);
        stay_on(0)?;
        let mut plans = plans.iter().cycle().peekable();
        while !self.ends.load(Ordering::Relaxed) {
            let Some(plan) = plans.next_if(|_| self.works.load(Ordering::Relaxed)) else {
                thread::sleep(PAUSE);
                continue;
            };
            let start = Instant::now();
            held(self.ours).apply(plan)?;
            let spent = start.elapsed().as_nanos() as u64;
            self.spent.fetch_add(spent, Ordering::Relaxed);
            let replaced = plan.plan().len() as u64 / 2;
            self.replaced.fetch_add(replaced, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// What it came to, for people and for programs.
fn report(writer: &Writer<'_>, measured: &Measured, wrong: Wrong) -> (Value, Vec<Goal>) {
    let [replaced, spent] =
        [&writer.replaced, &writer.spent].map(|count| count.load(Ordering::Relaxed));
    let per_second = replaced as f64 * 1e9 / spent.max(1) as f64;
    println!("    {replaced} entries replaced, {per_second:.0} a second; {wrong:?}");
    let kept = LANES[1..].iter().map(|([calm, rewriting], ..)| Goal {
        number: "5",
        of: format!("{calm}: rate while entries are replaced, of the rate at rest"),
        value: measured.ratio(rewriting, calm),
        bound: Bound::AtLeast(0.9),
    });
    let mut goals: Vec<Goal> = kept.collect();
    goals.push(Goal {
        number: "5",
        of: "packets with a wrong verdict meanwhile".to_owned(),
        value: Some((wrong.listed_and_passed + wrong.unlisted_and_dropped) as f64),
        bound: Bound::AtMost(0.0),
    });
    let value = json!({
        "measured": measured.json(),
        "replaced": replaced,
        "replaced_per_s": per_second,
        "listed_and_passed": wrong.listed_and_passed,
        "unlisted_and_dropped": wrong.unlisted_and_dropped,
    });
    (value, goals)
}
