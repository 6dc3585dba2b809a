//! Observe mode drops nothing, and reports exactly what enforce would have done.

use std::net::IpAddr;

use fw_tests::{
    frames::{Frame, tcp},
    lab::scanners,
};
use serde_json::{Value, json};

use super::{
    crossings, events, lab,
    prober::{CLOSED, PROBES, Prober, datagram, forged_v4, forged_v6, syn, to, to_server},
    start_with_known_hashes, total,
};

/// What both daemons get: scanners of every kind and innocents, in turns.
fn traffic() -> Vec<Frame> {
    let flags = |host, port, flags| to_server(forged_v4(1, host)).tcp(40_000, port, flags);
    let round = |port| {
        let swept = u8::try_from(port - CLOSED.start).expect("few hosts");
        let swept = IpAddr::from([198, 18, 2, swept]);
        [
            syn(forged_v4(1, 1), port),
            syn(forged_v6(1, 1, 1), port),
            datagram(forged_v4(1, 2), port),
            datagram(forged_v6(1, 2, 1), port),
            flags(3, port, 0),
            flags(4, port, tcp::FIN | tcp::PSH | tcp::URG),
            to(forged_v4(1, 5), swept).tcp(40_000, 23, tcp::SYN),
            // Answers, and somebody who always asks for the same.
            flags(6, port, tcp::SYN | tcp::ACK),
            syn(forged_v4(1, 7), 2000 + port % 9),
        ]
    };
    CLOSED.flat_map(round).collect()
}

/// Who of [`traffic`] scans.
fn scanners() -> Vec<IpAddr> {
    let v4 = [1, 2, 3, 4, 5].map(|host| forged_v4(1, host));
    v4.into_iter()
        .chain([1, 2].map(|link| forged_v6(1, link, 1)))
        .collect()
}

/// What a daemon made of the traffic.
struct Played {
    /// Of each packet.
    arrived: Vec<bool>,
    events: Vec<Value>,
    totals: Value,
}

/// Plays the traffic to a daemon in this mode.
fn play(mode: &str) -> Played {
    let lab = lab(&format!("mode = \"{mode}\""));
    let _daemon = start_with_known_hashes(&lab);
    let arrived = Prober::new(&lab).send(traffic());
    for source in scanners() {
        crossings(&lab, source, 1);
    }
    Played {
        arrived,
        events: events(&lab),
        totals: lab.json(&["status"])["totals"].take(),
    }
}

/// Of these totals those of an action, without its name.
fn counted(totals: &Value, action: &str) -> Vec<Value> {
    let totals = totals.as_array().expect("totals").iter();
    let mut counted: Vec<Value> = totals
        .filter(|total| total["action"] == action && total["packets"] != 0)
        .cloned()
        .collect();
    for total in &mut counted {
        total["action"].take();
    }
    counted
}

#[test]
fn observe_loses_nothing_and_tells_exactly_what_enforce_does() {
    let mut enforced = play("enforce");
    let observed = play("observe");

    assert!(
        !observed.arrived.contains(&false),
        "observe mode lost packets"
    );
    let dropped = enforced.arrived.iter().filter(|arrived| !**arrived).count();
    let drops = counted(&enforced.totals, "drop");
    let packets = drops.iter().filter_map(|total| total["packets"].as_u64());
    assert_eq!(packets.sum::<u64>(), dropped as u64, "{drops:#?}");
    assert_eq!(counted(&observed.totals, "observe"), drops);
    assert_eq!(counted(&observed.totals, "drop"), [] as [Value; 0]);

    assert_eq!(enforced.events.len(), scanners().len());
    for (event, would) in enforced.events.iter_mut().zip(&observed.events) {
        let done = |event: &Value| (event["action"].clone(), event["enforced"].clone());
        assert_eq!(done(event), (json!("block"), json!(true)));
        assert_eq!(done(would), (json!("observe"), json!(false)));
        for key in ["time", "blocked_until", "action", "enforced"] {
            event[key] = would[key].clone();
        }
    }
    assert_eq!(enforced.events, observed.events);
}

#[test]
fn observing_the_whole_firewall_loses_no_packet_of_a_scanner_in_enforce_mode() {
    let lab = lab(super::ENFORCE);
    let _daemon = lab.daemon().with(&["--observe"]).start();
    lab.wait_for_detector();
    let prober = Prober::new(&lab);
    let source = scanners::source_v4(1);
    prober.scan_in_vain(source);
    let told = super::crossing(&lab, source, 1);
    assert_eq!(told["enforced"], false, "{told}");
    assert_eq!(total(&lab, "drop"), 0);
    let observed = total(&lab, "observe");
    let expected = CLOSED.len() + 1 - PROBES.end()..=CLOSED.len() + 1 - PROBES.start();
    assert!(
        expected.contains(&(observed as usize)),
        "{observed} packets"
    );
}
