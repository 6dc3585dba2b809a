//! What arrives.

use std::{
    collections::BTreeSet,
    fs::{self, File},
};

use fw_tests::lab::daemon::eventually;

use super::{at_name, shell};
use crate::outside::{
    GLOBAL, NAME, Outside,
    receiver::{Receiver, Request},
};

fn receiver(outside: &Outside) -> Receiver {
    Receiver::listen(
        &outside.lab.attacker,
        GLOBAL,
        0,
        Some(&outside.certificates),
    )
}

/// The signature by OpenSSL, which knows nothing of ours.
fn signature(secret: &str, request: &Request) -> String {
    let timestamp = &request.headers["webhook-timestamp"];
    let signed = format!("{}.{timestamp}.{}", request.id(), request.body);
    let key = secret.strip_prefix("whsec_").expect("a secret");
    let script = "key=$(printf %s \"$KEY\" | openssl base64 -d -A | od -An -tx1 | tr -d ' \\n')
        printf %s \"$SIGNED\" | openssl dgst -sha256 -mac HMAC -macopt hexkey:$key -binary \
        | openssl base64 -A";
    format!("v1,{}", shell(script, &[("KEY", key), ("SIGNED", &signed)]))
}

#[test]
fn events_arrive_in_order_once_each_and_signed() {
    let outside = Outside::new();
    let _daemon = outside.daemon();
    let receiver = receiver(&outside);
    let secret = outside.add("w", &at_name(receiver.port));
    let blocked = outside.block(1..31);
    let told = outside.drained("w");
    assert_eq!(receiver.told(), blocked);
    assert_eq!(told["delivered"], 30, "{told}");
    assert_eq!((&told["failed"], &told["dropped"]), (&0.into(), &0.into()));

    let requests = receiver.requests();
    let ids: BTreeSet<&str> = requests.iter().map(Request::id).collect();
    assert_eq!(ids.len(), requests.len(), "a message came twice");
    for request in &requests {
        assert_eq!(request.line, "POST /T0/hush-hush HTTP/1.1");
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["host"], format!("{NAME}:{}", receiver.port));
        assert_eq!(
            request.headers["webhook-signature"],
            signature(&secret, request)
        );
        let body = request.json();
        assert_eq!(
            (&body["schema"], &body["id"]),
            (&1.into(), &request.id().into())
        );
    }
    let forged = Request {
        body: requests[0].body.replace("203.0.113", "198.51.100"),
        ..requests[0].clone()
    };
    assert_ne!(
        forged.headers["webhook-signature"],
        signature(&secret, &forged)
    );
}

#[test]
fn receiver_gets_what_its_filter_lets_through() {
    let outside = Outside::new();
    let _daemon = outside.daemon();
    let receiver = receiver(&outside);
    let url = at_name(receiver.port);
    let filter = "--events block,unblock --lists partners,local --min-ttl 1h";
    let words = ["webhook", "add", "w", &url].into_iter();
    let words: Vec<&str> = words.chain(filter.split(' ')).collect();
    outside.lab.fw(&words).must(0).stdout.contains("whsec_");
    for (address, more) in [
        ("203.0.113.1", "--ttl 2h"),
        ("203.0.113.2", "--ttl 59m"),
        ("203.0.113.3", "--list partners"),
        ("203.0.113.4", "--list others"),
    ] {
        let words = ["block", address].into_iter().chain(more.split(' '));
        outside.lab.fw(&words.collect::<Vec<_>>()).must(0);
    }
    outside.lab.fw(&["allow", "203.0.113.5"]).must(0);
    outside.lab.fw(&["unblock", "203.0.113.1"]).must(0);
    outside.drained("w");
    assert_eq!(
        receiver.told(),
        ["203.0.113.1", "203.0.113.3", "203.0.113.1"]
    );
}

#[test]
fn slack_and_templates_get_their_own_form_and_hostile_comments_stay_text() {
    let outside = Outside::new();
    let _daemon = outside.daemon();
    let [slack, template] = [(); 2].map(|()| receiver(&outside));
    let file = outside.lab.directory().join("template");
    fs::write(
        &file,
        r#"{"content":["{{event}} {{prefix}}: {{comment}}"]}"#,
    )
    .expect("a file");
    let file = file.display().to_string();
    let add = |name: &str, receiver: &Receiver, more: &[&str]| {
        let url = at_name(receiver.port);
        let words = ["webhook", "add", name, &url, "--events", "block"];
        outside.lab.fw(&[&words, more].concat()).must(0);
    };
    add("s", &slack, &["--format", "slack"]);
    add(
        "t",
        &template,
        &["--format", "template", "--template-file", &file],
    );
    let comment = r#"<!channel> & "},{{host}}"#;
    for address in ["203.0.113.1", "203.0.113.2"] {
        outside
            .lab
            .fw(&["block", address, "--comment", comment])
            .must(0);
    }
    outside.drained("s");
    outside.drained("t");
    let text: String = slack
        .requests()
        .iter()
        .map(|request| request.json()["text"].as_str().expect("a text").to_owned() + "\n")
        .collect();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(
        text.contains(r#"block 203.0.113.2 in local by uid 0: &lt;!channel&gt; &amp; "},"#),
        "{text}"
    );
    let filled: Vec<_> = template.requests().iter().map(Request::json).collect();
    let expected = ["203.0.113.1", "203.0.113.2"]
        .map(|prefix| serde_json::json!({"content": [format!("block {prefix}: {comment}")]}));
    assert_eq!(filled, expected);
}

#[test]
fn several_webhooks_are_added_listed_tested_and_removed() {
    let outside = Outside::new();
    let _daemon = outside.daemon();
    let [one, two] = [(); 2].map(|()| receiver(&outside));
    outside.add("one", &at_name(one.port));
    outside.add("two", &at_name(two.port));
    let lab = &outside.lab;
    let add = |url: &str| lab.fw(&["webhook", "add", "one", url, "--events", "block"]);
    add(&at_name(one.port)).must(0);
    add(&at_name(two.port)).must(10).saying("webhook del one");
    assert_eq!(outside.test("one")["status"], 204);
    assert_eq!(one.requests().len(), 1);
    assert_eq!(
        one.requests()[0].json()["events"][0]["detail"],
        "a test of webhook one"
    );
    lab.fw(&["webhook", "test", "none"])
        .must(2)
        .saying("no webhook");

    lab.fw(&["webhook", "del", "one", "--dry-run"]).must(0);
    assert_eq!(lab.json(&["webhook"])["total"], 2);
    lab.fw(&["webhook", "del", "one"]).must(0);
    lab.fw(&["webhook", "del", "one"])
        .must(2)
        .saying("no webhook \"one\"");
    let full = File::create("/dev/full").expect("it is always full");
    let mut add = lab.command();
    let url = at_name(one.port);
    add.args(["webhook", "add", "lost", &url, "--events", "block"]);
    let ended = add.stdout(full).output().expect("fw-ctl starts");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("removed again"), "{said}");
    lab.fw(&["webhook", "add", "three", &at_name(one.port), "-n"])
        .must(0);
    assert_eq!(lab.json(&["webhook"])["total"], 1);
    let blocked = outside.block(1..3);
    outside.drained("two");
    assert_eq!(two.told(), blocked);
    assert_eq!(one.requests().len(), 1, "removed");
}

#[test]
fn certificate_that_nobody_vouches_for_gets_nothing() {
    let outside = Outside::new();
    let _daemon = outside.daemon();
    let receiver = receiver(&outside);
    outside.names.answer("other.example.com", &[GLOBAL]);
    outside.add(
        "w",
        &format!("https://other.example.com:{}/", receiver.port),
    );
    let told = outside.test("w");
    assert_eq!(told["delivered"], false, "{told}");
    assert!(
        told["problem"]
            .as_str()
            .is_some_and(|text| text.contains("certificate")),
        "{told}"
    );
    outside.block(1..2);
    eventually("it was tried", || {
        !outside.webhook("w")["problem"].is_null()
    });
    assert!(receiver.requests().is_empty());
    assert!(receiver.connections() >= 2);
}
