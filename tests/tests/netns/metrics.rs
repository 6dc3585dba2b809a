//! Metrics, read by a foreign parser, against what was sent.

use std::{thread, time::Duration};

use fw_tests::lab::{
    INTERFACE, Lab, SECOND_INTERFACE,
    address::{Addresses, FAMILIES, SECOND, V4},
    daemon::eventually,
    scrape::Scrape,
};

/// Bytes of a datagram of [`Lab::stream`] on the wire: Ethernet, IP, UDP, and its number.
fn length(net: Addresses) -> u64 {
    14 + if net.server.is_ipv4() { 20 } else { 40 } + 8 + 8
}

/// Packets and bytes of an outcome on an interface.
fn counted(scrape: &Scrape, reason: &str, net: Addresses, interface: &str) -> [u64; 2] {
    let family = if net.server.is_ipv4() { "ipv4" } else { "ipv6" };
    let labels = [("reason", reason), ("family", family), ("iface", interface)];
    ["fwctl_packets_total", "fwctl_bytes_total"].map(|name| scrape.sum(name, &labels))
}

#[test]
fn totals_of_each_interface_are_what_was_sent_over_it() {
    let lab = Lab::alone();
    lab.link(1, &SECOND);
    let daemon = lab
        .daemon()
        .with(&["-i", INTERFACE, "-i", SECOND_INTERFACE])
        .start();
    let links = [(FAMILIES, INTERFACE), (SECOND, SECOND_INTERFACE)];
    for (net, _) in links.iter().flat_map(|(nets, _)| nets.map(|net| (net, ()))) {
        lab.fw(&["block", net.block]).must(0);
    }
    for (nets, interface) in links {
        for net in nets {
            let before = lab.scrape("/metrics");
            let stream = lab.stream(net, [net.blocked, net.free], 2_000);
            thread::sleep(Duration::from_millis(300));
            let [blocked, free] = stream.stop();
            assert_eq!((blocked.received, free.received), (0, free.sent));
            let after = lab.scrape("/api/v1/metrics");
            let grown = |reason, net, interface| {
                let [before, after] = [&before, &after].map(|s| counted(s, reason, net, interface));
                [after[0] - before[0], after[1] - before[1]]
            };
            let sent = [blocked.sent, blocked.sent * length(net)];
            assert_eq!(grown("block", net, interface), sent, "{interface}");
            if net.server.is_ipv4() {
                // Others of IPv6 come and go: neighbours are looked for. On a link without a
                // gateway the end mark, an empty datagram, is like any other.
                let marks = u64::from(interface != INTERFACE);
                let passed = [free.sent + marks, sent[1] + marks * (length(net) - 8)];
                assert_eq!(grown("default", net, interface), passed, "{interface}");
            }
            for (_, other) in links.iter().filter(|(_, other)| *other != interface) {
                assert_eq!(grown("block", net, other), [0, 0], "{other}");
            }
            assert_eq!(counted(&after, "block", net, "other"), [0, 0]);
        }
    }
    // Over a restart and a new index, an interface goes on counting where it was.
    let before = counted(&lab.scrape("/metrics"), "block", V4, INTERFACE);
    drop(daemon);
    lab.unlink();
    lab.link(0, &FAMILIES);
    let _daemon = lab
        .daemon()
        .with(&["-i", INTERFACE, "-i", SECOND_INTERFACE])
        .start();
    assert!(!lab.arrives(V4.blocked));
    let after = counted(&lab.scrape("/metrics"), "block", V4, INTERFACE);
    assert_eq!(after[0], before[0] + 1);
}

#[test]
fn a_foreign_parser_reads_what_the_daemon_did() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    lab.fw(&["block", V4.block, "--ttl", "1s"]).must(0);
    lab.fw(&["allow", "203.0.113.0/24", "--list", "partners"])
        .must(0);
    eventually("the block has ended", || lab.entries("blocks").is_empty());
    let scrape = lab.scrape("/metrics");
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(scrape.content_type(), openmetrics);
    for [name, kind, help] in scrape.described() {
        assert!(name.starts_with("fwctl_"), "{name}");
        assert!(
            kind != "unknown" && !help.is_empty(),
            "{name} {kind} {help}"
        );
    }
    let sum = |name: &str, labels: &[(&str, &str)]| scrape.sum(name, labels);
    assert_eq!(sum("fwctl_blocks_total", &[("trigger", "operator")]), 1);
    assert_eq!(sum("fwctl_blocks_total", &[("trigger", "scan")]), 0);
    assert_eq!(sum("fwctl_expired_total", &[]), 1);
    let partners = [("list", "partners"), ("family", "ipv4")];
    assert_eq!(sum("fwctl_entries", &partners), 1);
    assert_eq!(sum("fwctl_map_used", &[("map", "allow_v4")]), 1);
    assert_eq!(sum("fwctl_attached", &[("iface", INTERFACE)]), 1);
    assert!(sum("fwctl_apply_seconds_count", &[]) >= 3);
    assert_eq!(sum("fwctl_build_info", &[]), 1);
}
