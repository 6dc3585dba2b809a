//! Ports that rules open and close.

use std::net::IpAddr;

use fw_tests::lab::{
    Lab,
    address::{Addresses, FAMILIES},
    daemon::{Daemon, eventually},
    netfilter::Backend,
};
use serde_json::Value;

use super::{
    Layers, add, door::Door, lab, lab_with, start, with_and_without_the_program, with_each_backend,
};

const NOBODY: [IpAddr; 0] = [];

/// Two strangers.
fn strangers(net: &Addresses) -> [IpAddr; 2] {
    [net.blocked, net.free]
}

/// Who of them each of these doors lets in, all alike.
#[track_caller]
fn all_admit(doors: &[Door<'_>], sources: &[IpAddr], expected: &[IpAddr], when: &str) {
    for door in doors {
        assert_eq!(door.admitted(sources), expected, "{when}");
    }
}

/// Connections that the program has dropped because of a rule.
fn dropped_by_rule(lab: &Lab) -> u64 {
    // Without the program, its exit code says no.
    let status = lab.fw(&["status", "--json"]).json();
    let totals = status["totals"].as_array().expect("totals");
    let of_rules = totals.iter().filter(|total| total["reason"] == "rule");
    of_rules.filter_map(|total| total["packets"].as_u64()).sum()
}

fn dropped_port_is_closed_and_its_neighbour_is_open(backend: Backend) {
    let lab = lab(backend);
    let closed = [Door::tcp(&lab, 2222), Door::udp(&lab, 5353)];
    let open = [
        Door::tcp(&lab, 2223),
        Door::udp(&lab, 2222),
        Door::tcp(&lab, 5353),
        Door::udp(&lab, 5354),
    ];
    let _daemon = start(&lab, backend, Layers::Both);
    for net in FAMILIES {
        all_admit(&closed, &strangers(&net), &strangers(&net), "before");
    }
    let rules = ["tcp/2222", "udp/5353"].map(|port| add(&lab, &format!("port add {port} --drop")));
    assert_eq!(dropped_by_rule(&lab), 0);
    with_and_without_the_program(&lab, |when| {
        for net in FAMILIES {
            all_admit(&closed, &strangers(&net), &NOBODY, when);
            all_admit(&open, &strangers(&net), &strangers(&net), when);
        }
    });
    // It decided about TCP alone, and only as long as it was there.
    assert_eq!(dropped_by_rule(&lab), 4);
    for rule in rules {
        lab.fw(&["port", "del", &rule]).must(0);
    }
    for net in FAMILIES {
        all_admit(&closed, &strangers(&net), &strangers(&net), "after");
    }
}

fn ranges_and_lists_of_ports_end_where_they_say(backend: Backend) {
    let lab = lab(backend);
    let ports = [2999, 3000, 3010, 3011, 4000, 4001];
    let doors = ports.map(|port| (port, Door::tcp(&lab, port)));
    let _daemon = start(&lab, backend, Layers::Both);
    add(&lab, "port add tcp/3000-3010,4000 --drop");
    with_and_without_the_program(&lab, |when| {
        for net in FAMILIES {
            let open = doors.iter().filter(|(_, door)| door.admits(net.free));
            let open: Vec<u16> = open.map(|(port, _)| *port).collect();
            assert_eq!(open, [2999, 3011, 4001], "{when}");
        }
    });
}

/// A port for one network is closed to the rest, whichever rule came first.
fn port_for_some_sources_is_closed_to_others(backend: Backend) {
    let lab = lab(backend);
    let doors = [2222, 2223].map(|port| Door::tcp(&lab, port));
    let _daemon = start(&lab, backend, Layers::Both);
    let accept = |port| {
        let [v4, v6] = FAMILIES.map(|net| net.block);
        add(
            &lab,
            &format!("port add {port} --from {v4} --from {v6} --accept"),
        );
    };
    accept("tcp/2222");
    for port in ["tcp/2222", "tcp/2223"] {
        add(&lab, &format!("port add {port} --drop"));
    }
    accept("tcp/2223");
    with_and_without_the_program(&lab, |when| {
        for net in FAMILIES {
            let everyone = [net.inside(), net.outside()].concat();
            all_admit(&doors, &everyone, &net.inside(), when);
        }
    });
}

/// Longer prefix, then fewer ports, then accept.
fn narrowest_rule_wins(backend: Backend) {
    let lab = lab(backend);
    let (ssh, web) = (Door::tcp(&lab, 2222), Door::tcp(&lab, 2280));
    let _daemon = start(&lab, backend, Layers::Both);
    for net in FAMILIES {
        for rule in [
            format!("tcp --from {} --drop", net.blocked),
            format!("tcp/2200-2299 --from {} --accept", net.block),
            format!("tcp/2222 --from {} --drop", net.block),
            format!("tcp/2222 --from {} --accept", net.first),
        ] {
            add(&lab, &format!("port add {rule}"));
        }
    }
    with_and_without_the_program(&lab, |when| {
        for net in FAMILIES {
            let inside = net.inside();
            assert_eq!(ssh.admitted(&inside), [net.first], "{when}");
            assert_eq!(web.admitted(&inside), [net.first, net.last], "{when}");
            assert_eq!(ssh.admitted(&net.outside()), net.outside(), "{when}");
        }
    });
}

fn rule_for_icmp_closes_ping_and_nothing_else(backend: Backend) {
    let lab = lab(backend);
    let _daemon = start(&lab, backend, Layers::MirrorAlone);
    add(&lab, "port add icmp --drop");
    for net in FAMILIES {
        assert!(!lab.pings(net.free));
        assert!(lab.pings(net.gateway), "guarded");
        assert!(lab.arrives(net.free), "and neighbours are found");
    }
}

/// Rules as `list` shows them, without what time changes.
fn listed(lab: &Lab) -> Vec<Value> {
    let mut rules = lab.entries("rules");
    for rule in &mut rules {
        let left = rule["ttl_s"].take();
        assert!(
            left.as_u64()
                .is_none_or(|secs| (3_500..=3_600).contains(&secs)),
            "{rule}"
        );
        // By a second, as the clocks that it is computed from are read.
        rule["expires_at"].take();
    }
    rules
}

fn rules_survive_stop_kill_and_reload(backend: Backend) {
    let config = "[[rule]]\nservice = \"tcp/2223\"\naction = \"drop\"\ncomment = \"of the file\"\n";
    let lab = lab_with(backend, config);
    let doors = [2222, 2223, 2224].map(|port| Door::tcp(&lab, port));
    let mut daemon = Some(start(&lab, backend, Layers::MirrorAlone));
    let by_hand = ["--drop", "--comment", "by \"hand\""];
    lab.fw(&[&["port", "add", "tcp/2222"], &by_hand[..]].concat())
        .must(0);
    lab.fw(&["port", "add", "tcp/2224", "--drop", "--ttl", "1h"])
        .must(0);
    lab.fw(&["port", "del", "1"])
        .must(10)
        .saying("configuration");
    let before = listed(&lab);
    assert_eq!(before.len(), 3, "{before:#?}");
    let is_closed = |what: &str| {
        for net in FAMILIES {
            let open = doors.iter().filter(|door| door.admits(net.free));
            assert_eq!(open.count(), 0, "{what}");
        }
    };
    let stops: [fn(Daemon<'_>); 2] = [|daemon| daemon.term(), |daemon| daemon.kill_9()];
    for stop in stops {
        is_closed("with the daemon");
        daemon.take().map(stop);
        is_closed("without the daemon");
        daemon = Some(start(&lab, backend, Layers::MirrorAlone));
        assert_eq!(listed(&lab), before);
    }
    // What the file no longer says is gone, what was said by hand is not.
    lab.configure_mirror(backend, "");
    daemon.iter().for_each(Daemon::hup);
    eventually("the rule of the file goes", || {
        FAMILIES.iter().all(|net| doors[1].admits(net.free))
    });
    assert!(FAMILIES.iter().all(|net| !doors[0].admits(net.free)));
    assert_eq!(listed(&lab).len(), 2);
}

with_each_backend! {
    dropped_port_is_closed_and_its_neighbour_is_open
    ranges_and_lists_of_ports_end_where_they_say
    port_for_some_sources_is_closed_to_others
    narrowest_rule_wins
    rule_for_icmp_closes_ping_and_nothing_else
    rules_survive_stop_kill_and_reload
}
