//! What is told of scans, and where.

use std::fs;

use fw_tests::lab::{INTERFACE, address::V4, daemon::eventually};
use serde_json::{Value, json};

use super::{
    ENFORCE, crossing, events, held, lab,
    prober::{CLOSED, Prober, datagram, forged_v4, forged_v6, to_server},
    start,
};
use crate::hostile::storage::Disk;

#[test]
fn crossing_is_told_in_one_line_with_everything_that_was_seen() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    let source = forged_v4(1, 1);
    let took = u16::try_from(prober.scan(source)).expect("few packets");
    let told = crossing(&lab, source, 1);
    for (key, value) in [
        ("event", json!("scan")),
        ("schema", json!(1)),
        ("prefix", json!("198.51.1.1/32")),
        ("destination", json!(V4.server)),
        ("interface", json!(INTERFACE)),
        ("protocol", json!("tcp")),
        ("kinds", json!(["syn"])),
        ("trigger", json!("window")),
        ("distinct_ports", json!(10)),
        ("distinct_hosts", json!(1)),
        ("score", json!(10.0)),
        ("slow_score", json!(10.0)),
        ("evidence", json!("unproven")),
        ("offence", json!(1)),
        ("action", json!("block")),
        ("enforced", json!(true)),
        ("ttl_s", json!(600)),
    ] {
        assert_eq!(told[key], value, "{key} of {told}");
    }
    let ports = told["ports"].as_array().expect("ports");
    assert!((5..=6).contains(&ports.len()), "{told}");
    let last = CLOSED.start + took - 1;
    assert_eq!(ports.last(), Some(&json!(last)), "{told}");
    assert!(ports.is_sorted_by_key(Value::as_u64), "{told}");

    let v6 = forged_v6(1, 1, 7);
    let probe = |port| [to_server(v6).tcp(4000, port, 0), datagram(v6, port + 100)];
    prober.send(CLOSED.flat_map(probe));
    let told = crossing(&lab, v6, 1);
    assert_eq!(told["prefix"], "fd00:51:1:1::/64", "{told}");
    assert_eq!(told["kinds"], json!(["udp", "flags"]), "{told}");
}

#[test]
fn crossing_is_told_as_the_kernel_acted_though_the_mode_changed_since() {
    let lab = lab(ENFORCE);
    let daemon = start(&lab);
    let prober = Prober::new(&lab);
    for (host, done, next) in [(1, "block", "observe"), (2, "observe", "enforce")] {
        let source = forged_v4(1, host);
        let mut asking = held(&daemon, || {
            match done {
                "block" => drop(prober.scan(source)),
                _ => prober.scan_in_vain(source),
            }
            let mut command = lab.command();
            command.args(["scan", "set", "--mode", next]);
            command.spawn().expect("fw-ctl starts")
        });
        assert!(asking.wait().expect("fw-ctl ends").success());
        let told = crossing(&lab, source, 1);
        assert_eq!(told["action"], done, "{told}");
        assert_eq!(told["enforced"], done == "block", "{told}");
        // What is told is what was; what is, is as it was set.
        assert_eq!(prober.passes(source), next == "observe");
    }
}

#[test]
fn classic_log_is_written_on_request_with_a_line_for_each_crossing() {
    let lab = lab("mode = \"enforce\"\nclassic_log = true\nunproven_per_minute = 2");
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    let sources = [forged_v4(1, 1), forged_v6(1, 1, 7), forged_v4(1, 3)];
    prober.scan(sources[0]);
    crossing(&lab, sources[0], 1);
    lab.fw(&["scan", "set", "--mode", "observe"]).must(0);
    prober.scan_in_vain(sources[1]);
    prober.send(
        CLOSED
            .take(19)
            .map(|port| super::prober::syn(sources[2], port)),
    );
    let told = sources.map(|source| crossing(&lab, source, 1));
    let read = || fs::read_to_string(lab.state().join("security.log")).expect("it is there");
    let line = |number: usize, what: &str| {
        let time = told[number]["time"].as_str().expect("a time");
        let second = time.split(['.', 'Z']).next().expect("a second");
        format!("{second}Z | PORT_SCAN_{what} | {}\n", sources[number])
    };
    let expected = [line(0, "BLOCKED"), line(1, "OBSERVED"), line(2, "CAPPED")];
    assert_eq!(read(), expected.concat());
}

#[test]
fn classic_log_is_not_written_unasked() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let source = forged_v4(1, 1);
    Prober::new(&lab).scan(source);
    crossing(&lab, source, 1);
    assert!(!lab.state().join("security.log").exists());
}

#[test]
fn what_a_full_disk_kept_out_of_the_log_is_counted_in_it() {
    let lab = lab(ENFORCE);
    let disk = Disk::mount(&lab);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    disk.fill();
    let full = || {
        lab.json(&["status"])["alarms"]
            .to_string()
            .contains("security log")
    };
    let mut host = 0;
    // Some lines may still fit into what the file has.
    eventually("the log is full", || {
        host += 1;
        prober.scan(forged_v4(1, host));
        full()
    });
    disk.make_room();
    let log = || fs::read_to_string(lab.state().join("security.jsonl")).unwrap_or_default();
    eventually("the log goes on", || {
        host += 1;
        prober.scan(forged_v4(1, host));
        log().contains("\"event\":\"lost\"")
    });
    assert!(!full());
    let told = |line: &str| {
        let event: Value = serde_json::from_str(line).ok()?;
        match event["event"].as_str()? {
            "lost" => event["count"].as_u64(),
            kind => Some(u64::from(kind == "scan")),
        }
    };
    eventually("every scan is in it, or counted", || {
        let told: u64 = log().lines().filter_map(told).sum();
        told == u64::from(host)
    });
}

#[test]
fn block_that_is_only_observed_says_so() {
    for (mode, observed) in [("observe", json!(true)), ("enforce", Value::Null)] {
        let lab = lab(&format!("mode = \"{mode}\""));
        let _daemon = start(&lab);
        let mut tail = lab.tail(&[]);
        let prober = Prober::new(&lab);
        let mut host = 0;
        // Nobody knows when it listens.
        let told = std::thread::scope(|scope| {
            let heard = scope.spawn(|| tail.next_of("block"));
            eventually("a block is told", || {
                host += 1;
                match mode {
                    "observe" => prober.scan_in_vain(forged_v4(1, host)),
                    _ => drop(prober.scan(forged_v4(1, host))),
                }
                heard.is_finished()
            });
            heard.join().expect("no panic")
        });
        assert_eq!(told["observed"], observed, "{told}");
        assert_eq!(told["by"], "scan", "{told}");
    }
}

#[test]
fn tail_shows_crossings_as_they_stand_in_the_log() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    let mut all = lab.tail(&[]);
    let mut scans = lab.tail(&["--scans"]);
    // Nobody knows when they listen, but from some crossing on they do.
    let mut host = 0;
    std::thread::scope(|scope| {
        let heard = scope.spawn(|| [all.next_of("scan"), scans.next_event()]);
        eventually("both tell of a scan", || {
            host += 1;
            prober.scan(forged_v4(1, host));
            heard.is_finished()
        });
        let log = events(&lab);
        for told in heard.join().expect("no panic") {
            assert!(log.contains(&told), "{told} is not in {log:#?}");
        }
    });
}
