//! What the list `auto` holds. All of it is derived from the offenders, so that roll-up, unrolling,
//! expiry and pardon are one function.

use std::collections::BTreeMap;

use fw_common::Prefix;

use super::{
    offenders::{Offenders, Record},
    rollup::{self, Protected},
    settings::{Mode, Settings},
};
use crate::policy::{
    entry::Item,
    time::{BootSecs, Now},
};

/// Parts around protected addresses that one source or network may be blocked in: a few dozen of
/// them in an IPv6 network.
const MAX_PIECES: usize = 1024;

/// The automatic blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    /// The entries of the list, by prefix.
    pub items: Vec<Item>,
    /// The networks that are blocked for many of their sources, by prefix.
    pub roll_ups: Vec<RollUp>,
}

/// A network that is blocked for many of its sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RollUp {
    /// The network.
    pub network: Prefix,
    /// Sources blocked in it.
    pub sources: usize,
    /// When too few of them would be left, and those stand by themselves again.
    pub until: BootSecs,
}

impl Blocks {
    /// What somebody means who unblocks `prefix`: the whole network, if it is one that was rolled
    /// up, or a part of it.
    pub fn meant_by(&self, prefix: Prefix) -> Prefix {
        let mut networks = self.roll_ups.iter().map(|roll_up| roll_up.network);
        networks
            .find(|network| network.covers(&prefix))
            .unwrap_or(prefix)
    }
}

impl Offenders {
    /// What the list `auto` shall hold now. What it blocks, and until when, changes by itself only
    /// when one of the items ends.
    pub fn blocks(&self, settings: &Settings, protected: &Protected, now: Now) -> Blocks {
        let mut networks: BTreeMap<Prefix, Vec<(Prefix, &Record)>> = BTreeMap::new();
        if settings.mode != Mode::Off {
            for (source, record) in self.blocked(now) {
                if let Some(network) = rollup::network(source) {
                    networks.entry(network).or_default().push((source, record));
                }
            }
        }
        let mut items = Vec::new();
        let mut roll_ups = Vec::new();
        for (network, sources) in networks {
            let rolled_up = roll_up(network, &sources, settings);
            let whole = rolled_up.and_then(|_| pieces(network, protected));
            if let Some((roll_up, pieces)) = rolled_up.zip(whole) {
                let comment = format!("{} sources of one network scanned", sources.len());
                let pieces = pieces.into_iter();
                items.extend(pieces.map(|piece| item(piece, roll_up.until, &comment)));
                roll_ups.push(roll_up);
                continue;
            }
            for (source, record) in sources {
                // Guard and allow are asked before the block, so nothing needs to be cut out of it.
                if !protected.covers(source) {
                    items.push(item(source, record.until, &comment(record)));
                }
            }
        }
        items.sort_by_key(|item| item.prefix);
        Blocks { items, roll_ups }
    }
}

/// The network as one block, if enough of its sources are blocked; the last to end come first.
fn roll_up(network: Prefix, sources: &[(Prefix, &Record)], settings: &Settings) -> Option<RollUp> {
    let enough = usize::try_from(settings.roll_up).ok()?;
    let (_, last_needed) = sources.get(enough.checked_sub(1)?)?;
    Some(RollUp {
        network,
        sources: sources.len(),
        until: last_needed.until,
    })
}

/// What of it may be blocked; `None` if nothing may, or only in too many parts.
fn pieces(prefix: Prefix, protected: &Protected) -> Option<Vec<Prefix>> {
    let pieces = protected.spare(prefix);
    (1..=MAX_PIECES).contains(&pieces.len()).then_some(pieces)
}

fn item(prefix: Prefix, until: BootSecs, comment: &str) -> Item {
    Item {
        prefix,
        deadline: Some(until),
        comment: comment.parse().unwrap_or_default(),
        created: None,
    }
}

fn comment(record: &Record) -> String {
    let Record {
        seen,
        evidence,
        offences,
        ..
    } = record;
    match offences {
        1 => format!("port scan: {seen}, {}", evidence.name()),
        _ => format!("port scan: {seen}, {}, offence {offences}", evidence.name()),
    }
}

#[cfg(test)]
mod tests;
