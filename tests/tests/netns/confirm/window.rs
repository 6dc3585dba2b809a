//! The time in which a policy can be confirmed, with a daemon that lives.

use std::{
    fs,
    time::{Duration, Instant},
};

use fw_tests::lab::{Lab, address::V4, command, hostile::PolicyFile};
use serde_json::Value;

use super::{
    SLACK, assert_let_in, assert_locked_out, assert_nobody_waits, before, configure, let_in,
    lock_out, pending, services, sleep_until,
};
use crate::time::WallClock;

#[test]
fn policy_that_is_confirmed_in_time_stays() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let _daemon = lab.daemon().start();
    let services = services(&lab);
    lab.adopt(&before());
    let began = Instant::now();
    lab.apply(&lock_out(), &["--confirm", "2"]).must(0);
    let applied = lab.policy();
    let left = pending(&lab)["left_s"].as_u64();
    assert!(left.is_some_and(|left| left <= 2), "{left:?}");
    assert_eq!(lab.sentinels().len(), 1);

    lab.fw(&["confirm"]).must(0);
    assert_eq!(pending(&lab), Value::Null);
    assert_eq!(lab.sentinels(), [] as [u32; 0]);
    sleep_until(began + Duration::from_secs(5));
    lab.policy_must_be(&applied);
    assert_locked_out(&lab, &services);
    // Again is no mistake, and the confirmed policy is where a rollback leads now.
    lab.fw(&["confirm"]).must(0);
    lab.fw(&["rollback"]).must(0);
    lab.policy_must_be(&applied);
}

/// With a mirror of either kind.
fn goes_back(backend: &str) {
    let lab = Lab::new();
    configure(&lab, backend);
    let _daemon = lab.daemon().start();
    let services = services(&lab);
    lab.adopt(&before());
    assert_let_in(&lab, &services);
    let policy = lab.policy();

    let began = Instant::now();
    lab.apply(&lock_out(), &["--confirm=3"]).must(0);
    assert_ne!(lab.policy(), policy);
    assert_locked_out(&lab, &services);
    let due = began + Duration::from_secs(3);
    let back = let_in(&lab, &services, due + SLACK).expect("everybody is back");
    let early = due.saturating_duration_since(back);
    assert!(early < Duration::from_millis(600), "{early:?} too early");
    assert_let_in(&lab, &services);
    lab.policy_must_be(&policy);
    assert_eq!(pending(&lab), Value::Null);
    assert_eq!(lab.sentinels(), [] as [u32; 0]);
    lab.fw(&["diff"]).must(0);
    // Too late, as often as it is said; until something else is applied.
    for _ in 0..2 {
        lab.fw(&["confirm"]).must(9).saying("rolled back");
    }
    lab.policy_must_be(&policy);
    lab.adopt(&before());
    lab.fw(&["confirm"]).must(0);
}

#[test]
fn policy_that_is_not_confirmed_goes_back_and_confirming_it_later_is_exit_9() {
    goes_back("nftables");
}

#[test]
fn policy_that_is_not_confirmed_goes_back_in_iptables_too() {
    goes_back("iptables");
}

#[test]
fn rollback_by_hand_brings_the_last_confirmed_policy_back_at_once() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let _daemon = lab.daemon().start();
    let services = services(&lab);
    lab.adopt(&before());
    let policy = lab.policy();
    let limits: [&[&str]; 2] = [&[], &["--confirm", "60"]];
    for limit in limits {
        lab.apply(&lock_out(), limit).must(0);
        assert_locked_out(&lab, &services);
        assert_ne!(pending(&lab), Value::Null);
        lab.fw(&["rollback"]).must(0);
        assert_let_in(&lab, &services);
        lab.policy_must_be(&policy);
        assert_eq!(pending(&lab), Value::Null);
        assert_eq!(lab.sentinels(), [] as [u32; 0]);
    }
    // There is nothing left to roll back.
    lab.fw(&["rollback"]).must(0);
    lab.policy_must_be(&policy);
}

#[test]
fn policies_that_are_applied_before_one_is_confirmed_go_back_to_what_was_before_the_first() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let _daemon = lab.daemon().start();
    let services = services(&lab);
    lab.adopt(&before());
    let policy = lab.policy();
    let between = PolicyFile {
        blocks: Some(vec!["198.51.100.0/24".to_owned()]),
        rules: Some(Vec::new()),
        ..PolicyFile::default()
    };
    // The later time limit counts; a policy without one goes back with the first.
    for limits in [["--confirm=60", "--confirm=2"], ["--confirm=2", ""]] {
        let [first, second] = limits.map(|limit| match limit {
            "" => Vec::new(),
            limit => vec![limit],
        });
        let began = Instant::now();
        lab.apply(&between, &first).must(0);
        lab.apply(&lock_out(), &second).must(0);
        assert_eq!(lab.sentinels().len(), 1);
        let limit = began + Duration::from_secs(2) + SLACK;
        assert_locked_out(&lab, &services);
        let_in(&lab, &services, limit).expect("everybody is back");
        assert_let_in(&lab, &services);
        lab.policy_must_be(&policy);
    }
}

#[test]
fn second_policy_that_the_mirror_refuses_leaves_the_first_as_it_was() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    // `nft` as it is, until it breaks.
    let (tools, broken) = (lab.directory().join("bin"), lab.directory().join("broken"));
    fs::create_dir(&tools).expect("a directory");
    let script = format!(
        "#!/bin/sh\n[ -e {} ] && echo no such luck >&2 && exit 1\nPATH=$OLD_PATH\nexec nft \"$@\"\n",
        broken.display()
    );
    command::install_script(&tools.join("nft"), &script);
    let path = std::env::var("PATH").expect("there is a PATH");
    let _daemon = lab
        .daemon()
        .env("OLD_PATH", path.clone())
        .env("PATH", format!("{}:{path}", tools.display()))
        .start();
    lab.adopt(&before());
    let confirmed = lab.policy();
    let first = PolicyFile {
        blocks: Some(vec!["198.51.100.0/24".to_owned()]),
        ..PolicyFile::default()
    };
    lab.apply(&first, &["--confirm", "30"]).must(0);
    let applied = lab.policy();

    fs::write(&broken, "").expect("the tool can be broken");
    lab.apply(&lock_out(), &["--confirm", "2"])
        .must(8)
        .saying("nftables");
    fs::remove_file(&broken).expect("the tool can be mended");
    lab.policy_must_be(&applied);
    let left = pending(&lab)["left_s"].as_u64();
    assert!(left.is_some_and(|left| left > 2), "{left:?}");
    lab.fw(&["repair"]).must(0);
    lab.fw(&["diff"]).must(0);
    lab.fw(&["rollback"]).must(0);
    lab.policy_must_be(&confirmed);
}

#[test]
fn dry_run_says_what_each_layer_would_change_and_changes_nothing() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let _daemon = lab.daemon().start();
    let services = services(&lab);
    lab.adopt(&before());
    let policy = lab.policy();
    let reply = lab.apply(&lock_out(), &["--confirm", "60", "--dry-run", "--json"]);
    let layers = reply.must(0).json()["layers"].take();
    let changes = |layer: &str| -> Vec<String> {
        let layers = layers.as_array().expect("layers");
        let layer = layers.iter().find(|found| found["layer"] == layer);
        let changes = layer.and_then(|layer| layer["changes"].as_array());
        let changes = changes.expect("what the layer would change");
        changes
            .iter()
            .filter_map(|line| line.as_str().map(str::to_owned))
            .collect()
    };
    for layer in ["xdp", "nftables"] {
        let changes = changes(layer);
        for expected in [
            format!("+ block {}", V4.free),
            format!("- block {}", V4.below),
            format!("- allow {}", V4.allowed),
            format!("- guard {}", V4.first),
        ] {
            assert!(changes.contains(&expected), "{expected}: {changes:?}");
        }
        let rule = changes.iter().find(|line| line.contains("tcp/7000"));
        assert!(
            rule.is_some_and(|line| line.starts_with("- ")),
            "{changes:?}"
        );
    }
    lab.policy_must_be(&policy);
    assert_eq!(pending(&lab), Value::Null);
    assert_eq!(lab.sentinels(), [] as [u32; 0]);
    lab.fw(&["diff"]).must(0);
    assert_let_in(&lab, &services);
}

#[test]
fn jump_of_the_wall_clock_neither_shortens_nor_lengthens_the_window() {
    const HOUR: i64 = 3600;
    let lab = Lab::new();
    configure(&lab, "nftables");
    let clock = WallClock::build(&lab);
    let start = || {
        let [library, ahead] = clock.environment();
        lab.daemon()
            .env(library.0, library.1)
            .env(ahead.0, ahead.1)
            .start()
    };
    let mut daemon = Some(start());
    let services = services(&lab);
    lab.adopt(&before());
    for dies in [false, true] {
        let began = Instant::now();
        lab.apply(&lock_out(), &["--confirm", "4"]).must(0);
        if dies {
            daemon.take().expect("it lives").kill_9();
        }
        clock.jump(2 * HOUR);
        sleep_until(began + Duration::from_secs(2));
        assert_locked_out(&lab, &services);
        clock.jump(-2 * HOUR);
        let_in(&lab, &services, began + Duration::from_secs(4) + SLACK).expect("everybody is back");
        clock.jump(0);
    }
    assert_nobody_waits(&lab);
}
