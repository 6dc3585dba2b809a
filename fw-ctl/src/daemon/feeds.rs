//! Lists that are kept from URLs and files: when they are looked at, and how that went.
//!
//! - [`asked`]: what somebody wants of them
//! - [`look`]: one look, from the source to the tables
//! - [`keep`]: what the owner of the policy does about it
//! - [`state`]: how each of them is

mod asked;
mod keep;
mod look;
mod state;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use fw_common::Prefix;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{
    sync::{Mutex as Turn, Notify, Semaphore, SemaphorePermit},
    task::AbortHandle,
    time::{Instant, timeout_at},
};

pub use self::keep::Added;
pub(super) use self::look::{read_file, reading};
use self::{look::How, state::State};
use super::{handle::Handle, problem::Failure};
use crate::{
    api::wire::{self, Changed},
    feed::{
        Feed, Source, Taken, after_failure, after_success,
        copy::{About, Copy},
    },
    host::random::random,
    outbound::Door,
    policy::{entry::ListName, rule::Origin},
};

/// Lists that are held in memory at once while they are looked at.
const AT_ONCE: usize = 4;

/// All feeds; every clone is the same.
#[derive(Clone)]
pub struct Feeds(Arc<Inner>);

struct Inner {
    door: Door,
    state_dir: PathBuf,
    room: Semaphore,
    /// Held by the one feed that is being added.
    adding: Turn<()>,
    running: Mutex<BTreeMap<ListName, Running>>,
    states: Mutex<BTreeMap<ListName, State>>,
}

/// A feed that is kept.
#[derive(Clone)]
struct Running {
    feed: Arc<Feed>,
    origin: Origin,
    /// Held during a look.
    turn: Arc<Turn<()>>,
    /// Told when the next look is at another time.
    moved: Arc<Notify>,
    /// Who looks without being asked.
    task: Option<AbortHandle>,
}

impl Feeds {
    /// None yet; with the networks that may be reached although they are not global.
    pub fn new(state_dir: &Path, allow: Vec<Prefix>) -> Self {
        Self(Arc::new(Inner {
            door: Door::new("feeds", allow),
            state_dir: state_dir.to_owned(),
            room: Semaphore::new(AT_ONCE),
            adding: Turn::default(),
            running: Mutex::default(),
            states: Mutex::default(),
        }))
    }

    /// Other networks that may be reached although they are not global.
    pub fn allow(&self, prefixes: Vec<Prefix>) {
        self.0.door.allow(prefixes);
    }

    /// Keeps exactly these from now on. Those that are as they were go on.
    pub fn set(&self, handle: &Handle, feeds: Vec<(Arc<Feed>, Origin, Option<About>)>) {
        let mut running = self.0.running.lock();
        let mut before = std::mem::take(&mut *running);
        for (feed, origin, about) in feeds {
            let name = feed.name.clone();
            if let Some(kept) = before.remove(&name) {
                if (&kept.feed, kept.origin) == (&feed, origin) {
                    running.insert(name, kept);
                    continue;
                }
                before.insert(name.clone(), kept);
            }
            self.known(&feed, origin, about);
            running.insert(name, self.begin(handle, feed, origin));
        }
        let is_kept = |name: &ListName| running.contains_key(name);
        self.0.states.lock().retain(|name, _| is_kept(name));
        for gone in before.into_values() {
            if let Some(task) = &gone.task {
                task.abort();
            }
        }
    }

    /// Notes what is known of a feed that begins. What was noted of another of its name says nothing.
    fn known(&self, feed: &Feed, origin: Origin, about: Option<About>) {
        // How a file of the configuration was read is noted already.
        if matches!(feed.source, Source::File(_)) && origin == Origin::Configuration {
            return;
        }
        let state = about.map(|about| State::of(&about, Self::due_after(feed, about.checked_at)));
        let state = state.filter(|_| matches!(feed.source, Source::Url(_)));
        self.0
            .states
            .lock()
            .insert(feed.name.clone(), state.unwrap_or_default());
    }

    fn begin(&self, handle: &Handle, feed: Arc<Feed>, origin: Origin) -> Running {
        let mut kept = Running {
            feed,
            origin,
            turn: Arc::default(),
            moved: Arc::default(),
            task: None,
        };
        // Files of the configuration are read with it.
        if kept.feed.interval.is_some() || origin == Origin::Local {
            let looking = self.clone().look_in_time(handle.clone(), kept.clone());
            kept.task = Some(tokio::spawn(looking).abort_handle());
        }
        kept
    }

    /// Looks when it is time. How it went is in the state.
    async fn look_in_time(self, handle: Handle, kept: Running) {
        loop {
            match self.state(&kept.feed.name).due {
                Some(due) if due > Instant::now() => {
                    let _moved = timeout_at(due, kept.moved.notified()).await;
                }
                _ => {
                    let _looked = self.look(&handle, &kept, How::Usual).await;
                    if kept.feed.interval.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Every feed, and how it is.
    pub fn list(&self) -> Vec<wire::Feed> {
        let running: Vec<Running> = self.0.running.lock().values().cloned().collect();
        running.iter().map(|kept| self.shown(kept)).collect()
    }

    /// Where a list comes from, if it is one of them.
    pub fn source_of(&self, name: &ListName) -> Option<String> {
        let running = self.0.running.lock();
        running.get(name).map(|kept| kept.feed.source.shown())
    }

    /// What is wrong with them, a sentence each.
    fn problems(&self) -> Vec<String> {
        let states = self.0.states.lock();
        let problem = |(name, state): (&ListName, &State)| {
            let problem = state.problem.as_ref()?;
            Some(format!("{name}: {problem}"))
        };
        states.iter().filter_map(problem).collect()
    }

    fn shown(&self, kept: &Running) -> wire::Feed {
        let state = self.state(&kept.feed.name);
        state.shown(&kept.feed, kept.origin, Timestamp::now(), Instant::now())
    }

    fn state(&self, name: &ListName) -> State {
        self.0.states.lock().get(name).cloned().unwrap_or_default()
    }

    fn copy_of(&self, feed: &Feed) -> Copy {
        Copy::of(&self.0.state_dir, &feed.name)
    }

    /// Notes how a feed is, as long as it is one.
    fn note(&self, name: &ListName, state: State) {
        if self.0.running.lock().contains_key(name) {
            self.0.states.lock().insert(name.clone(), state);
        }
    }

    /// Notes how a file was read that the owner of the policy reads itself, before anybody looks.
    pub(super) fn note_file(&self, feed: &Feed, read: &Result<(Taken, Changed), Failure>) {
        let now = Timestamp::now();
        let state = match read {
            Ok((taken, changed)) => State {
                entries: Some(taken.size.entries),
                unread: taken.unread,
                left_out: changed.refused.len(),
                fetched_at: Some(now),
                checked_at: Some(now),
                due: Self::due_after(feed, now),
                ..State::default()
            },
            Err(failure) => {
                let before = self.state(&feed.name);
                let due = Self::due_again(feed, before.failures + 1, None);
                before.failed(failure.to_string(), due)
            }
        };
        self.0.states.lock().insert(feed.name.clone(), state);
    }

    /// A place among those that may look at once.
    async fn room(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.0.room.acquire().await.ok()
    }

    /// When a feed is looked at after a look that went well.
    fn due_after(feed: &Feed, checked_at: Timestamp) -> Option<Instant> {
        let age = Timestamp::now().duration_since(checked_at);
        let age = Duration::try_from(age).unwrap_or_default();
        let pause = after_success(feed.interval?, some_random());
        Some(Instant::now() + pause.saturating_sub(age))
    }

    /// When a feed is looked at after so many failures in a row.
    fn due_again(feed: &Feed, failures: u32, asked_s: Option<u64>) -> Option<Instant> {
        let asked = asked_s.map(Duration::from_secs);
        let pause = after_failure(feed.interval?, failures, asked, some_random());
        Some(Instant::now() + pause)
    }
}

/// Without random numbers, as late as may be.
fn some_random() -> u64 {
    random().unwrap_or(u64::MAX)
}
