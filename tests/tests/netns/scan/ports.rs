//! Which ports are served, and which are bait.

use std::ops::Range;

use fw_tests::{
    frames::Frame,
    lab::{Lab, daemon::eventually, namespace::run},
};

use super::{
    blocked, crossing, lab,
    prober::{CLOSED, PROBES, Prober, datagram, forged_v4, forged_v6, syn},
    start, start_with_known_hashes, status,
};

/// Asks for all of these ports, which are served, and then for others, which are not.
#[track_caller]
fn only_the_others_count(lab: &Lab, served: Range<u16>, probe: fn(std::net::IpAddr, u16) -> Frame) {
    let prober = Prober::new(lab);
    for source in [forged_v4(1, 1), forged_v6(1, 1, 1)] {
        let arrived = prober.send(served.clone().map(|port| probe(source, port)));
        assert!(!arrived.contains(&false), "{source}: {arrived:?}");
    }
    assert!(blocked(lab).is_empty());
    for source in [forged_v4(1, 1), forged_v6(1, 1, 1)] {
        assert!(PROBES.contains(&prober.scan(source)), "{source}");
    }
}

#[test]
fn configured_ports_are_served_though_nobody_listens() {
    let table = "mode = \"enforce\"\nserved = [\"tcp/5000-5039\", \"udp/6000-6039\"]";
    let of_tcp = lab(table);
    let _daemon = start(&of_tcp);
    only_the_others_count(&of_tcp, 5000..5040, syn);
    // They are of one protocol each.
    let prober = Prober::new(&of_tcp);
    let probes = (6000..6040).map(|port| syn(forged_v4(1, 2), port));
    assert!(prober.send(probes).contains(&false));
}

#[test]
fn configured_datagram_ports_are_served_though_nobody_listens() {
    let lab = lab("mode = \"enforce\"\nserved = [\"udp/6000-6039\"]");
    let _daemon = start(&lab);
    only_the_others_count(&lab, 6000..6040, datagram);
}

#[test]
fn listening_ports_are_served_and_not_when_they_listen_on_loopback_only() {
    let lab = lab(super::ENFORCE);
    let all = "::".parse().expect("an address");
    let _open: Vec<_> = (5000..5040).map(|port| lab.listen(all, port)).collect();
    let local = "127.0.0.1".parse().expect("an address");
    let _hidden: Vec<_> = CLOSED.map(|port| lab.listen(local, port)).collect();
    let _daemon = start(&lab);
    only_the_others_count(&lab, 5000..5040, syn);
}

#[test]
fn ports_that_address_translation_publishes_are_served() {
    let lab = lab(super::ENFORCE);
    for tool in ["iptables", "ip6tables"] {
        let to = match tool {
            "iptables" => "198.51.100.9",
            _ => "fd00:51:100::9",
        };
        let mut command = lab.server.command(tool);
        command.args(["-w", "-t", "nat", "-A", "PREROUTING", "-p", "tcp"]);
        command.args(["--dport", "5000:5039", "-j", "DNAT", "--to-destination", to]);
        run(&mut command);
    }
    let _daemon = start(&lab);
    eventually("they are known", || {
        status(&lab)["served"]["tcp"] == serde_json::json!(["5000-5039"])
    });
    only_the_others_count(&lab, 5000..5040, syn);
}

#[test]
fn bait_counts_as_many_ports_as_configured() {
    let lab = lab("mode = \"enforce\"\nbait = [\"tcp/23\"]\nbait_weight = 6");
    let _daemon = start_with_known_hashes(&lab);
    let prober = Prober::new(&lab);
    let source = forged_v4(1, 1);
    // Four ports and the bait; the bait again is nothing new.
    let probes = [23, 23, 23, 2000, 2001, 2002, 2003];
    let arrived = prober.send(probes.map(|port| syn(source, port)));
    let told = crossing(&lab, source, 1);
    assert!(arrived[..6].iter().all(|arrived| *arrived), "{arrived:?}");
    assert!(!arrived[6], "{arrived:?}");
    assert_eq!(told["score"], 10.0, "{told}");
    assert_eq!(told["distinct_ports"], 5, "{told}");
    assert_eq!(told["kinds"], serde_json::json!(["syn", "bait"]), "{told}");
}

#[test]
fn touch_of_a_bait_that_counts_enough_is_the_last() {
    let lab = lab("mode = \"enforce\"\nbait = [\"tcp/23\"]\nbait_weight = 10");
    let _daemon = start(&lab);
    let prober = Prober::new(&lab);
    for source in [forged_v4(1, 1), forged_v6(1, 1, 1)] {
        assert_eq!(prober.send([syn(source, 23)]), [false]);
        assert!(!prober.passes(source));
        assert_eq!(crossing(&lab, source, 1)["distinct_ports"], 1);
    }
}
