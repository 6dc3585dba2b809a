//! Other daemons, other users, and interfaces that are not there.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
};

use fw_tests::lab::{
    Lab,
    address::{FAMILIES, V4},
    command::Reply,
    daemon::eventually,
};

#[test]
fn second_daemon_on_the_same_socket_state_or_pins_does_not_start_and_hurts_nothing() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    let other = |name: &str| lab.directory().join(name).display().to_string();
    let elsewhere = [
        ("--socket", other("socket.2")),
        ("--state-dir", other("state.2")),
        ("--pin-dir", format!("{}-2", lab.pins().display())),
    ];
    // Two of three are its own, one is the first daemon's.
    for shared in 0..elsewhere.len() {
        let mut arguments = Vec::new();
        for (_, (flag, path)) in elsewhere.iter().enumerate().filter(|(n, _)| *n != shared) {
            arguments.extend([*flag, path]);
        }
        lab.daemon()
            .with(&arguments)
            .refused()
            .must(10)
            .saying("another fw-ctl");
        lab.fw(&["status"]).must(0);
        assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
    }
    let (_, pins) = &elsewhere[2];
    assert!(
        !Path::new(pins).exists(),
        "pins of a daemon that did not start"
    );
}

#[test]
fn daemon_that_is_not_there_is_exit_3_and_the_message_says_how_to_start_it() {
    let lab = Lab::new();
    let verbs: [&[&str]; 8] = [
        &["status"],
        &["block", "198.51.100.1"],
        &["unallow", "198.51.100.1"],
        &["list"],
        &["check", "198.51.100.1"],
        &["why", "198.51.100.1"],
        &["export"],
        &["guard"],
    ];
    for verb in verbs {
        lab.fw(verb).must(3).saying("fw-ctl run");
    }
    // A socket that a killed daemon left is no daemon, and does not keep a new one from starting.
    lab.daemon().start().kill_9();
    assert!(lab.socket().exists());
    for verb in verbs {
        lab.fw(verb).must(3).saying("fw-ctl run");
    }
    let _daemon = lab.daemon().start();
    lab.fw(&["status"]).must(0);
}

/// Another user, without groups.
const NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
];

/// Runs `fw-ctl` as a user who may nothing.
fn as_nobody(lab: &Lab, arguments: &[&str]) -> Reply {
    let mut command = lab.server.command(NOBODY[0]);
    command
        .args(&NOBODY[1..])
        .args(["timeout", "20"])
        .arg(lab.open_to_all())
        .args(arguments)
        .env("FW_CTL_SOCKET", lab.socket());
    let output = command.output().expect("setpriv starts");
    Reply::new(format!("nobody's {arguments:?}"), output)
}

#[test]
fn user_without_permission_gets_exit_4() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    for arguments in [
        &["status"][..],
        &["unblock", V4.block],
        &["block", "198.51.100.1"],
        &["flush", "local", "--yes"],
    ] {
        as_nobody(&lab, arguments).must(4);
    }
    let [state, pins] = lab.places();
    as_nobody(&lab, &["detach", "--yes", &state, &pins]).must(4);
    let socket = format!("--socket={}/2", lab.directory().display());
    as_nobody(&lab, &["run", "-i", "server0", &state, &pins, &socket])
        .must(4)
        .saying("CAP_");
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
}

#[test]
fn socket_and_state_are_closed_to_others() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    let mode = |path: &Path| {
        let metadata = fs::metadata(path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode(&lab.socket()), 0o660);
    assert_eq!(mode(&lab.state()), 0o700);
    for file in fs::read_dir(lab.state())
        .expect("the state directory")
        .flatten()
    {
        assert_eq!(mode(&file.path()) & 0o077, 0, "{:?}", file.path());
    }
}

#[test]
fn daemon_needs_three_capabilities_and_no_root() {
    // CAP_PERFMON is for the verifier: without it a packet is read at constant offsets only.
    const NEEDED: [&str; 3] = ["bpf", "net_admin", "perfmon"];
    let lab = Lab::new();
    let program = lab.open_to_all().display().to_string();
    chown(lab.directory(), Some(65534), Some(65534)).expect("it can be given away");
    let with = |capabilities: &[&str]| {
        let set: String = capabilities
            .iter()
            .map(|name| format!(",+{name}"))
            .collect();
        let sets = ["inh-caps", "ambient-caps", "bounding-set"];
        let flags = sets.map(|name| format!("--{name}=-all{set}"));
        let words = NOBODY.into_iter().chain(flags.iter().map(String::as_str));
        let words: Vec<&str> = words.chain([&*program]).collect();
        lab.daemon().program(&words)
    };
    for missing in NEEDED {
        let others: Vec<&str> = NEEDED.into_iter().filter(|name| *name != missing).collect();
        let name = format!("CAP_{}", missing.to_uppercase());
        with(&others).refused().must(4).saying(&name);
    }
    let daemon = with(&NEEDED).start();
    for net in FAMILIES {
        lab.fw(&["block", net.block]).must(0);
        assert!(!lab.arrives(net.blocked) && lab.arrives(net.free));
        lab.fw(&["check", &net.blocked.to_string()]).must(1);
    }
    daemon.term();
    let _daemon = with(&NEEDED).start();
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
}

#[test]
fn interface_that_cannot_be_is_exit_2() {
    let lab = Lab::new();
    let long = "e".repeat(200);
    for name in ["", "a/b", "a b", "..", "0123456789abcdef", &long] {
        let reply = lab.daemon().with(&["-i", name]).refused().must(2);
        assert!(reply.stderr.len() < 2_000, "the error floods the terminal");
    }
    assert!(!lab.pins().exists());
}

#[test]
fn interface_that_is_not_there_is_named() {
    let lab = Lab::new();
    let reply = lab.daemon().with(&["-i", "nosuch0"]).refused();
    reply.must(2).saying("nosuch0");
}

#[test]
fn bad_configuration_is_exit_2_and_names_the_line() {
    let lab = Lab::new();
    fs::write(lab.config(), "observe = false\n\ncolour = 1\n").expect("it can be written");
    lab.daemon()
        .refused()
        .must(2)
        .saying("colour")
        .saying("line 3");
}

#[test]
fn bad_configuration_at_sighup_raises_an_alarm_and_changes_nothing() {
    let lab = Lab::new();
    let write = |text: &str| fs::write(lab.config(), text).expect("it can be written");
    write("[guard]\nprefixes = [\"203.0.113.0/24\"]\n");
    let daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    let alarms = || {
        lab.json(&["status"])["alarms"]
            .as_array()
            .map_or(0, Vec::len)
    };
    assert_eq!(alarms(), 0);

    write("[guard]\nprefixes = [\"203.0.113.0/33\"]\n");
    daemon.hup();
    eventually("status shows an alarm", || alarms() == 1);
    lab.fw(&["block", "203.0.113.7"]).must(5);
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));

    write("");
    daemon.hup();
    eventually("the alarm is over", || alarms() == 0);
    lab.fw(&["block", "203.0.113.7"]).must(0);
}
