//! A list follows its source.

use std::fs;

use fw_tests::lab::{address::V4, daemon::eventually};

use super::{add, feed, held, list, refresh, server, set, url};
use crate::outside::{Outside, receiver::Answer};

/// What is dropped and what passes tells the list apart from its neighbours.
#[test]
fn source_of_a_feed_is_dropped_and_its_neighbour_passes() {
    let outside = Outside::with("");
    let _daemon = outside.daemon();
    let (lab, server) = (&outside.lab, server(&outside));
    let blocked = V4.block;
    server.always(list(&[blocked, "198.51.100.0/24"]));
    assert!(lab.arrives(V4.blocked));
    add(lab, "drop", &url(&server), &[]);
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
    let told = feed(lab, "feed:drop");
    assert_eq!(
        (&told["entries"], &told["action"]),
        (&2.into(), &"block".into())
    );
    assert_eq!(told["origin"], "local");
    assert!(
        told["problem"].is_null() && told["next_at"].is_string(),
        "{told}"
    );
    let why = lab.json(&["why", &V4.blocked.to_string()]);
    assert_eq!(why["entry"]["list"], "feed:drop");

    server.always(list(&["198.51.100.0/24", "203.0.113.9"]));
    refresh(lab, &["drop"]).must(0);
    assert!(lab.arrives(V4.blocked));
    assert_eq!(
        held(lab, "feed:drop"),
        set(&["198.51.100.0/24", "203.0.113.9"])
    );
    lab.fw(&["feed", "del", "drop"]).must(0);
    lab.fw(&["list", "feed:drop", "--all"]).must(0);
    assert_eq!(held(lab, "feed:drop"), set(&[]));
    lab.fw(&["feed", "refresh", "drop"])
        .must(2)
        .saying("no feed");
    assert_eq!(
        fs::read_dir(lab.state().join("feeds"))
            .expect("a directory")
            .count(),
        0
    );
}

#[test]
fn address_of_a_feed_is_shown_nowhere() {
    let outside = Outside::with("");
    let _daemon = outside.daemon();
    let (lab, server) = (&outside.lab, server(&outside));
    server.always(list(&["203.0.113.9"]));
    add(lab, "drop", &url(&server), &[]);
    server.always(Answer::Status(404));
    let said = refresh(lab, &[]).must(1).stderr;
    let listed = lab.fw(&["feed", "list"]).must(0).stdout;
    let status = lab.json(&["status"]).to_string();
    for text in [&said, &listed, &status, &lab.logged()] {
        assert!(!text.contains("hush"), "{text}");
    }
    assert!(said.contains("answered 404"), "{said}");
}

#[test]
fn server_that_has_nothing_new_is_believed_and_what_somebody_took_away_comes_back() {
    let outside = Outside::with("");
    let _daemon = outside.daemon();
    let (lab, server) = (&outside.lab, server(&outside));
    server.always(Answer::Tagged("\"one\"", "203.0.113.9\n".to_owned()));
    add(lab, "drop", &url(&server), &[]);
    let fetched = feed(lab, "feed:drop")["fetched_at"].clone();
    lab.fw(&["flush", "feed:drop"]).must(0);
    assert_eq!(held(lab, "feed:drop"), set(&[]));
    refresh(lab, &["feed:drop"]).must(0);
    assert_eq!(held(lab, "feed:drop"), set(&["203.0.113.9"]));
    let requests = server.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[1].headers["if-none-match"], "\"one\"");
    let told = feed(lab, "feed:drop");
    assert_eq!(told["fetched_at"], fetched, "it is the same copy");
    assert_ne!(told["checked_at"], fetched);

    server.always(Answer::Tagged("\"two\"", "203.0.113.10\n".to_owned()));
    refresh(lab, &["drop"]).must(0);
    assert_eq!(held(lab, "feed:drop"), set(&["203.0.113.10"]));
}

#[test]
fn feed_survives_a_restart_without_its_server() {
    let outside = Outside::with("");
    let daemon = outside.daemon();
    let (lab, server) = (&outside.lab, server(&outside));
    server.always(list(&["203.0.113.9"]));
    add(lab, "drop", &url(&server), &["--interval", "1h"]);
    let before = feed(lab, "feed:drop")["fetched_at"].clone();
    let asked = server.requests().len();
    daemon.kill_9();
    server.always(Answer::HangUp);
    let _daemon = outside.daemon();
    assert_eq!(held(lab, "feed:drop"), set(&["203.0.113.9"]));
    eventually("its copy is read", || {
        feed(lab, "feed:drop")["fetched_at"] == before
    });
    let told = feed(lab, "feed:drop");
    assert_eq!(
        (&told["entries"], &told["problem"]),
        (&1.into(), &().into())
    );
    assert_eq!(server.requests().len(), asked, "it is not time yet");
}

#[test]
fn feed_is_looked_at_in_its_interval() {
    let outside = Outside::with("");
    let _daemon = outside.daemon();
    let (lab, server) = (&outside.lab, server(&outside));
    server.always(list(&["203.0.113.9", "203.0.113.10"]));
    add(lab, "drop", &url(&server), &["--interval", "10s"]);
    server.always(list(&["203.0.113.10", "203.0.113.11"]));
    let expected = set(&["203.0.113.10", "203.0.113.11"]);
    eventually("it was looked at", || held(lab, "feed:drop") == expected);
}

#[test]
fn configuration_keeps_lists_from_urls_as_long_as_it_names_them() {
    let outside = Outside::with("");
    let (lab, server) = (&outside.lab, server(&outside));
    server.always(list(&["203.0.113.9"]));
    let config = |action: &str| {
        let url = url(&server);
        let text = format!("[[list]]\nname = \"drop\"\naction = \"{action}\"\nurl = \"{url}\"\n");
        fs::write(lab.config(), text).expect("the configuration can be written");
    };
    config("block");
    let daemon = outside.daemon();
    eventually("it is fetched", || feed(lab, "drop")["entries"] == 1);
    assert_eq!(feed(lab, "drop")["origin"], "configuration");
    assert_eq!(held(lab, "drop"), set(&["203.0.113.9"]));
    lab.fw(&["feed", "del", "drop"]).must(2).saying("[[list]]");
    let again = url(&server);
    lab.fw(&["feed", "add", "drop", &again]).must(0);
    lab.fw(&["feed", "del", "feed:drop"]).must(0);

    // A list is of one action.
    config("allow");
    daemon.hup();
    eventually("it allows", || {
        let entries = lab.entries("drop");
        entries.len() == 1 && entries[0]["action"] == "allow"
    });
    fs::write(lab.config(), "").expect("the configuration can be written");
    daemon.hup();
    eventually("it is gone", || {
        held(lab, "drop").is_empty() && lab.json(&["status"])["feeds"] == serde_json::json!([])
    });
}

#[test]
fn file_is_a_feed_too() {
    let outside = Outside::with("");
    let _daemon = outside.daemon();
    let lab = &outside.lab;
    let file = lab.directory().join("list.txt");
    let write = |text: &str| fs::write(&file, text).expect("the list can be written");
    let path = file.display().to_string();
    lab.fw(&["feed", "add", "mine", &path])
        .must(2)
        .saying("cannot read");
    write("203.0.113.9\n203.0.113.10,never,a note\n");
    add(lab, "mine", &path, &["--action", "allow"]);
    assert_eq!(lab.entries("feed:mine")[1]["comment"], "a note");
    write("203.0.113.9\nroot:secret\n");
    let said = refresh(lab, &["mine"]).must(2).stderr;
    assert!(
        said.contains("line 2") && !said.contains("secret"),
        "{said}"
    );
    assert_eq!(held(lab, "feed:mine").len(), 2);
    // It is the operator's own: it may become anything.
    write("203.0.113.11\n");
    refresh(lab, &["mine"]).must(0);
    assert_eq!(held(lab, "feed:mine"), set(&["203.0.113.11"]));
}

#[test]
fn what_is_asked_for_twice_or_makes_no_sense_changes_nothing() {
    let outside = Outside::with("");
    let _daemon = outside.daemon();
    let (lab, server) = (&outside.lab, server(&outside));
    server.always(list(&["203.0.113.9"]));
    let url = url(&server);
    let dry = lab.fw(&["feed", "add", "drop", &url, "--dry-run"]).must(0);
    assert!(
        dry.stdout.contains("dry run") && dry.stdout.contains("1 added"),
        "{}",
        dry.stdout
    );
    assert_eq!(lab.json(&["feed"])["total"], 0);
    add(lab, "drop", &url, &[]);
    add(lab, "drop", &url, &[]);
    assert_eq!(
        server.requests().len(),
        2,
        "what is there is not fetched again"
    );
    lab.fw(&["feed", "add", "drop", &url, "--interval", "2h"])
        .must(10)
        .saying("feed del");
    lab.fw(&["block", "203.0.113.77", "--list", "feed:other"])
        .must(0);
    lab.fw(&["feed", "add", "other", &url])
        .must(10)
        .saying("has entries");
    for (words, saying) in [
        (vec!["no/name", url.as_str()], "list name"),
        (vec!["x", "ftp://lists.example/"], "neither https nor http"),
        (vec!["x", &url, "--interval", "1s"], "interval is 10s to"),
        (vec!["x", &url, "--interval", "never"], "never is too long"),
        (vec!["x", &url, "--widest-ipv4", "33"], "widest_ipv4"),
        (vec!["x", &url, "--format", "xml"], "format"),
    ] {
        let words = [vec!["feed", "add"], words].concat();
        lab.fw(&words).must(2).saying(saying);
    }
    assert_eq!(lab.json(&["feed"])["total"], 1);
    let warned = lab
        .fw(&["block", "203.0.113.78", "--list", "feed:drop"])
        .must(0);
    assert!(warned.stderr.contains("undoes this"), "{}", warned.stderr);
    let seen = lab.fw(&["feed", "del", "drop", "--dry-run"]).must(0);
    assert!(seen.stdout.contains("2 removed"), "{}", seen.stdout);
    assert_eq!(lab.json(&["feed"])["total"], 1);
}
