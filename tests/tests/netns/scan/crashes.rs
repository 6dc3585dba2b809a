//! What stays when the daemon dies, and what the next one makes of it.

use std::time::{Duration, Instant};

use fw_tests::lab::{Lab, command::Fw, daemon::eventually, objects::Objects};
use serde_json::Value;

use super::{
    ENFORCE, blocked, events, lab,
    prober::{PROBES, Prober, forged_v4, forged_v6},
    start, status,
};

#[test]
fn scan_is_blocked_without_a_daemon_and_the_block_ends_on_time() {
    let lab = lab("mode = \"enforce\"\nttl = \"3s\"");
    start(&lab).kill_9();
    let prober = Prober::new(&lab);
    let sources = [forged_v4(1, 1), forged_v6(1, 1, 1)];
    let began = Instant::now();
    for source in sources {
        let took = prober.scan(source);
        assert!(PROBES.contains(&took), "blocked at packet {took}");
    }
    for source in sources {
        eventually("it ends", || prober.passes(source));
        let lasted = began.elapsed();
        let on_time = Duration::from_millis(2_400)..=Duration::from_millis(4_500);
        assert!(on_time.contains(&lasted), "a block of 3 s took {lasted:?}");
    }
}

#[test]
fn next_daemon_adopts_what_the_kernel_blocked_meanwhile() {
    let lab = lab(ENFORCE);
    let daemon = start(&lab);
    let prober = Prober::new(&lab);
    let (before, meanwhile) = (forged_v4(1, 1), [forged_v4(1, 2), forged_v6(1, 2, 1)]);
    prober.scan(before);
    super::crossing(&lab, before, 1);
    daemon.kill_9();
    for source in meanwhile {
        prober.scan(source);
    }
    let _daemon = start(&lab);
    for source in [before].into_iter().chain(meanwhile) {
        assert!(!prober.passes(source), "{source}");
    }
    let expected = ["198.51.1.1", "198.51.1.2", "fd00:51:1:2::/64"].map(str::to_owned);
    assert_eq!(blocked(&lab), expected.into());
    assert_eq!(status(&lab)["blocks"]["in_force"], 3);
    for prefix in blocked(&lab) {
        let entry = lab.entry("auto", &prefix).expect("listed");
        let left = entry["ttl_s"].as_u64().expect("it ends");
        assert!((580..=600).contains(&left), "{entry}");
        lab.fw(&["unblock", &prefix]).must(0);
    }
    for source in [before].into_iter().chain(meanwhile) {
        assert!(prober.passes(source), "{source}");
    }
}

#[test]
fn crossing_that_nobody_heard_is_told_by_the_next_daemon() {
    let lab = lab("mode = \"enforce\"\nttl = \"4s\"");
    start(&lab).kill_9();
    let prober = Prober::new(&lab);
    let source = forged_v4(1, 1);
    prober.scan(source);
    assert_eq!(events(&lab), [] as [Value; 0]);
    let _daemon = start(&lab);
    assert_eq!(blocked(&lab), ["198.51.1.1".to_owned()].into());
    let told = super::crossing(&lab, source, 1);
    assert_eq!(
        (&told["score"], &told["ttl_s"]),
        (&10.0.into(), &4.into()),
        "{told}"
    );
    eventually("it ends on time", || prober.passes(source));
    eventually("it leaves the list", || blocked(&lab).is_empty());
}

#[test]
fn block_survives_an_orderly_restart_with_the_time_that_is_left() {
    let lab = lab("mode = \"enforce\"\nttl = \"30s\"");
    let daemon = start(&lab);
    let prober = Prober::new(&lab);
    let source = forged_v4(1, 1);
    prober.scan(source);
    super::crossing(&lab, source, 1);
    daemon.term();
    let _daemon = start(&lab);
    assert!(!prober.passes(source));
    let entry = lab.entry("auto", "198.51.1.1").expect("listed");
    let left = entry["ttl_s"].as_u64().expect("it ends");
    assert!((20..=30).contains(&left), "{entry}");
    let comment = entry["comment"].as_str().expect("a comment");
    assert!(comment.starts_with("port scan: 10 ports ("), "{entry}");
    assert_eq!(events(&lab).len(), 1, "it is told once");
}

/// Whoever was blocked by itself passes after `detach`, and nothing is left in the kernel.
fn detached(lab: &Lab, objects: &Objects, prober: &Prober) {
    Fw::new(lab).inside(&["detach", "--yes"]).must(0);
    assert!(!lab.pins().exists(), "pins are left");
    objects.must_be_gone();
    assert!(prober.passes(forged_v4(1, 1)));
}

#[test]
fn detach_takes_the_blocks_and_everything_else_along() {
    let lab = lab(ENFORCE);
    let daemon = start(&lab);
    let prober = Prober::new(&lab);
    prober.scan(forged_v4(1, 1));
    let objects = Objects::of(&daemon);
    assert!(!objects.maps.is_empty());
    detached(&lab, &objects, &prober);
}

#[test]
fn detach_without_a_daemon_takes_the_blocks_and_everything_else_along() {
    let lab = lab(ENFORCE);
    let daemon = start(&lab);
    let objects = Objects::of(&daemon);
    daemon.kill_9();
    let prober = Prober::new(&lab);
    prober.scan(forged_v4(1, 1));
    detached(&lab, &objects, &prober);
}
