//! What is blocked is dropped, what is not passes.

use std::{
    io::{Read as _, Write as _},
    net::IpAddr,
    thread,
    time::Duration,
};

use fw_tests::lab::{
    Lab, SECOND_INTERFACE,
    address::{Addresses, FAMILIES, SECOND},
};

/// Everyone whose packets are looked at: in the block and around it.
fn everyone(net: &Addresses) -> Vec<IpAddr> {
    [net.inside(), net.outside()].concat()
}

fn prefix_is_dropped_and_its_neighbours_pass(mode: &str, shown: &str) {
    let lab = Lab::new();
    let _daemon = lab.daemon().with(&["-m", mode]).start();
    assert_eq!(lab.json(&["status"])["interfaces"][0]["mode"], shown);
    for net in FAMILIES {
        assert_eq!(lab.arriving(&everyone(&net)), everyone(&net), "before");
        lab.fw(&["block", net.block]).must(0);
        assert_eq!(lab.arriving(&everyone(&net)), net.outside(), "blocked");
        assert!(!lab.pings(net.blocked), "blocked");
        assert!(lab.pings(net.above), "its neighbour");
        lab.fw(&["unblock", net.block]).must(0);
        assert_eq!(lab.arriving(&everyone(&net)), everyone(&net), "unblocked");
        assert!(lab.pings(net.blocked), "unblocked");
    }
}

#[test]
fn blocked_prefix_is_dropped_and_its_neighbours_pass_in_native_mode() {
    prefix_is_dropped_and_its_neighbours_pass("native", "native");
}

#[test]
fn blocked_prefix_is_dropped_and_its_neighbours_pass_in_generic_mode() {
    prefix_is_dropped_and_its_neighbours_pass("skb", "generic");
}

#[test]
fn blocked_host_is_dropped_and_the_rest_of_its_network_passes() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    for net in FAMILIES {
        lab.fw(&["block", &net.blocked.to_string()]).must(0);
        let others = [net.first, net.last, net.free];
        assert_eq!(
            lab.arriving(&[net.blocked, net.first, net.last, net.free]),
            others
        );
    }
}

fn allow_inside_a_block_passes(mode: &str) {
    let lab = Lab::new();
    let _daemon = lab.daemon().with(&["-m", mode]).start();
    for net in FAMILIES {
        let allowed = net.allowed.to_string();
        lab.fw(&["block", net.block]).must(0);
        assert!(!lab.arrives(net.allowed), "blocked");
        lab.fw(&["allow", &allowed]).must(0);
        assert!(lab.arrives(net.allowed), "the next packet");
        assert_eq!(lab.arriving(&net.inside()), [] as [IpAddr; 0], "the others");
        lab.fw(&["unallow", &allowed]).must(0);
        assert!(!lab.arrives(net.allowed), "blocked again");
    }
}

#[test]
fn allow_inside_a_block_passes_from_the_next_packet_on_in_native_mode() {
    allow_inside_a_block_passes("native");
}

#[test]
fn allow_inside_a_block_passes_from_the_next_packet_on_in_generic_mode() {
    allow_inside_a_block_passes("skb");
}

fn guarded_source_passes_whatever_is_blocked(mode: &str) {
    let lab = Lab::new();
    let _daemon = lab.daemon().with(&["-m", mode]).start();
    for net in FAMILIES {
        let guarded = net.guarded.to_string();
        lab.fw(&["block", net.block, &guarded]).must(0);
        assert!(!lab.arrives(net.guarded), "blocked twice");
        lab.fw(&["guard", "add", &guarded]).must(0);
        assert!(lab.arrives(net.guarded), "guarded");
        assert_eq!(lab.arriving(&net.inside()), [] as [IpAddr; 0], "the others");
        lab.fw(&["guard", "del", &guarded]).must(0);
        assert!(!lab.arrives(net.guarded), "no longer guarded");
    }
}

#[test]
fn guarded_source_passes_whatever_is_blocked_in_native_mode() {
    guarded_source_passes_whatever_is_blocked("native");
}

#[test]
fn guarded_source_passes_whatever_is_blocked_in_generic_mode() {
    guarded_source_passes_whatever_is_blocked("skb");
}

#[test]
fn every_dropped_packet_is_counted_in_its_entry_and_in_the_totals() {
    const PACKETS: u64 = 7;
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    for (net, family) in FAMILIES.into_iter().zip(["ipv4", "ipv6"]) {
        lab.fw(&["block", net.block]).must(0);
        for _ in 0..PACKETS {
            assert!(!lab.arrives(net.blocked));
        }
        let entry = lab.entry("blocks", net.block).expect("an entry");
        assert_eq!(entry["packets"], PACKETS);
        // One byte of payload behind the headers of Ethernet, IP and UDP.
        let length = 14 + if net.blocked.is_ipv4() { 20 } else { 40 } + 8 + 1;
        assert_eq!(entry["bytes"], PACKETS * length);
        assert_eq!(total(&lab, "drop", "block", family), PACKETS);
    }
}

fn total(lab: &Lab, action: &str, reason: &str, family: &str) -> u64 {
    let status = lab.json(&["status"]);
    let totals = status["totals"].as_array().expect("a list of totals");
    let mut totals = totals.iter();
    let total = totals.find(|total| {
        total["action"] == action && total["reason"] == reason && total["family"] == family
    });
    total.map_or(0, |total| total["packets"].as_u64().expect("a number"))
}

#[test]
fn observe_mode_drops_nothing_and_counts_what_it_would_drop() {
    let lab = Lab::new();
    let _daemon = lab.daemon().with(&["--observe"]).start();
    for (net, family) in FAMILIES.into_iter().zip(["ipv4", "ipv6"]) {
        lab.fw(&["block", net.block]).must(0);
        assert!(lab.arrives(net.blocked));
        assert_eq!(total(&lab, "observe", "block", family), 1);
        assert_eq!(total(&lab, "drop", "block", family), 0);
    }
}

#[test]
fn one_daemon_protects_two_interfaces() {
    let lab = Lab::new();
    lab.link(1, &SECOND);
    let _daemon = lab
        .daemon()
        .with(&["-i", "server0", "-i", SECOND_INTERFACE])
        .start();
    for net in FAMILIES.into_iter().chain(SECOND) {
        lab.fw(&["block", net.block]).must(0);
        assert_eq!(lab.arriving(&everyone(&net)), net.outside());
    }
}

#[test]
fn check_and_why_say_what_the_packet_gets() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    for net in FAMILIES {
        let (allowed, guarded) = (net.allowed.to_string(), net.guarded.to_string());
        lab.fw(&["block", net.block]).must(0);
        lab.fw(&["allow", &allowed]).must(0);
        lab.fw(&["guard", "add", &guarded]).must(0);
        let decided = [
            (net.blocked, "block"),
            (net.allowed, "allow"),
            (net.guarded, "guard"),
            (net.gateway, "guard"),
            (net.free, "default"),
        ];
        for (source, reason) in decided {
            // The gateway's packets always arrive: they are the end mark.
            let arrives = source == net.gateway || lab.arrives(source);
            let address = source.to_string();
            lab.fw(&["check", &address])
                .must(if arrives { 0 } else { 1 });
            let why = lab.json(&["why", &address]);
            assert_eq!(
                why["verdict"],
                if arrives { "pass" } else { "drop" },
                "{why}"
            );
            assert_eq!(why["reason"], reason, "{why}");
        }
        assert_eq!(
            lab.json(&["why", &net.blocked.to_string()])["entry"]["prefix"],
            net.block
        );
    }
}

fn bulk_transfer(mode: &str) {
    const BYTES: usize = 16 << 20;
    let lab = Lab::new();
    let _daemon = lab.daemon().with(&["-m", mode]).start();
    for net in FAMILIES {
        lab.fw(&["block", net.block]).must(0);
        let listener = lab.listen(net.server, 80);
        let port = listener.local_addr().expect("a port");
        assert!(
            lab.connect(net.blocked, port, Duration::from_millis(300))
                .is_none()
        );
        let client = lab.connect(net.above, port, Duration::from_secs(5));
        let (mut client, (mut server, _)) =
            client.zip(listener.accept().ok()).expect("a connection");
        let sender = thread::spawn(move || client.write_all(&vec![0x5a; BYTES]));
        let mut received = Vec::new();
        server.read_to_end(&mut received).expect("the transfer");
        sender.join().expect("no panic").expect("all is sent");
        assert!(received.len() == BYTES && received.iter().all(|byte| *byte == 0x5a));
    }
}

#[test]
fn bulk_transfer_of_a_neighbour_arrives_whole_in_native_mode() {
    bulk_transfer("native");
}

#[test]
fn bulk_transfer_of_a_neighbour_arrives_whole_in_generic_mode() {
    bulk_transfer("skb");
}
