//! The scans against a server that fw-ctl guards, in mode `enforce` and otherwise as installed.

use std::{
    fs,
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use fw_common::Prefix;
use fw_tests::lab::Lab;
use serde_json::{Value, json};

use crate::attacks::{Attack, Shot};

/// How long the daemon may take to tell of a block that stands in the kernel.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a scan came to.
#[derive(Clone)]
pub struct Finding {
    /// Who scanned and what became of the packets.
    pub shot: Shot,
    /// Whether an automatic block covers the source.
    pub blocked: bool,
    /// The line of the security log; null without one.
    pub event: Value,
}

/// Scans, and asks the daemon what it did.
pub fn scan(lab: &Lab, attack: &Attack, number: u16) -> Result<Vec<Finding>> {
    let judge = |shot: Shot| {
        let blocked = is_blocked(lab, &shot);
        let event = event(lab, shot.source)?;
        Ok(Finding {
            shot,
            blocked,
            event,
        })
    };
    attack.run(lab, number)?.into_iter().map(judge).collect()
}

impl Finding {
    /// What is wrong with it, if something is.
    pub fn complaint(&self) -> Option<String> {
        let crossing = self.shot.passage.crossing.as_ref();
        match (self.shot.to_be_found, self.blocked, crossing) {
            (true, false, _) => Some("not found".to_owned()),
            (false, true, _) => Some("blocked, though it does not count".to_owned()),
            (_, true, None) => Some("blocked, but everything arrived".to_owned()),
            (_, false, Some(crossing)) => Some(format!(
                "not blocked, but packet {} did not arrive",
                crossing.number
            )),
            (_, _, Some(crossing)) if crossing.got_through > 0 => Some(format!(
                "{} packets got through after the block",
                crossing.got_through
            )),
            _ => None,
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let passage = &self.shot.passage;
        let crossing = passage.crossing.as_ref();
        json!({
            "scan": self.shot.attack,
            "source": self.shot.source,
            "sent": passage.sent,
            "arrived": passage.arrived,
            "blocked": self.blocked,
            "probes_until_block": crossing.map(|crossing| crossing.number),
            "seconds_until_block": crossing.map(|crossing| crossing.time.as_secs_f64()),
            "got_through_after": crossing.map(|crossing| crossing.got_through),
            "event": self.event,
        })
    }
}

/// Whether an automatic block covers the source. It stands in the kernel when the first packet is
/// dropped; the daemon hears of it afterwards.
fn is_blocked(lab: &Lab, shot: &Shot) -> bool {
    let dropped = shot.passage.crossing.is_some();
    let until = Instant::now() + if dropped { PATIENCE } else { Duration::ZERO };
    loop {
        let blocked = blocks(lab).iter().any(|block| block.contains(shot.source));
        if blocked || Instant::now() >= until {
            return blocked;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// All automatic blocks.
pub fn blocks(lab: &Lab) -> Vec<Prefix> {
    let prefixes = lab.prefixes("auto").into_iter();
    let parsed = prefixes.map(|text| text.parse().expect("a prefix in the list"));
    parsed.collect()
}

/// The last line of the security log about the source.
fn event(lab: &Lab, source: IpAddr) -> Result<Value> {
    // The file is made with the first event.
    let text = fs::read_to_string(lab.state().join("security.jsonl")).unwrap_or_default();
    let mut last = Value::Null;
    for line in text.lines() {
        let event: Value = serde_json::from_str(line).context("the security log is not JSON")?;
        if event["event"] == "scan" && event["source"] == source.to_string() {
            last = event;
        }
    }
    Ok(last)
}
