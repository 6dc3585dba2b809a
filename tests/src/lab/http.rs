//! HTTP/1.1 as it goes over the wire, so that a test can also send what no client would.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::net::UnixStream,
    time::Duration,
};

use serde_json::Value;

use super::Lab;

/// Where the API answers inside the server's namespace.
pub const API: &str = "127.0.0.1:9443";

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// 0 where the connection was closed without one.
    pub status: u16,
    /// The status line and the headers, as they came.
    pub head: String,
    /// What followed.
    pub body: String,
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The code of a refusal.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// A request that is to be sent whole.
#[derive(Clone, Debug)]
pub struct Ask {
    line: String,
    headers: Vec<(String, String)>,
    body: String,
}

impl Ask {
    /// `GET /api/v1/status`
    pub fn new(line: &str) -> Self {
        Self {
            line: line.to_owned(),
            headers: vec![("Connection".into(), "close".into())],
            body: String::new(),
        }
    }

    /// With a header more.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With a token.
    pub fn token(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// With a body of JSON.
    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json")
            .body(body.to_string())
    }

    /// With a body.
    pub fn body(mut self, body: impl Into<String>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.header("Content-Length", &length)
    }

    /// As it goes over the wire; `Host` is this, unless it has one of its own.
    pub fn text(&self, host: &str) -> String {
        let mut text = format!("{} HTTP/1.1\r\n", self.line);
        if !self.headers.iter().any(|(name, _)| name == "Host") {
            text += &format!("Host: {host}\r\n");
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        text + "\r\n" + &self.body
    }
}

impl Lab {
    /// A connection to the API over TCP, from inside the server.
    pub fn tcp(&self) -> TcpStream {
        let address: SocketAddr = API.parse().expect("an address");
        let connected = self.server.enter(|| TcpStream::connect(address));
        let stream = connected.expect("the API listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream
    }

    /// A connection to the API's socket.
    pub fn unix(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).expect("the socket answers");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream
    }

    /// Asks over TCP.
    pub fn ask(&self, ask: &Ask) -> Answer {
        exchange(self.tcp(), ask.text(API).as_bytes())
    }

    /// Asks over the Unix socket.
    pub fn ask_locally(&self, ask: &Ask) -> Answer {
        exchange(self.unix(), ask.text("fw-ctl").as_bytes())
    }

    /// Makes a token.
    pub fn token(&self, name: &str, scope: &str) -> String {
        let made = self.json(&["token", "add", name, "--scope", scope]);
        made["token"].as_str().expect("a token").to_owned()
    }
}

/// Sends bytes, and reads what comes until the connection is closed.
pub fn exchange(mut stream: impl Read + Write, bytes: &[u8]) -> Answer {
    // Whoever is refused in the middle may find the connection closed.
    let _refused = stream.write_all(bytes).and_then(|()| stream.flush());
    read(stream)
}

/// Reads an answer until the connection is closed.
pub fn read(mut stream: impl Read) -> Answer {
    let mut bytes = Vec::new();
    match read_all(&mut stream, &mut bytes) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the API does not answer: {error}"),
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or(0),
        head: head.to_owned(),
        body: body.to_owned(),
    }
}

/// What came before an error counts.
fn read_all(stream: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 16 << 10];
    loop {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            length => bytes.extend_from_slice(&piece[..length]),
        }
    }
}
