//! Packets to closed ports that are no probes: answers, other hosts' traffic, and noise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use fw_tests::{
    frames::{Frame, tcp},
    lab::{
        address::{V4, V6},
        scanners::target,
    },
};

use super::{
    ENFORCE,
    clients::nobody_is_blocked,
    lab,
    prober::{Prober, forged_v4, forged_v6, to, to_server},
    start,
};

/// Sends what one neighbour of each family would to each of these ports; all of it must pass.
#[track_caller]
fn innocent(ports: impl IntoIterator<Item = u16>, packets: impl Fn(IpAddr, u16) -> Vec<Frame>) {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let ports: Vec<u16> = ports.into_iter().collect();
    let prober = Prober::new(&lab);
    for source in [forged_v4(1, 1), forged_v6(1, 1, 1)] {
        let frames = ports.iter().flat_map(|port| packets(source, *port));
        let arrived = prober.send(frames);
        assert!(!arrived.contains(&false), "{source}: {arrived:?}");
    }
    nobody_is_blocked(&lab);
}

#[test]
fn backscatter_of_a_thousand_ports_is_not_counted() {
    let unreachable = |source: IpAddr, port: u16| {
        let [kind, code] = if source.is_ipv4() { [3, 3] } else { [1, 4] };
        // It quotes the packet that did not get there, behind four bytes that say nothing.
        let ours = to(target(source), source).udp(port, 53).bytes();
        to_server(source).icmp(kind, code, &[&[0; 4], &ours[14..]].concat())
    };
    innocent(1..=1000, |source, port| {
        let answer = |flags| to_server(source).tcp(80, port, flags);
        vec![
            answer(tcp::SYN | tcp::ACK),
            answer(tcp::RST),
            answer(tcp::RST | tcp::ACK),
            answer(tcp::ACK),
            answer(tcp::ACK | tcp::PSH),
            unreachable(source, port),
        ]
    });
}

#[test]
fn late_answers_to_ports_that_were_just_closed_are_not_counted() {
    let lab = lab(ENFORCE);
    let _daemon = start(&lab);
    let resolver = forged_v4(1, 53);
    let asked = |_| {
        let socket = lab.server.enter(|| UdpSocket::bind((V4.server, 0)));
        socket
            .and_then(|socket| socket.local_addr())
            .expect("a port")
            .port()
    };
    let ports: Vec<u16> = (0..60).map(asked).collect();
    let answer = |port: &u16| to_server(resolver).udp(53, *port).payload(b"too late");
    let arrived = Prober::new(&lab).send(ports.iter().map(answer));
    assert!(!arrived.contains(&false), "{arrived:?}");
    nobody_is_blocked(&lab);
}

#[test]
fn late_goodbyes_to_ports_of_our_own_connections_are_not_counted() {
    innocent(40_000..40_040, |source, port| {
        vec![to_server(source).tcp(443, port, tcp::FIN | tcp::ACK)]
    });
}

#[test]
fn broadcast_and_multicast_of_a_neighbour_are_not_counted() {
    let everybody: [IpAddr; 3] = [
        Ipv4Addr::new(224, 0, 0, 251).into(),
        Ipv4Addr::BROADCAST.into(),
        Ipv4Addr::new(198, 18, 0, 255).into(),
    ];
    let mdns = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
    innocent(2000..2040, |source, port| {
        let groups = match source {
            IpAddr::V4(_) => &everybody[..],
            IpAddr::V6(_) => &[mdns.into()],
        };
        let frame = |group: &IpAddr| to(source, *group).udp(port, port).payload(b"who is there");
        groups.iter().map(frame).collect()
    });
}

#[test]
fn packets_for_other_hosts_are_not_counted() {
    innocent(2000..2040, |source, port| {
        let elsewhere = if source.is_ipv4() { V4.free } else { V6.free };
        let behind = if source.is_ipv4() {
            forged_v4(5, 5)
        } else {
            forged_v6(5, 5, 5)
        };
        let probe = |to_whom| to(source, to_whom).tcp(40_000, port, tcp::SYN);
        vec![probe(elsewhere), probe(behind)]
    });
}

#[test]
fn pings_and_later_fragments_are_not_counted() {
    innocent(2000..2040, |source, port| {
        let kind = if source.is_ipv4() { 8 } else { 128 };
        let echo = to_server(source).icmp(kind, 0, &port.to_be_bytes());
        let later = to_server(source).fragment(1, false);
        let later = later.protocol(fw_common::parse::protocol::TCP);
        vec![echo, later.payload(&[0; 24])]
    });
}

#[test]
fn retries_of_nine_ports_are_not_enough() {
    innocent((0..200).map(|number| 2000 + number % 9), |source, port| {
        vec![to_server(source).tcp(40_000, port, tcp::SYN)]
    });
}
