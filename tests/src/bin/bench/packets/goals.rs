//! What is to be reached, and whether it is.

use fw_common::reason::Family;
use serde_json::{Value, json};

use super::{
    ends::Way,
    lanes::Measured,
    netfilter::Netfilter,
    sources::{MANY, Sources},
    stage::{DROP, ENFORCES, OURS, Scenario, TRIE, XDP_FILTER},
};

/// What was measured with lists of one size.
pub struct Figures {
    /// IPv4 prefixes in the list.
    pub size: usize,
    /// Which packets.
    pub scenario: Scenario,
    /// What they cost.
    pub measured: Measured,
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug)]
pub enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

/// A figure that has to be reached.
pub struct Goal {
    /// Which goal it is; older ones have no number.
    pub number: &'static str,
    /// What it is of.
    pub of: String,
    /// What it came to; `None` if the control moved too much.
    pub value: Option<f64>,
    /// What it has to be.
    pub bound: Bound,
}

impl Figures {
    /// For programs.
    pub fn json(&self) -> Value {
        let Scenario {
            family,
            sources,
            way,
        } = self.scenario;
        json!({
            "size": self.size,
            "family": family.name(),
            "sources": sources.name(family),
            "way": way.name(),
            "measured": self.measured.json(),
        })
    }
}

impl Goal {
    fn is_reached(&self) -> Option<bool> {
        self.value.map(|value| match self.bound {
            Bound::AtLeast(bound) => value >= bound,
            Bound::AtMost(bound) => value <= bound,
        })
    }

    /// For people.
    pub fn print(&self) {
        let (word, bound) = match self.bound {
            Bound::AtLeast(bound) => ("at least", bound),
            Bound::AtMost(bound) => ("at most", bound),
        };
        let value = self
            .value
            .map_or_else(|| "void".to_owned(), |value| format!("{value:.2}"));
        let verdict = match self.is_reached() {
            Some(true) => "reached",
            Some(false) => "NOT REACHED",
            None => "the control moved",
        };
        let (number, of) = (self.number, &self.of);
        println!("  {number}  {of}: {value} ({word} {bound}): {verdict}");
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let (at_least, at_most) = match self.bound {
            Bound::AtLeast(bound) => (Some(bound), None),
            Bound::AtMost(bound) => (None, Some(bound)),
        };
        json!({
            "number": self.number,
            "of": self.of,
            "value": self.value,
            "at_least": at_least,
            "at_most": at_most,
            "reached": self.is_reached(),
        })
    }
}

/// The first four, the sixth, and what the detector may cost. Each is judged both ways: over a link,
/// which costs much itself, and in one program, which leaves little but the filter. What was not
/// measured is left out.
pub fn judge(figures: &[Figures]) -> Vec<Goal> {
    let sizes = || figures.iter().map(|figures| figures.size);
    let (Some(smallest), Some(largest)) = (sizes().min(), sizes().max()) else {
        return Vec::new();
    };
    let ways = [Way::Link, Way::OneProgram];
    let ratios = RATIOS
        .iter()
        .flat_map(|ratio| ways.map(|way| ratio.goal(figures, largest, way)));
    let mut goals: Vec<Goal> = ratios.flatten().collect();
    for (name, family, sources) in [
        ("pass, everywhere", Family::V4, Sources::Everywhere),
        ("drop, hosts", Family::V4, Sources::Hosts(MANY)),
        ("drop, prefixes", Family::V4, Sources::Inside(MANY)),
        ("pass, everywhere", Family::V6, Sources::Everywhere),
        ("drop, hosts", Family::V6, Sources::Hosts(MANY)),
    ] {
        for way in ways {
            let scenario = Scenario {
                family,
                sources,
                way,
            };
            goals.extend(growth(figures, largest, name, scenario));
        }
    }
    goals.extend(detector(figures, smallest).into_iter().flatten());
    goals
}

/// A rate as a multiple of another one.
struct Ratio {
    number: &'static str,
    what: &'static str,
    family: Family,
    sources: Sources,
    to: &'static str,
    at_least: f64,
}

const fn ratio(
    number: &'static str,
    what: &'static str,
    (family, sources): (Family, Sources),
    to: &'static str,
    at_least: f64,
) -> Ratio {
    Ratio {
        number,
        what,
        family,
        sources,
        to,
        at_least,
    }
}

const IPSET: &str = Netfilter::Ipset.name();

const RATIOS: [Ratio; 9] = {
    use Family::{V4, V6};
    use Sources::{Everywhere, Hosts, Inside, Near};
    [
        ratio("1", "pass", (V4, Everywhere), DROP, 0.80),
        ratio("1", "pass", (V4, Everywhere), TRIE, 6.0),
        ratio("2", "drop, hosts", (V4, Hosts(MANY)), IPSET, 7.0),
        ratio("2", "drop, hosts", (V4, Hosts(MANY)), XDP_FILTER, 1.3),
        ratio("3", "drop, prefixes", (V4, Inside(MANY)), IPSET, 5.0),
        ratio("4", "pass", (V6, Everywhere), DROP, 0.6),
        ratio("4", "pass, beside listed", (V6, Near(MANY)), DROP, 0.6),
        ratio("4", "drop, hosts", (V6, Hosts(MANY)), IPSET, 5.0),
        ratio("4", "drop, prefixes", (V6, Inside(MANY)), IPSET, 5.0),
    ]
};

impl Ratio {
    fn goal(&self, figures: &[Figures], largest: usize, way: Way) -> Option<Goal> {
        let (family, sources) = (self.family, self.sources);
        let scenario = Scenario {
            family,
            sources,
            way,
        };
        let measured = find(figures, largest, scenario)?;
        let (what, to) = (self.what, self.to);
        Some(Goal {
            number: self.number,
            of: format!(
                "{} {what}, {}: rate over that of {to}",
                family.name(),
                way.name()
            ),
            value: measured.ratio(OURS, to),
            bound: Bound::AtLeast(self.at_least),
        })
    }
}

/// The list with which growth begins.
pub const SMALL: usize = 1_000;

/// What a thousand times as many entries cost more.
fn growth(figures: &[Figures], largest: usize, name: &str, scenario: Scenario) -> Option<Goal> {
    let [large, small] = [largest, SMALL].map(|size| find(figures, size, scenario));
    let cost = |measured: &Measured| {
        let steady = measured.is_steady().then_some(measured)?;
        Some(steady.lane(OURS)?.median())
    };
    let (large, small) = (cost(large?), cost(small?));
    let (family, way) = (scenario.family.name(), scenario.way.name());
    Some(Goal {
        number: "6",
        of: format!("{family} {name}, {way}: cost with {largest} entries over that with {SMALL}"),
        value: large.zip(small).map(|(large, small)| large / small),
        bound: Bound::AtMost(1.5),
    })
}

/// Nanoseconds, in one program, beside the smallest of the lists.
fn detector(figures: &[Figures], smallest: usize) -> [Option<Goal>; 2] {
    let goal = |of: &str, sources, from, at_most| {
        let scenario = Scenario {
            family: Family::V4,
            sources,
            way: Way::OneProgram,
        };
        let measured = find(figures, smallest, scenario)?;
        Some(Goal {
            number: "-",
            of: of.to_owned(),
            value: measured.difference(ENFORCES, from),
            bound: Bound::AtMost(at_most),
        })
    };
    [
        goal(
            "ns that the detector adds to a packet of a connection",
            Sources::Free(MANY),
            OURS,
            5.0,
        ),
        goal(
            "ns that a forged SYN costs over bare XDP_DROP",
            Sources::Forged,
            DROP,
            90.0,
        ),
    ]
}

fn find(figures: &[Figures], size: usize, scenario: Scenario) -> Option<&Measured> {
    let mut found = figures
        .iter()
        .filter(|figures| figures.size == size && figures.scenario == scenario);
    found.next().map(|figures| &figures.measured)
}
