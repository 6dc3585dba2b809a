//! Who gets to see what signs a webhook, and where it goes.

use std::{fs, os::unix::fs::PermissionsExt as _};

use fw_tests::lab::command::Fw;

use super::at_name;
use crate::outside::{
    GLOBAL, NAME, Outside,
    receiver::{Answer, Receiver},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[test]
fn secret_and_path_are_in_the_database_of_the_daemon_and_nowhere_else() {
    let outside = Outside::new();
    let daemon = outside.daemon();
    let lab = &outside.lab;
    let certificates = Some(&outside.certificates);
    let receiver = Receiver::listen(&lab.attacker, GLOBAL, 0, certificates);
    let made = outside.add("made", &at_name(receiver.port));
    let file = lab.directory().join("secret");
    fs::write(&file, format!("{SECRET}\n")).expect("a file");
    let file = file.display().to_string();
    let url = at_name(receiver.port);
    let given = Fw::new(lab).input(format!("{url}\n"));
    let given = given.run(&["webhook", "add", "given", "-", "--secret-file", &file]);
    let mut said = given.must(0).stdout;
    let piped = Fw::new(lab).input(SECRET);
    let piped = piped.run(&[
        "webhook",
        "add",
        "piped",
        &url,
        "--secret-file",
        "-",
        "--json",
    ]);
    said += &piped.must(0).stdout;

    // Every way in which something can go wrong, and be told.
    receiver.answer(&[Answer::Status(500), Answer::Status(404), Answer::HangUp]);
    for name in ["made", "given", "piped", "made"] {
        said += &outside.test(name).to_string();
    }
    outside.names.answer(NAME, &["127.0.0.1"]);
    said += &outside.test("given").to_string();
    outside.names.answer(NAME, &[]);
    said += &outside.test("given").to_string();
    for bad in ["whsec_hush", "hush-hush"] {
        let reply = Fw::new(lab).input(bad);
        let reply = reply.run(&["webhook", "add", "bad", &url, "--secret-file", "-"]);
        said += &reply.must(2).stderr;
    }
    let scheme = lab.fw(&["webhook", "add", "bad", "ftp://example.com/hush-hush"]);
    said += &scheme.must(2).stderr;
    said += &lab.fw(&["webhook", "list"]).must(0).stdout;
    said += &lab.json(&["webhook", "list"]).to_string();
    said += &lab.json(&["status"]).to_string();
    said += &lab.logged();
    let cmdline = fs::read(format!("/proc/{}/cmdline", daemon.pid())).expect("it lives");
    said += &String::from_utf8_lossy(&cmdline);
    assert!(
        said.contains(&format!("https://{NAME}:{}/...", receiver.port)),
        "{said}"
    );
    for secret in [&made[6..], &SECRET[6..], "hush"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }

    let mode = fs::metadata(lab.state().join("webhooks.db"))
        .expect("a file")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    // It signs with them after a restart too.
    drop(daemon);
    outside.names.answer(NAME, &[GLOBAL]);
    let _daemon = outside.daemon();
    assert_eq!(outside.test("given")["delivered"], true);
    let requests = receiver.requests();
    assert!(
        requests
            .iter()
            .all(|request| !format!("{request:?}").contains(&SECRET[6..]))
    );
}
