//! Changes that were made for another policy, and changes that are sent twice.

use fw_tests::lab::{Lab, address::V4, http::Ask};

use super::{block, listening};

fn tag(lab: &Lab) -> String {
    let answer = lab.ask_locally(&Ask::new("GET /api/v1/blocks"));
    answer.header("ETag").expect("a tag").to_owned()
}

#[test]
fn change_for_a_policy_that_is_not_in_force_any_more_is_refused() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let seen = tag(&lab);
    let change = block(&V4.blocked.to_string()).header("If-Match", &seen);
    assert_eq!(lab.ask_locally(&change).status, 201);
    assert_ne!(tag(&lab), seen);

    let late = block("203.0.113.9").header("If-Match", &seen);
    let refused = lab.ask_locally(&late);
    assert_eq!((refused.status, &*refused.code()), (412, "stale"));
    assert!(lab.entry("blocks", "203.0.113.9").is_none());
    assert_eq!(
        lab.ask_locally(&block("203.0.113.9").header("If-Match", "*"))
            .status,
        201
    );

    let seen = tag(&lab);
    lab.fw(&["block", "203.0.113.9"]).must(0);
    assert_eq!(tag(&lab), seen, "nothing changed");
    for change in [
        ["guard", "add", "198.51.100.77"],
        ["default", "drop", "--yes"],
        ["scan", "set", "--ports=12"],
    ] {
        let seen = tag(&lab);
        lab.fw(&change).must(0);
        assert_ne!(tag(&lab), seen, "{change:?}");
    }
}

#[test]
fn what_ends_by_itself_is_no_other_policy() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    lab.fw(&["block", V4.block, "--ttl", "1s"]).must(0);
    let seen = tag(&lab);
    fw_tests::lab::daemon::eventually("it ends", || lab.prefixes("blocks").is_empty());
    assert_eq!(tag(&lab), seen);
}

#[test]
fn change_that_is_sent_twice_with_a_key_is_made_once() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let token = lab.token("w", "write");
    let keyed = |key: &str| block(&V4.blocked.to_string()).header("Idempotency-Key", key);
    let first = lab.ask(&keyed("a").token(&token));
    let again = lab.ask(&keyed("a").token(&token));
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body, again.body);
    assert_eq!(again.header("Idempotency-Replayed"), Some("true"));
    let other = block("203.0.113.9")
        .header("Idempotency-Key", "a")
        .token(&token);
    assert_eq!(lab.ask(&other).status, 409);
    // Keys are their sender's: nobody learns what another was told.
    assert_eq!(lab.ask_locally(&keyed("a")).status, 200);
}

#[test]
fn what_has_a_secret_is_told_once_also_with_a_key() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let token = serde_json::json!({ "name": "x", "scope": "read" });
    let webhook = serde_json::json!({ "name": "x", "url": "https://9.9.9.9/x" });
    for (path, put, secret) in [("tokens", token, "fwctl_"), ("webhooks", webhook, "whsec_")] {
        let ask = Ask::new(&format!("POST /api/v1/{path}"))
            .json(&put)
            .header("Idempotency-Key", path);
        let [first, again] = [(); 2].map(|()| lab.ask_locally(&ask));
        assert_eq!(first.status, 201, "{first:?}");
        assert!(first.body.contains(secret), "{first:?}");
        assert_eq!((again.status, &*again.code()), (409, "conflict"));
        assert!(again.body.contains("told once"), "{again:?}");
        assert!(!again.body.contains(secret), "{again:?}");
        assert_eq!(lab.json(&[path.trim_end_matches('s'), "list"])["total"], 1);
    }
}

#[test]
fn every_line_of_if_match_counts_and_for_a_repair_too() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let seen = tag(&lab);
    let block = block("203.0.113.9")
        .header("If-Match", "\"another\"")
        .header("If-Match", &seen);
    assert_eq!(lab.ask_locally(&block).status, 201);
    for line in ["POST /api/v1/repair", "POST /api/v1/detach"] {
        let late = Ask::new(line)
            .json(&serde_json::json!({}))
            .header("If-Match", &seen);
        let refused = lab.ask_locally(&late);
        assert_eq!((refused.status, &*refused.code()), (412, "stale"), "{line}");
    }
    let repair = Ask::new("POST /api/v1/repair").header("If-Match", &tag(&lab));
    assert_eq!(lab.ask_locally(&repair).status, 200);
}

#[test]
fn batch_is_all_or_nothing_and_names_each_item_that_is_refused() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let server = V4.server.to_string();
    let batch = Ask::new("POST /api/v1/batch").json(&serde_json::json!({
        "block": ["203.0.113.9", server, "nonsense"],
        "allow": ["203.0.113.8", "none"],
    }));
    let refused = lab.ask_locally(&batch);
    assert_eq!(refused.status, 400, "{refused:?}");
    let items = refused.json()["error"]["refused"].clone();
    let named: Vec<_> = items.as_array().expect("items").iter().collect();
    let named: Vec<_> = named
        .iter()
        .map(|item| (item["prefix"].clone(), item["index"].clone()))
        .collect();
    let expected = [("none", 1), (&server, 1), ("nonsense", 2)];
    assert_eq!(
        named,
        expected.map(|(prefix, index)| (prefix.into(), index.into()))
    );
    assert!(lab.prefixes("blocks").is_empty() && lab.prefixes("allows").is_empty());
}
