//! Who has proved that an address is theirs.
//!
//! A source address is easily forged, but then the answer to a SYN goes elsewhere, and without it
//! nobody completes the handshake.

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
    ops::ControlFlow,
};

use fw_common::prefix::Prefix;
use netlink_packet_sock_diag::{constants::IPPROTO_TCP, inet::StateFlags};

use super::{conntrack::handshakes, describe, sock_diag::sockets};

/// States of a socket behind the handshake.
const CONNECTED: StateFlags = StateFlags::ESTABLISHED
    .union(StateFlags::FIN_WAIT1)
    .union(StateFlags::FIN_WAIT2)
    .union(StateFlags::CLOSE_WAIT)
    .union(StateFlags::LAST_ACK)
    .union(StateFlags::CLOSING)
    .union(StateFlags::TIME_WAIT);

/// Which sources are real, and why there may be more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// Those of the sources asked about from which a handshake was completed.
    pub proven: BTreeSet<Prefix>,
    /// What could not be found out, one sentence each.
    pub problems: Vec<String>,
}

/// Which of the sources have an address that completed a TCP handshake: with a socket of this
/// network namespace, whichever side began, or through its connection tracking, as the one that
/// began. Both forget a connection soon after its end.
pub fn proven(sources: &[Prefix]) -> Proof {
    let mut search = Search::new(sources);
    let mut problems = Vec::new();
    let mut look = |result| {
        if let Err(error) = result {
            problems.push(describe(&error));
        }
    };
    if !search.open.is_empty() {
        look(sockets(IPPROTO_TCP, &CONNECTED, 0, |socket| {
            search.meet(socket.socket_id.destination_address)
        }));
    }
    if !search.open.is_empty() {
        look(handshakes(|peer| search.meet(peer)));
    }
    Proof {
        proven: search.proven,
        problems,
    }
}

struct Search {
    /// Not proven yet.
    open: HashSet<Prefix>,
    /// Lengths among the sources: there are few, so that an address is looked up under each.
    lengths: BTreeSet<u8>,
    proven: BTreeSet<Prefix>,
}

impl Search {
    fn new(sources: &[Prefix]) -> Self {
        Self {
            open: sources.iter().copied().collect(),
            lengths: sources.iter().map(Prefix::length).collect(),
            proven: BTreeSet::new(),
        }
    }

    /// Notes the sources that a peer belongs to.
    fn meet(&mut self, peer: IpAddr) -> ControlFlow<()> {
        let peer = peer.to_canonical();
        for source in self
            .lengths
            .iter()
            .filter_map(|&length| Prefix::new(peer, length))
        {
            if self.open.remove(&source) {
                self.proven.insert(source);
            }
        }
        match self.open.is_empty() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Ipv4Addr, SocketAddrV4, TcpListener},
        os::fd::{AsRawFd, OwnedFd},
        thread::sleep,
        time::Duration,
    };

    use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn, bind, socket};

    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::parse(text).expect("a prefix").0
    }

    /// Connection tracking can be read by root only.
    fn by_sockets(sources: &[Prefix]) -> BTreeSet<Prefix> {
        let mut search = Search::new(sources);
        sockets(IPPROTO_TCP, &CONNECTED, 0, |socket| {
            search.meet(socket.socket_id.destination_address)
        })
        .expect("the kernel answers");
        search.proven
    }

    /// A loopback address that no run of the last minute has used: ended connections linger.
    fn fresh(case: u8) -> Ipv4Addr {
        let [.., b, c, d] = std::process::id().to_be_bytes();
        Ipv4Addr::new(127, case << 6 | b & 63, c, d)
    }

    fn connect(from: Ipv4Addr, port: u16) -> OwnedFd {
        let flags = SockFlag::empty();
        let client = socket(AddressFamily::Inet, SockType::Stream, flags, None).expect("a socket");
        let bound = SockaddrIn::from(SocketAddrV4::new(from, 0));
        bind(client.as_raw_fd(), &bound).expect("an address of ours");
        let to = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
        socket::connect(client.as_raw_fd(), &to).expect("it listens");
        client
    }

    #[test]
    fn who_connects_is_proven_before_the_accept_and_after_the_end() {
        for (case, listen) in [(1, "127.0.0.1:0"), (2, "[::]:0")] {
            let source = Prefix::host(fresh(case).into());
            let asked = [source, prefix("192.0.2.7")];
            let proven = BTreeSet::from([source]);
            let listener = TcpListener::bind(listen).expect("a free port");
            let port = listener.local_addr().expect("bound").port();
            assert_eq!(by_sockets(&asked), BTreeSet::new(), "{listen}");
            let client = connect(fresh(case), port);
            assert_eq!(by_sockets(&asked), proven, "{listen}: not accepted yet");
            let (server, _) = listener.accept().expect("a connection waits");
            drop(server);
            // The client acknowledges the end when it pleases, within 40 ms.
            for _ in 0..20 {
                assert_eq!(by_sockets(&asked), proven, "{listen}: half closed");
                sleep(Duration::from_millis(5));
            }
            drop(client);
            assert_eq!(by_sockets(&asked), proven, "{listen}: closed");
        }
    }

    #[test]
    fn one_host_proves_every_source_it_belongs_to_and_the_search_ends_with_the_last() {
        let sources = [
            "192.0.2.7",
            "192.0.2.0/24",
            "198.51.100.0/24",
            "2001:db8::/64",
            "2001:db8::/32",
            "2001:db8:0:1::/64",
        ]
        .map(prefix);
        let mut search = Search::new(&sources);
        let mut meet = |text: &str| search.meet(text.parse().expect("an address"));
        assert!(meet("192.0.2.8").is_continue());
        assert!(meet("203.0.113.1").is_continue());
        assert!(meet("2001:db8::1:2").is_continue());
        assert_eq!(
            search.proven,
            BTreeSet::from(["192.0.2.0/24", "2001:db8::/64", "2001:db8::/32"].map(prefix))
        );
        let mut meet = |text: &str| search.meet(text.parse().expect("an address"));
        assert!(meet("::ffff:192.0.2.7").is_continue());
        assert!(meet("198.51.100.255").is_continue());
        assert!(meet("2001:db8:0:1::").is_break());
        assert_eq!(search.proven, BTreeSet::from(sources));
    }

    #[test]
    fn about_nobody_nothing_is_asked() {
        assert_eq!(proven(&[]), Proof::default());
    }
}
