//! What must not get lost on the way: the guard during a start, the daemon's attention, the
//! database, an interface that changes its name.

use std::{
    fs,
    io::{Read as _, Write as _},
    os::unix::net::UnixStream,
    thread,
    time::{Duration, Instant},
};

use fw_common::abi;
use fw_tests::lab::{
    INTERFACE, Lab,
    address::{FAMILIES, V4, V6},
    command::Fw,
    daemon::eventually,
};

/// Guards a source by configuration that is blocked by what was there before.
fn guarded_under_a_block(lab: &Lab) {
    let hosts: String = (0..120_000)
        .map(|number| {
            format!(
                "100.{}.{}.{}\n",
                64 + (number >> 16),
                (number >> 8) & 0xff,
                number & 0xff
            )
        })
        .collect();
    let import = Fw::new(lab).input(hosts);
    import.run(&["import", "-", "--list", "feed"]).must(0);
    lab.fw(&["block", V4.block, V6.block]).must(0);
    let config = format!(
        "[guard]\nprefixes = [\"{}\", \"{}\"]\n",
        V4.guarded, V6.guarded
    );
    fs::write(lab.config(), config).expect("the configuration can be written");
}

#[test]
fn guarded_source_under_a_block_loses_nothing_through_restarts() {
    let lab = Lab::alone();
    let mut daemon = lab.daemon().start();
    guarded_under_a_block(&lab);
    daemon.hup();
    eventually("the source is guarded", || lab.arrives(V4.guarded));
    for net in FAMILIES {
        let stream = lab.stream(net, [net.blocked, net.guarded], 20_000);
        for _ in 0..2 {
            daemon.term();
            daemon = lab.daemon().start();
        }
        daemon.kill_9();
        daemon = lab.daemon().start();
        let [blocked, guarded] = stream.stop();
        assert_eq!(blocked.received, 0, "blocked packets arrived: {blocked:?}");
        assert_eq!(
            guarded.missing,
            [] as [u64; 0],
            "guarded packets were lost: {guarded:?}"
        );
    }
}

#[test]
fn start_that_fails_leaves_the_guard_as_it_was() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    guarded_under_a_block(&lab);
    daemon.hup();
    eventually("the source is guarded", || lab.arrives(V4.guarded));
    daemon.term();
    let config = fs::read_to_string(lab.config()).expect("it was written");
    fs::write(lab.config(), format!("{config}[tables]\nipv4 = 1000\n")).expect("written");
    lab.daemon().refused().must(7);
    assert!(lab.arrives(V4.guarded) && !lab.arrives(V4.blocked));
}

#[test]
fn host_that_changes_all_the_time_keeps_nobody_waiting() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    let end = Instant::now() + Duration::from_secs(3);
    thread::scope(|scope| {
        scope.spawn(|| {
            while Instant::now() < end {
                lab.server.ip("route add 203.0.113.0/24 dev server0");
                lab.server.ip("route del 203.0.113.0/24 dev server0");
            }
        });
        let mut answers = 0;
        while Instant::now() < end {
            lab.fw(&["status"]).must(0);
            answers += 1;
        }
        assert!(answers > 5, "{answers} answers in three seconds");
    });
    daemon.term();
}

#[test]
fn database_that_is_gone_is_an_error_and_what_filters_goes_on() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    for file in ["policy.db", "policy.db-wal", "policy.db-shm"] {
        // Which of them are there is the database's matter.
        let _ = fs::remove_file(lab.state().join(file));
    }
    lab.fw(&["block", "203.0.113.7"])
        .must(1)
        .saying("policy.db");
    assert!(!lab.prefixes("blocks").contains("203.0.113.7"));
    daemon.term();
    for tables in ["", "[tables]\nipv4 = 1000\n"] {
        fs::write(lab.config(), tables).expect("configured");
        lab.daemon()
            .refused()
            .must(1)
            .saying("policy.db")
            .saying("detach");
        assert!(
            !lab.state().join("policy.db").exists(),
            "none was left to start with"
        );
        assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
    }
    // The same where they are those of another version.
    let version = |number| lab.pins().join(format!("v{number}"));
    let [ours, other] = [abi::VERSION, abi::VERSION + 1].map(version);
    fs::rename(ours, other).expect("the pins can be moved");
    lab.daemon().refused().must(1).saying("policy.db");
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
}

#[test]
fn alarm_comes_with_what_is_wrong_and_goes_with_it() {
    let lab = Lab::new();
    let config = |text: &str| fs::write(lab.config(), text).expect("written");
    config(&format!("interfaces = [\"{INTERFACE}\"]\n"));
    let daemon = lab.daemon().start();
    let state = || lab.json(&["status"])["state"].clone();
    assert_eq!(state(), "ok", "a first start has nothing to complain of");
    config(&format!("interfaces = [\"{INTERFACE}\", \"later0\"]\n"));
    daemon.hup();
    eventually("the alarm", || state() == "degraded");
    lab.server.ip("link add later0 type veth peer name far0");
    lab.server.ip("link set later0 up");
    eventually("all is well", || state() == "ok");
}

#[test]
fn interface_that_is_renamed_stays_protected_with_an_alarm() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    let ip = |line: &str| lab.server.ip(line);
    ip(&format!("link set {INTERFACE} name other0"));
    eventually("the alarm", || {
        lab.json(&["status"])["alarms"]
            .to_string()
            .contains("other0")
    });
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
    ip(&format!("link set other0 name {INTERFACE}"));
    eventually("all is well", || lab.json(&["status"])["state"] == "ok");
    ip(&format!("link set {INTERFACE} name other0"));
    daemon.term();
    ip(&format!("link set other0 name {INTERFACE}"));
    let _daemon = lab.daemon().start();
    assert_eq!(lab.json(&["status"])["state"], "ok");
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
}

#[test]
fn names_that_are_exchanged_while_the_daemon_is_dead_open_no_interface() {
    let lab = Lab::new();
    lab.server.ip("link add second0 type veth peer name far0");
    lab.server.ip("link set second0 up");
    let both = ["-i", INTERFACE, "-i", "second0"];
    let daemon = lab.daemon().with(&both).start();
    lab.fw(&["block", V4.block]).must(0);
    daemon.kill_9();
    for line in [
        format!("link set {INTERFACE} name aside0"),
        format!("link set second0 name {INTERFACE}"),
        "link set aside0 name second0".to_owned(),
    ] {
        lab.server.ip(&line);
    }
    let _daemon = lab.daemon().with(&both).start();
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
    for interface in lab.json(&["status"])["interfaces"]
        .as_array()
        .expect("a list")
    {
        assert_eq!(interface["attached"], true, "{interface}");
    }
}

#[test]
fn sighup_with_no_interface_that_exists_changes_nothing() {
    let lab = Lab::new();
    let file = lab.config();
    fs::write(&file, format!("interfaces = [\"{INTERFACE}\"]\n")).expect("written");
    let daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    fs::write(&file, "interfaces = [\"nosuch0\"]\n").expect("written");
    daemon.hup();
    thread::sleep(Duration::from_millis(500));
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
}

#[test]
fn batch_with_a_guarded_block_is_refused_whole() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let batch = |block: &str| {
        let body =
            format!("{{\"block\":[{{\"prefix\":\"203.0.113.7\"}},{{\"prefix\":\"{block}\"}}]}}");
        let mut socket = UnixStream::connect(lab.socket()).expect("the daemon answers");
        let head = "POST /api/v1/batch HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
        let length = body.len();
        write!(
            socket,
            "{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("it answers");
        answer
    };
    let refused = batch(&V4.server.to_string());
    assert!(
        refused.starts_with("HTTP/1.1 422") && refused.contains("guard_refused"),
        "{refused}"
    );
    assert!(lab.prefixes("blocks").is_empty(), "nothing of it is done");
    assert!(batch("203.0.113.8").starts_with("HTTP/1.1 200"));
    assert_eq!(lab.prefixes("blocks").len(), 2);
}

#[test]
fn detach_that_cannot_find_the_socket_spares_a_living_daemon() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    let lost = lab.directory().join("lost").display().to_string();
    let detach = ["--socket", &*lost, "detach", "--yes"];
    Fw::new(&lab).inside(&detach).must(10);
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
    daemon.kill_9();
    Fw::new(&lab).inside(&detach).must(0);
    assert!(lab.arrives(V4.blocked));
}
