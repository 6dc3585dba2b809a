//! The rows of the panels.

use super::state::{Panel, State};
use crate::{
    api::wire::{Event, SampledPort, SampledSource, ScanSource, ScanStatus},
    cli::{
        geo::home,
        output::{Output, escape},
        scan::{joined, time},
        tail,
    },
};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Stays the same while the numbers change.
    pub id: String,
    /// The address or prefix that keys act on.
    pub target: Option<String>,
    /// What is shown.
    pub cells: Vec<String>,
}

impl State {
    /// Those rows of a panel that the filter leaves.
    pub fn rows(&self, panel: Panel) -> Vec<Row> {
        let mut rows: Vec<Row> = match panel {
            Panel::Sources => self.sampled.sources.iter().map(source).collect(),
            Panel::Scans => {
                let status = self.scan.iter();
                let rows = status.flat_map(|status| {
                    let rows = status.sources.iter();
                    rows.map(|source| scan(source, status))
                });
                rows.collect()
            }
            Panel::Events => {
                let events = self.events.iter();
                events
                    .map(|(number, event)| self::event(*number, event))
                    .collect()
            }
        };
        let filter = self.filter.to_lowercase();
        let has_it = |cell: &String| cell.to_lowercase().contains(&filter);
        rows.retain(|row| row.cells.iter().any(has_it));
        rows
    }

    /// Where the chosen row stands; the first where it is gone.
    pub fn chosen(&self, panel: Panel, rows: &[Row]) -> usize {
        let id = self.chosen[panel as usize].as_ref();
        let found = id.and_then(|id| rows.iter().position(|row| row.id == *id));
        found.unwrap_or(0)
    }

    /// Destination ports of what is dropped.
    pub fn ports(&self) -> Vec<[String; 2]> {
        self.sampled.ports.iter().map(port).collect()
    }
}

fn source(source: &SampledSource) -> Row {
    let address = source.source.to_string();
    let list = source.list.as_deref().unwrap_or_default();
    Row {
        id: address.clone(),
        target: Some(address.clone()),
        cells: vec![
            address,
            percent(source.share),
            escape(&source.reason).into_owned(),
            escape(list).into_owned(),
            home::short(source.geo.as_ref()),
        ],
    }
}

fn port(port: &SampledPort) -> [String; 2] {
    let protocol = escape(&port.protocol);
    let name = match port.port {
        Some(port) => format!("{protocol}/{port}"),
        None => protocol.into_owned(),
    };
    [name, percent(port.share)]
}

fn scan(source: &ScanSource, status: &ScanStatus) -> Row {
    let name = escape(&source.source).into_owned();
    Row {
        id: name.clone(),
        target: Some(name.clone()),
        cells: vec![
            name,
            score(source, status),
            format!("{} ago", time(source.last_s)),
            joined(&source.ports),
        ],
    }
}

/// `7.5 of 10`: against the threshold that it is nearer to.
fn score(source: &ScanSource, status: &ScanStatus) -> String {
    let share = |score: f64, threshold: u32| score / f64::from(threshold.max(1));
    let fast = share(source.score, status.ports);
    match fast >= share(source.slow_score, status.slow_ports) {
        true => format!("{} of {}", source.score, status.ports),
        false => format!("{} of {} slow", source.slow_score, status.slow_ports),
    }
}

fn event(number: u64, event: &Event) -> Row {
    // `2026-11-22T10:00:00Z block ...`: the day is of no interest.
    let line = tail::line(event, &Output::plain());
    let (time, text) = line.split_once(' ').unwrap_or(("", &line));
    let clock = time.split_once('T').map_or(time, |(_, clock)| clock);
    Row {
        id: number.to_string(),
        target: about(event),
        cells: vec![clock.trim_end_matches('Z').to_owned(), text.to_owned()],
    }
}

/// Whom an event is about.
fn about(event: &Event) -> Option<String> {
    let whom = match event {
        Event::Block(entry)
        | Event::Unblock(entry)
        | Event::Allow(entry)
        | Event::Unallow(entry)
        | Event::Expire(entry) => &entry.prefix,
        Event::Scan(scan) => &scan.prefix,
        Event::RollUp(network) => &network.prefix,
        Event::Unroll(network) => &network.prefix,
        _ => return None,
    };
    Some(escape(whom).into_owned())
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
