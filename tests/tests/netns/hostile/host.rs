//! Other daemons, other users, and interfaces that are not there.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use fw_tests::lab::{
    Lab,
    address::V4,
    command::{self, Reply},
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
        let reply = lab.daemon().with(&arguments).refused();
        let code = reply.code();
        assert!(matches!(code, Some(1..=10)), "{code:?}: {}", reply.stderr);
        assert_ne!(reply.stderr, "");
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

/// Runs `fw-ctl` as a user who may nothing.
fn as_nobody(lab: &Lab, arguments: &[&str]) -> Reply {
    let open = fs::Permissions::from_mode(0o755);
    let program = lab.directory().join("fw-ctl");
    fs::copy(command::binary(), &program).expect("fw-ctl can be copied");
    for path in [lab.directory(), program.as_path()] {
        fs::set_permissions(path, open.clone()).expect("it can be opened to all");
    }
    let mut command = lab.server.command("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .args(["timeout", "20"])
        .arg(program)
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
    let reply = lab
        .daemon()
        .with(&["-i", "nosuch0"])
        .refused()
        .saying("nosuch0");
    assert!(matches!(reply.code(), Some(2 | 8)), "{reply:?}");
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
