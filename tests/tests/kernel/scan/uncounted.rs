//! What never counts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use fw_common::{
    Prefix,
    abi::{Config, NEVER},
    parse::protocol,
    reason::Reason,
    scan::ONE,
};
use fw_tests::{
    frames::{
        Frame, SERVER_V4,
        tcp::{ACK, FIN, PSH, RST, SYN, URG},
    },
    kernel::{Action, Kernel, Port, Program, Protocol, Table},
};

use super::{THRESHOLD, block, crosses, enforcing, passes, ports, slot, syn, tcp, udp, watching};
use crate::{Sender, senders};

/// Sends what `build` makes of every port, and asserts that it passes and that its source stays
/// unknown.
fn leaves_no_trace(
    kernel: &mut Kernel,
    source: IpAddr,
    name: &str,
    build: impl Fn(u16) -> Vec<u8>,
) -> Result<()> {
    for port in ports() {
        for program in Program::ALL {
            let action = kernel.receive(program, &build(port), 1)?;
            assert_eq!(action, Action::Pass, "{name} from {source}");
        }
    }
    assert_eq!(slot(kernel, source)?, None, "{name} from {source}");
    assert!(kernel.crossings()?.is_empty());
    assert_eq!((kernel.scanner()?.crossings, kernel.taken()?), (0, 0));
    Ok(())
}

/// That it would have been found, had it been counted.
fn is_watched(kernel: &Kernel, source: IpAddr) -> Result<()> {
    passes(kernel, Program::Frags, source, &ports()[..1])?;
    let slot = slot(kernel, source)?.expect("counted");
    assert_eq!(slot.points, ONE);
    Ok(())
}

#[test]
fn answers_and_what_has_no_ports_never_count() -> Result<()> {
    let mut kernel = watching(enforcing())?;
    for sender in senders() {
        let source = sender.listed;
        for flags in [
            SYN | ACK,
            SYN | ACK | PSH,
            RST,
            RST | ACK,
            RST | FIN,
            ACK,
            ACK | PSH,
            ACK | URG | 0xc0,
        ] {
            let name = format!("flags {flags:08b}");
            leaves_no_trace(&mut kernel, source, &name, |port| tcp(source, port, flags))?;
        }
        let ip = || Frame::new().ip(source);
        leaves_no_trace(&mut kernel, source, "icmp", |port| {
            ip().icmp(port as u8, 0, &port.to_be_bytes()).bytes()
        })?;
        leaves_no_trace(&mut kernel, source, "later fragment", |port| {
            ip().fragment(2, true).tcp(40000, port, SYN).bytes()
        })?;
        leaves_no_trace(&mut kernel, source, "cut, but no fragment", |port| {
            let [high, low] = port.to_be_bytes();
            let frame = ip().protocol(protocol::TCP);
            frame.payload(&[0x9c, 0x40, high, low, 0, 0, 0, 1]).bytes()
        })?;
        leaves_no_trace(&mut kernel, source, "sctp", |port| {
            ip().sctp(40000, port).bytes()
        })?;
        leaves_no_trace(&mut kernel, source, "udp-lite", |port| {
            ip().udp_lite(40000, port).bytes()
        })?;
        leaves_no_trace(&mut kernel, source, "inside gre", |port| {
            let frame = ip().gre().ipv4(Ipv4Addr::new(198, 51, 100, 7), SERVER_V4);
            frame.tcp(40000, port, SYN).bytes()
        })?;
        is_watched(&kernel, source)?;
    }
    Ok(())
}

#[test]
fn served_ports_never_count_whatever_is_sent_there() -> Result<()> {
    let mut kernel = watching(enforcing())?;
    for port in ports() {
        kernel.set_port(Protocol::Tcp, port, Port::Served)?;
    }
    for sender in senders() {
        let source = sender.listed;
        for flags in [SYN, 0, FIN, FIN | PSH | URG, SYN | FIN, FIN | ACK] {
            let name = format!("flags {flags:08b}");
            leaves_no_trace(&mut kernel, source, &name, |port| tcp(source, port, flags))?;
        }
    }
    // Served by TCP, not by UDP.
    let [sender, _] = senders();
    let probe = udp(sender.listed, ports()[0]);
    kernel.receive(Program::Frags, &probe, 1)?;
    assert!(slot(&kernel, sender.listed)?.is_some());
    for port in ports() {
        kernel.set_port(Protocol::Tcp, port, Port::Closed)?;
        kernel.set_port(Protocol::Udp, port, Port::Served)?;
    }
    let free = sender.free;
    leaves_no_trace(&mut kernel, free, "udp", |port| udp(free, port))?;
    is_watched(&kernel, free)
}

#[test]
fn the_first_and_the_last_port_are_served_like_any_other() -> Result<()> {
    let edges = [0, 63, 64, 65_471, 65_472, 65_535];
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let mut kernel = watching(enforcing())?;
        for port in edges {
            kernel.set_port(protocol, port, Port::Served)?;
        }
        let [sender, _] = senders();
        let source = sender.listed;
        let probe = |port| match protocol {
            Protocol::Tcp => syn(source, port),
            Protocol::Udp => udp(source, port),
        };
        for port in edges {
            kernel.receive(Program::Frags, &probe(port), 1)?;
            assert_eq!(slot(&kernel, source)?, None, "{protocol:?} {port}");
        }
        for (count, port) in (1..).zip([1, 62, 65, 65_470, 65_473, 65_534]) {
            kernel.receive(Program::Frags, &probe(port), 1)?;
            let slot = slot(&kernel, source)?.expect("counted");
            let bits: u32 = slot.ports.iter().map(|word| word.count_ones()).sum();
            assert_eq!(bits, count, "{protocol:?} {port}");
        }
    }
    Ok(())
}

#[test]
fn what_is_not_for_this_host_never_counts() -> Result<()> {
    let mut kernel = watching(enforcing())?;
    let [v4, v6] = senders().map(|sender| sender.listed);
    let (IpAddr::V4(from_v4), IpAddr::V6(from_v6)) = (v4, v6) else {
        panic!("one of each family");
    };
    for to in [
        Ipv4Addr::new(192, 0, 2, 2),
        Ipv4Addr::new(192, 0, 2, 255),
        Ipv4Addr::BROADCAST,
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::new(239, 255, 255, 250),
    ] {
        let name = to.to_string();
        let ip = || Frame::new().ipv4(from_v4, to);
        leaves_no_trace(&mut kernel, v4, &name, |p| ip().tcp(40000, p, SYN).bytes())?;
        leaves_no_trace(&mut kernel, v4, &name, |p| ip().udp(40000, p).bytes())?;
    }
    for to in [
        "2001:db8::2",
        "2001:db8:0:1::1",
        "ff02::1",
        "ff05::1:3",
        "::",
    ] {
        let server: Ipv6Addr = to.parse()?;
        let ip = || Frame::new().ipv6(from_v6, server);
        leaves_no_trace(&mut kernel, v6, to, |p| ip().tcp(40000, p, SYN).bytes())?;
        leaves_no_trace(&mut kernel, v6, to, |p| ip().udp(40000, p).bytes())?;
    }
    is_watched(&kernel, v4)?;
    is_watched(&kernel, v6)
}

#[test]
fn the_guarded_and_the_allowed_never_count() -> Result<()> {
    let protect = |kernel: &mut Kernel, sender: &Sender, way| match way {
        0 => kernel.guard(sender.network),
        1 => kernel.set(Table::Allow, sender.network, 1, NEVER),
        _ => kernel.set(Table::Allow, Prefix::host(sender.listed), 1, NEVER),
    };
    for way in 0..3 {
        let mut kernel = watching(enforcing())?;
        for sender in senders() {
            protect(&mut kernel, &sender, way)?;
            let source = sender.listed;
            leaves_no_trace(&mut kernel, source, "syn", |port| syn(source, port))?;
            leaves_no_trace(&mut kernel, source, "udp", |port| udp(source, port))?;
            leaves_no_trace(&mut kernel, source, "null", |port| tcp(source, port, 0))?;
            is_watched(&kernel, sender.free)?;
        }
    }
    Ok(())
}

#[test]
fn the_blocked_never_count_even_when_they_are_only_observed() -> Result<()> {
    for observe in [0, 1] {
        let mut kernel = watching(Config {
            observe,
            ..enforcing()
        })?;
        for sender in senders() {
            kernel.set(Table::Block, sender.network, 1, NEVER)?;
            for port in ports() {
                kernel.receive(Program::Frags, &syn(sender.listed, port), 1)?;
            }
            assert_eq!(slot(&kernel, sender.listed)?, None);
        }
        assert_eq!(kernel.scanner()?.crossings, 0);
    }
    Ok(())
}

#[test]
fn the_link_is_kept_without_counting() -> Result<()> {
    let mut kernel = watching(enforcing())?;
    for (sender, (from, to)) in senders().into_iter().zip([(67, 68), (547, 546)]) {
        let source = sender.listed;
        leaves_no_trace(&mut kernel, source, "dhcp", |_| {
            Frame::new().ip(source).udp(from, to).bytes()
        })?;
        is_watched(&kernel, source)?;
    }
    Ok(())
}

#[test]
fn nothing_counts_while_the_detector_is_off() -> Result<()> {
    let mut kernel = watching(Config {
        scan: Config::SCAN_OFF,
        ..enforcing()
    })?;
    for sender in senders() {
        let source = sender.listed;
        leaves_no_trace(&mut kernel, source, "syn", |port| syn(source, port))?;
        leaves_no_trace(&mut kernel, source, "null", |port| tcp(source, port, 0))?;
    }
    Ok(())
}

#[test]
fn a_question_is_no_probe() -> Result<()> {
    let kernel = watching(enforcing())?;
    for sender in senders() {
        let source = sender.listed;
        let ask = |port, expected| -> Result<()> {
            for program in Program::ALL {
                let answer = kernel.ask(program, &syn(source, port))?;
                assert_eq!(answer.outcome.reason, expected, "port {port}");
            }
            Ok(())
        };
        for port in ports() {
            ask(port, Reason::Default)?;
        }
        assert_eq!(slot(&kernel, source)?, None);
        // The last one before the crossing, and none of the questions is it.
        let ports = ports();
        passes(&kernel, Program::Frags, source, &ports[..THRESHOLD - 1])?;
        let before = slot(&kernel, source)?;
        for port in &ports {
            ask(*port, Reason::Default)?;
        }
        assert_eq!(slot(&kernel, source)?, before);
        crosses(&kernel, Program::Frags, source, &ports[9..10])?;
        let entry = kernel.entry(Table::Block, block(source))?;
        let answer = kernel.ask(Program::Frags, &syn(source, 1))?;
        let expected = (entry.list, entry.deadline, entry.length);
        assert_eq!(answer.outcome.reason, Reason::Block);
        assert_eq!(answer.entry, expected);
        assert_eq!(kernel.entry(Table::Block, block(source))?, entry);
    }
    Ok(())
}
