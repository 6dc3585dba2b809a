//! HTTP/1 over the daemon's Unix socket, the only way in.

mod pieces;

use std::{
    error::Error,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{
    Method, Request, Response,
    body::{Body, Frame, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixStream, runtime};

use self::pieces::Pieces;
use crate::{
    api::wire::{Code, Problem, ProblemBody},
    cli::output::escape,
};

/// Where every path begins.
const BASE: &str = "/api/v1";
/// How long a daemon that is alive may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a daemon may take to end.
const GONE: Duration = Duration::from_secs(10);
/// Between two attempts.
const RETRY: Duration = Duration::from_millis(5);

/// A way to the daemon; every request opens a connection of its own.
#[derive(Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Through the socket at this path. Nothing is opened yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// Reads something.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.exchange(Method::GET, path, Bytes::new())
    }

    /// Asks for a change.
    pub fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.exchange(Method::POST, path, serde_json::to_vec(body)?.into())
    }

    /// Asks for something to be replaced.
    pub fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.exchange(Method::PUT, path, serde_json::to_vec(body)?.into())
    }

    /// Asks for something to be changed in part.
    pub fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.exchange(Method::PATCH, path, serde_json::to_vec(body)?.into())
    }

    /// Asks for something to be removed.
    pub fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.exchange(Method::DELETE, path, Bytes::new())
    }

    /// Asks for a change that is large: it is sent while it is written.
    pub fn stream<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T> {
        let (pieces, mut written) = Pieces::new();
        thread::scope(|scope| {
            scope.spawn(|| pieces.write(body));
            let written = stream::poll_fn(move |context| written.poll_recv(context));
            let frames = written.map(|piece| piece.map(Frame::data));
            runtime()?.block_on(self.answer(method, path, StreamBody::new(frames)))
        })
    }

    fn exchange<T: DeserializeOwned>(&self, method: Method, path: &str, body: Bytes) -> Result<T> {
        runtime()?.block_on(self.answer(method, path, Full::new(body)))
    }

    async fn answer<T, B>(&self, method: Method, path: &str, body: B) -> Result<T>
    where
        T: DeserializeOwned,
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let response = self.send(method, path, body).await?;
        let body = response.into_body().collect().await.map_err(gone)?;
        // Without a body there is nothing to say (204).
        let body = match body.to_bytes() {
            empty if empty.is_empty() => Bytes::from_static(b"null"),
            body => body,
        };
        serde_json::from_slice(&body)
            .with_context(|| format!("the daemon's answer to {path} was not understood"))
    }

    /// Calls `each` with every event that is streamed at the path, until the daemon ends, `each`
    /// fails or Ctrl-C is pressed.
    pub fn events(&self, path: &str, mut each: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let stream = async {
            let mut body = self
                .send(Method::GET, path, Full::<Bytes>::default())
                .await?
                .into_body();
            let mut lines = Lines::default();
            // A daemon that is killed ends the stream in the middle, one that ends closes it.
            while let Some(Ok(frame)) = body.frame().await {
                for line in lines.push(frame.data_ref().unwrap_or(&Bytes::new())) {
                    if let Some(data) = line.strip_prefix("data:") {
                        each(data.trim_start())?;
                    }
                }
            }
            Err(ProblemBody::new(Code::NotRunning, "the daemon has ended").into())
        };
        runtime()?.block_on(async {
            tokio::select! {
                ended = stream => ended,
                pressed = tokio::signal::ctrl_c() => Ok(pressed?),
            }
        })
    }

    /// Waits until nothing answers any more, which is what an ending daemon does last.
    pub fn wait_until_gone(&self) -> Result<()> {
        runtime()?.block_on(async {
            let gone = async {
                while self.connect().await.is_ok() {
                    tokio::time::sleep(RETRY).await
                }
            };
            let late = "the daemon has detached everything, but does not end";
            tokio::time::timeout(GONE, gone)
                .await
                .map_err(|_| ProblemBody::new(Code::Internal, late))
        })?;
        Ok(())
    }

    /// Sends a request and gives the answer, unless that is a problem.
    async fn send<B>(&self, method: Method, path: &str, body: B) -> Result<Response<Incoming>>
    where
        B: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{BASE}{path}"))
            .header(header::HOST, "fw-ctl");
        if body.size_hint().exact() != Some(0) {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let response = sender.send_request(request.body(body)?).await;
        let response = response.map_err(gone)?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(refused(response).await?.into()),
        }
    }

    /// A connection to the daemon.
    ///
    /// # Errors
    /// There is no daemon, or it is not for this user.
    pub async fn connect(&self) -> Result<UnixStream, ProblemBody> {
        let attempts = async {
            loop {
                match UnixStream::connect(&self.socket).await {
                    // The queue of a busy daemon is full: unlike TCP, that is not waited out.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        tokio::time::sleep(RETRY).await;
                    }
                    connected => break connected,
                }
            }
        };
        let late = || Err(ErrorKind::TimedOut.into());
        let connected = tokio::time::timeout(CONNECT, attempts).await;
        connected
            .unwrap_or_else(|_| late())
            .map_err(|error| unreachable(&self.socket, &error))
    }
}

/// What a request, or a wait, runs on.
pub fn runtime() -> io::Result<runtime::Runtime> {
    runtime::Builder::new_current_thread().enable_all().build()
}

/// Why there is no connection.
fn unreachable(socket: &Path, error: &io::Error) -> ProblemBody {
    let socket = socket.display();
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            ProblemBody::new(Code::NotRunning, format!("no daemon answers at {socket}"))
                .with_hint("start it with `fw-ctl run -i eth0` or `systemctl start fw-ctl`")
        }
        ErrorKind::PermissionDenied => ProblemBody::new(
            Code::Permission,
            format!("the socket {socket} is not for this user"),
        )
        .with_hint("run as root, or as a member of the socket's group"),
        ErrorKind::InvalidInput => ProblemBody::new(
            Code::BadInput,
            format!("{socket} cannot be a socket: {error}"),
        ),
        _ => ProblemBody::new(
            Code::NotRunning,
            format!("cannot connect to {socket}: {error}"),
        ),
    }
}

/// The connection broke before the answer was there.
pub fn gone(error: hyper::Error) -> ProblemBody {
    let message = format!("the daemon went away before it had answered: {error}");
    ProblemBody::new(Code::NotRunning, message)
        .with_hint("a change is made whole or not at all: `fw-ctl list` shows which, once it runs")
}

/// The problem in an answer that is no success.
async fn refused(response: Response<Incoming>) -> Result<ProblemBody> {
    let status = response.status();
    let body = response
        .into_body()
        .collect()
        .await
        .map_err(gone)?
        .to_bytes();
    Ok(match serde_json::from_slice::<Problem>(&body) {
        Ok(problem) => problem.error,
        Err(_) => {
            let text = String::from_utf8_lossy(&body[..body.len().min(200)]);
            ProblemBody::new(
                Code::Internal,
                format!("the daemon answered {status}: {}", escape(&text)),
            )
        }
    })
}

/// A path with its query, for the values that are there.
pub fn with_query(path: &str, pairs: &[(&str, Option<String>)]) -> String {
    let mut text = path.to_owned();
    for (name, value) in pairs {
        if let Some(value) = value {
            text.push(if text.contains('?') { '&' } else { '?' });
            text += &format!("{name}={}", encode(value));
        }
    }
    text
}

/// A text as one segment of a path, or a value of a query (RFC 3986, 2.3).
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

/// Puts lines together from pieces.
#[derive(Default)]
struct Lines {
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
}

impl Lines {
    /// The lines that this piece completes.
    fn push(&mut self, piece: &[u8]) -> Vec<String> {
        self.rest.extend_from_slice(piece);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        String::from_utf8_lossy(&whole)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_and_everything_strange_is_encoded() {
        assert_eq!(encode("192.0.2.0/24"), "192.0.2.0%2F24");
        assert_eq!(encode("2001:db8::/32"), "2001%3Adb8%3A%3A%2F32");
        assert_eq!(encode("a-b_c~1"), "a-b_c~1");
        assert_eq!(encode("ü?&=#% \n"), "%C3%BC%3F%26%3D%23%25%20%0A");
    }

    #[test]
    fn only_values_that_are_there_are_asked_for() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(with_query("/blocks", &[("limit", None)]), "/blocks");
        assert_eq!(
            with_query(
                "/why",
                &[
                    ("address", some("::1")),
                    ("port", None),
                    ("iface", some("a&b"))
                ]
            ),
            "/why?address=%3A%3A1&iface=a%26b"
        );
    }

    #[test]
    fn lines_come_whole_however_they_are_cut() {
        let text = "data: {\"a\":\"é\"}\n\n: alive\r\ndata: 2\nrest";
        let expected = ["data: {\"a\":\"é\"}", "", ": alive", "data: 2"];
        for cut in 0..text.len() {
            let mut lines = Lines::default();
            let (first, second) = text.as_bytes().split_at(cut);
            let found = [lines.push(first), lines.push(second)].concat();
            assert_eq!(found, expected, "cut at {cut}");
            assert_eq!(lines.rest, b"rest");
        }
    }

    #[test]
    fn without_a_daemon_the_answer_is_exit_3_and_without_permission_exit_4() {
        let problem = |kind: ErrorKind| unreachable(Path::new("/run/x.sock"), &kind.into());
        assert_eq!(problem(ErrorKind::NotFound).code.exit(), 3);
        assert_eq!(problem(ErrorKind::ConnectionRefused).code.exit(), 3);
        assert_eq!(problem(ErrorKind::PermissionDenied).code.exit(), 4);
        assert!(
            problem(ErrorKind::NotFound)
                .hint
                .is_some_and(|hint| hint.contains("fw-ctl run"))
        );
    }
}
