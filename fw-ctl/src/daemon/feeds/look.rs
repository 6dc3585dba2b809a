//! One look at a feed: what its source has is read, judged, applied, and kept.

use std::{path::Path, sync::Arc};

use jiff::{Timestamp, tz::TimeZone};
use tokio::task::spawn_blocking;
use url::Url;

use super::{Feeds, Running, state::State};
use crate::{
    api::wire::{Changed, Code},
    daemon::{
        handle::Handle,
        owner::wire_time,
        problem::{Failure, bad_input},
    },
    feed::{
        Answer, Feed, Fetched, Refused, Size, Source, Taken, Trouble, Validators, copy::About,
        fetch, judge,
    },
    host::{clock, files::read_regular},
    listfile::{Reader, Reading},
    policy::time::{Now, WallSecs},
};

/// What is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// What is near to what it was.
    Usual,
    /// However much of it is new.
    Forced,
}

/// What a look found.
pub(super) struct Found {
    text: Vec<u8>,
    about: About,
    /// How large the last one was, where that matters.
    before: Option<Size>,
}

/// What of it is taken.
pub(super) struct Judged {
    pub text: Vec<u8>,
    pub about: About,
    pub taken: Taken,
}

impl Feeds {
    /// Looks once, and notes how that went.
    ///
    /// # Errors
    /// Why the list stays as it was.
    pub(super) async fn look(
        &self,
        handle: &Handle,
        kept: &Running,
        how: How,
    ) -> Result<Changed, Failure> {
        let _turn = kept.turn.lock().await;
        let (feed, name) = (&kept.feed, &kept.feed.name);
        let before = self.state(name);
        let (state, result) = match self.look_and_apply(handle, feed, how).await {
            Ok((state, changed)) => (state, Ok(changed)),
            Err(failure) => {
                let due = Self::due_again(feed, before.failures + 1, failure.retry_after_s);
                (before.failed(failure.to_string(), due), Err(failure))
            }
        };
        self.note(name, state);
        let noted = handle.call(|owner| {
            owner.note_feeds();
            Ok(())
        });
        // The daemon is ending: nobody is left to be told.
        drop(noted.await);
        result
    }

    async fn look_and_apply(
        &self,
        handle: &Handle,
        feed: &Arc<Feed>,
        how: How,
    ) -> Result<(State, Changed), Failure> {
        let _room = self.room().await;
        let asked = Arc::clone(feed);
        let had = handle
            .call(move |owner| owner.feed_in_force(&asked))
            .await?;
        let found = self.find(feed, had, how).await?;
        let Judged { text, about, taken } = judged(Arc::clone(feed), found).await?;
        handle.refresh_guard().await?;
        let (wanted, known) = (Arc::clone(feed), about.clone());
        let changed = handle.change(move |owner| owner.take_feed(&wanted, taken.items, &known));
        let changed = changed.await?;
        self.keep_copy(feed, text).await;
        let due = Self::due_after(feed, about.checked_at);
        let state = State::good(&about, taken.unread, changed.refused.len(), due);
        Ok((state, changed))
    }

    /// What the source has; where that is what is in force, its copy.
    pub(super) async fn find(
        &self,
        feed: &Arc<Feed>,
        had: Option<About>,
        how: How,
    ) -> Result<Found, Failure> {
        match &feed.source {
            Source::File(path) => read(feed, path).await,
            Source::Url(url) => self.ask(feed, url, had, how).await,
        }
    }

    async fn ask(
        &self,
        feed: &Feed,
        url: &Url,
        had: Option<About>,
        how: How,
    ) -> Result<Found, Failure> {
        let before = had.as_ref().map(|about| about.size);
        let before = before.filter(|_| how == How::Usual);
        if let Some(had) = had {
            let answer = fetch(&self.0.door, url, Some(&had.validators), &feed.bounds).await?;
            match answer {
                Answer::New(fetched) => return Ok(Found::new(feed, fetched, before)),
                Answer::Unchanged => {
                    let (copy, hash) = (self.copy_of(feed), had.hash);
                    if let Some(text) = blocking(move || Ok(copy.text(&hash))).await? {
                        let about = About {
                            checked_at: Timestamp::now(),
                            ..had
                        };
                        // It was judged when it came.
                        let before = None;
                        return Ok(Found {
                            text,
                            about,
                            before,
                        });
                    }
                }
            }
        }
        // Without a copy, the whole list.
        match fetch(&self.0.door, url, None, &feed.bounds).await? {
            Answer::New(fetched) => Ok(Found::new(feed, fetched, before)),
            Answer::Unchanged => Err(Trouble::from("the server answered 304".to_owned()).into()),
        }
    }

    /// Keeps the text of what is in force. Without it, the whole list is asked for again the next time.
    pub(super) async fn keep_copy(&self, feed: &Feed, text: Vec<u8>) {
        if matches!(feed.source, Source::File(_)) {
            return;
        }
        let copy = self.copy_of(feed);
        let kept = blocking(move || {
            let kept = copy.keep(&text);
            kept.map_err(|error| Failure::new(Code::Store, error.to_string()))
        });
        if let Err(error) = kept.await {
            tracing::warn!(feed = %feed.name, %error, "no copy of the list can be kept");
        }
    }
}

impl Found {
    fn new(feed: &Feed, fetched: Fetched, before: Option<Size>) -> Self {
        let Fetched { text, validators } = fetched;
        Self {
            about: About::new(feed, &text, validators, Timestamp::now()),
            text,
            before,
        }
    }
}

async fn read(feed: &Arc<Feed>, path: &Path) -> Result<Found, Failure> {
    let (feed, path) = (Arc::clone(feed), path.to_owned());
    blocking(move || {
        let text = read_file(&feed, &path)?;
        let fetched = Fetched {
            text: text.into_bytes(),
            validators: Validators::default(),
        };
        Ok(Found::new(&feed, fetched, None))
    })
    .await
}

/// The text of a feed that is a file.
///
/// # Errors
/// It cannot be read, or is too large.
pub(in crate::daemon) fn read_file(feed: &Feed, path: &Path) -> Result<String, Failure> {
    let name = &feed.name;
    let shown = path.display();
    let text = read_regular(path)
        .map_err(|error| bad_input(format!("cannot read list {name} from {shown}: {error}")))?;
    match text.len() > feed.bounds.bytes {
        true => {
            let most = feed.bounds.bytes;
            Err(bad_input(format!("{shown} is larger than {most} bytes"))
                .with_hint("`max_bytes` of the list says how large it may be"))
        }
        false => Ok(text),
    }
}

/// How the text of a feed is read.
pub(in crate::daemon) fn reading(feed: &Feed, now: Now) -> Reading {
    Reading {
        format: feed.format,
        most: Some(feed.bounds.entries),
        now: wire_time(now.wall).to_zoned(TimeZone::system()),
        ..Reading::default()
    }
}

/// Reads what was found, and judges it.
pub(super) async fn judged(feed: Arc<Feed>, found: Found) -> Result<Judged, Failure> {
    blocking(move || {
        let Found {
            text,
            mut about,
            before,
        } = found;
        let now = clock::now();
        let fetched = WallSecs(about.fetched_at.as_second());
        let mut reader = Reader::new(reading(&feed, now));
        reader.push(&text);
        let taken = judge(&feed, reader.end(), before, fetched, now);
        let taken = taken.map_err(|refused| refused.of(&feed))?;
        about.size = taken.size;
        Ok(Judged { text, about, taken })
    })
    .await
}

/// Work that takes its time, on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    spawn_blocking(work).await.unwrap_or_else(|error| {
        let message = format!("the look broke off: {error}");
        Err(Failure::new(Code::Internal, message))
    })
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        Self {
            retry_after_s: trouble.retry_after.map(|after| after.as_secs()),
            ..Self::new(Code::Upstream, trouble.why)
        }
    }
}

impl Refused {
    /// As it is told, with what to do about it.
    pub(in crate::daemon) fn of(&self, feed: &Feed) -> Failure {
        let failure = |code| Failure::new(code, self.to_string());
        match self {
            Self::Changed { .. } | Self::Further { .. } => {
                let name = &feed.name;
                let hint = "takes it all the same, when you have looked at it";
                failure(Code::Conflict)
                    .with_hint(format!("`fw-ctl feed refresh {name} --force` {hint}"))
            }
            Self::TooMany { .. } => {
                failure(Code::BadInput).with_hint("`max_entries` of the list says how many")
            }
            Self::TooWide { .. } => failure(Code::BadInput)
                .with_hint("`widest_ipv4` and `widest_ipv6` of the list say how wide"),
            Self::Unreadable { .. } | Self::Other { .. } => failure(Code::BadInput),
        }
    }
}
