//! Whom a forger would like to see blocked: he never is.

use std::{fs, net::IpAddr, time::Duration};

use fw_common::Prefix;
use fw_tests::{
    frames::{Frame, tcp},
    lab::{
        Lab,
        address::{Addresses, FAMILIES, V4, V6},
        command,
        daemon::Daemon,
        flood::{Flood, Traffic},
    },
};

use super::{CLOSED, status};

/// Many times what a scan takes.
const FRAMES: u64 = 2_000;

/// A daemon of a host that asks the attacker's first addresses for names, guards and allows some
/// others, and blocks who scans.
fn start(lab: &Lab) -> Daemon<'_> {
    let config = format!(
        "[guard]\nprefixes = [\"{}\", \"{}\"]\n[scan]\nmode = \"enforce\"\n",
        V4.guarded, V6.guarded
    );
    fs::write(lab.config(), config).expect("the configuration can be written");
    let resolvers = lab.directory().join("resolv.conf");
    let lines = FAMILIES.map(|net| format!("nameserver {}\n", resolver(&net)));
    fs::write(&resolvers, lines.concat()).expect("the resolvers can be written");
    // Its own view of one file, and of nothing else.
    let script = format!(
        "mount --bind {} /etc/resolv.conf && exec {} \"$@\"",
        resolvers.display(),
        command::binary().display()
    );
    let shell = ["unshare", "--mount", "sh", "-c", &script, "fw-ctl"];
    let daemon = lab.daemon().program(&shell).start();
    lab.fw(&["allow", &V4.allowed.to_string(), &V6.allowed.to_string()])
        .must(0);
    lab.wait_for_detector();
    daemon
}

fn resolver(net: &Addresses) -> IpAddr {
    net.first
}

/// A scan of the server in this one's name.
fn forge(lab: &Lab, net: &Addresses, source: IpAddr) {
    let frame = match (source, net.server) {
        (IpAddr::V4(source), IpAddr::V4(server)) => Frame::new().ipv4(source, server),
        (IpAddr::V6(source), IpAddr::V6(server)) => Frame::new().ipv6(source, server),
        mixed => panic!("{mixed:?} are of two families"),
    };
    // Of an IPv6 address the frame has the second half.
    let network = Prefix::new(source, if source.is_ipv4() { 32 } else { 64 });
    let flooding = lab.flood(&Flood {
        traffic: Traffic {
            frame: lab.for_server(frame.tcp(40_000, 9, tcp::SYN)),
            from: network.expect("a prefix"),
            sources: 1,
            ports: Some(CLOSED),
            rate: Some(10_000),
        },
        frames: FRAMES,
        time: Duration::from_secs(5),
    });
    let flooded = flooding.wait();
    assert!(flooded.made >= FRAMES / 2, "{flooded:?}");
}

#[test]
fn gateway_resolver_guarded_and_allowed_are_not_blocked_whoever_forges_them() {
    let lab = Lab::new();
    let _daemon = start(&lab);
    for net in FAMILIES {
        for source in [
            net.gateway,
            resolver(&net),
            net.guarded,
            net.allowed,
            net.server,
        ] {
            forge(&lab, &net, source);
        }
    }
    let totals = &status(&lab)["totals"];
    assert_eq!(totals["crossings"], 0, "{totals}");
    assert_eq!(lab.blocks_in_kernel(), 0);
    for net in FAMILIES {
        for source in [resolver(&net), net.guarded, net.allowed] {
            assert!(lab.arrives(source), "{source}");
        }
        // Anybody else is.
        forge(&lab, &net, net.free);
        assert!(!lab.arrives(net.free), "{}", net.free);
    }
}
