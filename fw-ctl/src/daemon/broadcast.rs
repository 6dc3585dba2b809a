//! What happens, for whoever listens. The last events are kept, so that a listener may be slow or
//! away for a while; one that was too slow is told how many it has missed.
//!
//! Sampled drops are not kept: who is not there does not miss them.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use parking_lot::Mutex;
use tokio::sync::{
    broadcast::{self, error::RecvError},
    watch,
};

use super::owner::wire_time;
use crate::{
    api::wire::{Event, EventKind},
    host::clock,
};

/// Events that are kept.
const KEPT: usize = 4096;

/// Samples a listener may fall behind.
const SAMPLES: usize = 256;

/// Events that a listener takes at once.
const BITE: usize = 64;

/// One event, written down once for all listeners.
#[derive(Debug)]
pub struct Told {
    /// Where it stands in the stream; `None` for what has no place there.
    pub id: Option<String>,
    /// What it is.
    pub event: Event,
    /// As it goes over the wire.
    pub json: String,
}

/// The stream; every clone is the same one.
#[derive(Clone)]
pub struct Broadcast(Arc<Inner>);

struct Inner {
    /// Tells the streams of two starts apart.
    epoch: String,
    kept: Mutex<Kept>,
    /// The number of the next event.
    news: watch::Sender<u64>,
    samples: broadcast::Sender<Arc<Told>>,
    lost: AtomicU64,
}

/// The last events.
#[derive(Default)]
struct Kept {
    /// The number of the first.
    first: u64,
    events: VecDeque<Arc<Told>>,
}

impl Kept {
    fn next(&self) -> u64 {
        self.first + self.events.len() as u64
    }
}

impl Broadcast {
    /// An empty one.
    pub fn new(epoch: u64) -> Self {
        Self(Arc::new(Inner {
            epoch: format!("{epoch:x}"),
            kept: Mutex::default(),
            news: watch::channel(0).0,
            samples: broadcast::channel(SAMPLES).0,
            lost: AtomicU64::new(0),
        }))
    }

    /// Adds what happened. A sampled drop goes to those only who are there.
    pub fn tell(&self, event: Event) {
        if event.kind() == EventKind::Drop {
            // Without listeners there is nobody to fail.
            let _ = self.0.samples.send(Arc::new(told(event)));
            return;
        }
        self.tell_all([event]);
    }

    /// Adds what happened at once, but for sampled drops. Listeners are woken once.
    pub fn tell_all(&self, events: impl IntoIterator<Item = Event>) {
        let written: Vec<Told> = events.into_iter().map(told).collect();
        let next = {
            let mut kept = self.0.kept.lock();
            for told in written {
                let id = Some(format!("{}-{}", self.0.epoch, kept.next()));
                kept.events.push_back(Arc::new(Told { id, ..told }));
                if kept.events.len() > KEPT {
                    kept.events.pop_front();
                    kept.first += 1;
                }
            }
            kept.next()
        };
        self.0.news.send_replace(next);
    }

    /// Listens to what happens from now on.
    pub fn listen(&self) -> Listener {
        let next = self.0.kept.lock().next();
        self.from(next, VecDeque::new())
    }

    /// Listens to everything that is kept and comes, for who writes it down.
    pub fn follow(&self) -> Listener {
        self.from(0, VecDeque::new())
    }

    /// Listens to what has happened since the event of this id. What is kept no more, or happened
    /// in another daemon, is lost, and told so.
    pub fn resume(&self, id: &str) -> Listener {
        let number = id
            .strip_prefix(self.0.epoch.as_str())
            .and_then(|rest| rest.strip_prefix('-')?.parse::<u64>().ok());
        let next = self.0.kept.lock().next();
        match number {
            Some(number) if number < next => self.from(number + 1, VecDeque::new()),
            _ => self.from(next, [lost(None)].into()),
        }
    }

    fn from(&self, next: u64, bite: VecDeque<Arc<Told>>) -> Listener {
        Listener {
            news: self.0.news.subscribe(),
            samples: None,
            broadcast: self.clone(),
            next,
            bite,
        }
    }

    /// How many events listeners did not get.
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Relaxed)
    }
}

/// Somebody who listens.
pub struct Listener {
    broadcast: Broadcast,
    /// The number of the event to take next.
    next: u64,
    news: watch::Receiver<u64>,
    /// Sampled drops, for those who want them: nobody else loses one.
    samples: Option<broadcast::Receiver<Arc<Told>>>,
    /// Taken, and not given yet.
    bite: VecDeque<Arc<Told>>,
}

impl Listener {
    /// Hears sampled drops, too, from now on.
    pub fn with_samples(self) -> Self {
        Self {
            samples: Some(self.broadcast.0.samples.subscribe()),
            ..self
        }
    }

    /// The next event; waits for one. Nothing is lost when this is given up.
    pub async fn next(&mut self) -> Arc<Told> {
        loop {
            self.news.mark_unchanged();
            if let Some(told) = self.take() {
                return told;
            }
            tokio::select! {
                // Neither can be closed as long as the broadcast is held.
                _ = self.news.changed() => {}
                sample = next_of(&mut self.samples) => match sample {
                    Ok(told) => return told,
                    Err(RecvError::Lagged(count)) => return self.missed(count),
                    Err(RecvError::Closed) => {}
                }
            }
        }
    }

    fn take(&mut self) -> Option<Arc<Told>> {
        if self.bite.is_empty() {
            let kept = self.broadcast.0.kept.lock();
            if self.next < kept.first {
                let count = kept.first - self.next;
                self.next = kept.first;
                drop(kept);
                return Some(self.missed(count));
            }
            let from = usize::try_from(self.next - kept.first).unwrap_or(usize::MAX);
            let events = kept.events.iter().skip(from).take(BITE);
            self.bite.extend(events.cloned());
            self.next += self.bite.len() as u64;
        }
        self.bite.pop_front()
    }

    fn missed(&self, count: u64) -> Arc<Told> {
        self.broadcast.0.lost.fetch_add(count, Relaxed);
        lost(Some(count))
    }
}

/// The next sample, for who wants them.
async fn next_of(
    samples: &mut Option<broadcast::Receiver<Arc<Told>>>,
) -> Result<Arc<Told>, RecvError> {
    match samples {
        Some(samples) => samples.recv().await,
        None => std::future::pending().await,
    }
}

/// Written down, with no place in the stream.
fn told(event: Event) -> Told {
    // Maps have keys of text, and numbers are finite: there is nothing that JSON cannot say.
    let json = serde_json::to_string(&event).unwrap_or_default();
    Told {
        id: None,
        event,
        json,
    }
}

fn lost(count: Option<u64>) -> Arc<Told> {
    let time = wire_time(clock::now().wall);
    Arc::new(told(Event::Lost { time, count }))
}

#[cfg(test)]
mod tests;
