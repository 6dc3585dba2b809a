//! What survives, and what does not stay behind.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    thread,
    time::Duration,
};

use fw_tests::lab::{
    INTERFACE, Lab,
    address::{FAMILIES, V4},
    command::Fw,
    daemon::{Daemon, eventually},
    objects::Objects,
};
use serde_json::Value;

/// Netfilter would go on where XDP does not.
fn without_mirror(lab: &Lab) {
    fs::write(lab.config(), "mirror.backend = \"none\"\n").expect("configured");
}

#[test]
fn start_after_a_kill_half_way_makes_every_range_that_is_missing() {
    let lab = Lab::new();
    without_mirror(&lab);
    let daemon = lab.daemon().start();
    let host = Ipv4Addr::new(203, 0, 113, 7);
    lab.fw(&["block", V4.block, &host.to_string()]).must(0);
    daemon.kill_9();
    let IpAddr::V4(inside) = V4.blocked else {
        panic!("{} is of IPv4", V4.blocked)
    };
    lab.lose_ranges(&[inside, host]);
    assert!(lab.arrives(V4.blocked), "its range is gone");
    let _daemon = lab.daemon().start();
    assert!(!lab.arrives(V4.blocked));
    for address in [V4.blocked, host.into()] {
        let check = lab.fw(&["check", &address.to_string(), "--json"]).json();
        assert_eq!(check["verdict"], "drop", "{check}");
    }
}

#[test]
fn tries_know_hosts_as_soon_as_they_are_asked_and_nobody_who_has_left() {
    let lab = Lab::new();
    let with = |lookup: &str| {
        let config =
            format!("mirror.backend = \"none\"\n[tables]\nipv4 = 1000\nlookup = \"{lookup}\"\n");
        fs::write(lab.config(), config).expect("configured");
        lab.daemon().start()
    };
    let verdict = |address: &str| lab.fw(&["check", address, "--json"]).json()["verdict"].clone();
    let [old, new, allowed] = ["203.0.113.7", "203.0.113.8", "203.0.113.200"];
    let daemon = with("trie");
    lab.fw(&["block", old, "203.0.113.128/25"]).must(0);
    daemon.term();
    let daemon = with("flat");
    lab.fw(&["unblock", old]).must(0);
    lab.fw(&["block", new, "2001:db8::9"]).must(0);
    lab.fw(&["allow", allowed]).must(0);
    daemon.term();
    for lookup in ["trie", "flat"] {
        let daemon = with(lookup);
        let found = [old, new, "2001:db8::9", "203.0.113.201", allowed].map(verdict);
        assert_eq!(found, ["pass", "drop", "drop", "drop", "pass"], "{lookup}");
        daemon.term();
    }
}

/// Entries of every kind: with and without end, comment and list, of both actions and families.
fn fill(lab: &Lab) {
    let [v4, v6] = FAMILIES;
    lab.fw(&[
        "block",
        v4.block,
        v6.block,
        "--ttl",
        "1h",
        "--comment",
        "an \"hour\"",
    ])
    .must(0);
    lab.fw(&["block", "203.0.113.7", "2001:db8::7", "--list", "feed"])
        .must(0);
    lab.fw(&[
        "block",
        "203.0.113.7",
        "--ttl",
        "1d",
        "--comment",
        "in two lists",
    ])
    .must(0);
    lab.fw(&["allow", &v4.allowed.to_string(), "--comment", "büro"])
        .must(0);
    lab.fw(&["allow", &v6.allowed.to_string(), "--ttl", "30m"])
        .must(0);
    lab.fw(&["guard", "add", &v4.guarded.to_string()]).must(0);
}

/// Everything an entry must keep, in a fixed order.
fn kept(lab: &Lab) -> Vec<[Value; 6]> {
    let fields = [
        "prefix",
        "list",
        "action",
        "comment",
        "created_at",
        "packets",
    ];
    let entries = ["blocks", "allows"]
        .into_iter()
        .flat_map(|list| lab.entries(list));
    let mut kept: Vec<_> = entries
        .map(|entry| fields.map(|field| entry[field].clone()))
        .collect();
    kept.sort_by_key(|fields| fields.each_ref().map(ToString::to_string));
    kept
}

/// Seconds left of every entry that ends, by prefix and list.
fn left(lab: &Lab) -> Vec<(String, u64)> {
    let entries = ["blocks", "allows"]
        .into_iter()
        .flat_map(|list| lab.entries(list));
    let mut left: Vec<_> = entries
        .filter_map(|entry| {
            Some((
                format!("{} {}", entry["prefix"], entry["list"]),
                entry["ttl_s"].as_u64()?,
            ))
        })
        .collect();
    left.sort();
    left
}

fn keeps_everything(stop: impl FnOnce(Daemon<'_>)) {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    fill(&lab);
    for net in FAMILIES {
        assert!(!lab.arrives(net.blocked), "a packet for the counters");
    }
    let (kept_before, left_before) = (kept(&lab), left(&lab));
    assert_eq!((kept_before.len(), left_before.len()), (7, 4));
    let guard_before = lab.json(&["list", "guard"]);

    stop(daemon);
    thread::sleep(Duration::from_millis(1_100));
    let _daemon = lab.daemon().start();

    assert_eq!(kept(&lab), kept_before);
    assert_eq!(lab.json(&["list", "guard"]), guard_before);
    for ((entry, before), (same, after)) in left_before.into_iter().zip(left(&lab)) {
        assert_eq!(entry, same);
        assert!(
            (1..=10).contains(&(before - after)),
            "{entry}: {before} s, then {after} s"
        );
    }
    for net in FAMILIES {
        assert!(!lab.arrives(net.blocked));
        assert!(lab.arrives(net.allowed));
        assert!(lab.arrives(net.free));
    }
    assert!(lab.arrives(V4.guarded));
}

#[test]
fn restart_keeps_every_entry_with_comment_and_remaining_time() {
    keeps_everything(|daemon| daemon.term());
}

#[test]
fn kill_9_keeps_every_entry_with_comment_and_remaining_time() {
    keeps_everything(|daemon| daemon.kill_9());
}

#[test]
fn policy_is_loaded_again_when_the_kernel_has_lost_it() {
    let lab = Lab::new();
    without_mirror(&lab);
    let daemon = lab.daemon().start();
    fill(&lab);
    daemon.kill_9();
    fs::remove_dir_all(lab.pins()).expect("the pins can be removed");
    eventually("nothing filters", || lab.arrives(V4.blocked));
    let _daemon = lab.daemon().start();
    for net in FAMILIES {
        assert!(!lab.arrives(net.blocked));
        assert!(lab.arrives(net.allowed));
    }
}

fn detach_leaves_nothing(stop: Option<fn(Daemon<'_>)>) {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    fill(&lab);
    assert!(!lab.arrives(V4.blocked));
    let objects = Objects::of(&daemon);
    assert_eq!(objects.loaded(), objects, "what the daemon holds is loaded");
    assert!(!objects.programs.is_empty() && !objects.maps.is_empty());
    assert_eq!(objects.links.len(), 1);

    let _alive = match stop {
        Some(stop) => {
            stop(daemon);
            None
        }
        None => Some(daemon),
    };
    assert!(lab.pins().exists());
    assert!(!lab.arrives(V4.blocked), "filtering goes on until detach");
    Fw::new(&lab).inside(&["detach", "--yes"]).must(0);

    assert!(!lab.pins().exists(), "pins are left");
    assert!(!attached(&lab), "a program is left on the interface");
    objects.must_be_gone();
    for net in FAMILIES {
        assert!(lab.arrives(net.blocked));
    }
}

/// Whether the kernel shows an XDP program on the interface.
fn attached(lab: &Lab) -> bool {
    let output = lab
        .server
        .command("ip")
        .args(["link", "show", INTERFACE])
        .output();
    let text = String::from_utf8(output.expect("ip starts").stdout).expect("ip prints text");
    text.contains("xdp")
}

#[test]
fn detach_with_the_daemon_alive_leaves_no_program_pin_or_map() {
    detach_leaves_nothing(None);
}

#[test]
fn detach_with_the_daemon_dead_leaves_no_program_pin_or_map() {
    detach_leaves_nothing(Some(|daemon| daemon.kill_9()));
}

#[test]
fn detach_after_a_stop_leaves_no_program_pin_or_map() {
    detach_leaves_nothing(Some(|daemon| daemon.term()));
}

#[test]
fn interface_that_goes_and_comes_back_is_protected_again() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    fill(&lab);
    assert!(!lab.arrives(V4.blocked));
    lab.unlink();
    eventually("status shows that the interface is away", || {
        lab.fw(&["status", "--json"]).json()["interfaces"][0]["attached"] == false
    });
    lab.link(0, &FAMILIES);
    eventually("status shows that the interface is attached", || {
        lab.fw(&["status", "--json"]).json()["interfaces"][0]["attached"] == true
    });
    for net in FAMILIES {
        assert!(!lab.arrives(net.blocked));
        assert!(lab.arrives(net.free));
    }
}

#[test]
fn interface_that_changes_while_the_daemon_is_dead_is_protected_from_the_start() {
    let lab = Lab::new();
    without_mirror(&lab);
    let daemon = lab.daemon().start();
    fill(&lab);
    daemon.kill_9();
    lab.unlink();
    lab.link(0, &FAMILIES);
    assert!(
        lab.arrives(V4.blocked),
        "the program went with the interface"
    );
    let _daemon = lab.daemon().start();
    for net in FAMILIES {
        assert!(!lab.arrives(net.blocked));
        assert!(lab.arrives(net.free));
    }
}
