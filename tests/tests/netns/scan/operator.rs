//! What an operator sees of automatic blocks, and how he lifts them.

use std::{net::IpAddr, thread, time::Duration};

use fw_common::Prefix;
use fw_tests::lab::{Lab, command::Fw, daemon::eventually};

use super::{
    ENFORCE, blocked, crossing, held, lab,
    prober::{Prober, forged_v4, forged_v6},
    start,
};

/// Scans, and waits until the daemon lists the block.
#[track_caller]
fn scan(lab: &Lab, prober: &Prober, source: IpAddr) {
    prober.scan(source);
    let prefix = listed_as(source);
    eventually("the block is listed", || blocked(lab).contains(&prefix));
}

/// As the list shows it.
fn listed_as(source: IpAddr) -> String {
    match source {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(_) => {
            let network = Prefix::new(source, 64).expect("64 bits of 128");
            network.to_string()
        }
    }
}

fn both() -> [IpAddr; 2] {
    [forged_v4(1, 1), forged_v6(1, 1, 1)]
}

#[test]
fn block_is_listed_with_its_reason_and_its_time() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    for source in both() {
        scan(&lab, &prober, source);
        for list in ["auto", "blocks"] {
            let entry = lab.entry(list, &listed_as(source)).expect("listed");
            assert_eq!(entry["list"], "auto", "{entry}");
            assert_eq!(entry["action"], "block", "{entry}");
            let comment = entry["comment"].as_str().expect("a comment");
            assert!(comment.starts_with("port scan: 10 ports ("), "{entry}");
            let left = entry["ttl_s"].as_u64().expect("it ends");
            assert!((590..=600).contains(&left), "{entry}");
            let packets = entry["packets"].as_u64().expect("a number");
            assert!(packets >= 20, "the rest of the scan: {entry}");
        }
        lab.fw(&["check", &source.to_string()]).must(1);
        let why = lab.fw(&["why", &source.to_string()]);
        assert!(why.stdout.contains("auto"), "{why:?}");
    }
}

#[test]
fn source_that_is_unblocked_is_free_at_once_and_can_be_blocked_again() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    for source in both() {
        scan(&lab, &prober, source);
        lab.fw(&["unblock", &listed_as(source)]).must(0);
        assert!(prober.passes(source));
        assert!(blocked(&lab).is_empty());
        prober.scan(source);
        let told = crossing(&lab, source, 2);
        assert_eq!(told["offence"], 1, "it was pardoned: {told}");
        lab.fw(&["unblock", &listed_as(source)]).must(0);
    }
}

/// How a source is protected, and how that ends.
type Protection = [&'static [&'static str]; 2];
const PROTECTIONS: [Protection; 2] = [
    [&["allow"], &["unallow"]],
    [&["guard", "add"], &["guard", "del"]],
];

#[test]
fn source_that_is_protected_is_free_at_once_and_its_block_does_not_come_back() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    for [protect, leave] in PROTECTIONS {
        for source in both() {
            let prefix = listed_as(source);
            scan(&lab, &prober, source);
            lab.fw(&[protect, &[&prefix]].concat()).must(0);
            assert!(prober.passes(source), "{protect:?} {source}");
            prober.scan_in_vain(source);
            lab.fw(&[leave, &[&prefix]].concat()).must(0);
            assert!(prober.passes(source), "{leave:?} {source}");
            assert!(blocked(&lab).is_empty());
        }
    }
}

#[test]
fn host_that_is_protected_in_a_blocked_network_passes_and_its_neighbours_do_not() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    let host = |number| forged_v6(1, 1, number);
    scan(&lab, &prober, host(1));
    for ([protect, _], number) in PROTECTIONS.into_iter().zip(2..) {
        assert!(!prober.passes(host(number)));
        let text = host(number).to_string();
        lab.fw(&[protect, &[&text]].concat()).must(0);
        assert!(prober.passes(host(number)), "{protect:?}");
        assert!(!prober.passes(host(1)) && !prober.passes(host(9)));
    }
}

#[test]
fn source_that_is_protected_before_its_block_is_reported_is_free() {
    let lab = lab(ENFORCE);
    let daemon = start(&lab);
    let prober = Prober::new(&lab);
    for round in 0..4 {
        for [protect, leave] in PROTECTIONS {
            let source = forged_v4(1, round);
            let text = source.to_string();
            let mut asking = held(&daemon, || {
                prober.scan(source);
                let mut command = lab.command();
                command.args(protect).arg(&text);
                let asking = command.spawn().expect("fw-ctl starts");
                // It has connected by then, and waits.
                thread::sleep(Duration::from_millis(100));
                asking
            });
            let asked = asking.wait().expect("fw-ctl ends");
            assert!(asked.success(), "{protect:?}: {asked}");
            assert!(prober.passes(source), "{protect:?}");
            // Whichever came first, the block is gone for good.
            lab.fw(&[leave, &[&text]].concat()).must(0);
            eventually("it is free", || prober.passes(source));
            thread::sleep(Duration::from_millis(50));
            assert!(
                prober.passes(source) && blocked(&lab).is_empty(),
                "{leave:?}"
            );
        }
    }
}

#[test]
fn block_of_the_operator_stays_when_the_automatic_one_ends() {
    let lab = lab("mode = \"enforce\"\nttl = \"2s\"");
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    for source in both() {
        let text = source.to_string();
        scan(&lab, &prober, source);
        lab.fw(&["block", &text, "--comment", "mine"]).must(0);
        eventually("the automatic block ends", || blocked(&lab).is_empty());
        assert!(!prober.passes(source), "{source}");
        let entry = lab.entry("local", &text).expect("it is there");
        assert_eq!(
            (&entry["comment"], &entry["ttl_s"]),
            (&"mine".into(), &().into())
        );
        lab.fw(&["unblock", &text]).must(0);
        assert!(prober.passes(source), "{source}");
    }
}

#[test]
fn automatic_block_stays_when_the_operators_ends() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    for source in both() {
        let text = source.to_string();
        scan(&lab, &prober, source);
        lab.fw(&["block", &text, "--ttl", "1s"]).must(0);
        eventually("it ends", || lab.entry("local", &text).is_none());
        assert!(!prober.passes(source), "{source}");
        assert!(blocked(&lab).contains(&listed_as(source)));
    }
}

#[test]
fn unblocking_a_host_lifts_what_blocks_it_by_itself_in_every_list() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    let source = forged_v4(1, 1);
    scan(&lab, &prober, source);
    lab.fw(&["block", "198.51.1.1"]).must(0);
    lab.fw(&["unblock", "198.51.1.1"]).must(0);
    assert!(prober.passes(source));
    assert!(lab.entries("blocks").is_empty());
}

#[test]
fn list_of_the_detector_takes_no_entries_of_others() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    lab.fw(&["block", "203.0.113.7", "--list", "auto"])
        .must(2)
        .saying("auto");
    let import = Fw::new(&lab).input("203.0.113.7\n");
    import
        .run(&["import", "-", "--list", "auto"])
        .must(2)
        .saying("auto");
    assert!(lab.entries("blocks").is_empty());
    let (prober, source) = (Prober::new(&lab), forged_v4(1, 1));
    scan(&lab, &prober, source);
    lab.fw(&["flush", "auto", "--yes"])
        .must(2)
        .saying("unblock");
    assert!(!prober.passes(source));
}
