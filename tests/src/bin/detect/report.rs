//! The table, the JSON and the judgement.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{
    benign::Outcome,
    guarded::Finding,
    machine,
    neighbours::{NAMES, Watched},
};

/// What happened where fw-ctl guards.
pub struct Guarded {
    /// A finding a source, in the order of the scans.
    pub findings: Vec<Finding>,
    /// What the innocent met with.
    pub outcomes: Vec<Outcome>,
    /// `fw-ctl scan status --json`, at the end.
    pub detector: Value,
}

/// Everything.
pub struct Report {
    /// Where fw-ctl guards.
    pub guarded: Guarded,
    /// Where the neighbours watch; the same scans in the same order.
    pub watched: Vec<Watched>,
    /// How long it all took.
    pub took: Duration,
}

const LEGEND: &str = "\
Where there are two values, the first is IPv4 and the second IPv6. *Packets* counts what the source \
sent until its block, the packet that crossed the threshold included, which is dropped itself; \
*time* goes from the first packet to that one; *through* is what reached the server's \
stack after it. The neighbours' columns are the time until the first line in their log; psad reads \
its own every five seconds. None of them blocks as it is installed, and all packets arrived.";

impl Report {
    /// For people, and for the README.
    pub fn markdown(&self) -> String {
        let detector = &self.guarded.detector;
        let mut text = format!(
            "{} ports in {} s, or {} in {} s; {:.0} s in all.\n\n",
            detector["ports"],
            detector["window_s"],
            detector["slow_ports"],
            detector["slow_window_s"],
            self.took.as_secs_f64()
        );
        text += &format!(
            "| scan | packets | time | through | {} |\n|---|---|---|---|---|---|---|\n",
            NAMES.join(" | ")
        );
        for (scan, findings, watched) in self.rows() {
            let cells = [
                both(&findings, |finding| finding.cells()[0].clone()),
                both(&findings, |finding| finding.cells()[1].clone()),
                both(&findings, |finding| finding.cells()[2].clone()),
            ];
            let neighbours = [0, 1, 2]
                .map(|index| both(&watched, |watched| time(watched.found_after[index], "no")));
            text += &format!(
                "| `{scan}` | {} | {} |\n",
                cells.join(" | "),
                neighbours.join(" | ")
            );
        }
        text += &format!(
            "\n{LEGEND}\n\n| load | what happened | sources | blocked |\n|---|---|---|---|\n"
        );
        for outcome in &self.guarded.outcomes {
            text += &format!(
                "| {} | {} | {} | {} |\n",
                outcome.name,
                outcome.did,
                outcome.sources,
                outcome.blocked.len()
            );
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let guarded = &self.guarded;
        json!({
            "machine": machine::facts().into_iter().collect::<BTreeMap<_, _>>(),
            "detector": guarded.detector,
            "seconds": self.took.as_secs_f64(),
            "scans": guarded.findings.iter().map(Finding::json).collect::<Vec<_>>(),
            "neighbours": self.watched.iter().map(Watched::json).collect::<Vec<_>>(),
            "loads": guarded.outcomes.iter().map(Outcome::json).collect::<Vec<_>>(),
        })
    }

    /// Fails when something is not as it must be.
    pub fn judge(&self) -> Result<()> {
        let scans = self.guarded.findings.iter().filter_map(|finding| {
            let complaint = finding.complaint()?;
            Some(format!(
                "{} from {}: {complaint}",
                finding.shot.attack, finding.shot.source
            ))
        });
        let loads = self.guarded.outcomes.iter().flat_map(|outcome| {
            let blocked = outcome.blocked.iter();
            blocked.map(|source| format!("{}: {source} is blocked", outcome.name))
        });
        let lost = self
            .watched
            .iter()
            .filter(|watched| watched.shot.passage.crossing.is_some());
        let lost = lost.map(|watched| {
            format!(
                "{}: the neighbours' server lost packets",
                watched.shot.attack
            )
        });
        let complaints: Vec<String> = scans.chain(loads).chain(lost).collect();
        ensure!(
            complaints.is_empty(),
            "not as it must be:\n  {}",
            complaints.join("\n  ")
        );
        Ok(())
    }

    /// The sources of each scan, in both places.
    fn rows(&self) -> Vec<(&str, Vec<&Finding>, Vec<&Watched>)> {
        let mut rows: Vec<(&str, Vec<&Finding>, Vec<&Watched>)> = Vec::new();
        for (finding, watched) in self.guarded.findings.iter().zip(&self.watched) {
            match rows.last_mut() {
                Some((scan, findings, others)) if *scan == finding.shot.attack => {
                    findings.push(finding);
                    others.push(watched);
                }
                _ => rows.push((&finding.shot.attack, vec![finding], vec![watched])),
            }
        }
        rows
    }
}

impl Finding {
    /// Packets and seconds until the block, packets that got through after it.
    fn cells(&self) -> [String; 3] {
        match &self.shot.passage.crossing {
            Some(crossing) => [
                crossing.number.to_string(),
                time(Some(crossing.time), ""),
                crossing.got_through.to_string(),
            ],
            None => ["not found", "–", "–"].map(str::to_owned),
        }
    }
}

/// The cells of both families, or of the one there is.
fn both<T>(row: &[T], cell: impl Fn(&T) -> String) -> String {
    row.iter().map(cell).collect::<Vec<_>>().join(" / ")
}

/// Three digits are more than anybody can use.
fn time(time: Option<Duration>, none: &str) -> String {
    match time.map(|time| time.as_secs_f64()) {
        None => none.to_owned(),
        Some(time) if time < 1.0 => format!("{:.1} ms", time * 1e3),
        Some(time) => format!("{time:.1} s"),
    }
}
