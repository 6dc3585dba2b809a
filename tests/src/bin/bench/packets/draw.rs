//! Charts: the cost by the size of the list, and the rates with the largest one.

use std::path::{Path, PathBuf};

use anyhow::Result;
use fw_common::reason::Family;

use super::{
    ends::Way,
    goals::Figures,
    sources::{MANY, Sources},
    stage::{ENFORCES, GENERATOR, OURS, SAMPLED, Scenario},
};
use crate::charts::{self, Bar, thousands};

const PACKETS: [(&str, &str, Sources); 2] = [
    (
        "pass",
        "sources from all of IPv4, nearly none listed",
        Sources::Everywhere,
    ),
    ("drop", "listed IPv4 hosts", Sources::Hosts(MANY)),
];
const WAYS: [(&str, Way); 2] = [("link", Way::Link), ("program", Way::OneProgram)];

/// Draws beside `file`.
pub fn all(file: &Path, figures: &[Figures]) -> Result<()> {
    for (kind, title, sources) in PACKETS {
        for (place, way) in WAYS {
            let scenario = Scenario {
                family: Family::V4,
                sources,
                way,
            };
            let mut shown: Vec<&Figures> = figures
                .iter()
                .filter(|figures| figures.scenario == scenario)
                .collect();
            shown.sort_by_key(|figures| figures.size);
            let title = format!("{title}, {}", way.name());
            let name = |of: &str| beside(file, &format!("packets-{kind}-{place}-{of}.svg"));
            rates(&name("mpps"), &title, &shown)?;
            by_size(&name("by-size"), &title, &shown)?;
        }
    }
    Ok(())
}

fn rates(file: &Path, title: &str, shown: &[&Figures]) -> Result<()> {
    let Some(largest) = shown.last() else {
        return Ok(());
    };
    let lanes = largest.measured.lanes();
    let rates: Vec<Bar<'_>> = lanes
        .filter(|(name, _)| *name != GENERATOR)
        .map(|(name, costs)| Bar {
            name,
            value: 1e3 / costs.median(),
            is_ours: name.starts_with(OURS),
        })
        .collect();
    let title = format!("{title}, {} entries", thousands(largest.size as f64));
    let unit = "million packets a second on one core; no card, no line rate";
    charts::bars(file, &title, unit, &rates)
}

fn by_size(file: &Path, title: &str, shown: &[&Figures]) -> Result<()> {
    let Some(largest) = shown.last() else {
        return Ok(());
    };
    let points = |lane: &str| -> Vec<(f64, f64)> {
        let points = shown.iter().filter_map(|figures| {
            let cost = figures.measured.lane(lane)?.median();
            Some((figures.size as f64, cost))
        });
        points.collect()
    };
    // Beside each other they could not be told apart.
    let alike = [ENFORCES, SAMPLED, GENERATOR];
    let lanes = largest.measured.lanes();
    let lanes = lanes.filter(|(lane, _)| !alike.contains(lane));
    let series: Vec<_> = lanes.map(|(lane, _)| (lane, points(lane))).collect();
    let axes = ["entries in the list", "ns a packet on one core"];
    charts::lines(file, title, axes, &series)
}

fn beside(file: &Path, name: &str) -> PathBuf {
    file.with_file_name(name)
}
