//! Forged sources cost an attacker nothing, so what they bring about is bounded.

use fw_tests::lab::{daemon::eventually, scanners::source_v4};
use serde_json::json;

use super::{
    Session, blocked, crossing, lab,
    prober::{CLOSED, PROBES, Prober, forged_v4, syn},
    start, status,
};

/// Three sources are blocked, the fourth passes and is told; one that is proven is blocked all the
/// same, by the daemon.
fn fourth_is_capped(cap: &str) {
    let lab = lab(&format!("mode = \"enforce\"\n{cap} = 3"));
    let proven = source_v4(1);
    let _session = Session::open(&lab, proven);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    for host in 1..=3 {
        let took = prober.scan(forged_v4(1, host));
        assert!(PROBES.contains(&took), "blocked at packet {took}");
        crossing(&lab, forged_v4(1, host), 1);
    }
    let fourth = forged_v4(2, 4);
    // Not twice as far as the threshold: it begins anew there.
    let ten = CLOSED.take(19).map(|port| syn(fourth, port));
    assert!(!prober.send(ten).contains(&false));
    let told = crossing(&lab, fourth, 1);
    assert_eq!(told["action"], "capped", "{told}");
    assert_eq!(told["enforced"], false, "{told}");
    assert_eq!(
        (&told["ttl_s"], &told["blocked_until"]),
        (&json!(null), &json!(null))
    );
    assert!(prober.passes(fourth));

    prober.send(CLOSED.take(19).map(|port| syn(proven, port)));
    let told = crossing(&lab, proven, 1);
    assert_eq!(told["action"], "block", "{told}");
    assert_eq!(told["evidence"], "proven", "{told}");
    eventually("it is blocked", || !prober.passes(proven));

    assert_eq!(blocked(&lab).len(), 4);
    let status = status(&lab);
    assert_eq!(status["blocks"]["in_force"], 4, "{status}");
    assert_eq!(status["blocks"]["unproven"], 3, "{status}");
    assert_eq!(status["blocks"]["room"], 0, "{status}");
    assert_eq!(status["totals"]["crossings"], 5, "{status}");
    assert_eq!(status["totals"]["capped"], 2, "{status}");
}

#[test]
fn fourth_source_of_a_minute_is_not_blocked_where_three_may_be() {
    fourth_is_capped("unproven_per_minute");
}

#[test]
fn fourth_source_at_a_time_is_not_blocked_where_three_may_be() {
    fourth_is_capped("max_unproven");
}

#[test]
fn place_that_becomes_free_is_given_to_the_next() {
    let lab = lab("mode = \"enforce\"\nmax_unproven = 2\nttl = \"3s\"");
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    let room = || status(&lab)["blocks"]["room"].clone();
    for host in [1, 2] {
        prober.scan(forged_v4(1, host));
    }
    assert_eq!(room(), 0);
    eventually("there is room again", || room() == 2);
    prober.scan(forged_v4(1, 3));
}

#[test]
fn restart_gives_nobody_more_room() {
    let lab = lab("mode = \"enforce\"\nunproven_per_minute = 3");
    let daemon = start(&lab);
    let prober = Prober::new(&lab);
    prober.scan(forged_v4(1, 1));
    daemon.kill_9();
    prober.scan(forged_v4(1, 2));
    let _daemon = start(&lab);
    prober.scan(forged_v4(1, 3));
    prober.send(CLOSED.take(19).map(|port| syn(forged_v4(1, 4), port)));
    assert!(prober.passes(forged_v4(1, 4)));
    assert_eq!(crossing(&lab, forged_v4(1, 4), 1)["action"], "capped");
}
