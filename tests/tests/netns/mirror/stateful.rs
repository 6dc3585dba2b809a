//! What every new connection meets, and what those under way are spared.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, TcpStream},
    os::fd::{AsRawFd as _, OwnedFd},
    time::Duration,
};

use fw_tests::{
    frames::{Frame, tcp},
    lab::{
        Lab,
        address::{Addresses, FAMILIES, V4},
        netfilter::Backend,
    },
};
use nix::sys::socket::{
    self, AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrStorage,
};

use super::{Layers, add, door::Door, lab, lab_with, start, with_each_backend};

/// Says something both ways.
#[track_caller]
fn talk([client, server]: &mut [TcpStream; 2]) {
    let mut heard = [0; 4];
    client.write_all(b"ping").expect("the client speaks");
    server.read_exact(&mut heard).expect("the server hears");
    server.write_all(b"pong").expect("the server speaks");
    client.read_exact(&mut heard).expect("the client hears");
    assert_eq!(&heard, b"pong");
}

/// A connection that is open.
fn connection(lab: &Lab, net: &Addresses, port: u16) -> [TcpStream; 2] {
    let listener = lab.listen(net.server, port);
    let to = listener.local_addr().expect("a port");
    let client = lab.connect(net.free, to, Duration::from_secs(5));
    let (server, _) = listener.accept().expect("a client");
    let ends = [client.expect("a connection"), server];
    for end in &ends {
        let limit = Some(Duration::from_secs(5));
        end.set_read_timeout(limit).expect("a time limit");
    }
    ends
}

fn default_of_drop_refuses_what_is_new_and_spares_what_is_open(backend: Backend) {
    let lab = lab(backend);
    let mut connections = FAMILIES.map(|net| connection(&lab, &net, 2000));
    let doors = [Door::tcp(&lab, 2222), Door::udp(&lab, 5353)];
    let web = Door::tcp(&lab, 8080);
    let _daemon = start(&lab, backend, Layers::MirrorAlone);
    for net in FAMILIES {
        let [allowed, guarded] = [net.allowed, net.guarded].map(|host| host.to_string());
        lab.fw(&["allow", &allowed]).must(0);
        lab.fw(&["guard", "add", &guarded]).must(0);
    }
    add(&lab, "port add tcp/8080 --accept");
    connections.iter_mut().for_each(talk);

    lab.fw(&["default", "drop"]).must(0);
    for (net, connection) in FAMILIES.iter().zip(&mut connections) {
        let everyone = [net.allowed, net.guarded, net.blocked, net.free];
        for door in &doors {
            assert_eq!(door.admitted(&everyone), [net.allowed, net.guarded]);
        }
        assert_eq!(web.admitted(&everyone), everyone, "its rule opens it");
        assert!(!lab.pings(net.free));
        talk(connection);
    }
    // What this host itself asks is answered.
    for net in FAMILIES {
        assert!(answered(&lab, &net), "{} answers", net.free);
    }
    lab.fw(&["default", "accept"]).must(0);
    for net in FAMILIES {
        for door in &doors {
            assert!(door.admits(net.free));
        }
        assert!(lab.pings(net.free));
    }
    connections.iter_mut().for_each(talk);
}

/// Whether the attacker's host answers a ping of the server's.
fn answered(lab: &Lab, net: &Addresses) -> bool {
    let mut ping = lab.server.command("ping");
    ping.args(["-q", "-n", "-c", "1", "-W", "1", &net.free.to_string()]);
    ping.output().expect("ping starts").status.success()
}

/// The server's own end of TCP, behind netfilter.
struct Ear(OwnedFd);

impl Ear {
    fn open(lab: &Lab, net: &Addresses) -> Self {
        Self(lab.server.enter(|| raw(net.server)))
    }

    /// Whether a FIN for this port came until now.
    fn heard_fin(&self, port: u16) -> bool {
        let mut packet = [0; 2048];
        let mut heard = false;
        while let Ok(length) = socket::recv(self.0.as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT)
        {
            // IPv4 comes with its header.
            let header = if packet[0] == 0x45 { 20 } else { 0 };
            let segment = &packet[header..length];
            heard |= segment[2..4] == port.to_be_bytes() && segment[13] == tcp::FIN;
        }
        heard
    }
}

fn raw(address: IpAddr) -> OwnedFd {
    let family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket =
        socket::socket(family, SockType::Raw, flags, SockProtocol::Tcp).expect("a raw socket");
    let here = SockaddrStorage::from(std::net::SocketAddr::new(address, 0));
    socket::bind(socket.as_raw_fd(), &here).expect("an address");
    socket
}

/// The end of a connection that never was.
fn send_fin(lab: &Lab, net: &Addresses, port: u16) {
    let (frame, headers) = match (net.free, net.server) {
        (IpAddr::V4(from), IpAddr::V4(to)) => (Frame::new().ipv4(from, to), 34),
        (IpAddr::V6(from), IpAddr::V6(to)) => (Frame::new().ipv6(from, to), 54),
        _ => unreachable!("a link has one family"),
    };
    let frame = frame.tcp(4321, port, tcp::FIN).bytes();
    let to = SockaddrStorage::from(std::net::SocketAddr::new(net.server, 0));
    let segment = &frame[headers..];
    let sent = lab.attacker.enter(|| {
        let socket = raw(net.free);
        socket::sendto(socket.as_raw_fd(), segment, &to, MsgFlags::empty())
    });
    assert_eq!(sent, Ok(segment.len()));
}

/// Whether it gets as far as the server's TCP.
fn fin_arrives(lab: &Lab, net: &Addresses, port: u16) -> bool {
    let ear = Ear::open(lab, net);
    send_fin(lab, net, port);
    // Behind it comes a packet of the gateway's.
    lab.arrives(net.gateway);
    ear.heard_fin(port)
}

fn invalid_packet_is_dropped_where_a_rule_accepts_and_passes_when_that_is_off(backend: Backend) {
    let lab = lab(backend);
    let door = Door::tcp(&lab, 2222);
    for net in FAMILIES {
        assert!(fin_arrives(&lab, &net, 2222), "without a firewall");
    }
    let _daemon = start(&lab, backend, Layers::MirrorAlone);
    add(&lab, "port add tcp/2222 --accept");
    for net in FAMILIES {
        assert!(!fin_arrives(&lab, &net, 2222));
        assert!(
            door.admits(net.free),
            "a connection that begins as it should"
        );
        lab.fw(&["allow", &net.free.to_string()]).must(0);
        assert!(fin_arrives(&lab, &net, 2222), "an allowed source");
        lab.fw(&["unallow", &net.free.to_string()]).must(0);
    }
    lab.fw(&["default", "--drop-invalid", "off"]).must(0);
    for net in FAMILIES {
        assert!(fin_arrives(&lab, &net, 2222));
    }
    lab.fw(&["default", "--drop-invalid", "on"]).must(0);
    for net in FAMILIES {
        assert!(!fin_arrives(&lab, &net, 2222));
    }
}

fn base_of_the_configuration_holds_until_a_command_says_otherwise(backend: Backend) {
    let lab = lab_with(backend, "default = \"drop\"\ndrop_invalid = false\n");
    let door = Door::tcp(&lab, 2222);
    let daemon = start(&lab, backend, Layers::MirrorAlone);
    for net in FAMILIES {
        assert!(!door.admits(net.free));
    }
    assert_eq!(lab.json(&["default"])["default"], "drop");
    add(&lab, "port add tcp/2222 --accept");
    assert!(fin_arrives(&lab, &V4, 2222));
    lab.fw(&["default", "accept", "--drop-invalid", "on"])
        .must(0);
    assert!(!fin_arrives(&lab, &V4, 2222));
    daemon.kill_9();
    let _daemon = start(&lab, backend, Layers::MirrorAlone);
    let base = lab.json(&["default"]);
    assert_eq!(base["default"], "accept", "{base}");
    assert_eq!(base["drop_invalid"], true, "{base}");
    assert!(!fin_arrives(&lab, &V4, 2222));
}

fn observe_mode_drops_nothing(backend: Backend) {
    let lab = lab(backend);
    let doors = [Door::tcp(&lab, 2222), Door::udp(&lab, 7000)];
    let _daemon = super::launch(&lab, Layers::MirrorAlone)
        .with(&["--observe"])
        .start();
    super::is_kept_by(&lab, backend);
    add(&lab, "port add tcp/2222 --drop");
    add(&lab, "limit add udp/7000 --rate 1/day --burst 1");
    lab.fw(&["default", "drop"]).must(0);
    for net in FAMILIES {
        lab.fw(&["block", net.block]).must(0);
        for door in &doors {
            assert_eq!(door.admits_of(net.free, 5), 5);
            assert_eq!(door.admits_of(net.blocked, 5), 5);
        }
        assert!(fin_arrives(&lab, &net, 2223));
        assert!(lab.pings(net.blocked));
    }
}

with_each_backend! {
    default_of_drop_refuses_what_is_new_and_spares_what_is_open
    invalid_packet_is_dropped_where_a_rule_accepts_and_passes_when_that_is_off
    base_of_the_configuration_holds_until_a_command_says_otherwise
    observe_mode_drops_nothing
}
