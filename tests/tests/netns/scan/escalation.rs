//! Who comes back is blocked for longer, if his address cannot be forged.

use std::{net::IpAddr, ops::RangeInclusive, thread, time::Duration};

use fw_tests::lab::{Lab, daemon::eventually, scanners::source_v4};
use serde_json::Value;

use super::{
    Session, crossing, lab,
    prober::{PROBES, Prober},
    start,
};

const SHORT: &str = "mode = \"enforce\"\nttl = \"2s\"\nescalation = [\"6s\", \"20s\"]";

/// Scans, and returns what is told of it.
#[track_caller]
fn offend(lab: &Lab, prober: &Prober, source: IpAddr, offence: usize) -> Value {
    let took = prober.scan(source);
    assert!(PROBES.contains(&took), "blocked at packet {took}");
    let told = crossing(lab, source, offence);
    assert_eq!(told["offence"], offence, "{told}");
    assert_eq!(told["enforced"], true, "{told}");
    told
}

#[track_caller]
fn lasts(told: &Value, seconds: RangeInclusive<u64>) {
    let ttl = told["ttl_s"].as_u64().expect("it ends");
    assert!(
        seconds.contains(&ttl),
        "{ttl} s are not in {seconds:?}: {told}"
    );
}

#[test]
fn proven_source_is_blocked_for_longer_each_time_also_across_restarts() {
    let lab = lab(SHORT);
    let source = source_v4(1);
    let _session = Session::open(&lab, source);
    let daemon = start(&lab);
    let prober = Prober::new(&lab);
    let free = || eventually("the block ends", || prober.passes(source));

    let first = offend(&lab, &prober, source, 1);
    assert_eq!(first["evidence"], "proven", "{first}");
    lasts(&first, 2..=2);
    free();
    daemon.kill_9();

    let daemon = start(&lab);
    let second = offend(&lab, &prober, source, 2);
    lasts(&second, 5..=6);
    free();
    daemon.term();

    let _daemon = start(&lab);
    let third = offend(&lab, &prober, source, 3);
    lasts(&third, 18..=22);
    let entry = lab.entry("auto", &source.to_string()).expect("listed");
    let left = entry["ttl_s"].as_u64().expect("it ends");
    assert!((16..=22).contains(&left), "{entry}");
}

#[test]
fn source_that_may_be_forged_is_never_blocked_for_longer() {
    let lab = lab("mode = \"enforce\"\nttl = \"1s\"\nescalation = [\"6s\", \"20s\"]");
    let source = source_v4(1);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    for offence in 1..=3 {
        let told = offend(&lab, &prober, source, offence);
        assert_eq!(told["evidence"], "unproven", "{told}");
        lasts(&told, 1..=1);
        eventually("the block ends", || prober.passes(source));
    }
}

#[test]
fn offence_is_forgotten_in_time() {
    let lab = lab("mode = \"enforce\"\nttl = \"1s\"\nescalation = [\"20s\"]\nforget = \"2s\"");
    let source = source_v4(1);
    let _session = Session::open(&lab, source);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    offend(&lab, &prober, source, 1);
    thread::sleep(Duration::from_secs(3));
    prober.scan(source);
    let again = crossing(&lab, source, 2);
    assert_eq!(again["offence"], 1, "{again}");
    lasts(&again, 1..=1);
}
