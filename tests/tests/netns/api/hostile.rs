//! What is sent to do harm.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use fw_tests::lab::{
    Lab,
    address::V4,
    http::{self, API, Ask, exchange},
};

use super::{listening, status};

#[test]
fn tricks_with_paths_lead_nowhere() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let token = lab.token("w", "write");
    for path in [
        "/api/v1/../v1/nothing",
        "/api/v1/./status/",
        "//api/v1/status",
        "/api/v1//status",
        "/API/v1/status",
        "/api/v1/status/",
        "/api/v1/%73tatus%2f..",
        "/api/v1/blocks/..%2f..%2fstatus",
        "/..%2f..%2f..%2fetc/passwd",
        "/../../../../etc/passwd",
        "/api/v1/lists/..%2f..%2f..%2fetc%2fpasswd",
        "/api/v1/lists/%00",
        "/dashboard/../../Cargo.toml",
        "/dashboard/..%2f..%2fCargo.toml",
        "/healthz/../api/v1/status",
        "/healthz%2f..%2fapi%2fv1%2fstatus",
        "/%2e%2e/api/v1/status",
    ] {
        let ask = Ask::new(&format!("GET {path}"));
        let known = lab.ask(&ask.clone().token(&token));
        assert!([400, 404, 405].contains(&known.status), "{path}: {known:?}");
        let unknown = lab.ask(&ask);
        assert!(
            [400, 401, 404, 429].contains(&unknown.status),
            "{path}: {unknown:?}"
        );
        assert!(!unknown.body.contains("root:"), "{path}");
    }
}

#[test]
fn requests_that_are_none_change_nothing_and_break_nothing() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let token = lab.token("w", "write");
    let body = format!(r#"{{"items":["{}"]}}"#, V4.blocked);
    let head = format!(
        "POST /api/v1/blocks HTTP/1.1\r\nHost: {API}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nConnection: close\r\n"
    );
    let length = body.len();
    let two_lengths = format!("{head}Content-Length: {length}\r\nContent-Length: 3\r\n\r\n{body}");
    let smuggled = format!("{head}Transfer-Encoding: xchunked\r\n\r\n{body}");
    let bad_chunk = format!("{head}Transfer-Encoding: chunked\r\n\r\nZZ\r\n{body}\r\n0\r\n\r\n");
    let negative = format!("{head}Content-Length: -1\r\n\r\n{body}");
    let many = format!("{head}{}\r\n", "X-A: b\r\n".repeat(1000));
    let long = format!("{head}X-A: {}\r\n\r\n", "b".repeat(1 << 20));
    let folded = format!("{head}X-A: b\r\n c\r\n\r\n");
    let nul = format!("{head}X-A: \0\r\n\r\n");
    for text in [
        two_lengths,
        smuggled,
        bad_chunk,
        negative,
        many,
        long,
        folded,
        nul,
        "GET /\r\n\r\n".into(),
        "\r\n\r\n\r\n".into(),
        "\u{16}\u{3}\u{1}\u{2}\0".repeat(10),
        format!("TRACE / HTTP/1.1\r\nHost: {API}\r\nConnection: close\r\n\r\n"),
        format!("CONNECT evil.example:443 HTTP/1.1\r\nHost: {API}\r\nConnection: close\r\n\r\n"),
        format!(
            "GET http://evil.example/api/v1/status HTTP/1.1\r\nHost: {API}\r\nConnection: close\r\n\r\n"
        ),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
    ] {
        let mut stream = lab.tcp();
        let _refused = stream.write_all(text.as_bytes());
        let _closed = stream.shutdown(std::net::Shutdown::Write);
        let answer = http::read(stream);
        assert!(
            answer.status == 0 || answer.status >= 400,
            "{text:.80}: {answer:?}"
        );
    }
    assert!(lab.arrives(V4.blocked));
    assert_eq!(lab.ask(&status().token(&token)).status, 200);
}

#[test]
fn body_that_is_too_large_is_refused_before_it_came() {
    let lab = Lab::new();
    let _daemon = listening(&lab);
    let token = lab.token("w", "write");
    let ask = |line: &str| {
        format!(
            "POST /api/v1/blocks HTTP/1.1\r\nHost: {API}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n{line}\r\n\r\n"
        )
    };
    let announced = exchange(lab.tcp(), ask("Content-Length: 104857600").as_bytes());
    assert_eq!((announced.status, &*announced.code()), (413, "too_large"));

    let mut stream = lab.tcp();
    stream
        .write_all(ask("Transfer-Encoding: chunked").as_bytes())
        .expect("it is taken");
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, " ".repeat(1 << 20));
    let sent = (0..100)
        .take_while(|_| stream.write_all(chunk.as_bytes()).is_ok())
        .count();
    assert!(sent < 100, "all of it was taken");

    // Without a token, not even its beginning is read.
    let unknown = ask("Content-Length: 104857600").replace(&token, "none");
    assert_eq!(exchange(lab.tcp(), unknown.as_bytes()).status, 401);
}

/// Connections that say a little and then nothing.
fn slow(lab: &Lab, number: usize) -> Vec<TcpStream> {
    let address = API.parse().expect("an address");
    lab.server.enter(|| {
        let connect = |_| {
            let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5));
            let mut stream = stream.ok()?;
            // Those beyond the limit are closed at once.
            stream
                .write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: ")
                .ok()?;
            Some(stream)
        };
        (0..number).filter_map(connect).collect()
    })
}

#[test]
fn who_opens_connections_and_says_nothing_is_sent_away_and_the_socket_answers() {
    let lab = Lab::alone();
    let _daemon = listening(&lab);
    let token = lab.token("r", "read");
    let start = Instant::now();
    let deaf = deaf(&lab, 20);
    let mut held = slow(&lab, 500);
    lab.fw(&["status"]).must(0);
    let mut open = 0;
    for stream in &mut held {
        stream
            .set_read_timeout(Some(Duration::from_millis(1)))
            .expect("a limit");
        // Those that wait are open, those that were sent away have an end.
        open += usize::from(
            stream
                .read(&mut [0])
                .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock),
        );
    }
    assert!((1..=64).contains(&open), "{open} of one address stay open");
    while start.elapsed() < Duration::from_secs(12) {
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(
        lab.ask(&status().token(&token)).status,
        200,
        "there is room again"
    );
    for mut stream in held {
        stream
            .set_read_timeout(Some(Duration::from_secs(1)))
            .expect("a limit");
        let still_open = stream
            .read_to_end(&mut Vec::new())
            .is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!still_open, "a connection that says nothing is still open");
    }
    // Whoever asks and reads nothing of it has half a minute.
    while start.elapsed() < Duration::from_secs(34) {
        thread::sleep(Duration::from_millis(200));
    }
    for mut stream in deaf {
        let end = stream.write_all(&[b'x'; 4096]).and_then(|()| {
            thread::sleep(Duration::from_millis(20));
            stream.write_all(&[b'x'; 4096])
        });
        assert!(
            end.is_err(),
            "a connection that reads nothing is still open"
        );
    }
}

/// Connections that ask for the page again and again, and read nothing.
fn deaf(lab: &Lab, number: usize) -> Vec<TcpStream> {
    let page = Ask::new("GET /").header("Connection", "keep-alive");
    let page = page.text(API).replacen("Connection: close\r\n", "", 1);
    let deaf = (0..number).map(|_| {
        let mut stream = lab.tcp();
        let limit = Some(Duration::from_millis(200));
        stream.set_write_timeout(limit).expect("a limit");
        // More than all the buffers between hold; at some point nothing more is taken.
        let _full = (0..4_000).try_for_each(|_| stream.write_all(page.as_bytes()));
        stream
    });
    deaf.collect()
}

#[test]
fn who_sends_bodies_slowly_keeps_nobody_else_waiting() {
    let lab = Lab::alone();
    let _daemon = listening(&lab);
    let (slow, other) = (lab.token("slow", "write"), lab.token("other", "read"));
    let head = format!(
        "POST /api/v1/blocks HTTP/1.1\r\nHost: {API}\r\nAuthorization: Bearer {slow}\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n"
    );
    let held: Vec<TcpStream> = (0..32)
        .map(|_| {
            let mut stream = lab.tcp();
            stream.write_all(head.as_bytes()).expect("it is taken");
            stream
        })
        .collect();
    thread::sleep(Duration::from_millis(500));
    let start = Instant::now();
    assert_eq!(lab.ask(&status().token(&other)).status, 200);
    let waited = start.elapsed();
    assert!(waited < Duration::from_secs(4), "waited {waited:?}");
    drop(held);
}
