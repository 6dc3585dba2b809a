//! What somebody tried who wanted the mirror, the rules or the confirmation to go wrong.

use std::{
    fs,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use fw_tests::lab::{
    INTERFACE, Lab,
    address::V4,
    command::{self, Fw},
    daemon::eventually,
    namespace,
};
use nix::{sys::stat::Mode, unistd::mkfifo};

fn configure(lab: &Lab, text: &str) {
    fs::write(lab.config(), text).expect("configured");
}

fn rules(lab: &Lab) -> usize {
    let rules = lab.json(&["list", "rules"]);
    rules["items"].as_array().expect("rules").len()
}

#[test]
fn second_daemon_with_a_mirror_in_the_same_namespace_is_refused() {
    let lab = Lab::new();
    let _first = lab.daemon().start();
    let place = |name: &str| lab.directory().join(name).display().to_string();
    let pins = format!("{}-second", lab.pins().display());
    let second = |config: &str| {
        fs::write(place("second.toml"), config).expect("configured");
        lab.daemon().with(&[
            "-c",
            &place("second.toml"),
            "-i",
            "lo",
            "--socket",
            &place("second"),
            "--state-dir",
            &place("state2"),
            "--pin-dir",
            &pins,
        ])
    };
    second("")
        .refused()
        .must(10)
        .saying("keeps a mirror in this network namespace");
    let no_mirror = second("mirror.backend = \"none\"\n").start();
    no_mirror.term();
    namespace::run(lab.server.command(command::binary()).args([
        "detach",
        "--yes",
        "--socket",
        &place("second"),
        "--state-dir",
        &place("state2"),
        "--pin-dir",
        &pins,
    ]));
    eventually("the first one's mirror is there again", || {
        lab.fw(&["diff"]).code() == Some(0)
    });
}

#[test]
fn sets_with_names_like_ours_stay() {
    let lab = Lab::new();
    for name in ["fwctl-mine", "fwctl-mine-new"] {
        namespace::run(
            lab.server
                .command("ipset")
                .args(["create", name, "hash:ip"]),
        );
    }
    configure(&lab, "mirror.backend = \"iptables\"\n");
    let daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    daemon.term();
    Fw::new(&lab).inside(&["detach", "--yes"]).must(0);
    for name in ["fwctl-mine", "fwctl-mine-new"] {
        namespace::run(lab.server.command("ipset").args(["destroy", name]));
    }
}

#[test]
fn start_that_fails_leaves_no_database_that_would_pass_for_an_empty_policy() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    fs::remove_dir_all(lab.state()).expect("removed");
    lab.daemon()
        .with(&[
            "--socket",
            &lab.directory().join("other").display().to_string(),
        ])
        .refused()
        .must(10);
    assert!(!lab.state().join("policy.db").exists());
    daemon.kill_9();
    let refused = lab.daemon().refused();
    assert_ne!(refused.code(), Some(0));
    let _ = refused.saying("but the kernel holds a policy");
}

#[test]
fn policy_that_never_ends_or_never_begins_is_refused_at_once() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let pipe = lab.directory().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).expect("a pipe");
    for file in ["/dev/zero", &pipe.display().to_string()] {
        let start = Instant::now();
        lab.fw(&["apply", file])
            .must(2)
            .saying("not a regular file");
        assert!(start.elapsed() < Duration::from_secs(5), "{file}");
    }
    let many = "[[rule]]\nservice = \"tcp/1\"\naction = \"drop\"\n".repeat(1001);
    fs::write(lab.directory().join("many.toml"), many).expect("written");
    let many = lab.directory().join("many.toml").display().to_string();
    lab.fw(&["apply", &many]).must(2).saying("at most 1000");
    assert_eq!(rules(&lab), 0);
}

#[test]
fn client_that_goes_away_while_the_mirror_refuses_leaves_no_rule() {
    let lab = Lab::new();
    let tools = lab.directory().join("tools");
    fs::create_dir(&tools).expect("a directory");
    let path = format!(
        "{}:{}",
        tools.display(),
        std::env::var("PATH").expect("a path")
    );
    configure(&lab, "mirror.backend = \"iptables\"\n");
    let _daemon = lab.daemon().env("PATH", path).start();
    for variant in ["nft", "legacy"] {
        let tool = tools.join(format!("iptables-{variant}-restore"));
        command::install_script(&tool, "#!/bin/sh\nsleep 2\nexit 2\n");
    }
    let mut client = lab.command();
    client.args(["port", "add", "tcp/7002", "--drop"]);
    client.stdout(Stdio::null()).stderr(Stdio::null());
    let mut client = client.spawn().expect("it starts");
    thread::sleep(Duration::from_millis(500));
    client.kill().expect("it waits for its answer");
    client.wait().expect("it ended");
    assert_eq!(rules(&lab), 1, "the mirror has not said no yet");
    eventually("the rule is taken back", || rules(&lab) == 0);
}

#[test]
fn rules_can_go_where_no_mirror_keeps_them_and_none_can_come() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    for port in ["tcp/7003", "tcp/7004"] {
        lab.fw(&["port", "add", port, "--drop"]).must(0);
    }
    daemon.term();
    configure(&lab, "mirror.backend = \"none\"\n");
    let _daemon = lab.daemon().with(&["-i", INTERFACE]).start();
    lab.fw(&["port", "add", "tcp/7005", "--drop"])
        .must(8)
        .saying("rules live in netfilter");
    lab.fw(&["default", "drop"]).must(8);
    lab.fw(&["port", "del", "1"]).must(0);
    lab.fw(&["port", "del", "2"]).must(0);
    assert_eq!(rules(&lab), 0);
}
