use serde_json::{Value, json};

use super::*;
use crate::api::wire::scan_examples;

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A webhook with these fields beside its name and its address.
pub fn hook(fields: Value) -> Result<Hook, ProblemBody> {
    let mut put = json!({"name": "w", "url": "https://hooks.example.com/T0/secret?k=v"});
    for (name, value) in fields.as_object().expect("fields") {
        put[name] = value.clone();
    }
    let put = serde_json::from_value(put).map_err(|error| bad(error.to_string()))?;
    Hook::read(put, SECRET.into())
}

/// An event of an entry.
pub fn entry(event: &str, list: &str, ttl_s: Option<u64>) -> Event {
    let text = json!({"event": event, "schema": 1, "time": "2026-11-22T10:00:00Z",
        "prefix": "192.0.2.7", "action": "block", "list": list, "comment": "", "by": "uid 0",
        "updated": false, "ttl_s": ttl_s, "expires_at": null});
    serde_json::from_value(text).expect("an event")
}

fn alarm() -> Event {
    Event::Alarm {
        time: Timestamp::UNIX_EPOCH,
        subject: "mirror".into(),
        message: None,
    }
}

#[test]
fn what_is_wrong_is_named_and_secrets_are_not() {
    for (fields, reason) in [
        (json!({"name": ""}), "name of a webhook"),
        (json!({"name": "a b"}), "name of a webhook"),
        (json!({"name": "x".repeat(65)}), "name of a webhook"),
        (json!({"url": "hooks.example.com/hush"}), "no URL"),
        (json!({"url": "ftp://example.com/hush"}), "neither https"),
        (json!({"url": "https:///"}), "no URL"),
        (
            json!({"url": format!("https://a/hush{}", "x".repeat(2048))}),
            "too long",
        ),
        (json!({"format": "xml"}), "unknown variant"),
        (json!({"format": "template"}), "needs a template"),
        (json!({"format": "template", "template": "{"}), "not JSON"),
        (json!({"events": "block,drop"}), "sampled drops"),
        (json!({"events": "blocks"}), "none of"),
        (json!({"lists": ["a b"]}), "\"a b\""),
        (json!({"secret": "hush"}), "whsec_"),
        (json!({"redirects": true}), "unknown field"),
    ] {
        let problem = hook(fields.clone()).expect_err(reason);
        assert!(problem.message.contains(reason), "{fields}: {problem}");
        assert!(
            !format!("{problem:?}").contains("hush"),
            "{fields}: {problem:?}"
        );
    }
}

#[test]
fn neither_its_path_nor_its_secret_is_shown() {
    let plain = hook(json!({})).expect("a webhook");
    assert_eq!(outbound::shown(&plain.url), "https://hooks.example.com/...");
    let debug = format!("{:?}", plain.put);
    assert!(
        !debug.contains("secret?k") && !debug.contains(SECRET),
        "{debug}"
    );
    let credentials = hook(json!({"url": "http://me:pw@[::1]:8080/x"}));
    assert_eq!(
        outbound::shown(&credentials.expect("a webhook").url),
        "http://[::1]:8080/..."
    );
}

#[test]
fn it_hears_all_but_drops_unless_it_names_what_it_wants() {
    let all = hook(json!({})).expect("a webhook");
    let blocks = hook(json!({"events": "block"})).expect("a webhook");
    let lost = Event::Lost {
        time: Timestamp::UNIX_EPOCH,
        count: None,
    };
    for (event, in_blocks) in [
        (entry("block", "local", None), true),
        (entry("unblock", "local", None), false),
        (alarm(), false),
        (lost, true),
    ] {
        assert!(all.wants(&event));
        assert_eq!(blocks.wants(&event), in_blocks, "{event:?}");
    }
}

#[test]
fn lists_are_asked_of_what_has_one() {
    let some = hook(json!({"lists": ["auto", "partners"]})).expect("a webhook");
    let [roll_up, unroll] = scan_examples::rolled();
    for (event, wanted) in [
        (entry("block", "auto", None), true),
        (entry("expire", "partners", None), true),
        (entry("block", "local", None), false),
        (entry("unallow", "local", None), false),
        (Event::Scan(scan_examples::scan()), true),
        (roll_up, true),
        (unroll, true),
        (alarm(), true),
    ] {
        assert_eq!(some.wants(&event), wanted, "{event:?}");
    }
    let local = hook(json!({"lists": ["local"]})).expect("a webhook");
    assert!(!local.wants(&Event::Scan(scan_examples::scan())));
}

#[test]
fn short_blocks_are_left_out_and_those_without_end_are_not() {
    let hook = hook(json!({"min_ttl_s": 3600})).expect("a webhook");
    for (event, wanted) in [
        (entry("block", "auto", Some(3599)), false),
        (entry("block", "auto", Some(3600)), true),
        (entry("block", "auto", None), true),
        // It had little left when it was taken back: that says nothing about the ban.
        (entry("unblock", "auto", Some(1)), true),
        (Event::Scan(scan_examples::scan()), false),
        (alarm(), true),
    ] {
        assert_eq!(hook.wants(&event), wanted, "{event:?}");
    }
}
