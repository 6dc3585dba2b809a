//! A service of the server, and who gets in.
//!
//! Without waiting for who must not: behind those in question knocks the gateway, which is guarded.
//! A link keeps their order, so when it is in, they are in or never will be.

use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, AsRawFd as _},
    time::Duration,
};

use fw_tests::lab::{
    Lab,
    address::{Addresses, FAMILIES, V4, V6},
};
use nix::{
    errno::Errno,
    sys::{
        socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage, sockopt},
        time::{TimeVal, TimeValLike as _},
    },
};

/// Longer than the gateway takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// A port that is served, for both families.
pub struct Door<'lab> {
    lab: &'lab Lab,
    port: u16,
    served: Served,
}

enum Served {
    Tcp([TcpListener; 2]),
    Udp([UdpSocket; 2]),
}

impl<'lab> Door<'lab> {
    /// A TCP service.
    pub fn tcp(lab: &'lab Lab, port: u16) -> Self {
        let served = FAMILIES.map(|net| {
            let listener = lab.listen(net.server, port);
            limit(&listener);
            listener
        });
        Self {
            lab,
            port,
            served: Served::Tcp(served),
        }
    }

    /// A UDP service.
    pub fn udp(lab: &'lab Lab, port: u16) -> Self {
        let served = FAMILIES.map(|net| {
            let socket = lab.server.enter(|| UdpSocket::bind((net.server, port)));
            let socket = socket.expect("the server can serve");
            limit(&socket);
            socket
        });
        Self {
            lab,
            port,
            served: Served::Udp(served),
        }
    }

    /// Whether a new connection of this source gets in.
    #[track_caller]
    pub fn admits(&self, source: IpAddr) -> bool {
        !self.admitted(&[source]).is_empty()
    }

    /// How many of so many new connections of this source get in.
    #[track_caller]
    pub fn admits_of(&self, source: IpAddr, knocks: usize) -> usize {
        self.admitted(&vec![source; knocks]).len()
    }

    /// Those of these sources, all of one family, whose new connections get in.
    #[track_caller]
    pub fn admitted(&self, sources: &[IpAddr]) -> Vec<IpAddr> {
        let net = net_of(sources[0]);
        let to = SocketAddr::new(net.server, self.port);
        let everyone = sources.iter().chain([&net.gateway]);
        match &self.served {
            Served::Tcp(listeners) => {
                let knock = |source: &IpAddr| knock(*source, to);
                let _callers: Vec<TcpStream> =
                    self.lab.attacker.enter(|| everyone.map(knock).collect());
                until_gateway(net, || Ok(of(net, listeners).accept()?.1))
            }
            Served::Udp(sockets) => {
                self.lab.attacker.enter(|| {
                    for source in everyone {
                        let socket = UdpSocket::bind((*source, 0));
                        let sent = socket.and_then(|socket| socket.send_to(b"?", to));
                        sent.expect("the attacker can send");
                    }
                });
                until_gateway(net, || Ok(of(net, sockets).recv_from(&mut [0])?.1))
            }
        }
    }
}

fn net_of(source: IpAddr) -> Addresses {
    if source.is_ipv4() { V4 } else { V6 }
}

fn of<T>(net: Addresses, both: &[T; 2]) -> &T {
    &both[usize::from(net.server.is_ipv6())]
}

fn limit(socket: &impl AsFd) {
    let patience = TimeVal::milliseconds(PATIENCE.as_millis() as i64);
    socket::setsockopt(socket, sockopt::ReceiveTimeout, &patience).expect("a time limit");
}

/// Who comes before the gateway.
#[track_caller]
fn until_gateway(
    net: Addresses,
    mut next: impl FnMut() -> std::io::Result<SocketAddr>,
) -> Vec<IpAddr> {
    let mut came = Vec::new();
    loop {
        let peer = next().unwrap_or_else(|error| panic!("not even the gateway gets in: {error}"));
        if peer.ip() == net.gateway {
            return came;
        }
        came.push(peer.ip());
    }
}

/// A connection under way.
fn knock(source: IpAddr, to: SocketAddr) -> TcpStream {
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(family, SockType::Stream, flags, None).expect("a socket");
    let from = SockaddrStorage::from(SocketAddr::new(source, 0));
    socket::bind(socket.as_raw_fd(), &from).expect("an address of the attacker");
    match socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => TcpStream::from(socket),
        Err(error) => panic!("{source} cannot knock: {error}"),
    }
}
