//! `GET /events`: what happens, as server-sent events (WHATWG HTML, section 9.2).

use std::{convert::Infallible, future::pending, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Extension, State},
    http::{HeaderMap, header},
    response::IntoResponse,
};
use futures::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use super::{
    access::Caller,
    query::Asked,
    wire::{self, EventKind, EventsQuery, Kinds, Problem, ProblemBody},
};
use crate::daemon::{
    broadcast::{Listener, Told},
    handle::Handle,
    sampling::Listening,
};

/// A comment in the stream shows a dead client, so that sampling ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const COMMENT: &str = ":\n\n";

/// Bytes after which a piece of the stream is sent, though more has happened.
const PIECE: usize = 64 << 10;

/// What happens, as server-sent events; with `Last-Event-ID`, those after that one come first
#[utoipa::path(get, path = "/events", tag = "state", params(EventsQuery), responses(
    (status = 200, description = "done", body = wire::Event, content_type = "text/event-stream"),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub async fn stream(
    State(handle): State<Handle>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    Asked(EventsQuery { kinds }): Asked<EventsQuery>,
) -> Result<impl IntoResponse, ProblemBody> {
    let listener = match headers.get("last-event-id") {
        Some(id) => handle.broadcast.resume(id.to_str().unwrap_or_default()),
        None => handle.broadcast.listen(),
    };
    let (listener, sampling) = match kinds.contains(EventKind::Drop) {
        true => {
            let sampling = handle.call(|owner| Ok(owner.listen())).await?;
            (listener.with_samples(), Some(sampling))
        }
        false => (listener, None),
    };
    let source = Source {
        listener,
        _sampling: sampling,
        kinds,
    };
    let stream = futures::stream::unfold(source, next);
    // Whoever may ask no more hears no more.
    let tokens = handle.tokens;
    let lapse = async move {
        match caller.token {
            Some(token) => tokens.lapse(token).await,
            None => pending().await,
        }
    };
    let stream = stream.take_until(Box::pin(lapse));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    Ok((headers, Body::from_stream(stream)))
}

/// What one client hears.
struct Source {
    listener: Listener,
    kinds: Kinds,
    /// The kernel samples drops as long as this is kept.
    _sampling: Option<Listening>,
}

/// The next event, with those that have happened by now.
async fn next(mut source: Source) -> Option<(Result<Bytes, Infallible>, Source)> {
    let mut text = String::new();
    let due = Instant::now() + KEEP_ALIVE;
    while text.is_empty() {
        match timeout_at(due, source.listener.next()).await {
            Ok(told) => source.write(&told, &mut text),
            Err(_) => text.push_str(COMMENT),
        }
    }
    while text.len() < PIECE
        && let Some(told) = source.listener.next().now_or_never()
    {
        source.write(&told, &mut text);
    }
    Some((Ok(text.into()), source))
}

impl Source {
    /// Writes an event, if it is asked for. JSON has no line breaks.
    fn write(&self, told: &Told, text: &mut String) {
        if !self.kinds.contains(told.event.kind()) {
            return;
        }
        if let Some(id) = &told.id {
            text.extend(["id: ", id, "\n"]);
        }
        text.extend(["data: ", &told.json, "\n\n"]);
    }
}
