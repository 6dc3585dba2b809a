//! Nobody locks himself out.

use std::{io::Read as _, net::IpAddr, time::Duration};

use fw_tests::lab::{
    Lab,
    address::{Addresses, FAMILIES, V4},
    daemon::eventually,
};

/// Neither the address nor anything around it can be blocked: each attempt is refused, names who
/// is guarded, and changes nothing.
#[track_caller]
fn cannot_be_blocked(lab: &Lab, address: IpAddr, source: &str) {
    let before = lab.entries("blocks");
    let reply = lab.fw(&["block", &address.to_string()]).must(5);
    reply.saying(&address.to_string()).saying(source);
    let around: &[u8] = if address.is_ipv4() {
        &[31, 24, 8, 0]
    } else {
        &[127, 64, 16, 0]
    };
    for length in around {
        // A wide one may cut others as well, and name one of them.
        let prefix = format!("{address}/{length}");
        lab.fw(&["block", "203.0.113.99", &prefix])
            .must(5)
            .saying("guarded");
    }
    assert_eq!(lab.entries("blocks"), before);
}

#[test]
fn own_address_cannot_be_blocked() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    for net in FAMILIES {
        cannot_be_blocked(&lab, net.server, "own-address");
    }
}

#[test]
fn gateway_cannot_be_blocked() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    for net in FAMILIES {
        cannot_be_blocked(&lab, net.gateway, "gateway");
    }
}

#[test]
fn address_that_comes_later_is_guarded_from_then_on() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let late = "198.18.9.1";
    lab.fw(&["block", late]).must(0);
    lab.fw(&["unblock", late]).must(0);
    lab.server.ip(&format!("address add {late}/32 dev server0"));
    eventually("the new address is guarded", || {
        lab.json(&["list", "guard"]).to_string().contains(late)
    });
    cannot_be_blocked(&lab, late.parse().expect("an address"), "own-address");
    lab.server
        .ip(&format!("address delete {late}/32 dev server0"));
    eventually("the old address is free", || {
        !lab.json(&["list", "guard"]).to_string().contains(late)
    });
    lab.fw(&["block", late]).must(0);
}

/// Keeps a TCP connection to port 22 of the server, which is all the daemon can see of a session.
fn peer_of_a_session(net: &Addresses) {
    let lab = Lab::new();
    let listener = lab.listen(net.server, 22);
    let port = listener.local_addr().expect("a port");
    let session = lab.connect(net.free, port, Duration::from_secs(5));
    let mut session = session.expect("a session");
    let (mut shell, _) = listener.accept().expect("a session");

    let _daemon = lab.daemon().start();
    cannot_be_blocked(&lab, net.free, "ssh-peer");
    lab.fw(&["block", &net.blocked.to_string()]).must(0);
    std::io::Write::write_all(&mut session, b"still here").expect("the session works");
    let mut word = [0; 10];
    shell.read_exact(&mut word).expect("the session works");
    assert_eq!(&word, b"still here");
}

#[test]
fn peer_of_a_live_ssh_session_cannot_be_blocked() {
    for net in FAMILIES {
        peer_of_a_session(&net);
    }
}

#[test]
fn session_that_begins_under_a_block_around_it_does_not_exist() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let listener = lab.listen(V4.server, 22);
    let port = listener.local_addr().expect("a port");
    lab.fw(&["block", V4.block]).must(0);
    assert!(
        lab.connect(V4.blocked, port, Duration::from_millis(300))
            .is_none()
    );
    assert!(
        lab.connect(V4.free, port, Duration::from_millis(300))
            .is_some()
    );
}

#[test]
fn configured_prefix_cannot_be_blocked() {
    let lab = Lab::new();
    let config = "[guard]\nprefixes = [\"203.0.113.0/24\"]\n";
    std::fs::write(lab.config(), config).expect("the configuration can be written");
    let _daemon = lab.daemon().start();
    for prefix in ["203.0.113.7", "203.0.113.0/24", "203.0.0.0/16"] {
        lab.fw(&["block", prefix]).must(5).saying("203.0.113.0/24");
    }
    lab.fw(&["block", "203.0.112.0/24"]).must(0);
}
