//! What the detector is told of the host, where no test of the host can go: rules of every tool, and
//! connections that only tracking remembers.

use std::{
    fs,
    net::{IpAddr, Shutdown, TcpListener, TcpStream, UdpSocket},
    os::fd::AsFd as _,
    process::id,
};

use fw_common::prefix::Prefix;
use fw_ctl::{
    detect::ports::{
        PortSet,
        Protocol::{self, Tcp, Udp},
    },
    host::{listeners::answers, peers::proven, published::Published},
};
use fw_tests::lab::{
    daemon::eventually,
    namespace::{Namespace, run},
};
use nix::sys::socket::{setsockopt, sockopt::Linger};

const OWN: [&str; 2] = ["127.0.0.1", "192.0.2.1"];

/// What is published in a namespace, asked anew until it is what is expected.
#[track_caller]
fn publishes(namespace: &Namespace, looks: &mut Published, expected: &[(Protocol, u16)]) {
    let own = OWN.map(|text| text.parse::<IpAddr>().expect("an address"));
    let mut last = String::new();
    eventually("the published ports are those expected", || {
        let open = namespace.enter(|| looks.look(&own).clone());
        assert_eq!(open.problems, [""; 0]);
        last = format!("{:?}", open.ports);
        let none = Default::default();
        open.ports.without(&none).collect::<Vec<_>>() == expected
    });
}

#[test]
fn published_ports_come_and_go_with_the_rules_of_every_tool() {
    let namespace = Namespace::create(format!("fw-published-{}", id()));
    let shell = |line: &str| run(namespace.command("sh").args(["-ec", line]));
    let mut looks = Published::default();
    publishes(&namespace, &mut looks, &[]);

    shell(
        "nft 'table inet shop {
            map ports { type inet_service : ipv4_addr; elements = { 25 : 10.0.0.25 }; }
            chain in {
                type nat hook prerouting priority dstnat
                udp dport { 53, 500-501 } redirect to :5353
                dnat ip to tcp dport map @ports
            }
        }'",
    );
    let shop = [(Tcp, 25), (Udp, 53), (Udp, 500), (Udp, 501)];
    publishes(&namespace, &mut looks, &shop);
    shell("nft 'add element inet shop ports { 26 : 10.0.0.26 }'");
    publishes(
        &namespace,
        &mut looks,
        &[(Tcp, 25), (Tcp, 26), shop[1], shop[2], shop[3]],
    );
    shell("nft flush ruleset");
    publishes(&namespace, &mut looks, &[]);

    shell("iptables-nft -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to 10.0.0.1:80");
    publishes(&namespace, &mut looks, &[(Tcp, 8080)]);
    shell("ip6tables-nft -t nat -A PREROUTING -p udp --dport 8081 -j REDIRECT --to-ports 1");
    publishes(&namespace, &mut looks, &[(Tcp, 8080), (Udp, 8081)]);
    shell("nft flush ruleset");
    publishes(&namespace, &mut looks, &[]);

    let names = || fs::read_to_string("/proc/thread-self/net/ip_tables_names").expect("/proc");
    assert_eq!(namespace.enter(names), "", "looking makes no table");
    shell("iptables-legacy -t nat -A PREROUTING -p tcp --dport 99 -j REDIRECT --to-ports 9");
    publishes(&namespace, &mut looks, &[(Tcp, 99)]);
}

/// Two namespaces with a link, of which the second tracks connections.
fn tracked() -> [Namespace; 2] {
    let [a, b] = ["a", "b"].map(|end| Namespace::create(format!("fw-peers-{end}-{}", id())));
    a.ip(&format!(
        "link add e0 type veth peer name e0 netns {}",
        b.name()
    ));
    a.ip("address add 192.0.2.7/24 dev e0\naddress add 192.0.2.8/24 dev e0\nlink set e0 up");
    b.ip("address add 192.0.2.1/24 dev e0\nlink set e0 up");
    run(b.command("nft").arg(
        "table inet t { chain in { type filter hook input priority 0; ct state new counter; }; }",
    ));
    [a, b]
}

#[test]
fn a_scan_is_no_proof_of_an_address_and_a_handshake_that_only_tracking_remembers_is() {
    let [client, server] = tracked();
    let sources = ["192.0.2.7", "192.0.2.8"].map(|text| Prefix::parse(text).expect("a prefix").0);
    let proven = || {
        let proof = server.enter(|| proven(&sources));
        assert_eq!(proof.problems, [""; 0]);
        Vec::from_iter(proof.proven)
    };
    let listener = server.enter(|| TcpListener::bind("192.0.2.1:80").expect("a free port"));
    run(client
        .command("nmap")
        .args("-n -Pn -sS -S 192.0.2.8 -e e0 -p 80-89 192.0.2.1".split(' ')));
    let table = || fs::read_to_string("/proc/thread-self/net/nf_conntrack").expect("/proc");
    assert!(
        server.enter(table).contains("src=192.0.2.8"),
        "tracking has seen the scan"
    );
    assert_eq!(proven(), []);

    let stream = client.enter(|| TcpStream::connect("192.0.2.1:80").expect("it listens"));
    let (accepted, _) = listener.accept().expect("a connection waits");
    assert_eq!(proven(), sources[..1]);
    // A reset leaves no socket behind.
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&stream.as_fd(), Linger, &linger).expect("an option");
    drop(stream);
    eventually("the reset arrives", || {
        accepted.shutdown(Shutdown::Both).is_err()
    });
    drop(accepted);
    assert_eq!(proven(), sources[..1]);

    // Now a forged SYN and a forged ACK would be enough.
    server.enter(|| {
        fs::write("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal", "1").expect("root may")
    });
    assert_eq!(proven(), []);
}

#[test]
fn answers_are_expected_at_every_port_that_questions_come_from() {
    let namespace = Namespace::create(format!("fw-answers-{}", id()));
    namespace.ip("link set lo up\n\
         address add 192.0.2.1/32 dev lo");
    let first = || {
        namespace.enter(|| {
            let answers = answers(&PortSet::default()).expect("there is a range");
            answers.first
        })
    };
    let set = |name: &str, value: &str| {
        namespace.enter(|| fs::write(format!("/proc/sys/net/{name}"), value).expect("a setting"));
    };
    assert_eq!(first(), 32768);

    // A resolver that takes its ports where it likes.
    let resolver = namespace.enter(|| UdpSocket::bind(("192.0.2.1", 20_000)).expect("a port"));
    assert_eq!(first(), 32768, "without a peer it is a service");
    resolver.connect(("192.0.2.1", 53)).expect("a peer");
    assert_eq!(first(), 1024);
    drop(resolver);
    assert_eq!(first(), 32768);

    for (name, quiet) in [("ipv4/ip_forward", "0"), ("ipv6/conf/all/forwarding", "0")] {
        set(name, "1");
        assert_eq!(first(), 1024, "{name}");
        set(name, quiet);
        assert_eq!(first(), 32768, "{name}");
    }
}
