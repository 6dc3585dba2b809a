//! The way over the second link: packets of any source, sent by the attacker's stack, and what of
//! them reaches the sockets of the server, behind netfilter.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    os::fd::{AsRawFd as _, OwnedFd},
};

use fw_tests::lab::{Lab, SECOND_INTERFACE, address::SECOND, wire::Number};
use nix::sys::{
    socket::{
        self, AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage, sockopt,
    },
    time::{TimeVal, TimeValLike as _},
};

/// The attacker's end.
pub struct Sender {
    v4: OwnedFd,
    v6: OwnedFd,
}

/// The server's end.
pub struct Delivery {
    sockets: [Ear; 4],
}

/// A socket for all packets of a family and a protocol, and where the source port stands in them.
struct Ear {
    socket: OwnedFd,
    port_at: usize,
}

fn raw(family: AddressFamily, protocol: SockProtocol) -> OwnedFd {
    let flags = SockFlag::SOCK_CLOEXEC;
    socket::socket(family, SockType::Raw, flags, protocol).expect("a raw socket")
}

impl Sender {
    pub fn in_lab(lab: &Lab) -> Self {
        lab.attacker.enter(|| Self {
            v4: raw(AddressFamily::Inet, SockProtocol::Raw),
            v6: raw(AddressFamily::Inet6, SockProtocol::Raw),
        })
    }

    /// Sends a packet that begins with its IP header.
    pub fn send(&self, packet: &[u8]) {
        let [v4, v6] = SECOND.map(|net| SocketAddr::new(net.server, 0));
        let (socket, to) = match packet[0] >> 4 {
            4 => (&self.v4, v4),
            _ => (&self.v6, v6),
        };
        let to = SockaddrStorage::from(to);
        let sent = socket::sendto(socket.as_raw_fd(), packet, &to, MsgFlags::empty());
        assert_eq!(sent, Ok(packet.len()), "the packet can be sent");
    }
}

impl Delivery {
    pub fn in_lab(lab: &Lab) -> Self {
        let of = |family, protocol| {
            // Of IPv6, a raw socket is not given the header.
            let port_at = if family == AddressFamily::Inet { 20 } else { 0 };
            let socket = raw(family, protocol);
            let device = SECOND_INTERFACE.into();
            socket::setsockopt(&socket, sockopt::BindToDevice, &device).expect("the link");
            let patience = TimeVal::seconds(5);
            socket::setsockopt(&socket, sockopt::ReceiveTimeout, &patience).expect("a time limit");
            socket::setsockopt(&socket, sockopt::RcvBufForce, &(16 << 20)).expect("a buffer");
            Ear { socket, port_at }
        };
        lab.server.enter(|| Self {
            sockets: [
                of(AddressFamily::Inet, SockProtocol::Udp),
                of(AddressFamily::Inet, SockProtocol::Tcp),
                of(AddressFamily::Inet6, SockProtocol::Udp),
                of(AddressFamily::Inet6, SockProtocol::Tcp),
            ],
        })
    }

    /// The source ports of the packets that came, up to and with this one, which must come to each
    /// socket.
    pub fn until(&self, end: Number) -> BTreeSet<Number> {
        let mut seen = BTreeSet::new();
        for ear in &self.sockets {
            loop {
                let number = ear.hear();
                seen.insert(number);
                if number == end {
                    break;
                }
            }
        }
        seen
    }
}

impl Ear {
    fn hear(&self) -> Number {
        let mut packet = [0; 2048];
        let received = socket::recv(self.socket.as_raw_fd(), &mut packet, MsgFlags::empty());
        let length = received.unwrap_or_else(|error| panic!("the last packet is missing: {error}"));
        match packet.get(self.port_at..length) {
            Some([high, low, ..]) => Number::from_be_bytes([*high, *low]),
            _ => panic!("{length} bytes are no packet"),
        }
    }
}
