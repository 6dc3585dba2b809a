//! Who is let in.

use fw_tests::lab::{
    Lab,
    address::V4,
    http::{API, Ask},
};
use serde_json::json;

use super::{block, listening, status};

#[test]
fn token_opens_what_it_is_for_and_what_it_blocks_is_dropped() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let (read, write) = (lab.token("r", "read"), lab.token("w", "write"));
    let blocked = V4.blocked.to_string();
    assert_eq!(lab.ask(&status().token(&read)).status, 200);

    let refused = lab.ask(&block(&blocked).token(&read));
    assert_eq!((refused.status, &*refused.code()), (403, "permission"));
    assert!(lab.arrives(V4.blocked));

    let done = lab.ask(&block(&blocked).token(&write));
    assert_eq!(done.status, 201, "{done:?}");
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
    assert_eq!(lab.ask(&block(&blocked).token(&write)).status, 200, "again");
    let entry = lab.ask(&Ask::new("GET /api/v1/blocks").token(&read)).json();
    assert_eq!(
        entry["items"][0]["prefix"],
        format!("{blocked}/32").replace("/32", "")
    );

    let unblock = Ask::new(&format!("DELETE /api/v1/blocks/{blocked}"));
    assert_eq!(lab.ask(&unblock.clone().token(&read)).status, 403);
    assert_eq!(lab.ask(&unblock.token(&write)).status, 200);
    assert!(lab.arrives(V4.blocked));
    assert!(lab.logged().contains("token w"), "who did it is in the log");
}

#[test]
fn without_a_token_nothing_is_said_but_whether_the_daemon_lives() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let health = lab.ask(&Ask::new("GET /healthz"));
    assert_eq!(
        (health.status, health.json()),
        (200, json!({ "state": "ok" }))
    );
    for path in [
        "/api/v1/status",
        "/api/v1/blocks",
        "/api/v1/events",
        "/api/v1/nothing",
        "/api/v1",
        "/openapi.json",
        "/nothing",
    ] {
        let ask = Ask::new(&format!("GET {path}"));
        let refused = lab.ask(&ask);
        assert_eq!(refused.status, 401, "{path}");
        assert_eq!(refused.header("WWW-Authenticate"), Some("Bearer"));
    }
}

#[test]
fn what_is_nearly_a_token_is_none() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let token = lab.token("r", "read");
    for wrong in [
        format!("Bearer {}", token.to_uppercase()),
        format!("Bearer {}", &token[..token.len() - 1]),
        format!("Basic {token}"),
        format!("Bearer{token}"),
        token.clone(),
    ] {
        let ask = status().header("Authorization", &wrong);
        assert_eq!(lab.ask(&ask).code(), "unauthorized", "{wrong}");
    }
}

#[test]
fn who_guesses_is_slowed_down_and_who_knows_is_not() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let token = lab.token("r", "read");
    let guess = || lab.ask(&status().token("fwctl_0000")).status;
    let answers: Vec<u16> = (0..80).map(|_| guess()).collect();
    assert_eq!(answers[0], 401);
    assert_eq!(answers[79], 429, "{answers:?}");
    assert_eq!(lab.ask(&status()).status, 401, "no token is no guess");
    assert_eq!(lab.ask(&status().token(&token)).status, 200);
}

#[test]
fn token_may_not_ask_without_end() {
    let lab = Lab::alone();
    let _daemon = listening(&lab);
    let token = lab.token("r", "read");
    let version = Ask::new("GET /api/v1/version");
    let answers: Vec<_> = (0..400)
        .map(|_| lab.ask(&version.clone().token(&token)))
        .collect();
    let refused = answers.iter().find(|answer| answer.status == 429);
    let refused = refused.expect("some are refused");
    assert_eq!(refused.code(), "too_many");
    assert!(refused.header("Retry-After").is_some(), "{refused:?}");
    let answered = answers.iter().filter(|answer| answer.status == 200).count();
    assert!((200..400).contains(&answered), "{answered}");
    assert_eq!(
        lab.ask_locally(&version).status,
        200,
        "the socket has no such limit"
    );
}

#[test]
fn page_of_somebody_else_is_refused_even_with_a_token() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let token = lab.token("w", "write");
    let ask = |name: &str, value: &str| lab.ask(&status().token(&token).header(name, value)).status;
    assert_eq!(ask("Origin", &format!("http://{API}")), 200);
    for origin in [
        "http://evil.example",
        "null",
        "http://127.0.0.1:1",
        "https://localhost",
    ] {
        assert_eq!(ask("Origin", origin), 403, "{origin}");
    }
    assert_eq!(ask("Host", "localhost:9443"), 200);
    for host in [
        "evil.example",
        "localhost.evil.example:9443",
        "127.0.0.1.nip.io",
    ] {
        assert_eq!(ask("Host", host), 403, "{host}");
    }
    // The page itself and the state too: a name that was rebound gets nothing.
    for path in ["/healthz", "/api/v1/status"] {
        let rebound = Ask::new(&format!("GET {path}")).header("Host", "evil.example");
        assert_eq!(lab.ask(&rebound).status, 403, "{path}");
    }
}

#[test]
fn names_of_the_host_are_those_of_the_configuration() {
    let lab = Lab::new();
    let config = format!("[api]\nlisten = \"{API}\"\nhosts = [\"fw.example.org\"]\n");
    std::fs::write(lab.config(), config).expect("it can be written");
    let _daemon = lab.daemon().start();
    let token = lab.token("r", "read");
    let ask = |host: &str| lab.ask(&status().token(&token).header("Host", host)).status;
    assert_eq!(ask("fw.example.org"), 200);
    assert_eq!(ask("www.example.org"), 403);
}

#[test]
fn form_of_a_browser_is_no_change() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let token = lab.token("w", "write");
    let body = format!(r#"{{"items":["{}"]}}"#, V4.blocked);
    for kind in [
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data",
    ] {
        let form = Ask::new("POST /api/v1/blocks").header("Content-Type", kind);
        let refused = lab.ask(&form.body(&*body).token(&token));
        assert_eq!(
            (refused.status, &*refused.code()),
            (400, "bad_input"),
            "{kind}"
        );
    }
    let untyped = Ask::new("POST /api/v1/blocks").body(&*body).token(&token);
    assert_eq!(lab.ask(&untyped).status, 400);
    assert!(lab.arrives(V4.blocked));
}

#[test]
fn what_an_endpoint_does_not_take_is_refused_in_words_of_ours() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let token = lab.token("r", "read");
    for (line, status, said) in [
        ("GET /api/v1/rules?kind=port", 400, "it takes none"),
        (
            "GET /api/v1/blocks?limit=x",
            400,
            "the query: limit: invalid digit",
        ),
        ("PATCH /", 405, "not_allowed"),
        ("DELETE /healthz", 405, "not_allowed"),
        ("BREW /api/v1/status", 405, "not_allowed"),
        ("GET /api/v1/blocks?limit=1", 200, "items"),
    ] {
        let answer = lab.ask(&Ask::new(line).token(&token));
        assert_eq!(answer.status, status, "{line}: {answer:?}");
        assert!(answer.body.contains(said), "{line}: {answer:?}");
    }
}

#[test]
fn what_only_the_host_may_do_no_token_may() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let token = lab.token("w", "write");
    for ask in [
        Ask::new("GET /api/v1/tokens"),
        Ask::new("POST /api/v1/tokens").json(&json!({ "name": "x", "scope": "write" })),
        Ask::new("DELETE /api/v1/tokens/w"),
        Ask::new("POST /api/v1/detach").json(&json!({})),
    ] {
        let refused = lab.ask(&ask.clone().token(&token));
        assert_eq!(
            (refused.status, &*refused.code()),
            (403, "permission"),
            "{ask:?}"
        );
    }
    let listed = lab.ask_locally(&Ask::new("GET /api/v1/tokens")).json();
    assert_eq!(listed["total"], 1);
    assert!(!listed.to_string().contains(&token), "{listed}");
}
