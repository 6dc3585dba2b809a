//! `fw-ctl dashboard`: whom it lets in, what it passes on, and that it ends.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use fw_tests::lab::{Lab, daemon::eventually};

use super::Dashboard;

/// Connections it takes at a time.
const CONNECTIONS: usize = 64;
/// A request may take ten seconds to say what it wants.
const SLOW: std::ops::Range<Duration> = Duration::from_secs(9)..Duration::from_secs(20);
const BLOCK: &str = r#"{"items":["203.0.113.7"]}"#;

/// Sends a request as it is, and reads the answer to its end.
fn exchange(dashboard: &Dashboard, request: &str) -> String {
    let mut stream = connect(dashboard);
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

fn connect(dashboard: &Dashboard) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", dashboard.port())).expect("the port is open");
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).expect("a time limit");
    stream
}

/// A request with these headers besides.
fn request(dashboard: &Dashboard, first: &str, headers: &[&str], body: &str) -> String {
    let host = format!("Host: 127.0.0.1:{}", dashboard.port());
    let own = headers.iter().any(|header| header.starts_with("Host:"));
    let mut lines = vec![format!("{first} HTTP/1.1"), "Connection: close".to_owned()];
    lines.extend((!own).then_some(host));
    lines.extend(headers.iter().map(ToString::to_string));
    if !body.is_empty() {
        lines.push("Content-Type: application/json".to_owned());
        lines.push(format!("Content-Length: {}", body.len()));
    }
    format!("{}\r\n\r\n{body}", lines.join("\r\n"))
}

fn ask(dashboard: &Dashboard, first: &str, headers: &[&str], body: &str) -> String {
    exchange(dashboard, &request(dashboard, first, headers, body))
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or(answer)
}

/// The cookie for the token.
fn enter(dashboard: &Dashboard) -> String {
    let path = dashboard
        .url
        .strip_prefix(&dashboard.origin)
        .expect("a path");
    let answer = ask(dashboard, &format!("GET {path}"), &[], "");
    assert_eq!(status(&answer), "303", "{answer}");
    assert!(answer.contains("location: /\r\n"), "{answer}");
    let (_, cookie) = answer.split_once("set-cookie: ").expect("a cookie");
    let (cookie, attributes) = cookie.split_once(';').expect("attributes");
    assert!(
        attributes.starts_with(" HttpOnly; SameSite=Strict; Path=/\r\n"),
        "{answer}"
    );
    format!("Cookie: {cookie}")
}

#[test]
fn only_the_browser_that_was_given_the_address_is_let_in_and_only_once() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    for path in ["/", "/dashboard/main.js", "/api/v1/status", "/?token=guess"] {
        let answer = ask(&dashboard, &format!("GET {path}"), &[], "");
        assert_eq!(status(&answer), "401", "{path}: {answer}");
    }
    let cookie = enter(&dashboard);
    for (path, part) in [
        ("/", "<!doctype html>"),
        ("/dashboard/main.js", "text/javascript"),
        ("/api/v1/version", "\"abi\""),
    ] {
        let answer = ask(&dashboard, &format!("GET {path}"), &[&cookie], "");
        assert_eq!(status(&answer), "200", "{path}: {answer}");
        assert!(answer.contains(part), "{path}: {answer}");
    }
    let path = dashboard
        .url
        .strip_prefix(&dashboard.origin)
        .expect("a path");
    let again = ask(&dashboard, &format!("GET {path}"), &[], "");
    assert_eq!(status(&again), "401", "the token was used twice: {again}");
    let wrong = ask(&dashboard, "GET /", &["Cookie: fwctl=guess"], "");
    assert_eq!(status(&wrong), "401", "{wrong}");
    dashboard.interrupt();
}

#[test]
fn another_origin_or_host_changes_nothing_even_with_the_cookie() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    let cookie = enter(&dashboard);
    let origin = format!("Origin: {}", dashboard.origin);
    for header in [
        "Origin: http://evil.example",
        "Origin: null",
        "Origin: http://127.0.0.1",
        "Host: evil.example",
        "Host: 127.0.0.1",
    ] {
        let answer = ask(&dashboard, "POST /api/v1/blocks", &[&cookie, header], BLOCK);
        assert_eq!(status(&answer), "403", "{header}: {answer}");
    }
    assert!(lab.prefixes("blocks").is_empty());
    let answer = ask(
        &dashboard,
        "POST /api/v1/blocks",
        &[&cookie, &origin],
        BLOCK,
    );
    assert_eq!(status(&answer), "201", "{answer}");
    assert!(lab.prefixes("blocks").contains("203.0.113.7"));
}

#[test]
fn read_only_dashboard_shows_everything_and_changes_nothing() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    lab.fw(&["block", "203.0.113.1"]).must(0);
    for flag in ["--read-only", "--dry-run"] {
        let dashboard = Dashboard::start(&lab, &[flag]);
        only_looks(&dashboard);
    }
    assert_eq!(lab.prefixes("blocks").len(), 1);
}

#[track_caller]
fn only_looks(dashboard: &Dashboard) {
    let cookie = enter(dashboard);
    let blocks = ask(dashboard, "GET /api/v1/blocks", &[&cookie], "");
    assert!(blocks.contains("203.0.113.1"), "{blocks}");
    for (first, body) in [
        ("POST /api/v1/blocks", BLOCK),
        ("DELETE /api/v1/blocks/203.0.113.1", ""),
        ("PATCH /api/v1/scan", r#"{"mode":"off"}"#),
        ("POST /api/v1/detach", "{}"),
    ] {
        let answer = ask(dashboard, first, &[&cookie], body);
        assert_eq!(status(&answer), "403", "{first}: {answer}");
        assert!(
            answer.contains(r#""code":"permission""#),
            "{first}: {answer}"
        );
    }
}

#[test]
fn events_flow_through_it_until_the_daemon_ends() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    let cookie = enter(&dashboard);
    let mut stream = connect(&dashboard);
    let asked = request(&dashboard, "GET /api/v1/events", &[&cookie], "");
    stream.write_all(asked.as_bytes()).expect("it reads");
    let mut heard = Vec::new();
    let mut piece = [0; 4096];
    while !String::from_utf8_lossy(&heard).contains("203.0.113.9") {
        lab.fw(&["block", "203.0.113.9"]).must(0);
        lab.fw(&["unblock", "203.0.113.9"]).must(0);
        let bytes = stream.read(&mut piece).expect("an event comes");
        heard.extend_from_slice(&piece[..bytes]);
    }
    daemon.term();
    let ended = stream.read_to_end(&mut heard);
    assert!(ended.is_ok(), "{ended:?}");
    let answer = ask(&dashboard, "GET /api/v1/status", &[&cookie], "");
    assert_eq!(status(&answer), "503", "{answer}");
    assert!(answer.contains("not_running"), "{answer}");
}

#[test]
fn slow_and_many_clients_are_turned_away_and_others_are_answered_again() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let dashboard = Dashboard::start(&lab, &[]);
    let cookie = enter(&dashboard);
    let start = Instant::now();
    let slow: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect(&dashboard)).collect();
    for mut stream in &slow {
        stream.write_all(b"GET / HT").expect("it reads");
    }
    // It is taken when one of the slow ones is let go.
    let answer = ask(&dashboard, "GET /api/v1/version", &[&cookie], "");
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(
        SLOW.contains(&start.elapsed()),
        "after {:?}",
        start.elapsed()
    );
    eventually("every slow client is let go", || {
        slow.iter().all(|mut stream| {
            stream.set_nonblocking(true).expect("a socket");
            let read = stream.read(&mut [0; 512]);
            !matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
        })
    });
    let long = format!("X-Long: {}", "x".repeat(64 << 10));
    let mut stream = connect(&dashboard);
    let asked = request(&dashboard, "GET /", &[&cookie, &long], "");
    // It may have enough before all is written.
    let _closed_early = stream.write_all(asked.as_bytes());
    let mut answer = Vec::new();
    let _reset = stream.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("200"), "taken");
}
