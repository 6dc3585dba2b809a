//! `GET /events`: what happens, as server-sent events (WHATWG HTML, section 9.2).

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::Stream;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::wire::{self, Code, EventKind, EventsQuery, ProblemBody};
use crate::daemon::{handle::Handle, sampling::Listening};

/// A comment in the stream shows a dead client, so that sampling ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Streams events until the client goes.
pub async fn stream(
    State(handle): State<Handle>,
    query: Result<Query<EventsQuery>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ProblemBody> {
    let Query(EventsQuery { only }) =
        query.map_err(|rejection| ProblemBody::new(Code::BadInput, rejection.body_text()))?;
    let source = Source {
        events: handle.subscribe(),
        only,
        _sampling: match only {
            None => Some(handle.call(|owner| Ok(owner.listen())).await?),
            Some(EventKind::Scans) => None,
        },
    };
    let stream = futures::stream::unfold(source, next);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// What one client hears.
struct Source {
    events: Receiver<wire::Event>,
    only: Option<EventKind>,
    /// The kernel samples drops as long as this is kept.
    _sampling: Option<Listening>,
}

async fn next(mut source: Source) -> Option<(Result<Event, Infallible>, Source)> {
    loop {
        match source.events.recv().await {
            Ok(event) if source.only == Some(EventKind::Scans) && !event.is_scan() => {}
            Ok(event) => {
                let Ok(event) = Event::default().json_data(event) else {
                    continue;
                };
                return Some((Ok(event), source));
            }
            Err(RecvError::Lagged(missed)) => {
                let note = Event::default().comment(format!("{missed} events missed"));
                return Some((Ok(note), source));
            }
            Err(RecvError::Closed) => return None,
        }
    }
}
