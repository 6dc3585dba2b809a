//! Many sources of one network become one block, and nobody who is protected in it suffers.

use std::{net::IpAddr, thread, time::Duration};

use fw_common::Prefix;
use fw_tests::lab::{
    Lab,
    address::V4,
    daemon::{Daemon, eventually},
};
use serde_json::Value;

use super::{
    blocked, events, held, lab,
    prober::{PROBES, Prober, forged_v4, forged_v6, syn},
    start,
};

/// What was told of networks, by its kind.
fn told(lab: &Lab, kind: &str) -> Vec<Value> {
    let mut events = events(lab);
    events.retain(|event| event["event"] == kind);
    events
}

/// Waits for one event of this kind.
#[track_caller]
fn one(lab: &Lab, kind: &str) -> Value {
    eventually(&format!("{kind} is told"), || !told(lab, kind).is_empty());
    let mut events = told(lab, kind);
    assert_eq!(events.len(), 1, "{events:#?}");
    events.remove(0)
}

/// Has each of them blocked, before the daemon can make one block of them.
#[track_caller]
fn scan_all(daemon: &Daemon<'_>, prober: &Prober, sources: impl IntoIterator<Item = IpAddr>) {
    held(daemon, || {
        for source in sources {
            let took = prober.scan(source);
            assert!(PROBES.contains(&took), "{source}: blocked at packet {took}");
        }
    });
}

#[test]
fn forty_hosts_of_a_network_are_one_block_around_those_who_are_protected_in_it() {
    let lab = lab("mode = \"enforce\"\nttl = \"5s\"");
    let daemon = start(&lab);
    lab.fw(&["allow", &V4.allowed.to_string()]).must(0);
    lab.fw(&["guard", "add", &V4.guarded.to_string()]).must(0);
    let prober = Prober::new(&lab);
    let stream = lab.stream(V4, [V4.allowed, V4.guarded, V4.free], 500);

    // The server's own network, so it and its gateway are guarded in it, too.
    let host = |number| IpAddr::from([198, 18, 0, number]);
    scan_all(&daemon, &prober, (0xa0..0xa0 + 40).map(host));
    let rolled = one(&lab, "roll_up");
    assert_eq!(rolled["prefix"], "198.18.0.0/24", "{rolled}");
    assert!(rolled["sources"].as_u64() >= Some(32), "{rolled}");
    eventually("all are in it", || !prober.passes(host(0x90)));
    assert!(!prober.passes(V4.free), "a bystander of the network");
    assert!(prober.passes(V4.gateway) && prober.passes(forged_v4(1, 1)));

    let pieces: Vec<Prefix> = blocked(&lab)
        .iter()
        .map(|piece| piece.parse().expect("a prefix"))
        .collect();
    let size = |prefix: &Prefix| 1u32 << (32 - prefix.length());
    assert_eq!(pieces.iter().map(size).sum::<u32>(), 256 - 4, "{pieces:?}");
    for spared in [V4.allowed, V4.guarded, V4.gateway, V4.server] {
        assert!(
            !pieces.iter().any(|piece| piece.contains(spared)),
            "{pieces:?}"
        );
    }

    let unrolled = one(&lab, "unroll");
    assert_eq!(unrolled["prefix"], "198.18.0.0/24", "{unrolled}");
    eventually("nobody is blocked", || blocked(&lab).is_empty());
    assert!(prober.passes(V4.free) && prober.passes(host(0xa0)));
    let [allowed, guarded, free] = stream.stop();
    assert_eq!(allowed.missing, [0; 0], "{allowed:?}");
    assert_eq!(guarded.missing, [0; 0], "{guarded:?}");
    assert!(free.received < free.sent, "{free:?}");
}

#[test]
fn sources_whose_blocks_end_later_stand_by_themselves_again() {
    let lab = lab("mode = \"enforce\"\nttl = \"6s\"");
    let daemon = start(&lab);
    let prober = Prober::new(&lab);
    let host = |number| forged_v4(7, number);
    scan_all(&daemon, &prober, (1..=20).map(host));
    thread::sleep(Duration::from_secs(3));
    scan_all(&daemon, &prober, (21..=40).map(host));
    let rolled = one(&lab, "roll_up");
    assert_eq!(rolled["sources"], 40, "{rolled}");
    assert!(!prober.passes(host(99)));

    let unrolled = one(&lab, "unroll");
    assert_eq!(unrolled["sources"], 20, "{unrolled}");
    assert!(prober.passes(host(99)) && prober.passes(host(1)));
    let expected = (21..=40).map(|number| host(number).to_string()).collect();
    assert_eq!(blocked(&lab), expected);
    assert!((21..=40).all(|number| !prober.passes(host(number))));
    eventually("all are free", || prober.passes(host(40)));
    eventually("the list is empty", || blocked(&lab).is_empty());
}

#[test]
fn networks_of_a_site_are_one_block_with_a_hole_for_who_is_allowed() {
    let lab = lab("mode = \"enforce\"\nttl = \"5s\"");
    let daemon = start(&lab);
    let prober = Prober::new(&lab);
    let allowed = forged_v6(1, 0x77, 1);
    lab.fw(&["allow", &allowed.to_string()]).must(0);
    scan_all(&daemon, &prober, (1..=33).map(|link| forged_v6(1, link, 1)));
    let rolled = one(&lab, "roll_up");
    assert_eq!(rolled["prefix"], "fd00:51:1::/48", "{rolled}");
    assert!(!prober.passes(forged_v6(1, 0xffff, 1)));
    assert!(
        !prober.passes(forged_v6(1, 0x77, 2)),
        "beside the one allowed"
    );
    assert!(prober.passes(allowed));
    assert!(prober.passes(forged_v6(2, 1, 1)), "the next site");
    eventually("it is undone", || prober.passes(forged_v6(1, 0xffff, 1)));
    assert_eq!(one(&lab, "unroll")["prefix"], "fd00:51:1::/48");
}

/// Rolls a network up, does this, and finds nobody blocked in it any more.
#[track_caller]
fn frees_all_of_them(lift: &[&str]) {
    let lab = lab("mode = \"enforce\"\nroll_up = 4");
    let daemon = start(&lab);
    let prober = Prober::new(&lab);
    let host = |number| forged_v4(7, number);
    scan_all(&daemon, &prober, (1..=4).map(host));
    one(&lab, "roll_up");
    assert!(!prober.passes(host(99)));
    lab.fw(lift).must(0);
    for number in 1..=99 {
        assert!(prober.passes(host(number)), "host {number}");
    }
}

#[test]
fn network_that_is_unblocked_is_free_with_all_its_sources() {
    frees_all_of_them(&["unblock", "198.51.7.0/24"]);
}

#[test]
fn network_is_free_with_all_its_sources_in_every_other_mode() {
    for mode in ["observe", "off"] {
        frees_all_of_them(&["scan", "set", "--mode", mode]);
    }
}

#[test]
fn network_stays_one_block_across_a_restart() {
    let lab = lab("mode = \"enforce\"\nroll_up = 4\nttl = \"5s\"");
    let daemon = start(&lab);
    let prober = Prober::new(&lab);
    scan_all(&daemon, &prober, (1..=4).map(|number| forged_v4(7, number)));
    one(&lab, "roll_up");
    daemon.kill_9();
    let _daemon = start(&lab);
    assert_eq!(blocked(&lab), ["198.51.7.0/24".to_owned()].into());
    assert!(!prober.passes(forged_v4(7, 99)));
    eventually("it is undone", || prober.passes(forged_v4(7, 99)));
    one(&lab, "unroll");
    one(&lab, "roll_up");
}

#[test]
fn networks_are_not_rolled_up_unasked() {
    let lab = lab("mode = \"enforce\"\nroll_up = 0");
    let daemon = start(&lab);
    let prober = Prober::new(&lab);
    scan_all(
        &daemon,
        &prober,
        (1..=40).map(|number| forged_v4(7, number)),
    );
    eventually("all are listed", || blocked(&lab).len() == 40);
    assert!(prober.passes(forged_v4(7, 99)));
    assert_eq!(told(&lab, "roll_up"), [] as [Value; 0]);
}

#[test]
fn scanner_that_changes_its_address_in_a_network_is_one_source() {
    let lab = lab(super::ENFORCE);
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    // Each port from another address.
    let probe = |number| syn(forged_v6(1, 1, number), 2000 + number);
    let arrived = prober.send((0..40).map(probe));
    let through = arrived.iter().take_while(|arrived| **arrived).count();
    assert!(PROBES.contains(&(through + 1)), "{arrived:?}");
    assert!(!arrived[through..].contains(&true), "{arrived:?}");
    assert!(!prober.passes(forged_v6(1, 1, 0xffff)));
    assert!(prober.passes(forged_v6(1, 0, 1)) && prober.passes(forged_v6(1, 2, 1)));
    eventually("it is listed", || {
        blocked(&lab) == ["fd00:51:1:1::/64".to_owned()].into()
    });
}

#[test]
fn what_is_one_source_can_be_chosen() {
    for (bits, source, same, other) in [
        (128, forged_v6(1, 1, 1), None, forged_v6(1, 1, 2)),
        (
            56,
            forged_v6(1, 1, 1),
            Some(forged_v6(1, 0xff, 9)),
            forged_v6(1, 0x100, 1),
        ),
        (
            48,
            forged_v6(1, 1, 1),
            Some(forged_v6(1, 0xffff, 9)),
            forged_v6(2, 1, 1),
        ),
    ] {
        let lab = lab(&format!("mode = \"enforce\"\nv6_prefix = {bits}"));
        let _daemon = start(&lab);
        let prober = Prober::new(&lab);
        prober.scan(source);
        assert!(same.is_none_or(|same| !prober.passes(same)), "{bits} bits");
        assert!(prober.passes(other), "{bits} bits");
        let expected = Prefix::new(source, bits).expect("bits of 128").to_string();
        eventually("it is listed", || {
            blocked(&lab) == [expected.clone()].into()
        });
    }
}
