//! Whatever a server does, the last good list stays in force, and the reason is told.

use std::time::Duration;

use fw_tests::lab::{address::V4, daemon::eventually};

use super::{add, feed, held, list, refresh, server, set, url};
use crate::outside::{
    GLOBAL, NAME, Outside,
    receiver::{Answer, Certificates, Receiver},
};

const GOOD: [&str; 3] = ["203.0.113.9", "203.0.113.10", "203.0.113.11"];

fn page() -> Answer {
    Answer::Body("<!DOCTYPE html>\n<html><body>Please sign in</body></html>\n".to_owned())
}

/// A document that comes to twenty million prefixes.
fn ranges() -> Answer {
    let range = "\"::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe\",".repeat(80_000);
    Answer::Body(format!("[{range}\"192.0.2.1\"]"))
}

fn sent_to(target: &str) -> Answer {
    Answer::With(302, format!("Location: {target}"))
}

#[test]
fn last_good_list_stays_in_force_whatever_a_server_does() {
    let outside = Outside::with("");
    let daemon = outside.daemon();
    let (lab, server) = (&outside.lab, server(&outside));
    let inside = Receiver::listen(&lab.server, "::", 0, Some(&outside.certificates));
    outside.names.answer("inside.example.com", &["127.0.0.1"]);
    server.always(list(&GOOD));
    add(
        lab,
        "drop",
        &url(&server),
        &[
            "--time-limit",
            "2s",
            "--max-bytes",
            "4000000",
            "--max-entries",
            "10000",
        ],
    );
    let cut = "HTTP/1.1 200 x\r\ncontent-length: 1000\r\n\r\n203.0.113.9\n203.0.113.10\n";
    let before = daemon.peak_memory();
    for (answer, code, reason) in [
        (Answer::Status(500), 1, "answered 500"),
        (Answer::Status(304), 1, "answered 304"),
        (Answer::HangUp, 1, "connection was cut"),
        (Answer::Raw(cut.to_owned()), 1, "broke off"),
        (Answer::Trickle, 1, "no answer within 2 s"),
        (
            Answer::After(Duration::from_millis(2200)),
            1,
            "no answer within 2 s",
        ),
        (
            Answer::Lines("203.0.113.9\n", 100 << 20),
            1,
            "larger than 4000000 bytes",
        ),
        (
            Answer::Raw("HTTP/1.1 200 x\r\ncontent-length: 104857600\r\n\r\n".to_owned()),
            1,
            "larger than 4000000 bytes",
        ),
        (page(), 2, "looks like a page"),
        (
            list(&["0.0.0.0/0", "203.0.113.9"]),
            2,
            "0.0.0.0/0 is wider than /8",
        ),
        (list(&[]), 10, "0 entries and had 3"),
        (list(&["203.0.113.9"]), 10, "1 entries and had 3"),
        (
            list(&[
                "203.0.113.0/28",
                "203.0.113.64",
                "203.0.113.65",
                "203.0.113.66",
                "203.0.113.67",
            ]),
            10,
            "5 entries and had 3",
        ),
        (
            sent_to(&format!("https://127.0.0.1:{}/", inside.port)),
            1,
            "127.0.0.1 is loopback",
        ),
        (
            sent_to(&format!("https://inside.example.com:{}/", inside.port)),
            1,
            "is loopback",
        ),
        (
            sent_to(&format!("https://{}:{}/", V4.server, inside.port)),
            1,
            "allow",
        ),
        (
            sent_to("http://lists.example.com/"),
            1,
            "nothing is encrypted",
        ),
        (sent_to("file:///etc/shadow"), 1, "nothing is encrypted"),
        (sent_to("https://"), 1, "no URL"),
        (ranges(), 2, "more than 10000 entries"),
        (sent_to("/again"), 1, "elsewhere more than 5 times"),
    ] {
        let told = format!("{answer:?}");
        let told = told.chars().take(200).collect::<String>();
        server.always(answer);
        let said = refresh(lab, &["drop"]).must(code).stderr;
        assert!(said.contains(reason), "{told}: {said}");
        let feed = feed(lab, "feed:drop");
        let problem = feed["problem"].as_str().unwrap_or_default();
        assert!(problem.contains(reason), "{told}: {feed}");
        assert_eq!(feed["entries"], 3, "{told}");
        assert_eq!(held(lab, "feed:drop"), set(&GOOD), "{told}");
    }
    assert_eq!(inside.connections(), 0);
    // What may be held of one list, while it grows; of 100 MB nothing more.
    let grown = daemon.peak_memory() - before;
    assert!(grown < 100 << 20, "{grown} bytes");
    let status = lab.json(&["status"]);
    assert!(
        status["alarms"].to_string().contains("feed:drop"),
        "{status}"
    );

    server.always(list(&GOOD));
    refresh(lab, &[]).must(0);
    let told = feed(lab, "feed:drop");
    assert_eq!(
        (&told["failures"], &told["problem"]),
        (&0.into(), &().into())
    );
    assert_eq!(lab.json(&["status"])["alarms"], serde_json::json!([]));
}

#[test]
fn list_that_shrinks_or_flaps_is_taken_only_by_force() {
    let outside = Outside::with("");
    let _daemon = outside.daemon();
    let (lab, server) = (&outside.lab, server(&outside));
    server.always(list(&GOOD));
    add(lab, "drop", &url(&server), &[]);
    for _ in 0..3 {
        server.always(list(&[]));
        refresh(lab, &["drop"]).must(10).saying("--force");
        assert_eq!(held(lab, "feed:drop"), set(&GOOD));
        server.always(list(&GOOD));
        refresh(lab, &["drop"]).must(0);
        assert_eq!(held(lab, "feed:drop"), set(&GOOD));
    }
    server.always(list(&[]));
    refresh(lab, &["drop", "--force"]).must(0);
    assert_eq!(held(lab, "feed:drop"), set(&[]));
    // An empty list says nothing of what comes after it.
    server.always(list(&GOOD));
    refresh(lab, &["drop"]).must(0);
    assert_eq!(held(lab, "feed:drop"), set(&GOOD));
}

#[test]
fn server_under_a_wrong_name_or_without_tls_gets_no_feed() {
    let outside = Outside::with("");
    let _daemon = outside.daemon();
    let lab = &outside.lab;
    let wrong = Certificates::make(
        &{
            let directory = lab.directory().join("wrong");
            std::fs::create_dir(&directory).expect("a directory");
            directory
        },
        NAME,
    );
    outside.names.answer("other.example.com", &[GLOBAL]);
    let named = server(&outside);
    named.always(list(&GOOD));
    let other = format!("https://other.example.com:{}/", named.port);
    lab.fw(&["feed", "add", "x", &other])
        .must(1)
        .saying("certificate");
    let stranger = Receiver::listen(&lab.attacker, GLOBAL, 0, Some(&wrong));
    stranger.always(list(&GOOD));
    lab.fw(&["feed", "add", "x", &url(&stranger)])
        .must(1)
        .saying("certificate");
    let plain = format!("http://{NAME}:{}/", named.port);
    lab.fw(&["feed", "add", "x", &plain])
        .must(1)
        .saying("http is only for");
    assert_eq!(lab.json(&["feed"])["total"], 0);
    assert_eq!(held_lists(lab), 0);
}

/// Entries of all lists.
fn held_lists(lab: &fw_tests::lab::Lab) -> usize {
    lab.prefixes("blocks").len()
}

#[test]
fn addresses_inside_are_asked_when_the_configuration_names_them() {
    let outside = Outside::with("[feeds]\nallow = [\"127.0.0.0/8\"]\n");
    let _daemon = outside.daemon();
    let lab = &outside.lab;
    let plain = Receiver::listen(&lab.server, "::", 0, None);
    plain.always(list(&GOOD));
    add(lab, "x", &format!("http://127.0.0.1:{}/", plain.port), &[]);
    assert_eq!(held(lab, "feed:x"), set(&GOOD));
    for host in ["[::1]", "10.0.0.5", "169.254.169.254"] {
        let inside = format!("http://{host}:{}/", plain.port);
        lab.fw(&["feed", "add", "y", &inside])
            .must(1)
            .saying("feeds");
    }
    assert_eq!(plain.connections(), 1);
}

#[test]
fn failures_are_tried_again_by_themselves() {
    let outside = Outside::with("");
    let _daemon = outside.daemon();
    let (lab, server) = (&outside.lab, server(&outside));
    server.always(list(&GOOD));
    add(lab, "drop", &url(&server), &["--interval", "10s"]);
    server.answer(&[Answer::Status(503)]);
    refresh(lab, &["drop"]).must(1);
    assert_eq!(feed(lab, "feed:drop")["failures"], 1);
    eventually("it is looked at again", || {
        feed(lab, "feed:drop")["failures"] == 0
    });
}

#[test]
fn entry_of_a_feed_that_would_cut_somebody_guarded_is_left_out() {
    let guarded = V4.guarded.to_string();
    let outside = Outside::with(&format!("[guard]\nprefixes = [\"{guarded}\"]\n"));
    let _daemon = outside.daemon();
    let (lab, server) = (&outside.lab, server(&outside));
    server.always(list(&[&guarded, "203.0.113.9"]));
    let said = lab.fw(&["feed", "add", "drop", &url(&server)]).must(0);
    assert!(
        said.stderr
            .contains("1 entries of list feed:drop are left out"),
        "{}",
        said.stderr
    );
    assert_eq!(held(lab, "feed:drop"), set(&["203.0.113.9"]));
    assert_eq!(feed(lab, "feed:drop")["left_out"], 1);
    assert!(lab.arrives(V4.guarded));
}
