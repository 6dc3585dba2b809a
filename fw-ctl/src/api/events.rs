//! `GET /events`: what happens, as server-sent events (WHATWG HTML, section 9.2).

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures::Stream;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::wire::ProblemBody;
use crate::daemon::{handle::Handle, sampling::Listening};

/// A comment in the stream shows a dead client, so that sampling ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Streams events until the client goes.
pub async fn stream(
    State(handle): State<Handle>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ProblemBody> {
    let events = handle.subscribe();
    let listening = handle.call(|owner| Ok(owner.listen())).await?;
    let stream = futures::stream::unfold((events, listening), next);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

type Source = (Receiver<super::wire::Event>, Listening);

async fn next((mut events, listening): Source) -> Option<(Result<Event, Infallible>, Source)> {
    loop {
        match events.recv().await {
            Ok(event) => {
                let Ok(event) = Event::default().json_data(event) else {
                    continue;
                };
                return Some((Ok(event), (events, listening)));
            }
            Err(RecvError::Lagged(missed)) => {
                let note = Event::default().comment(format!("{missed} events missed"));
                return Some((Ok(note), (events, listening)));
            }
            Err(RecvError::Closed) => return None,
        }
    }
}
