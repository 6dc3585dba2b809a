//! Many clients and busy ones: nobody is blocked, and not one packet is lost.

use std::{
    io::Read as _,
    net::{IpAddr, TcpListener, TcpStream},
    os::fd::AsRawFd as _,
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use fw_tests::lab::{
    Lab,
    address::V4,
    daemon::eventually,
    scanners::{source_v4, source_v6, target},
};
use nix::sys::socket::{self, Shutdown};
use serde_json::json;

use super::{
    ENFORCE, blocked, events, lab,
    prober::{PROBES, Prober, forged_v4},
    start, status, total,
};

const PATIENCE: Duration = Duration::from_secs(5);
/// What the server has.
const OPEN: [u16; 2] = [80, 443];

/// A TCP service that greets whoever comes; dropped, it is closed.
struct Service {
    listener: Arc<TcpListener>,
    thread: Option<JoinHandle<()>>,
}

impl Service {
    fn open(lab: &Lab, address: IpAddr, port: u16) -> Self {
        let listener = Arc::new(lab.listen(address, port));
        let accepting = Arc::clone(&listener);
        let greet = move || {
            while let Ok((mut client, _)) = accepting.accept() {
                // The client may be gone.
                let _sent = std::io::Write::write_all(&mut client, b"hello");
            }
        };
        Self {
            listener,
            thread: Some(thread::spawn(greet)),
        }
    }

    /// Both ports in both families.
    fn usual(lab: &Lab) -> Vec<Self> {
        let addresses = [source_v4(0), source_v6(0)].map(target);
        let places = addresses
            .into_iter()
            .flat_map(|at| OPEN.map(|port| (at, port)));
        places.map(|(at, port)| Self::open(lab, at, port)).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // `accept` returns.
        socket::shutdown(self.listener.as_raw_fd(), Shutdown::Both).expect("it listens");
        let thread = self.thread.take().expect("it runs until here");
        thread.join().expect("a service does not fail");
    }
}

/// Whether a connection to this port is answered.
fn greeted(lab: &Lab, source: IpAddr, port: u16) -> bool {
    let connection = lab.connect(source, (target(source), port).into(), PATIENCE);
    connection.is_some_and(reads_greeting)
}

fn reads_greeting(mut connection: TcpStream) -> bool {
    let mut greeting = [0; 5];
    connection
        .set_read_timeout(Some(PATIENCE))
        .expect("a time limit");
    connection.read_exact(&mut greeting).is_ok() && greeting == *b"hello"
}

/// Nobody was blocked and nothing dropped until now; but who scans is.
#[track_caller]
pub fn nobody_is_blocked(lab: &Lab) {
    assert_eq!(events(lab), [json!(null); 0]);
    assert_eq!(total(lab, "drop"), 0);
    let scanner = forged_v4(9, 9);
    let took = Prober::new(lab).scan(scanner);
    assert!(PROBES.contains(&took), "a scan is blocked at packet {took}");
    eventually("the scanner alone is blocked", || {
        blocked(lab) == [scanner.to_string()].into()
    });
}

#[test]
fn thousand_clients_of_open_ports_are_not_blocked() {
    let lab = lab(ENFORCE);
    // IPv6 lets nobody bind to what is not assigned.
    let assign = (0..500).map(|number| format!("address add {}/128 dev lo\n", source_v6(number)));
    lab.attacker.ip(&assign.collect::<String>());
    let _services = Service::usual(&lab);
    let _daemon = start(&lab);
    for source in (0..500).flat_map(|number| [source_v4(number), source_v6(number)]) {
        for port in OPEN {
            assert!(greeted(&lab, source, port), "{source} to {port}");
        }
    }
    nobody_is_blocked(&lab);
}

#[test]
fn client_of_ten_thousand_connections_is_not_blocked() {
    let lab = lab(ENFORCE);
    let _services = Service::usual(&lab);
    let _daemon = start(&lab);
    let source = source_v4(1);
    for number in 0..10_000 {
        assert!(greeted(&lab, source, OPEN[0]), "connection {number}");
    }
    nobody_is_blocked(&lab);
}

#[test]
fn five_hundred_users_behind_one_address_are_not_blocked() {
    const WRONG: [u16; 5] = [5222, 8080, 8443, 9100, 3389];
    let lab = lab(ENFORCE);
    let _services = Service::usual(&lab);
    let _daemon = start(&lab);
    let source = source_v4(1);
    for user in 0..500 {
        for port in [OPEN[0], OPEN[1], OPEN[0]] {
            assert!(greeted(&lab, source, port), "user {user}");
        }
        // Programs that are badly configured try again and again, at the same few ports.
        assert!(!greeted(&lab, source, WRONG[user % WRONG.len()]));
    }
    nobody_is_blocked(&lab);
}

#[test]
fn two_hundred_connections_at_a_time_are_not_blocked() {
    let lab = lab(ENFORCE);
    let _services = Service::usual(&lab);
    let _daemon = start(&lab);
    let source = source_v4(1);
    let open = |_| lab.connect(source, (target(source), OPEN[0]).into(), PATIENCE);
    let connections: Option<Vec<TcpStream>> = (0..200).map(open).collect();
    let connections = connections.expect("all are open at a time");
    assert!(connections.into_iter().all(reads_greeting));
    nobody_is_blocked(&lab);
}

#[test]
fn passive_transfers_on_ports_that_opened_just_now_are_not_counted() {
    let lab = lab(ENFORCE);
    let _control = Service::open(&lab, V4.server, 21);
    let _daemon = start(&lab);
    let source = source_v4(1);
    assert!(greeted(&lab, source, 21));
    // Not in the range that the kernel chooses from, where other rules hold.
    for port in 20_000..20_030 {
        let _data = Service::open(&lab, V4.server, port);
        assert!(greeted(&lab, source, port), "transfer on {port}");
    }
    nobody_is_blocked(&lab);
}

#[test]
fn services_that_restart_under_load_make_no_scanners_of_their_clients() {
    const PORTS: std::ops::Range<u16> = 8100..8120;
    let lab = lab(ENFORCE);
    let open = || -> Vec<Service> {
        let services = PORTS.map(|port| Service::open(&lab, V4.server, port));
        services.collect()
    };
    let services = open();
    let _daemon = start(&lab);
    eventually("they are known", || {
        status(&lab)["served"]["tcp"] == json!(["8100-8119"])
    });
    let clients = [1, 2, 3].map(source_v4);
    let all = |answered| {
        for port in PORTS {
            for source in clients {
                assert_eq!(greeted(&lab, source, port), answered, "{source} to {port}");
            }
        }
    };
    all(true);
    drop(services);
    for _ in 0..6 {
        all(false);
        thread::sleep(Duration::from_millis(500));
    }
    let _services = open();
    all(true);
    nobody_is_blocked(&lab);
}
