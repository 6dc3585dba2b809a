//! What happens goes into the queues of webhooks.

use std::{convert::Infallible, sync::Arc};

use futures::FutureExt as _;
use tokio::sync::oneshot;

use super::{
    broadcast::{Listener, Told},
    handle::Handle,
    owner::wire_time,
    problem::Failure,
};
use crate::{
    api::wire::Event,
    host::clock,
    webhook::{News, Webhooks},
};

/// Events that are written at once.
const BITE: usize = 256;

/// Sends webhooks, and puts everything that happens into their queues, until `end` is dropped.
pub async fn serve(handle: Handle, end: oneshot::Receiver<Infallible>) {
    let listener = handle.broadcast.follow();
    let kept = handle.webhooks.start().await;
    let noted = handle.call(|owner| {
        owner.note("webhooks", kept);
        Ok(())
    });
    // The daemon is ending: nobody is left to be told.
    drop(noted.await);
    follow(handle.webhooks.clone(), listener, end, Some(handle)).await;
}

/// Puts everything into the queues until `end` is dropped, and then what has happened until then.
async fn follow(
    webhooks: Webhooks,
    mut listener: Listener,
    mut end: oneshot::Receiver<Infallible>,
    owner: Option<Handle>,
) {
    let (mut unwritten, mut ending) = (0, false);
    loop {
        let mut bite = Vec::new();
        if !ending {
            tokio::select! {
                told = listener.next() => bite.push(told),
                // It can only be dropped.
                _ = &mut end => ending = true,
            }
        }
        while bite.len() < BITE
            && let Some(told) = listener.next().now_or_never()
        {
            bite.push(told);
        }
        if bite.is_empty() {
            return;
        }
        let count = bite.len() as u64;
        let put = webhooks.put(news(&bite, unwritten)).await;
        // Once when it begins, and once when it is over.
        if put.is_ok() != (unwritten == 0) && !ending {
            note(owner.as_ref(), put.clone()).await;
        }
        match put {
            Ok(()) => unwritten = 0,
            Err(_) => unwritten += count,
        }
    }
}

/// An alarm, or its end.
async fn note(owner: Option<&Handle>, put: Result<(), Failure>) {
    if let Some(handle) = owner {
        let noted = handle.call(|owner| {
            owner.note("queue of webhooks", put);
            Ok(())
        });
        // The daemon is ending: nobody is left to be told.
        drop(noted.await);
    }
}

/// What is written: first, how much before could not be.
fn news(bite: &[Arc<Told>], unwritten: u64) -> Vec<News> {
    let lost = (unwritten > 0).then(|| {
        let event = Event::Lost {
            time: wire_time(clock::now().wall),
            count: Some(unwritten),
        };
        News::new(event)
    });
    let told = bite.iter().map(|told| News {
        event: told.event.clone(),
        json: told.json.clone(),
    });
    lost.into_iter().chain(told).collect()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::{api::wire::WebhookPut, daemon::broadcast::Broadcast};

    #[tokio::test]
    async fn everything_that_happened_until_the_end_is_written() {
        let directory = TempDir::new().expect("a directory");
        let webhooks = Webhooks::new(directory.path(), Vec::new()).expect("a thread");
        webhooks.start().await.expect("a file");
        let put = r#"{"name":"w","url":"https://192.0.2.1.example/"}"#;
        let put: WebhookPut = serde_json::from_str(put).expect("a webhook");
        webhooks.add(put, false).await.expect("room");
        webhooks.stop(std::time::Duration::ZERO).await;

        let broadcast = Broadcast::new(1);
        let (end, ended) = oneshot::channel();
        let following = tokio::spawn(follow(webhooks.clone(), broadcast.follow(), ended, None));
        for number in 0..3 * BITE + 7 {
            broadcast.tell(Event::Changed {
                time: wire_time(clock::now().wall),
                detail: number.to_string(),
                by: "uid 0".to_owned(),
            });
        }
        drop(end);
        following.await.expect("it ends by itself");
        let told = &webhooks.list().await.expect("no failure")[0];
        assert_eq!(told.queued, 3 * BITE as u64 + 7);
    }
}
