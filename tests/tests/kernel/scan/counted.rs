//! What counts, and how much.

use std::{
    net::{IpAddr, Ipv4Addr},
    thread,
    time::Duration,
};

use anyhow::Result;
use fw_common::{
    Prefix,
    parse::protocol,
    reason::Reason,
    scan::{Kind, ONE},
};
use fw_tests::{
    frames::{
        Frame, SERVER_V6,
        tcp::{ACK, FIN, PSH, RST, SYN, URG},
    },
    kernel::{Kernel, Port, Program, Protocol, Table},
};

use super::{THRESHOLD, enforcing, passes, ports, reason, slot, syn, tcp, udp, watching};
use crate::senders;

/// A probe of a port.
type Build = fn(IpAddr, u16) -> Vec<u8>;

/// A first fragment that ends before the flags, as `nmap -f` sends it.
fn cut(source: IpAddr, port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    let frame = Frame::new().ip(source).fragment(0, true);
    let frame = frame.protocol(protocol::TCP);
    frame.payload(&[0x9c, 0x40, high, low, 0, 0, 0, 1]).bytes()
}

/// Sends probes to one port after the other. How many it took to cross.
fn probes_to_cross(kernel: &Kernel, program: Program, source: IpAddr, build: Build) -> Result<u32> {
    for (count, port) in (1..).zip(ports()) {
        match reason(kernel, program, &build(source, port))? {
            Reason::Default => {}
            Reason::Scan => return Ok(count),
            other => panic!("{other:?}"),
        }
    }
    panic!("never crossed");
}

#[test]
fn each_kind_of_probe_counts_by_its_weight() -> Result<()> {
    const KINDS: [(&str, u32, Build); 16] = [
        ("syn", 10, |s, p| tcp(s, p, SYN)),
        ("syn with ecn", 10, |s, p| tcp(s, p, SYN | 0xc0)),
        ("syn with psh", 10, |s, p| tcp(s, p, SYN | PSH)),
        ("udp", 20, udp),
        ("null", 5, |s, p| tcp(s, p, 0)),
        ("fin", 5, |s, p| tcp(s, p, FIN)),
        ("xmas", 5, |s, p| tcp(s, p, FIN | PSH | URG)),
        ("syn and fin", 5, |s, p| tcp(s, p, SYN | FIN)),
        ("syn and rst", 5, |s, p| tcp(s, p, SYN | RST)),
        ("every flag", 5, |s, p| tcp(s, p, 0xff)),
        ("maimon", 10, |s, p| tcp(s, p, FIN | ACK)),
        ("fragment without flags", 5, cut),
        ("syn in two tags", 10, |s, p| {
            let frame = Frame::new().vlan(5).vlan(6).ip(s);
            frame.tcp(40000, p, SYN).bytes()
        }),
        ("syn with data", 10, |s, p| {
            let frame = Frame::new().ip(s).tcp(40000, p, SYN);
            frame.payload(&[0; 1200]).bytes()
        }),
        ("first fragment with flags", 10, |s, p| {
            let frame = Frame::new().ip(s).fragment(0, true);
            frame.tcp(40000, p, SYN).bytes()
        }),
        ("first fragment of udp", 20, |s, p| {
            let frame = Frame::new().ip(s).fragment(0, true);
            frame.udp(40000, p).payload(&[0; 24]).bytes()
        }),
    ];
    for program in Program::ALL {
        let mut kernel = watching(enforcing())?;
        for sender in senders() {
            for (name, expected, build) in KINDS {
                let source = sender.listed;
                let count = probes_to_cross(&kernel, program, source, build)?;
                assert_eq!(count, expected, "{name} from {source}");
                kernel.remove(Table::Block, super::block(source))?;
            }
        }
    }
    Ok(())
}

#[test]
fn a_bait_counts_as_much_as_it_is_configured_to() -> Result<()> {
    let ports = ports();
    let mut kernel = watching(enforcing())?;
    kernel.set_port(Protocol::Tcp, ports[0], Port::Bait)?;
    kernel.set_port(Protocol::Udp, ports[1], Port::Bait)?;
    for sender in senders() {
        let source = sender.listed;
        // The same numbers are no bait in the other protocol.
        for frame in [udp(source, ports[0]), syn(source, ports[1])] {
            assert_eq!(reason(&kernel, Program::Frags, &frame)?, Reason::Default);
        }
        let score = slot(&kernel, source)?.expect("counted");
        assert_eq!((score.points, score.kinds), (ONE + ONE / 2, 3));
        kernel.set_port(Protocol::Tcp, ports[2], Port::Bait)?;
        passes(&kernel, Program::Frags, source, &ports[2..3])?;
        let score = slot(&kernel, source)?.expect("counted");
        assert_eq!(score.points, 6 * ONE + ONE / 2);
        assert_eq!(score.kinds, 3 | Kind::BAIT);
    }
    Ok(())
}

#[test]
fn a_fin_to_a_port_of_our_own_connections_is_a_late_goodbye() -> Result<()> {
    let (first, last) = (32_768, 60_999);
    let kernel = watching(enforcing())?;
    for sender in senders() {
        let source = sender.listed;
        let fin = |port| reason(&kernel, Program::Frags, &tcp(source, port, FIN | ACK));
        for port in (first..first + 100).chain(last - 100..=last) {
            assert_eq!(fin(port)?, Reason::Default);
        }
        assert_eq!(slot(&kernel, source)?, None);
        for (port, points) in [(first - 1, ONE), (last + 1, 2 * ONE)] {
            assert_eq!(fin(port)?, Reason::Default);
            let slot = slot(&kernel, source)?.expect("counted");
            assert_eq!(slot.points, points, "port {port}");
        }
        // Of everything else such a port is no exception.
        passes(&kernel, Program::Frags, source, &[first])?;
        let slot = slot(&kernel, source)?.expect("counted");
        assert_eq!(slot.points, 3 * ONE);
    }
    Ok(())
}

#[test]
fn a_success_takes_half_a_port_off_the_slow_score_once_the_window_is_forgotten() -> Result<()> {
    let ports = ports();
    let mut config = enforcing();
    config.thresholds.window = 1;
    let mut kernel = watching(config)?;
    kernel.set_port(Protocol::Tcp, 443, Port::Served)?;
    for sender in senders() {
        passes(&kernel, Program::Frags, sender.listed, &ports[..2])?;
        passes(&kernel, Program::Frags, sender.listed, &[443])?;
        let slot = slot(&kernel, sender.listed)?.expect("counted");
        assert_eq!(slot.slow, 2 * ONE, "he has probed of late");
    }
    // 32 points are none after six halvings.
    thread::sleep(Duration::from_millis(7100));
    for sender in senders() {
        for slow in [24, 16, 8, 0, 0] {
            passes(&kernel, Program::Frags, sender.listed, &[443])?;
            let slot = slot(&kernel, sender.listed)?.expect("counted");
            assert_eq!((slot.points, slot.slow), (0, slow));
        }
        // Another source's successes are not his.
        passes(&kernel, Program::Frags, sender.listed, &ports[2..3])?;
        passes(&kernel, Program::Frags, sender.free, &[443])?;
        assert_eq!(slot(&kernel, sender.listed)?.expect("counted").slow, ONE);
    }
    Ok(())
}

#[test]
fn successes_do_not_hide_a_scan() -> Result<()> {
    let mut kernel = watching(enforcing())?;
    kernel.set_port(Protocol::Tcp, 443, Port::Served)?;
    let [sender, _] = senders();
    let source = sender.listed;
    let ports = ports();
    for port in &ports[..THRESHOLD - 1] {
        passes(&kernel, Program::Frags, source, &[*port, 443, 443, 443])?;
    }
    let last = syn(source, ports[THRESHOLD - 1]);
    assert_eq!(reason(&kernel, Program::Frags, &last)?, Reason::Scan);
    Ok(())
}

#[test]
fn a_scanner_behind_a_v4_mapped_address_is_the_ipv4_host() -> Result<()> {
    let kernel = watching(enforcing())?;
    let host = Ipv4Addr::new(198, 51, 100, 7);
    let ports = ports();
    let last = ports[THRESHOLD - 1];
    // Half of them each way.
    for (at, port) in ports[..THRESHOLD - 1].iter().enumerate() {
        let frame = match at % 2 {
            0 => Frame::new().ip(host.into()),
            _ => Frame::new().ipv6(host.to_ipv6_mapped(), SERVER_V6),
        };
        let frame = frame.tcp(40000, *port, SYN).bytes();
        assert_eq!(reason(&kernel, Program::Linear, &frame)?, Reason::Default);
    }
    let frame = Frame::new().ipv6(host.to_ipv6_mapped(), SERVER_V6);
    let frame = frame.tcp(40000, last, SYN).bytes();
    assert_eq!(reason(&kernel, Program::Linear, &frame)?, Reason::Scan);
    let entry = kernel.entry(Table::Block, Prefix::host(host.into()))?;
    assert_eq!(entry.packets, 1);
    assert_eq!(
        reason(&kernel, Program::Linear, &syn(host.into(), 1))?,
        Reason::Block
    );
    Ok(())
}
