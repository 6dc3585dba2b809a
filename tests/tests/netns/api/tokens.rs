//! Tokens: made, listed, revoked, ended.

use std::{
    fs,
    io::{Read as _, Write as _},
};

use fw_tests::lab::{
    Lab,
    daemon::eventually,
    http::{API, Ask},
};

use super::{listening, status};

#[test]
fn token_is_shown_once_and_only_its_hash_is_kept() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let made = lab
        .fw(&["token", "add", "grafana", "--scope", "read"])
        .must(0);
    let token = made.stdout.trim();
    assert!(token.starts_with("fwctl_"), "{}", made.stdout);
    assert_eq!(made.stdout.lines().count(), 1, "the token alone");
    let listed = lab.fw(&["token", "list"]).must(0);
    assert!(listed.stdout.contains("grafana") && !listed.stdout.contains(token));
    assert!(!lab.logged().contains(token));
    for file in fs::read_dir(lab.state()).expect("the state directory") {
        let file = file.expect("an entry").path();
        let bytes = fs::read(&file).unwrap_or_default();
        let found = bytes
            .windows(token.len())
            .any(|part| part == token.as_bytes());
        assert!(!found, "{} has the token", file.display());
    }
}

#[test]
fn revoked_token_opens_nothing_and_others_still_do() {
    let lab = Lab::new();
    let daemon = listening(&lab);
    let [one, other] = ["one", "other"].map(|name| lab.token(name, "read"));
    let asked = |token: &str| lab.ask(&status().token(token)).status;
    assert_eq!([asked(&one), asked(&other)], [200, 200]);
    lab.fw(&["token", "del", "one"]).must(0);
    assert_eq!([asked(&one), asked(&other)], [401, 200]);
    lab.fw(&["token", "del", "one"])
        .must(2)
        .saying("there is no token");

    daemon.kill_9();
    let _daemon = lab.daemon().start();
    assert_eq!([asked(&one), asked(&other)], [401, 200], "after a crash");
}

#[test]
fn token_ends_on_time() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let made = lab.json(&["token", "add", "short", "--scope", "read", "--ttl", "2s"]);
    let token = made["token"].as_str().expect("a token");
    assert_eq!(lab.ask(&status().token(token)).status, 200);
    eventually("the token ends", || {
        lab.ask(&status().token(token)).status == 401
    });
}

#[test]
fn token_that_has_ended_is_marked_and_its_name_is_free_again() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let add = ["token", "add", "short", "--scope", "read"];
    lab.fw(&[&add[..], &["--ttl", "1s"]].concat()).must(0);
    let list = || lab.fw(&["token", "list"]).must(0).stdout;
    assert!(!list().contains("ended"));
    eventually("the list says that it has ended", || {
        list().contains("ended")
    });
    let made = lab.fw(&add).must(0);
    let asked = lab.ask(&status().token(made.stdout.trim()));
    assert_eq!(asked.status, 200);
    assert_eq!(lab.json(&["token", "list"])["total"], 1);
}

#[test]
fn token_that_nobody_was_told_does_not_stay() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let full = fs::File::create("/dev/full").expect("it is always full");
    let mut add = lab.command();
    add.args(["token", "add", "lost", "--scope", "write"]);
    let ended = add.stdout(full).output().expect("fw-ctl starts");
    assert!(!ended.status.success());
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("revoked again"), "{said}");
    assert_eq!(lab.json(&["token", "list"])["total"], 0);
}

#[test]
fn stream_ends_with_the_token_it_was_opened_with() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let [gone, kept] = ["gone", "kept"].map(|name| lab.token(name, "read"));
    let [mut lapsed, mut held] = [&gone, &kept].map(|token| {
        let mut stream = lab.tcp();
        let ask = Ask::new("GET /api/v1/events").token(token);
        stream
            .write_all(ask.text(API).as_bytes())
            .expect("it is taken");
        let mut line = [0; 12];
        stream.read_exact(&mut line).expect("an answer");
        assert_eq!(&line, b"HTTP/1.1 200");
        stream
    });
    lab.fw(&["token", "del", "gone"]).must(0);
    let mut told = String::new();
    // It has an end; the other one goes on.
    lapsed.read_to_string(&mut told).expect("it ends");
    lab.fw(&["block", "203.0.113.77"]).must(0);
    assert!(!told.contains("203.0.113.77"), "{told}");
    let mut told = Vec::new();
    eventually("the other one hears of the block", || {
        let mut piece = [0; 4096];
        let length = held.read(&mut piece).expect("it goes on");
        told.extend_from_slice(&piece[..length]);
        String::from_utf8_lossy(&told).contains("203.0.113.77")
    });
}

#[test]
fn what_makes_no_sense_is_refused_and_a_trial_makes_nothing() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let add = |arguments: &[&str]| lab.fw(&[&["token", "add"], arguments].concat());
    add(&["x", "--scope", "local"])
        .must(2)
        .saying("none of read, write");
    add(&["a/b", "--scope", "read"])
        .must(2)
        .saying("is no name");
    add(&["x", "--scope", "read", "--dry-run"]).must(0);
    add(&["x", "--scope", "read"]).must(0);
    for arguments in [
        &["x", "--scope", "write"][..],
        &["x", "--scope", "write", "-n"],
    ] {
        add(arguments).must(10).saying("there is a token x already");
    }
    add(&["y", "--scope", "read", "--ttl", "36526d"])
        .must(2)
        .saying("at most 100 years");
    let century = serde_json::json!({ "name": "y", "scope": "read", "ttl_s": 4_294_967_296_u64 });
    let made = lab.ask_locally(&Ask::new("POST /api/v1/tokens").json(&century));
    assert_eq!((made.status, &*made.code()), (400, "bad_input"));
    lab.fw(&["token", "del", ""]).must(2).saying("<NAME>");
    lab.fw(&["token", "del", "x", "--dry-run"]).must(0);
    assert_eq!(lab.json(&["token", "list"])["total"], 1);
}

#[test]
fn without_being_asked_for_nothing_listens() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let listening = lab
        .server
        .command("ss")
        .args(["-Hltn"])
        .output()
        .expect("ss starts");
    let listening = String::from_utf8_lossy(&listening.stdout);
    assert!(!listening.contains(API), "{listening}");
}
