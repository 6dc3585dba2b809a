//! No way around: the corpus over a real link, from a blocked source and from a free one.

use std::{collections::BTreeSet, net::IpAddr};

use fw_common::reason::Reason;
use fw_tests::{
    frames::{Frame, corpus},
    lab::{
        ATTACKER_INTERFACE, INTERFACE, Lab,
        address::{Addresses, FAMILIES},
        wire::Number,
    },
};

/// Sends every frame of the corpus from the source; gives the names of those that did not do as
/// they must, and how many must be dropped.
fn astray(lab: &Lab, source: IpAddr, by_source: Reason, net: &Addresses) -> (Vec<String>, u64) {
    let (wire, tap) = (lab.wire(), lab.tap());
    let seeds: Vec<_> = (1..).zip(corpus::seeds(source)).collect();
    for (number, seed) in &seeds {
        wire.send(*number, &seed.frame(source));
    }
    let end: Number = 0;
    wire.send(end, &Frame::new().ip(net.gateway).udp(1, 1).bytes());

    let passed: BTreeSet<Number> = tap.until(end);
    let mut dropped = 0;
    let mut astray = Vec::new();
    for (number, seed) in seeds {
        let drops = seed.reason(by_source).drops();
        dropped += u64::from(drops);
        if passed.contains(&number) == drops {
            let did = if drops { "passed" } else { "was dropped" };
            astray.push(format!("{} from {source} {did}", seed.name));
        }
    }
    (astray, dropped)
}

/// Packets dropped since the start.
fn drops(lab: &Lab) -> u64 {
    let status = lab.json(&["status"]);
    let totals = status["totals"].as_array().expect("a list of totals");
    let drops = totals.iter().filter(|total| total["action"] == "drop");
    drops.filter_map(|total| total["packets"].as_u64()).sum()
}

fn corpus_has_no_way_around(mode: &str) {
    let lab = Lab::new();
    let _daemon = lab.daemon().with(&["-m", mode]).start();
    for net in FAMILIES {
        lab.fw(&["block", net.block]).must(0);
        let sources = [
            (net.blocked, Reason::Block),
            (net.free, Reason::Default),
            (net.gateway, Reason::Guard),
        ];
        for (source, by_source) in sources {
            let before = drops(&lab);
            let (astray, dropped) = astray(&lab, source, by_source, &net);
            assert_eq!(astray, [] as [&str; 0]);
            // A program that aborts drops the frame too, but does not count it.
            assert_eq!(drops(&lab) - before, dropped, "counted drops of {source}");
        }
    }
}

#[test]
fn corpus_from_a_blocked_source_is_dropped_and_from_a_free_one_passes_in_native_mode() {
    corpus_has_no_way_around("native");
}

#[test]
fn corpus_from_a_blocked_source_is_dropped_and_from_a_free_one_passes_in_generic_mode() {
    corpus_has_no_way_around("skb");
}

/// Datagrams that take several buffers, of which only the first may hold the headers.
fn jumbo_frames(mode: &str) {
    let lab = Lab::new();
    lab.attacker
        .ip(&format!("link set {ATTACKER_INTERFACE} mtu 9000"));
    lab.server.ip(&format!("link set {INTERFACE} mtu 9000"));
    let _daemon = lab.daemon().with(&["-m", mode]).start();
    for net in FAMILIES {
        lab.fw(&["block", net.block]).must(0);
        assert!(lab.arrives_with(net.free, 8_900), "large frames pass");
        assert!(!lab.arrives_with(net.blocked, 8_900), "blocked ones do not");
        assert!(
            !lab.arrives_with(net.blocked, 30_000),
            "in fragments neither"
        );
        assert!(lab.arrives_with(net.free, 30_000), "fragments pass");
    }
}

#[test]
fn jumbo_frames_of_a_blocked_source_are_dropped_and_of_a_free_one_pass_in_native_mode() {
    jumbo_frames("native");
}

#[test]
fn jumbo_frames_of_a_blocked_source_are_dropped_and_of_a_free_one_pass_in_generic_mode() {
    jumbo_frames("skb");
}
