//! Who is logged in through SSH.
//!
//! An open connection to an SSH port is no login: whoever guesses passwords has one too, and a
//! guarded guesser could never be blocked. So connections that OpenSSH has not let in yet are left
//! out. Where that cannot be told (another server, no right to look), the connection counts.

mod config;
mod login;

use std::{env, net::IpAddr, ops::ControlFlow};

use netlink_packet_sock_diag::{constants::IPPROTO_TCP, inet::StateFlags};

use super::{Found, netlink::NetlinkError, sock_diag::sockets};

/// Set by sshd for what runs in a session: the client's address and port, then the server's.
const VARIABLES: [&str; 2] = ["SSH_CONNECTION", "SSH_CLIENT"];

/// Peers of the sessions of this machine, and of the session this process runs in.
pub fn peers() -> Found {
    let mut found = Found::default();
    for text in VARIABLES.iter().filter_map(|name| env::var(name).ok()) {
        found.addresses.extend(client(&text));
    }
    let mut connections = Vec::new();
    for port in config::ports(&mut found.problems) {
        match established(port) {
            Ok(peers) => connections.extend(peers),
            Err(error) => found.fail(error),
        }
    }
    if connections.is_empty() {
        return found;
    }
    let undecided = login::undecided(&mut found.problems);
    for connection in connections {
        if !undecided.contains(&connection.inode) {
            found.add(connection.peer);
        }
    }
    found
}

/// The address in one of [`VARIABLES`].
fn client(text: &str) -> Option<IpAddr> {
    let address = text.split(' ').next()?;
    let without_zone = address.split('%').next()?;
    let address: IpAddr = without_zone.parse().ok()?;
    Some(address.to_canonical())
}

/// An accepted connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Connection {
    peer: IpAddr,
    /// Number of the socket among the files of a process.
    inode: u32,
}

/// Accepted connections to a local port.
fn established(port: u16) -> Result<Vec<Connection>, NetlinkError> {
    let mut connections = Vec::new();
    sockets(IPPROTO_TCP, &StateFlags::ESTABLISHED, port, |socket| {
        // The kernel has no inode for a connection that no process has accepted.
        if socket.inode != 0 {
            connections.push(Connection {
                peer: socket.socket_id.destination_address.to_canonical(),
                inode: socket.inode,
            });
        }
        ControlFlow::Continue(())
    })?;
    Ok(connections)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        net::{Ipv6Addr, TcpListener, TcpStream},
        os::fd::AsRawFd,
    };

    use super::*;

    #[test]
    fn the_client_is_the_first_word() {
        for (text, expected) in [
            ("192.0.2.7 51234 192.0.2.1 22", Some("192.0.2.7")),
            ("2001:db8::7 51234 22", Some("2001:db8::7")),
            ("::ffff:192.0.2.7 51234 22", Some("192.0.2.7")),
            ("fe80::7%eth0 51234 fe80::1%eth0 22", Some("fe80::7")),
            ("UNKNOWN 65535 UNKNOWN 65535", None),
            ("", None),
        ] {
            let expected = expected.map(|text| text.parse().expect("an address"));
            assert_eq!(client(text), expected, "{text}");
        }
    }

    #[test]
    fn an_accepted_connection_is_seen_at_its_port_only() {
        for (address, peer) in [("127.0.0.1:0", "127.0.0.1"), ("[::]:0", "127.0.0.1")] {
            let listener = TcpListener::bind(address).expect("a free port");
            let port = listener.local_addr().expect("bound").port();
            let client = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
            assert_eq!(
                established(port).expect("the kernel answers"),
                [],
                "not accepted yet"
            );

            let (server, _) = listener.accept().expect("a connection waits");
            let path = format!("/proc/self/fd/{}", server.as_raw_fd());
            let file = fs::read_link(path).expect("an open file");
            let [connection] = established(port).expect("the kernel answers")[..] else {
                panic!("one connection is open to {port}");
            };
            assert_eq!(connection.peer.to_string(), peer);
            assert_eq!(
                file.to_string_lossy(),
                format!("socket:[{}]", connection.inode)
            );
            let other = client.local_addr().expect("connected").port();
            let back = established(other).expect("the kernel answers");
            assert_eq!(back.len(), 1, "the client's end is at its own port");
        }
    }

    #[test]
    fn ipv6_peers_are_seen_as_they_are() {
        let listener = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("IPv6 and a free port");
        let port = listener.local_addr().expect("bound").port();
        let _client = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).expect("it listens");
        let _server = listener.accept().expect("a connection waits");
        let connections = established(port).expect("the kernel answers");
        assert_eq!(connections.len(), 1);
        assert_eq!(connections[0].peer, IpAddr::V6(Ipv6Addr::LOCALHOST));
    }
}
