//! An HTTP server on a thread, which keeps what it gets and answers what it is told.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use fw_tests::lab::namespace::{Namespace, run};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use serde_json::Value;

/// A certificate authority and a certificate of one name.
pub struct Certificates {
    /// What a client has to trust.
    pub authority: PathBuf,
    server: Arc<ServerConfig>,
}

impl Certificates {
    /// Made by OpenSSL, in this directory.
    pub fn make(directory: &Path, name: &str) -> Self {
        let script = format!(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
               -subj /CN=authority -keyout authority.key -out authority.pem
             openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
               -subj /CN={name} -addext subjectAltName=DNS:{name} \
               -addext basicConstraints=critical,CA:FALSE \
               -CA authority.pem -CAkey authority.key -keyout server.key -out server.pem"
        );
        run(Command::new("sh")
            .args(["-ec", &script])
            .current_dir(directory));
        let [certificate, key] = ["server.pem", "server.key"].map(|file| directory.join(file));
        let chain = CertificateDer::from_pem_file(certificate).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of TLS")
            .with_no_client_auth()
            .with_single_cert(vec![chain], key);
        Self {
            authority: directory.join("authority.pem"),
            server: Arc::new(config.expect("they belong together")),
        }
    }
}

/// What a receiver got.
#[derive(Clone, Debug)]
pub struct Request {
    /// When it was whole.
    pub at: Instant,
    /// The first line.
    pub line: String,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl Request {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// Its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The prefixes of its events.
    pub fn prefixes(&self) -> Vec<String> {
        let events = self.json()["events"].take();
        let events = events.as_array().expect("events").iter();
        let prefix = |event: &Value| event["prefix"].as_str().map(str::to_owned);
        events.filter_map(prefix).collect()
    }
}

/// What a receiver does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Answers this status.
    Status(u16),
    /// With one more header.
    With(u16, String),
    /// Answers 200 after so long.
    After(Duration),
    /// Goes away without a word, when it has everything.
    HangUp,
    /// 200 with this body.
    Body(String),
    /// 200 with this body and an `ETag`; 304 to who has that.
    Tagged(&'static str, String),
    /// Exactly this, and then the end.
    Raw(String),
    /// 200, and then so many bytes of this line again and again.
    Lines(&'static str, usize),
    /// 200, and then a byte each tenth of a second.
    Trickle,
}

/// A receiver; dropped, nobody listens there any more.
pub struct Receiver {
    /// Its port.
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    stop: AtomicBool,
    /// Connections that were ever made.
    connections: AtomicUsize,
    requests: Mutex<Vec<Request>>,
    /// For the next requests; after them, the last one that was given for good.
    answers: Mutex<Vec<Answer>>,
    always: Mutex<Answer>,
    tls: Option<Arc<ServerConfig>>,
}

impl Receiver {
    /// Listens in a namespace; port 0 is any. With certificates, it speaks TLS.
    pub fn listen(
        namespace: &Namespace,
        address: &str,
        port: u16,
        certificates: Option<&Certificates>,
    ) -> Self {
        let listener = namespace.enter(|| TcpListener::bind((address, port)).expect("a free port"));
        listener.set_nonblocking(true).expect("a socket");
        let port = listener
            .local_addr()
            .map(|address: SocketAddr| address.port());
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            requests: Mutex::default(),
            answers: Mutex::default(),
            always: Mutex::new(Answer::Status(204)),
            tls: certificates.map(|certificates| Arc::clone(&certificates.server)),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || serving.serve(&listener));
        Self {
            port: port.expect("a port"),
            shared,
        }
    }

    /// What to do with the next requests, in turn.
    pub fn answer(&self, answers: &[Answer]) {
        let mut next = self.shared.answers.lock().expect("no panic");
        next.extend_from_slice(answers);
    }

    /// What to do with all requests from now on; 204 until somebody says otherwise.
    pub fn always(&self, answer: Answer) {
        *self.shared.always.lock().expect("no panic") = answer;
    }

    /// What it got.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("no panic").clone()
    }

    /// How often somebody connected.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// The prefixes it was told of, each message once however often it came.
    pub fn told(&self) -> Vec<String> {
        let mut requests = self.requests();
        let mut known = Vec::new();
        requests.retain(|request| {
            let new = !known.contains(&request.id().to_owned());
            known.push(request.id().to_owned());
            new
        });
        requests.iter().flat_map(Request::prefixes).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        // The listener goes with its thread.
        while Arc::strong_count(&self.shared) > 1 {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Shared {
    /// One connection after the other, so that requests at the same time would show as slowness.
    fn serve(&self, listener: &TcpListener) {
        while !self.stop.load(Ordering::Relaxed) {
            match listener.accept() {
                Ok((stream, _)) => {
                    self.connections.fetch_add(1, Ordering::Relaxed);
                    stream.set_nonblocking(false).expect("a socket");
                    let limit = Some(Duration::from_secs(5));
                    stream.set_read_timeout(limit).expect("a time limit");
                    // A client that leaves early is the test's matter.
                    let _left = self.attend(stream);
                }
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn attend(&self, stream: TcpStream) -> io::Result<()> {
        match &self.tls {
            None => self.converse(stream),
            Some(config) => {
                let session =
                    ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                self.converse(StreamOwned::new(session, stream))
            }
        }
    }

    fn converse(&self, stream: impl Read + Write) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let request = read(&mut stream)?;
        let known = request.headers.get("if-none-match").cloned();
        self.requests.lock().expect("no panic").push(request);
        let mut answers = self.answers.lock().expect("no panic");
        let answer = match answers.is_empty() {
            true => self.always.lock().expect("no panic").clone(),
            false => answers.remove(0),
        };
        drop(answers);
        let stream = stream.get_mut();
        match answer {
            Answer::Status(status) => reply(stream, status, "", ""),
            Answer::With(status, header) => reply(stream, status, &(header + "\r\n"), ""),
            Answer::After(pause) => {
                thread::sleep(pause);
                reply(stream, 200, "", "")
            }
            Answer::HangUp => Ok(()),
            Answer::Body(body) => reply(stream, 200, "", &body),
            Answer::Tagged(tag, body) => {
                let header = format!("ETag: {tag}\r\n");
                match known.as_deref() == Some(tag) {
                    true => reply(stream, 304, &header, ""),
                    false => reply(stream, 200, &header, &body),
                }
            }
            Answer::Raw(text) => {
                stream.write_all(text.as_bytes())?;
                stream.flush()
            }
            Answer::Lines(line, bytes) => {
                stream.write_all(b"HTTP/1.1 200 x\r\n\r\n")?;
                let lines = line.repeat((64 << 10) / line.len());
                (0..bytes / lines.len()).try_for_each(|_| stream.write_all(lines.as_bytes()))?;
                stream.flush()
            }
            Answer::Trickle => {
                stream.write_all(b"HTTP/1.1 200 x\r\n\r\n")?;
                while !self.stop.load(Ordering::Relaxed) {
                    stream.write_all(b"#")?;
                    stream.flush()?;
                    thread::sleep(Duration::from_millis(100));
                }
                Ok(())
            }
        }
    }
}

fn reply(stream: &mut impl Write, status: u16, header: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let text = format!("HTTP/1.1 {status} x\r\n{header}content-length: {length}\r\n\r\n{body}");
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

fn read(stream: &mut impl io::BufRead) -> io::Result<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut lines = lines.into_iter();
    let line = lines.next().unwrap_or_default();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let length = headers.get("content-length");
    let length = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Request {
        at: Instant::now(),
        line,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}
