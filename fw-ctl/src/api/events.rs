//! `GET /events`: what happens, as server-sent events (WHATWG HTML, section 9.2).

use std::{convert::Infallible, future::pending, time::Duration};

use axum::{
    extract::{Extension, State},
    http::HeaderMap,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, StreamExt as _};

use super::{
    access::Caller,
    query::Asked,
    wire::{self, EventKind, EventsQuery, Kinds, Problem, ProblemBody},
};
use crate::daemon::{
    feed::{Listener, Told},
    handle::Handle,
    sampling::Listening,
};

/// A comment in the stream shows a dead client, so that sampling ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

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
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ProblemBody> {
    let listener = match headers.get("last-event-id") {
        Some(id) => handle.feed.resume(id.to_str().unwrap_or_default()),
        None => handle.feed.listen(),
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
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// What one client hears.
struct Source {
    listener: Listener,
    kinds: Kinds,
    /// The kernel samples drops as long as this is kept.
    _sampling: Option<Listening>,
}

async fn next(mut source: Source) -> Option<(Result<Event, Infallible>, Source)> {
    loop {
        let told = source.listener.next().await;
        if source.kinds.contains(told.event.kind()) {
            return Some((Ok(written(&told)), source));
        }
    }
}

fn written(told: &Told) -> Event {
    let event = Event::default().data(&told.json);
    match &told.id {
        Some(id) => event.id(id),
        None => event,
    }
}
