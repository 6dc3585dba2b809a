//! Ports that sockets of this network namespace serve.

use std::{fs, ops::ControlFlow};

use netlink_packet_sock_diag::{
    constants::{IPPROTO_TCP, IPPROTO_UDP},
    inet::{InetResponseHeader, StateFlags},
};

use super::{OpenPorts, describe, sock_diag::sockets};
use crate::detect::ports::{PortSet, Ports, Protocol};

/// Where the kernel takes the ports of sockets that name none, of IPv6 too.
const LOCAL_PORT_RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// Index of the interface `lo` in every namespace.
const LOOPBACK: u32 = 1;

/// 1 where packets are forwarded.
const FORWARDING: [&str; 2] = [
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/net/ipv6/conf/all/forwarding",
];

/// Ports that any user may take.
const UNPRIVILEGED: Ports = Ports {
    protocol: Protocol::Udp,
    first: 1024,
    last: u16::MAX,
};

/// Ports that are served to other hosts: TCP sockets that listen and UDP sockets without a peer,
/// unless they are bound to a loopback address. To those of UDP belong the ports where answers
/// arrive: what comes there may be a late one.
pub fn look() -> OpenPorts {
    let mut open = OpenPorts::default();
    open.add_sockets(Protocol::Tcp);
    open.add_sockets(Protocol::Udp);
    open.answers = answers(&open.ports);
    match open.answers {
        Some(range) => open.ports.extend([range]),
        None => open.problems.push(format!(
            "no range of ports can be read from {LOCAL_PORT_RANGE}"
        )),
    }
    open
}

/// The ports where this host's own connections come from, and so their answers arrive: those that
/// sockets get which name none. All that are unprivileged, where others are seen to be used beside
/// those `served` (resolvers spread their questions), and where packets are forwarded (masquerading
/// keeps the ports of its clients).
pub fn answers(served: &PortSet) -> Option<Ports> {
    let range = local_ports(&fs::read_to_string(LOCAL_PORT_RANGE).ok()?)?;
    let forwards = |path: &&str| fs::read_to_string(path).is_ok_and(|text| text.trim() == "1");
    let mut wide = FORWARDING.iter().any(forwards);
    let looked = sockets(IPPROTO_UDP, &StateFlags::ESTABLISHED, 0, |socket| {
        let port = socket.socket_id.source_port;
        let own = is_public(socket) && !served.contains(Protocol::Udp, port);
        wide |= own && port >= UNPRIVILEGED.first && !(range.first..=range.last).contains(&port);
        match wide {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    });
    match wide || looked.is_err() {
        true => Some(UNPRIVILEGED),
        false => Some(range),
    }
}

impl OpenPorts {
    fn add_sockets(&mut self, protocol: Protocol) {
        let (number, states) = match protocol {
            Protocol::Tcp => (IPPROTO_TCP, StateFlags::LISTEN),
            // As the kernel calls a UDP socket without a peer.
            Protocol::Udp => (IPPROTO_UDP, StateFlags::CLOSE),
        };
        let result = sockets(number, &states, 0, |socket| {
            if is_public(socket) {
                self.ports.insert(protocol, socket.socket_id.source_port);
            }
            ControlFlow::Continue(())
        });
        if let Err(error) = result {
            self.problems.push(describe(&error));
        }
    }
}

/// Whether other hosts can reach a socket.
fn is_public(socket: &InetResponseHeader) -> bool {
    let bound = socket.socket_id.source_address.to_canonical();
    !bound.is_loopback() && socket.socket_id.interface_id != LOOPBACK
}

/// Two numbers, with a tab between them.
fn local_ports(text: &str) -> Option<Ports> {
    let (first, last) = text.trim().split_once(char::is_whitespace)?;
    Some(Ports {
        protocol: Protocol::Udp,
        first: first.parse().ok()?,
        last: last.trim().parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use nix::sys::socket::{setsockopt, sockopt::BindToDevice};

    use super::*;
    use crate::host::addresses;

    fn serves_tcp(port: u16) -> bool {
        let open = look();
        assert_eq!(open.problems, [""; 0]);
        open.ports.contains(Protocol::Tcp, port)
    }

    /// Sockets alone: the range of local ports covers the ports that tests get.
    fn serves_udp(port: u16) -> bool {
        let mut open = OpenPorts::default();
        open.add_sockets(Protocol::Udp);
        assert_eq!(open.problems, [""; 0]);
        open.ports.contains(Protocol::Udp, port)
    }

    fn udp(address: &str) -> (UdpSocket, u16) {
        let socket = UdpSocket::bind(address).expect("a free port");
        let port = socket.local_addr().expect("bound").port();
        (socket, port)
    }

    #[test]
    fn a_listener_is_seen_while_it_listens() {
        for address in ["0.0.0.0:0", "[::]:0"] {
            let listener = TcpListener::bind(address).expect("a free port");
            let port = listener.local_addr().expect("bound").port();
            assert!(serves_tcp(port), "{address}");
            drop(listener);
            assert!(!serves_tcp(port), "{address}");
        }
    }

    #[test]
    fn what_is_bound_to_a_loopback_address_is_not_served_to_others() {
        for address in [
            "127.0.0.1:0",
            "127.0.0.53:0",
            "[::1]:0",
            "[::ffff:127.0.0.1]:0",
        ] {
            let listener = TcpListener::bind(address).expect("a free port");
            let port = listener.local_addr().expect("bound").port();
            assert!(!serves_tcp(port), "{address}");
            let (_socket, port) = udp(address);
            assert!(!serves_udp(port), "{address}");
        }
    }

    #[test]
    fn what_is_bound_to_the_interface_lo_is_not_served_to_others() {
        let (socket, port) = udp("0.0.0.0:0");
        assert!(serves_udp(port));
        setsockopt(&socket, BindToDevice, &"lo".into()).expect("any user may, once");
        assert!(!serves_udp(port));
    }

    #[test]
    fn a_udp_socket_serves_until_it_has_a_peer() {
        // Loopback would not do: the socket would be left out for the address it gets.
        let own = addresses::own().addresses;
        let peer = own.iter().find(|one| one.is_ipv4() && !one.is_loopback());
        let peer = peer.expect("this machine has an address");
        for (address, peer) in [
            ("0.0.0.0:0", format!("{peer}:9")),
            ("[::]:0", format!("[::ffff:{peer}]:9")),
        ] {
            let (socket, port) = udp(address);
            assert!(serves_udp(port), "{address}");
            assert!(!serves_tcp(port), "{address}");
            socket.connect(&peer).expect("a way to ourselves");
            assert!(!serves_udp(port), "{address}");
        }
    }

    #[test]
    fn late_answers_come_to_served_ports() {
        let text = fs::read_to_string(LOCAL_PORT_RANGE).expect("/proc is mounted");
        let range = local_ports(&text).expect("two numbers");
        assert!(range.first < range.last, "{range}");
        let open = look().ports;
        for port in range.first..=range.last {
            assert!(open.contains(Protocol::Udp, port), "{port}");
        }
        let read = |text| local_ports(text).map(|ports| ports.to_string());
        assert_eq!(read("32768\t60999\n"), Some("udp/32768-60999".to_owned()));
        for text in ["", "1", "1 x", "1 70000"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
