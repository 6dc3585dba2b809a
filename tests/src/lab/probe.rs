//! Does a packet of this source arrive?
//!
//! Without waiting for what must not come: behind the packet in question goes one from the
//! gateway, which is guarded. A link keeps their order, so when the second is there, the first has
//! arrived or never will.

use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd as _,
    time::Duration,
};

use nix::{
    errno::Errno,
    sys::{
        socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage, sockopt},
        time::{TimeVal, TimeValLike as _},
    },
};

use super::{
    Lab,
    address::{Addresses, FAMILIES, GLOBAL, SECOND},
};

/// Longer than a marker takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(5);

impl Lab {
    /// Whether a datagram of this source, one of the attacker's addresses, reaches the server.
    #[track_caller]
    pub fn arrives(&self, source: IpAddr) -> bool {
        self.arrives_with(source, 1)
    }

    /// As [`Lab::arrives`], with a payload of this many bytes.
    #[track_caller]
    pub fn arrives_with(&self, source: IpAddr, bytes: usize) -> bool {
        let link = link_of(source);
        let server = self.server.enter(|| bind(link.server));
        server
            .set_read_timeout(Some(PATIENCE))
            .expect("a time limit");
        let target = server.local_addr().expect("a port");
        self.attacker.enter(|| {
            for (source, bytes) in [(source, bytes), (link.gateway, 1)] {
                let sent = bind(source).send_to(&vec![0; bytes], target);
                sent.expect("the attacker can send");
            }
        });
        let mut arrived = false;
        let mut payload = vec![0; bytes + 1];
        loop {
            let (received, from) = server
                .recv_from(&mut payload)
                .unwrap_or_else(|error| panic!("not even the gateway arrives: {error}"));
            if from.ip() == link.gateway {
                return arrived;
            }
            arrived |= from.ip() == source && received == bytes;
        }
    }

    /// The sources among these whose datagrams reach the server.
    #[track_caller]
    pub fn arriving(&self, sources: &[IpAddr]) -> Vec<IpAddr> {
        let mut sources = sources.to_vec();
        sources.retain(|source| self.arrives(*source));
        sources
    }

    /// A TCP service of the server.
    pub fn listen(&self, address: IpAddr, port: u16) -> TcpListener {
        let listener = self.server.enter(|| TcpListener::bind((address, port)));
        listener.expect("the server can listen")
    }

    /// Connects from one of the attacker's addresses; nothing when there is no answer in time.
    pub fn connect(&self, source: IpAddr, to: SocketAddr, patience: Duration) -> Option<TcpStream> {
        self.attacker.enter(|| connect(source, to, patience).ok())
    }

    /// Whether the server answers an echo request of this source.
    pub fn pings(&self, source: IpAddr) -> bool {
        let mut ping = self.attacker.command("ping");
        ping.args(["-q", "-n", "-c", "1", "-W", "1", "-I", &source.to_string()]);
        ping.arg(link_of(source).server.to_string());
        ping.output().expect("ping starts").status.success()
    }
}

/// The link that an address of the attacker is on.
fn link_of(source: IpAddr) -> Addresses {
    let links = FAMILIES.into_iter().chain(SECOND).chain(GLOBAL);
    let mut links = links.filter(|link| link.of_attacker().contains(&source));
    links.next().expect("an address of the attacker")
}

fn bind(address: IpAddr) -> UdpSocket {
    UdpSocket::bind((address, 0)).expect("the address is there")
}

/// `TcpStream` has no way to choose the source.
fn connect(source: IpAddr, to: SocketAddr, patience: Duration) -> Result<TcpStream, Errno> {
    let family = match to {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let socket = socket::socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    let from = SockaddrStorage::from(SocketAddr::new(source, 0));
    socket::bind(socket.as_raw_fd(), &from)?;
    // Linux ends `connect` by the time limit for sending.
    let patience = TimeVal::milliseconds(patience.as_millis() as i64);
    socket::setsockopt(&socket, sockopt::SendTimeout, &patience)?;
    socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(to))?;
    Ok(TcpStream::from(socket))
}
