//! Whatever happens meanwhile, a feed is there as a whole or not at all.

use std::{
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use fw_tests::lab::{Lab, daemon::eventually};

use super::{add, feed, held, list, refresh, server, set, url};
use crate::outside::{Outside, receiver::Answer};

/// So many that a change of them takes its time.
const MANY: u64 = 50_000;

fn many() -> Answer {
    let host = |number: u64| format!("45.80.{}.{}\n", number / 256 % 256, number % 256);
    Answer::Body((0..MANY).map(host).collect())
}

/// Names of feeds, and entries of the list.
fn seen(lab: &Lab) -> (usize, u64) {
    let feeds = lab.json(&["feed"])["total"].as_u64().expect("a number");
    let status = lab.json(&["status"]);
    let lists = status["lists"].as_array().expect("lists");
    let blocks = lists.iter().find(|list| list["name"] == "feed:many");
    let blocks = blocks.map_or(0, |list| list["blocks"].as_u64().expect("a number"));
    (feeds as usize, blocks)
}

#[test]
fn client_that_goes_away_leaves_a_whole_feed_or_none() {
    let outside = Outside::with("");
    let _daemon = outside.daemon();
    let (lab, server) = (&outside.lab, server(&outside));
    server.always(many());
    let url = url(&server);
    let cut_off = |words: &[&str], after: u64| {
        let mut client = lab.command();
        client
            .args(words)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut client = client.spawn().expect("it starts");
        thread::sleep(Duration::from_millis(after));
        // It may have ended by itself.
        let _gone = client.kill();
        client.wait().expect("it ended");
    };
    for after in [100, 400, 800, 1500] {
        cut_off(&["feed", "add", "many", &url], after);
        // Whatever was begun goes to its end; then both say the same.
        let same = || matches!(seen(lab), (0, 0) | (1, MANY));
        eventually("it is there, or it is not", same);
        add(lab, "many", &url, &[]);
        assert_eq!(seen(lab), (1, MANY), "{after}");
        cut_off(&["feed", "del", "many"], after / 4);
        eventually("it is there, or it is not", same);
        // It may be gone.
        let _again = lab.fw(&["feed", "del", "many"]);
        assert_eq!(seen(lab), (0, 0), "{after}");
    }
    assert_eq!(lab.json(&["status"])["alarms"], serde_json::json!([]));
}

#[test]
fn another_url_is_asked_at_once_and_its_list_is_compared_with_nothing() {
    let outside = Outside::with("");
    let (lab, [one, two]) = (&outside.lab, [(); 2].map(|()| server(&outside)));
    one.always(Answer::Status(404));
    two.always(list(&["203.0.113.9"]));
    let config = |url: &str| {
        let text = format!("[[list]]\nname = \"x\"\naction = \"block\"\nurl = \"{url}\"\n");
        fs::write(lab.config(), text).expect("the configuration can be written");
    };
    config(&url(&one));
    let daemon = outside.daemon();
    eventually("it is not there", || !feed(lab, "x")["problem"].is_null());
    config(&url(&two));
    daemon.hup();
    eventually("it is there", || feed(lab, "x")["entries"] == 1);
    assert!(feed(lab, "x")["problem"].is_null());
    one.always(list(&[
        "203.0.113.1",
        "203.0.113.2",
        "203.0.113.3",
        "203.0.113.4",
    ]));
    config(&url(&one));
    daemon.hup();
    eventually("it is another one", || feed(lab, "x")["entries"] == 4);
    assert_eq!(held(lab, "x").len(), 4);
}

#[test]
fn copy_that_is_damaged_changes_nothing() {
    let outside = Outside::with("");
    let (lab, server) = (&outside.lab, server(&outside));
    let good = "203.0.113.9\n203.0.113.10\n";
    server.always(Answer::Tagged("\"one\"", good.to_owned()));
    let daemon = outside.daemon();
    add(lab, "drop", &url(&server), &[]);
    daemon.kill_9();
    fs::write(lab.state().join("feeds/feed:drop.list"), "").expect("damaged");
    let _daemon = outside.daemon();
    assert_eq!(held(lab, "feed:drop").len(), 2);
    assert_eq!(feed(lab, "feed:drop")["entries"], 2);
    refresh(lab, &["drop"]).must(0);
    assert_eq!(held(lab, "feed:drop").len(), 2);
    let asked = server.requests();
    let last = asked.last().expect("it was asked");
    assert!(
        !last.headers.contains_key("if-none-match"),
        "the copy is none"
    );
}

#[test]
fn feed_of_a_name_that_the_configuration_took_over_goes_and_the_list_stays() {
    let outside = Outside::with("");
    let (lab, server) = (&outside.lab, server(&outside));
    server.always(list(&["203.0.113.9"]));
    let daemon = outside.daemon();
    let url = url(&server);
    add(lab, "drop", &url, &[]);
    let text = format!("[[list]]\nname = \"feed:drop\"\naction = \"block\"\nurl = \"{url}\"\n");
    fs::write(lab.config(), text).expect("the configuration can be written");
    daemon.hup();
    eventually("it is the configuration's", || {
        feed(lab, "feed:drop")["origin"] == "configuration"
    });
    lab.fw(&["feed", "del", "drop"]).must(0);
    assert_eq!(held(lab, "feed:drop"), set(&["203.0.113.9"]));
    lab.fw(&["feed", "del", "drop"]).must(2).saying("[[list]]");
    let said = lab.fw(&["unblock", "203.0.113.9"]).must(0).stderr;
    assert!(
        said.contains("has it again") && said.contains("allow"),
        "{said}"
    );
}

#[test]
fn member_of_the_group_may_ask_for_urls_and_not_for_files() {
    let outside = Outside::with("[api]\ngroup = \"nogroup\"\n");
    let (lab, server) = (&outside.lab, server(&outside));
    server.always(list(&["203.0.113.9"]));
    let _daemon = outside.daemon();
    let program = lab.open_to_all();
    let member = |source: &str| {
        let mut command = Command::new("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&program)
            .args(["feed", "add", "x", source])
            .env("FW_CTL_SOCKET", lab.socket());
        command.output().expect("setpriv starts")
    };
    let refused = member("/etc/shadow");
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(told.contains("root's to ask for"), "{told}");
    let taken = member(&url(&server));
    assert!(taken.status.success(), "{taken:?}");
}
