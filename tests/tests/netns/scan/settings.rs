//! Changing the detector while it works.

use fw_tests::lab::{Lab, daemon::eventually};
use serde_json::json;

use super::{
    ENFORCE, blocked, configure, crossing, events, lab,
    prober::{CLOSED, PROBES, Prober, forged_v4, forged_v6, syn},
    start, status, total,
};

#[track_caller]
fn set(lab: &Lab, arguments: &[&str]) {
    lab.fw(&[&["scan", "set"], arguments].concat()).must(0);
}

#[test]
fn off_lifts_every_block_at_once_and_counts_nothing() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    let sources = [forged_v4(1, 1), forged_v6(1, 1, 1)];
    for source in sources {
        prober.scan(source);
        crossing(&lab, source, 1);
    }
    set(&lab, &["--mode", "off"]);
    assert!(sources.iter().all(|source| prober.passes(*source)));
    assert!(blocked(&lab).is_empty());

    let before = events(&lab).len();
    let other = forged_v4(1, 2);
    prober.scan_in_vain(other);
    assert_eq!(status(&lab)["sources"], json!([]), "nothing was counted");
    set(&lab, &["--mode", "enforce"]);
    assert!(prober.passes(other));
    assert_eq!(events(&lab).len(), before);
    let took = prober.scan(other);
    assert!(PROBES.contains(&took), "blocked at packet {took}");
}

#[test]
fn observe_turns_blocks_in_force_into_observed_ones_and_enforce_turns_them_back() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    let sources = [forged_v4(1, 1), forged_v6(1, 1, 1)];
    for source in sources {
        prober.scan(source);
        crossing(&lab, source, 1);
    }
    let listed = blocked(&lab);
    set(&lab, &["--mode", "observe"]);
    assert!(sources.iter().all(|source| prober.passes(*source)));
    assert_eq!(total(&lab, "observe"), 2, "what would have been dropped");
    assert_eq!(blocked(&lab), listed);
    // Of who would be blocked nothing is counted.
    prober.scan_in_vain(sources[0]);
    set(&lab, &["--mode", "enforce"]);
    assert!(!sources.iter().any(|source| prober.passes(*source)));
    assert_eq!(blocked(&lab), listed);
    assert_eq!(events(&lab).len(), 2);
}

#[test]
fn observed_block_of_the_detector_is_no_shield_against_the_operators() {
    let lab = lab("mode = \"observe\"");
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    for (source, around) in [
        (forged_v4(1, 1), "198.51.0.0/16"),
        (forged_v6(1, 1, 1), "fd00:51::/32"),
    ] {
        prober.scan_in_vain(source);
        crossing(&lab, source, 1);
        for prefix in [source.to_string(), around.to_owned()] {
            assert!(prober.passes(source));
            lab.fw(&["block", &prefix]).must(0);
            assert!(!prober.passes(source), "{source} under {prefix}");
            lab.fw(&["unblock", &prefix]).must(0);
        }
    }
}

#[test]
fn what_is_set_survives_a_restart_and_reset_goes_back_to_the_configuration() {
    let lab = lab("mode = \"observe\"\nports = 12");
    let daemon = start(&lab);
    set(&lab, &["--mode", "enforce", "--ports", "5"]);
    set(&lab, &["--ttl", "1h"]);
    daemon.kill_9();
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    let status_now = status(&lab);
    assert_eq!(status_now["changed"], json!(["mode", "ports", "ttl"]));
    let first = forged_v4(1, 1);
    assert!((5..=10).contains(&prober.scan(first)));
    let told = crossing(&lab, first, 1);
    assert_eq!(
        (&told["score"], &told["ttl_s"]),
        (&json!(5.0), &json!(3600))
    );

    lab.fw(&["scan", "reset"]).must(0);
    let status_now = status(&lab);
    let shown = ["mode", "ports", "ttl_s", "changed"].map(|key| status_now[key].clone());
    assert_eq!(shown, [json!("observe"), json!(12), json!(600), json!([])]);
    let second = forged_v4(1, 2);
    prober.scan_in_vain(second);
    assert_eq!(crossing(&lab, second, 1)["score"], 12.0);
}

#[test]
fn what_cannot_be_is_refused_and_a_dry_run_changes_nothing() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let before = status(&lab);
    for wrong in [
        ["--ports", "1"],
        ["--ports", "65"],
        ["--window", "2h"],
        ["--ttl", "2w"],
        ["--mode", "on"],
    ] {
        lab.fw(&[&["scan", "set"], &wrong[..]].concat()).must(2);
    }
    lab.fw(&["--dry-run", "scan", "set", "--mode", "off"])
        .must(0);
    let after = status(&lab);
    for key in ["mode", "ports", "window_s", "ttl_s", "changed"] {
        assert_eq!(after[key], before[key]);
    }
    Prober::new(&lab).scan(forged_v4(1, 1));
}

#[test]
fn reload_takes_over_the_settings_unless_they_are_wrong() {
    let lab = lab(ENFORCE);
    let daemon = start(&lab);
    let prober = Prober::new(&lab);
    let ports = || status(&lab)["ports"].clone();

    configure(
        &lab,
        "mode = \"enforce\"\nports = 4\nttl = \"1h\"\nescalation = []",
    );
    daemon.hup();
    eventually("it is taken over", || ports() == 4);
    let source = forged_v4(1, 1);
    assert!((4..=8).contains(&prober.scan(source)));
    assert_eq!(crossing(&lab, source, 1)["ttl_s"], 3600);

    configure(&lab, "mode = \"enforce\"\nports = 1");
    daemon.hup();
    eventually("the alarm", || lab.json(&["status"])["state"] == "degraded");
    assert_eq!(ports(), 4);
    assert!(!prober.passes(source), "the block stands");

    configure(&lab, "mode = \"off\"");
    daemon.hup();
    eventually("all is lifted", || prober.passes(source));
    prober.scan_in_vain(forged_v4(1, 2));
}

#[test]
fn window_that_has_passed_forgets_half_of_what_was_seen() {
    let lab = lab("mode = \"enforce\"\nwindow = \"2s\"");
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    let source = forged_v4(1, 1);
    let score = || {
        status(&lab)["sources"][0]["score"]
            .as_f64()
            .expect("a score")
    };
    prober.send(CLOSED.take(8).map(|port| syn(source, port)));
    let before = score();
    eventually("half of it", || score() <= before / 2.0);
    let source = &status(&lab)["sources"][0];
    assert_eq!(source["source"], "198.51.1.1", "{source}");
    assert!(source["slow_score"].as_f64() >= Some(before), "{source}");
}
