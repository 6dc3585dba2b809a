//! What is passed on to the daemon, and what comes back.

use std::path::PathBuf;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{
    HeaderMap, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1,
    header::{self, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;

use crate::{
    api::wire::{Problem, ProblemBody},
    cli::client::{Client, gone},
};

/// The body of an answer, which may come for as long as somebody listens.
pub(super) type Answer = BoxBody<Bytes, hyper::Error>;

/// What of a request the daemon is told. What is between the browser and this program (the cookie,
/// the origin, what holds for one connection) is not among it.
const TOLD: [HeaderName; 6] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
];

/// What holds for the daemon's connection only (RFC 9110, 7.6.1).
const HOP_BY_HOP: [HeaderName; 4] = [
    header::CONNECTION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The way to the daemon.
pub(super) struct Relay {
    client: Client,
}

impl Relay {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self {
            client: Client::new(socket),
        }
    }

    /// Passes a request on, and its answer back while it comes.
    pub(super) async fn pass(&self, request: Request<Incoming>) -> Response<Answer> {
        match self.ask(request).await {
            Ok(response) => response.map(|body| body.boxed()),
            Err(problem) => refuse(StatusCode::SERVICE_UNAVAILABLE, problem),
        }
    }

    async fn ask(&self, request: Request<Incoming>) -> Result<Response<Incoming>, ProblemBody> {
        let stream = self.client.connect().await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(gone)?;
        // It ends when one side goes: the daemon, or the browser with the body of the answer.
        tokio::spawn(connection);
        let mut response = sender.send_request(asked(request)).await.map_err(gone)?;
        for name in HOP_BY_HOP {
            response.headers_mut().remove(name);
        }
        Ok(response)
    }
}

/// The request as this program asks it.
fn asked(request: Request<Incoming>) -> Request<Incoming> {
    let (mut parts, body) = request.into_parts();
    let mut told = HeaderMap::new();
    told.insert(header::HOST, HeaderValue::from_static("fw-ctl"));
    for name in TOLD {
        if let Some(value) = parts.headers.remove(&name) {
            told.insert(name, value);
        }
    }
    parts.headers = told;
    Request::from_parts(parts, body)
}

/// Lets a browser in: it goes on without the token in its address.
pub(super) fn enter(cookie: &str) -> Response<Answer> {
    let mut response = Response::new(whole(""));
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_static("/"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    // The cookie is made of letters and digits.
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        headers.insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Says why a request is not passed on.
pub(super) fn refuse(status: StatusCode, problem: ProblemBody) -> Response<Answer> {
    let text = serde_json::to_string(&Problem { error: problem }).unwrap_or_default();
    let mut response = Response::new(whole(text));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn whole(text: impl Into<Bytes>) -> Answer {
    Full::new(text.into())
        .map_err(|never| match never {})
        .boxed()
}
