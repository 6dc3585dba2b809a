//! `fw-ctl bench`: what a packet costs, without disturbing anything.

use std::thread;

use fw_tests::lab::{Lab, address::V4};
use serde_json::Value;

#[test]
fn bench_measures_a_packet_of_each_kind_and_counts_none() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    lab.fw(&["block", "203.0.113.7", V4.block]).must(0);
    lab.fw(&["allow", "198.51.100.0/24"]).must(0);
    let before = lab.json(&["status"])["totals"].take();
    let bench = lab.json(&["bench"]);
    // Discovery between the namespaces goes on meanwhile.
    let counted = |totals: &Value| {
        let totals = totals.as_array().expect("a list of totals").iter();
        let ours = totals.filter(|total| total["reason"] != "link" && total["reason"] != "not-ip");
        ours.cloned().collect::<Vec<_>>()
    };
    assert_eq!(counted(&lab.json(&["status"])["totals"]), counted(&before));
    for prefix in ["203.0.113.7", V4.block] {
        let entry = lab.entry("blocks", prefix).expect("it is blocked");
        assert_eq!(entry["packets"], 0, "{prefix}");
    }

    let median = |cost: &Value| cost["median_ns"].as_u64().expect("a time");
    let floor = median(&bench["floor"]);
    assert!(floor > 0);
    let packets = bench["packets"].as_array().expect("a list of packets");
    for packet in packets {
        assert!(median(packet) > floor, "{packet}, floor {floor} ns");
        assert!(packet["min_ns"].as_u64() <= packet["median_ns"].as_u64());
    }
    let reason_of = |source: &str| {
        let mut packets = packets.iter();
        let packet = packets.find(|packet| packet["source"] == source);
        packet.expect(source)["reason"].clone()
    };
    assert_eq!(reason_of("192.0.2.1"), "default");
    assert_eq!(reason_of("203.0.113.7"), "block");
    assert_eq!(reason_of("203.0.113.6"), "default", "beside it");
    assert_eq!(reason_of(&V4.last.to_string()), "block");
    assert_eq!(reason_of("198.51.100.255"), "allow");
    assert_eq!(reason_of(&V4.server.to_string()), "guard");
}

#[test]
fn only_one_measures_at_a_time_and_changes_do_not_wait_for_it() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let codes = thread::scope(|scope| {
        let runs = [(); 4].map(|()| scope.spawn(|| lab.fw(&["bench"])));
        lab.fw(&["block", V4.block]).must(0);
        runs.map(|run| run.join().expect("no panic").code())
    });
    assert!(codes.contains(&Some(0)), "{codes:?}");
    assert!(codes.contains(&Some(10)), "{codes:?}");
    lab.fw(&["bench"]).must(0);
}
