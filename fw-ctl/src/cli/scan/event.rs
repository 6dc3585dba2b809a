//! What the detector reports, one line each.

use fw_common::Prefix;

use super::{joined, time};
use crate::{
    api::wire::{RollUp, ScanEvent, Unroll},
    cli::{
        geo::home,
        output::{Output, escape},
    },
};

/// A source crossed a threshold.
pub fn scan(event: &ScanEvent, output: &Output) -> String {
    let mut seen = vec![ports(event)];
    seen.extend(event.kinds.iter().map(|kind| in_words(kind)));
    if event.trigger == "slow" {
        seen.push("slow".to_owned());
    }
    seen.push(event.evidence.clone());
    format!(
        "{:.0} scan {}{} {}: {}, offence {}",
        event.time,
        source(event),
        home::from(event.geo.as_ref()),
        outcome(event, output),
        joined(&seen),
        event.offence,
    )
}

/// `10 ports (21, 22) on 3 hosts`
fn ports(event: &ScanEvent) -> String {
    let last = joined(&event.ports);
    let ports = match event.distinct_ports {
        1 => format!("1 port ({last})"),
        ports => format!("{ports} ports ({last})"),
    };
    match event.distinct_hosts {
        0 | 1 => ports,
        hosts => format!("{ports} on {hosts} hosts"),
    }
}

fn in_words(kind: &str) -> String {
    match kind {
        "syn" => "tcp syn",
        "flags" => "tcp flags no stack sends",
        other => other,
    }
    .to_owned()
}

/// Who sent it, and as what it is counted where that is more than one address.
fn source(event: &ScanEvent) -> String {
    match event.prefix.parse() == Ok(Prefix::host(event.source)) {
        true => event.source.to_string(),
        false => format!("{} ({})", event.source, escape(&event.prefix)),
    }
}

fn outcome(event: &ScanEvent, output: &Output) -> String {
    let ttl = event.ttl_s.map(time);
    match (ttl, event.enforced) {
        (None, _) => "not blocked, there are too many blocks".to_owned(),
        (Some(ttl), true) => format!("{} for {ttl}", output.bad("blocked")),
        (Some(ttl), false) => format!("observed, would be blocked for {ttl}"),
    }
}

/// Blocked sources of one network became one block.
pub fn roll_up(event: &RollUp) -> String {
    format!(
        "{:.0} roll-up {} for {}: {} of its sources are blocked",
        event.time,
        escape(&event.prefix),
        time(event.ttl_s),
        event.sources
    )
}

/// The block of a network is taken back.
pub fn unroll(event: &Unroll) -> String {
    format!(
        "{:.0} unroll {}: {} of its sources stay blocked",
        event.time,
        escape(&event.prefix),
        event.sources
    )
}

#[cfg(test)]
mod tests {
    use clap::ColorChoice;

    use super::*;
    use crate::{
        api::wire::{
            Event,
            scan_examples::{rolled, scan as example},
        },
        cli::output::Format,
    };

    fn told(event: &ScanEvent) -> String {
        scan(
            event,
            &Output::new(Format::Human, false, ColorChoice::Never),
        )
    }

    #[test]
    fn a_scan_is_one_line_that_says_who_what_and_what_for() {
        assert_eq!(
            told(&example()),
            "2026-11-22T10:00:00Z scan 192.0.2.7 blocked for 10m: \
             10 ports (21, 22, 23, 25, 110, 143), tcp syn, unproven, offence 1"
        );
        let observed = ScanEvent {
            source: "2001:db8::7".parse().expect("an address"),
            prefix: "2001:db8::/64".into(),
            kinds: vec!["syn".into(), "flags".into()],
            trigger: "slow".into(),
            distinct_hosts: 3,
            evidence: "proven".into(),
            offence: 2,
            action: "observe".into(),
            enforced: false,
            ..example()
        };
        assert_eq!(
            told(&observed),
            "2026-11-22T10:00:00Z scan 2001:db8::7 (2001:db8::/64) observed, would be blocked \
             for 10m: 10 ports (21, 22, 23, 25, 110, 143) on 3 hosts, tcp syn, \
             tcp flags no stack sends, slow, proven, offence 2"
        );
        let capped = ScanEvent {
            kinds: vec!["udp".into(), "bait".into()],
            distinct_ports: 1,
            ports: vec![53],
            action: "capped".into(),
            enforced: false,
            ttl_s: None,
            blocked_until: None,
            ..example()
        };
        assert_eq!(
            told(&capped),
            "2026-11-22T10:00:00Z scan 192.0.2.7 not blocked, there are too many blocks: \
             1 port (53), udp, bait, unproven, offence 1"
        );
    }

    #[test]
    fn a_network_is_told_when_it_becomes_one_block_and_when_no_longer() {
        let told = rolled().map(|event| match event {
            Event::RollUp(event) => roll_up(&event),
            Event::Unroll(event) => unroll(&event),
            other => panic!("{other:?}"),
        });
        assert_eq!(
            told,
            [
                "2026-11-22T10:00:00Z roll-up 192.0.2.0/24 for 10m: 40 of its sources are blocked",
                "2026-11-22T10:00:00Z unroll 192.0.2.0/24: 0 of its sources stay blocked",
            ]
        );
    }

    #[test]
    fn what_a_daemon_says_cannot_drive_the_terminal() {
        let hostile = || "a\n\u{1b}[2J".to_owned();
        let event = ScanEvent {
            prefix: hostile(),
            trigger: hostile(),
            kinds: vec![hostile()],
            evidence: hostile(),
            ..example()
        };
        let text = told(&event);
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}
