//! Bodies in JSON. A large one is read while it comes, on a thread of its own, so that neither all
//! of its text is held nor other requests wait.

use std::{
    io::{self, BufReader, Read},
    time::Duration,
};

use axum::{
    body::{Body as Incoming, Bytes},
    extract::{FromRequest, Request},
    http::{Extensions, header},
};
use bytes::{Buf as _, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use tokio::{
    sync::{
        Semaphore,
        mpsc::{Receiver, channel},
    },
    task::spawn_blocking,
    time::timeout,
};

use super::{
    server::Peer,
    wire::{Code, ProblemBody},
};

/// Largest body on the Unix socket: as many prefixes as one request may have fit, and as many with short
/// comments.
const MAX_BYTES: usize = 256 << 20;

/// Largest body over TCP.
const MAX_BYTES_OVER_TCP: usize = 8 << 20;

/// How long the next piece of a body may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// Large bodies that are read at once; the others wait.
static READING: Semaphore = Semaphore::const_new(2);

/// A larger body is not read where the others are.
const LARGE: usize = 64 << 10;

/// Pieces of a body that may wait to be read.
const WAITING: usize = 8;

/// A body in JSON; anything else is refused in our own words.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + Send + 'static, S: Sync> FromRequest<S> for Body<T> {
    type Rejection = ProblemBody;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()?.split(';').next());
        if kind.is_none_or(|kind| !kind.trim().eq_ignore_ascii_case("application/json")) {
            return Err(bad("the body must be application/json"));
        }
        let most = most(request.extensions());
        let mut body = Limited::new(request.into_body(), most)?;
        let mut start = Vec::new();
        while let Some(piece) = body.next().await? {
            start.extend_from_slice(&piece);
            // Where an object is meant, an array would be taken for its fields in their order.
            let first = start.iter().find(|byte| !byte.is_ascii_whitespace());
            if first.is_some_and(|byte| *byte != b'{') {
                return Err(bad("the body must be a JSON object"));
            }
            if start.len() > LARGE {
                return body.read_apart(start.into()).await.map(Self);
            }
        }
        serde_json::from_slice(&start).map(Self).map_err(unread)
    }
}

/// A request whose body has come.
pub async fn whole(request: Request) -> Result<Request, ProblemBody> {
    let (parts, body) = request.into_parts();
    let bytes = up_to(most(&parts.extensions), body).await?;
    Ok(Request::from_parts(parts, Incoming::from(bytes)))
}

/// All of a body that has so many bytes at most.
pub async fn up_to(most: usize, body: Incoming) -> Result<Bytes, ProblemBody> {
    let mut body = Limited::new(body, most)?;
    let mut bytes = BytesMut::new();
    while let Some(piece) = body.next().await? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes.freeze())
}

/// How large a body from there may be.
fn most(extensions: &Extensions) -> usize {
    match extensions.get() {
        Some(Peer::Tcp(_)) => MAX_BYTES_OVER_TCP,
        _ => MAX_BYTES,
    }
}

/// A body that may have so many bytes more.
struct Limited {
    body: Incoming,
    most: usize,
    left: usize,
}

impl Limited {
    /// Refuses at once what says that it is larger.
    fn new(body: Incoming, most: usize) -> Result<Self, ProblemBody> {
        if body.size_hint().lower() > most as u64 {
            return Err(too_large(most));
        }
        let left = most;
        Ok(Self { body, most, left })
    }

    /// The next piece, unless it is beyond the limit.
    async fn next(&mut self) -> Result<Option<Bytes>, ProblemBody> {
        let frame = timeout(PATIENCE, self.body.frame()).await;
        let late = |_| ProblemBody::new(Code::Timeout, "the body took too long to come");
        let Some(frame) = frame.map_err(late)? else {
            return Ok(None);
        };
        let frame = frame.map_err(|error| bad(format!("the body: {error}")))?;
        let piece = frame.into_data().unwrap_or_default();
        let left = self.left.checked_sub(piece.len());
        self.left = left.ok_or_else(|| too_large(self.most))?;
        Ok(Some(piece))
    }

    /// Reads it on another thread.
    async fn read_apart<T>(mut self, start: Bytes) -> Result<T, ProblemBody>
    where
        T: DeserializeOwned + Send + 'static,
    {
        // It is never closed.
        let _turn = READING.acquire().await;
        let (pieces, from) = channel(WAITING);
        let coming = Coming { piece: start, from };
        let reading = spawn_blocking(|| {
            serde_json::from_reader(BufReader::with_capacity(LARGE, coming)).map_err(unread)
        });
        while let Some(piece) = self.next().await? {
            // What makes no sense is not read to its end.
            if pieces.send(piece).await.is_err() {
                break;
            }
        }
        drop(pieces);
        let broke_off = |error| ProblemBody::new(Code::Internal, format!("the body: {error}"));
        reading.await.map_err(broke_off)?
    }
}

/// A body as a thread reads it.
struct Coming {
    piece: Bytes,
    from: Receiver<Bytes>,
}

impl Read for Coming {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.from.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let bytes = to.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut to[..bytes]);
        Ok(bytes)
    }
}

fn unread(error: serde_json::Error) -> ProblemBody {
    bad(format!("the body: {error}"))
}

fn bad(message: impl Into<String>) -> ProblemBody {
    ProblemBody::new(Code::BadInput, message)
}

fn too_large(most: usize) -> ProblemBody {
    let mib = most >> 20;
    let message = format!("the body is larger than {mib} MiB, nothing was changed");
    ProblemBody::new(Code::TooLarge, message)
        .with_hint("send it in parts; a list that is replaced has to fit into one request")
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt as _, stream};
    use serde_json::{Value, json};

    use super::*;

    /// What is read of a body that comes in pieces of this size.
    async fn read(kind: &str, body: &str, size: usize) -> Result<Value, ProblemBody> {
        let pieces: Vec<_> = body
            .as_bytes()
            .chunks(size)
            .map(Bytes::copy_from_slice)
            .collect();
        let pieces = stream::iter(pieces.into_iter().map(Ok::<_, io::Error>));
        let request = Request::builder()
            .header(header::CONTENT_TYPE, kind)
            .body(Incoming::from_stream(pieces))
            .expect("a request");
        Body::from_request(request, &())
            .await
            .map(|Body(value)| value)
    }

    #[tokio::test]
    async fn small_and_large_bodies_are_read_however_they_are_cut() {
        let large = json!({ "items": vec!["é192.0.2.1"; 20_000] });
        for value in [json!({"a": 1}), large] {
            let text = value.to_string();
            for size in [7, 1000, 65_537, text.len()] {
                let found = read("application/json; charset=utf-8", &text, size).await;
                assert_eq!(found, Ok(value.clone()));
            }
        }
    }

    #[tokio::test]
    async fn what_makes_no_sense_is_refused_with_its_place() {
        let filler = "1,".repeat(100_000);
        for (text, reason) in [
            (
                String::new(),
                "EOF while parsing a value at line 1 column 0",
            ),
            ("{\"a\":[1".into(), "EOF while parsing a list"),
            ("{} x".into(), "trailing characters at line 1 column 4"),
            (format!("{{\"a\":[{filler}"), "EOF while parsing a value"),
            (format!("{{\"a\":[{filler}1]}}}}"), "trailing characters"),
            (
                format!("{{\"a\":[x{filler}1]}}"),
                "expected value at line 1 column 7",
            ),
            ("[null,null]".into(), "the body must be a JSON object"),
            (" \n7".into(), "the body must be a JSON object"),
            (format!("[{filler}1]"), "the body must be a JSON object"),
        ] {
            let problem = read("application/json", &text, 1000)
                .await
                .expect_err(reason);
            assert_eq!(problem.code, Code::BadInput);
            assert!(problem.message.contains(reason), "{}", problem.message);
        }
        let problem = read("text/plain", "{}", 10).await.expect_err("no JSON");
        assert_eq!(problem.message, "the body must be application/json");
    }

    #[tokio::test]
    async fn a_body_has_an_end_even_if_it_says_nothing() {
        let over_tcp = Peer::Tcp([192, 0, 2, 1].into());
        for (peer, mib) in [(Peer::Unix(Some(0)), 256), (over_tcp, 8)] {
            let blank = Bytes::from(vec![b' '; 1 << 20]);
            let pieces = stream::repeat_with(move || Ok::<_, io::Error>(blank.clone()));
            let request = Request::builder()
                .header(header::CONTENT_TYPE, "application/json")
                .extension(peer)
                .body(Incoming::from_stream(pieces))
                .expect("a request");
            let read = Body::<Value>::from_request(request, &()).await;
            let problem = read.err().expect("too large");
            assert_eq!(problem.code, Code::TooLarge);
            assert!(problem.message.contains(&format!("than {mib} MiB")));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stops_coming_is_waited_for_no_longer_than_others_can_bear() {
        let start = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"{"))]);
        let request = Request::builder()
            .header(header::CONTENT_TYPE, "application/json")
            .body(Incoming::from_stream(start.chain(stream::pending())))
            .expect("a request");
        let read = Body::<Value>::from_request(request, &()).await;
        assert_eq!(read.err().map(|problem| problem.code), Some(Code::Timeout));
    }
}
