//! A service that is younger than the port words: the program asks the kernel for a socket.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};

use anyhow::Result;
use fw_common::{reason::Reason, scan::ONE};
use fw_tests::kernel::{Kernel, Program};

use super::{THRESHOLD, enforcing, passes, ports, reason, slot, syn, udp, watching};
use crate::senders;

/// Every address of the source's family.
fn any(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn points(kernel: &Kernel, source: IpAddr) -> Result<u16> {
    Ok(slot(kernel, source)?.expect("counted").points)
}

#[test]
fn a_young_listener_is_not_counted_while_it_listens() -> Result<()> {
    for program in Program::ALL {
        let kernel = watching(enforcing())?;
        for sender in senders() {
            let source = sender.listed;
            let open = ports()[THRESHOLD];
            let listener = TcpListener::bind((any(source), open))?;
            passes(&kernel, program, source, &ports()[..THRESHOLD - 1])?;
            passes(&kernel, program, source, &[open; 20])?;
            assert_eq!(points(&kernel, source)?, 9 * ONE);
            // It stops, and its port is like any other.
            drop(listener);
            let last = syn(source, open);
            assert_eq!(reason(&kernel, program, &last)?, Reason::Scan);
        }
    }
    Ok(())
}

#[test]
fn a_young_udp_socket_is_not_counted_while_it_is_bound() -> Result<()> {
    for program in Program::ALL {
        let kernel = watching(enforcing())?;
        for sender in senders() {
            let source = sender.listed;
            let open = ports()[THRESHOLD];
            let socket = UdpSocket::bind((any(source), open))?;
            passes(&kernel, program, source, &ports()[..THRESHOLD - 1])?;
            for _ in 0..20 {
                let reason = reason(&kernel, program, &udp(source, open))?;
                assert_eq!(reason, Reason::Default);
            }
            assert_eq!(points(&kernel, source)?, 9 * ONE);
            drop(socket);
            assert_eq!(
                reason(&kernel, program, &udp(source, open))?,
                Reason::Default
            );
            assert_eq!(points(&kernel, source)?, 9 * ONE + ONE / 2);
        }
    }
    Ok(())
}

#[test]
fn a_listener_of_the_one_protocol_is_none_of_the_other() -> Result<()> {
    let kernel = watching(enforcing())?;
    let [sender, _] = senders();
    let source = sender.listed;
    let open = ports()[THRESHOLD];
    let _listener = TcpListener::bind((any(source), open))?;
    passes(&kernel, Program::Frags, source, &ports()[..1])?;
    kernel.receive(Program::Frags, &udp(source, open), 1)?;
    assert_eq!(points(&kernel, source)?, ONE + ONE / 2);
    passes(&kernel, Program::Frags, source, &[open])?;
    assert_eq!(points(&kernel, source)?, ONE + ONE / 2);
    Ok(())
}

#[test]
fn a_dual_stack_listener_serves_ipv4_too() -> Result<()> {
    let kernel = watching(enforcing())?;
    let open = ports()[THRESHOLD];
    let _listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, open))?;
    for sender in senders() {
        let source = sender.listed;
        passes(&kernel, Program::Frags, source, &ports()[..1])?;
        passes(&kernel, Program::Frags, source, &[open; 5])?;
        assert_eq!(points(&kernel, source)?, ONE);
    }
    Ok(())
}

/// Asking costs more than counting, so one probe is counted unasked; one port is no scan.
#[test]
fn a_first_probe_is_counted_unasked() -> Result<()> {
    let kernel = watching(enforcing())?;
    let ports = &ports()[..THRESHOLD * 2];
    let listeners = ports
        .iter()
        .map(|port| TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)));
    let _listeners: Vec<TcpListener> = listeners.collect::<Result<_, _>>()?;
    for sender in senders() {
        let source = sender.listed;
        for open in ports {
            passes(&kernel, Program::Frags, source, &[*open])?;
            assert_eq!(points(&kernel, source)?, ONE);
        }
    }
    Ok(())
}
