//! A port of the host that leads into a container: who is blocked does not get there.

use std::{
    fs,
    net::{IpAddr, SocketAddr, TcpListener},
    time::Duration,
};

use fw_tests::lab::{
    Lab, SECOND_INTERFACE,
    address::{Addresses, FAMILIES, SECOND, V4, V6},
    namespace::Namespace,
    netfilter::{Backend, PROGRAMS},
};

use super::{Layers, add, door::Door, is_kept_by, lab_with, start, with_each_backend};

/// The container's addresses, and its gateway's.
const CONTAINER: [(&str, &str, u8); 2] = [
    ("172.31.0.2", "172.31.0.1", 24),
    ("fd00:172::2", "fd00:172::1", 64),
];
/// Its port, and the one of the host that leads there.
const PORTS: (u16, u16) = (80, 8080);

/// A container behind the server, with one published port as Docker makes it.
struct Container<'lab> {
    lab: &'lab Lab,
    _listeners: [TcpListener; 2],
    _namespace: Namespace,
}

impl<'lab> Container<'lab> {
    fn run(lab: &'lab Lab) -> Self {
        let namespace = Namespace::create(format!("{}-container", lab.server.name()));
        lab.server.ip(&format!(
            "link add bridge0 type veth peer name eth0 netns {}\nlink set bridge0 up",
            namespace.name()
        ));
        namespace.ip("link set eth0 up");
        for (address, gateway, length) in CONTAINER {
            lab.server
                .ip(&format!("address add {gateway}/{length} dev bridge0"));
            namespace.ip(&format!(
                "address add {address}/{length} dev eth0\nroute add default via {gateway}"
            ));
        }
        lab.shell(
            "echo 1 > /proc/sys/net/ipv4/ip_forward\n\
             echo 1 > /proc/sys/net/ipv6/conf/all/forwarding",
        );
        let listen = |(address, ..): (&str, _, _)| {
            let address: IpAddr = address.parse().expect("an address");
            let listener = namespace.enter(|| TcpListener::bind((address, PORTS.0)));
            listener.expect("the container can listen")
        };
        Self {
            lab,
            _listeners: CONTAINER.map(listen),
            _namespace: namespace,
        }
    }

    /// Publishes its port by these programs.
    fn publish(&self, backend: Backend) {
        let (inside, outside) = PORTS;
        for (program, (address, ..)) in PROGRAMS.into_iter().zip(CONTAINER) {
            let at = if address.contains(':') {
                format!("[{address}]:{inside}")
            } else {
                format!("{address}:{inside}")
            };
            let iptables = format!("{} -w", backend.tool(program, ""));
            self.lab.shell(&format!(
                "{iptables} -t nat -A PREROUTING -p tcp --dport {outside} -j DNAT --to-destination {at}\n\
                 {iptables} -I FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
                 {iptables} -I FORWARD -d {address} -p tcp --dport {inside} -j ACCEPT"
            ));
        }
    }

    /// Those of these sources that reach it.
    fn reached_by(&self, sources: &[IpAddr]) -> Vec<IpAddr> {
        let reaches = |source: &IpAddr| {
            let net = if source.is_ipv4() { V4 } else { V6 };
            let port = SocketAddr::new(net.server, PORTS.1);
            self.lab
                .connect(*source, port, Duration::from_millis(500))
                .is_some()
        };
        sources.iter().copied().filter(reaches).collect()
    }
}

/// In the block and beside it.
fn everyone(net: &Addresses) -> [IpAddr; 3] {
    [net.blocked, net.allowed, net.free]
}

/// Blocks a network but for one host in it; only who may reaches the container.
#[track_caller]
fn blocked_does_not_reach(lab: &Lab, container: &Container<'_>) {
    for net in FAMILIES {
        assert_eq!(
            container.reached_by(&everyone(&net)),
            everyone(&net),
            "before"
        );
        lab.fw(&["block", net.block]).must(0);
        lab.fw(&["allow", &net.allowed.to_string()]).must(0);
        assert_eq!(
            container.reached_by(&everyone(&net)),
            [net.allowed, net.free]
        );
    }
}

fn published_port_is_closed_to_who_is_blocked_by_the_program(backend: Backend) {
    let lab = lab_with(backend, "");
    let container = Container::run(&lab);
    container.publish(backend);
    let _daemon = start(&lab, backend, Layers::Both);
    // Rules are about the host's own services: this is none.
    add(&lab, "port add tcp/8080 --drop");
    lab.fw(&["default", "drop"]).must(0);
    blocked_does_not_reach(&lab, &container);
}

fn published_port_is_closed_by_the_mirror_where_it_forwards(backend: Backend) {
    let lab = lab_with(backend, "forward = true\n");
    let container = Container::run(&lab);
    container.publish(backend);
    let daemon = start(&lab, backend, Layers::MirrorAlone);
    blocked_does_not_reach(&lab, &container);
    daemon.term();
    // As installed, it leaves what is forwarded alone.
    lab.configure_mirror(backend, "");
    let _daemon = start(&lab, backend, Layers::MirrorAlone);
    for net in FAMILIES {
        assert_eq!(container.reached_by(&everyone(&net)), everyone(&net));
        assert!(!lab.arrives(net.blocked) && lab.arrives(net.free));
    }
}

/// Docker asks its users to leave `FORWARD` alone.
fn rules_for_containers_begin_where_docker_wants_them(backend: Backend) {
    let lab = lab_with(backend, "forward = true\n");
    let container = Container::run(&lab);
    container.publish(backend);
    let programs = PROGRAMS.map(|program| backend.tool(program, " -w"));
    for iptables in &programs {
        lab.shell(&format!("{iptables} -N DOCKER-USER; {iptables} -A DOCKER-USER -j RETURN; {iptables} -I FORWARD -j DOCKER-USER"));
    }
    let foreign = lab.foreign();
    let _daemon = start(&lab, backend, Layers::MirrorAlone);
    blocked_does_not_reach(&lab, &container);
    assert_eq!(lab.foreign(), foreign);
    for iptables in &programs {
        let jump = lab.shell(&format!("{iptables} -S DOCKER-USER 1"));
        assert_eq!(jump, "-A DOCKER-USER -j FWCTL-FORWARD\n");
        let forward = lab.shell(&format!("{iptables} -S FORWARD"));
        assert!(!forward.contains("FWCTL"), "{forward}");
    }
}

#[test]
fn iptables_nft_begins_where_docker_wants_it() {
    rules_for_containers_begin_where_docker_wants_them(Backend::IptablesNft);
}

#[test]
fn iptables_legacy_begins_where_docker_wants_it() {
    rules_for_containers_begin_where_docker_wants_them(Backend::IptablesLegacy);
}

/// What ufw denies reaches a published port; what we block does not.
#[test]
fn published_port_is_open_to_who_is_denied_by_ufw_and_closed_to_who_is_blocked() {
    let backend = Backend::IptablesNft;
    let lab = Lab::new();
    let container = Container::run(&lab);
    let ssh = Door::tcp(&lab, 2222);
    // ufw with files of its own: the machine's stay as they are.
    let files = lab.directory().join("ufw");
    lab.shell(&format!("cp -a /etc/ufw {}", files.display()));
    let [v4, v6] = FAMILIES.map(|net| net.block);
    let script = format!(
        "mount --make-rprivate /; mount --bind {} /etc/ufw\n\
         ufw --force enable; ufw deny from {v4}; ufw deny from {v6}; ufw allow 2222/tcp",
        files.display()
    );
    lab.tool("unshare", &["--mount", "sh", "-ec", &script]);
    container.publish(backend);
    for net in FAMILIES {
        assert_eq!(
            ssh.admitted(&everyone(&net)),
            [net.free],
            "ufw denies the host's port"
        );
        assert_eq!(
            container.reached_by(&everyone(&net)),
            everyone(&net),
            "and no other"
        );
    }

    // The program does not see this link.
    lab.link(1, &SECOND);
    fs::write(lab.config(), "[mirror]\nforward = true\n").expect("it can be written");
    let daemon = lab.daemon().with(&["-i", SECOND_INTERFACE]).start();
    is_kept_by(&lab, backend);
    blocked_does_not_reach(&lab, &container);
    daemon.term();
    // Now it does, and nothing else.
    fs::write(lab.config(), "[mirror]\nbackend = \"none\"\n").expect("it can be written");
    let _daemon = lab.daemon().start();
    for net in FAMILIES {
        assert_eq!(
            container.reached_by(&everyone(&net)),
            [net.allowed, net.free]
        );
    }
}

with_each_backend! {
    published_port_is_closed_to_who_is_blocked_by_the_program
    published_port_is_closed_by_the_mirror_where_it_forwards
}
