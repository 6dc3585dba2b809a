//! One look at a feed: what its source has is read, judged, applied, and kept.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use tokio::task::spawn_blocking;
use url::Url;

use super::{Feeds, Running, state::State};
use crate::{
    api::wire::{Changed, Code},
    daemon::{
        handle::Handle,
        problem::{Failure, bad_input},
    },
    feed::{
        Answer, Feed, Fetched, Refused, Source, Taken, Trouble, Validators, copy::About, fetch,
        judge,
    },
    host::{clock, files::read_regular},
    listfile::Reader,
    policy::time::WallSecs,
};

/// Where is looked, and what is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// What is had already.
    AtHome,
    /// What the source has.
    Everywhere,
    /// What the source has, however much of it is new.
    Forced,
}

/// What a look found.
pub(super) struct Found {
    text: Vec<u8>,
    about: About,
    /// Entries of the last good one, where that matters.
    before: Option<usize>,
    /// Whether it is to be kept.
    is_new: bool,
}

/// What of it is taken.
pub(super) struct Judged {
    text: Vec<u8>,
    about: About,
    pub(super) taken: Taken,
    is_new: bool,
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
            // Nothing is had yet, and nothing is wrong with that.
            Ok(None) => return Ok(Changed::default()),
            Ok(Some((judged, changed))) => {
                let due = Self::due_after(feed, judged.checked_at);
                let state = State::good(&judged, changed.refused.len(), due);
                (state, Ok(changed))
            }
            Err(failure) => {
                let due = match how {
                    How::AtHome => None,
                    _ => Self::due_again(feed, before.failures + 1, failure.retry_after_s),
                };
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
    ) -> Result<Option<(Summary, Changed)>, Failure> {
        let _room = self.room().await;
        let Some(found) = self.find(feed, how).await? else {
            return Ok(None);
        };
        let mut judged = judged(Arc::clone(feed), found).await?;
        handle.refresh_guard().await?;
        let items = std::mem::take(&mut judged.taken.items);
        let wanted = Arc::clone(feed);
        let changed = handle.change(move |owner| owner.take_feed(&wanted, items));
        let changed = changed.await?;
        let summary = judged.summary();
        self.keep_copy(feed, judged).await?;
        Ok(Some((summary, changed)))
    }

    /// What the source has, or what is had of it; `None` where that is nothing.
    pub(super) async fn find(&self, feed: &Feed, how: How) -> Result<Option<Found>, Failure> {
        match &feed.source {
            // The file itself is what is had.
            Source::File(_) if how == How::AtHome => Ok(None),
            Source::File(path) => read(path).await.map(Some),
            Source::Url(url) => self.ask(feed, url, how).await,
        }
    }

    async fn ask(&self, feed: &Feed, url: &Url, how: How) -> Result<Option<Found>, Failure> {
        let (copy, from) = (self.copy_of(feed), url.to_string());
        let had = blocking(move || Ok(copy.about(&from))).await?;
        let asked_at = |about: &About| match how {
            How::AtHome => about.checked_at,
            _ => Timestamp::now(),
        };
        let answer = match (how, &had) {
            (How::AtHome, None) => return Ok(None),
            (How::AtHome, Some(_)) => Answer::Unchanged,
            _ => {
                let called = had.as_ref().map(|about| &about.validators);
                fetch(&self.0.door, url, called, &feed.bounds).await?
            }
        };
        match (answer, had) {
            (Answer::New(Fetched { text, validators }), had) => Ok(Some(Found {
                text,
                about: about(url.as_str(), validators),
                before: had
                    .filter(|_| how != How::Forced)
                    .map(|about| about.entries),
                is_new: true,
            })),
            (Answer::Unchanged, Some(about)) => {
                let copy = self.copy_of(feed);
                let text = blocking(move || {
                    copy.text().map_err(|error| {
                        // Without it, the whole list is asked for the next time.
                        copy.remove();
                        let message = format!("cannot read the copy of the list: {error}");
                        Failure::new(Code::Store, message)
                    })
                });
                Ok(Some(Found {
                    text: text.await?,
                    about: About {
                        checked_at: asked_at(&about),
                        ..about
                    },
                    before: None,
                    is_new: false,
                }))
            }
            (Answer::Unchanged, None) => Ok(None),
        }
    }

    /// Keeps what was applied.
    pub(super) async fn keep_copy(&self, feed: &Feed, judged: Judged) -> Result<(), Failure> {
        if matches!(feed.source, Source::File(_)) {
            return Ok(());
        }
        let copy = self.copy_of(feed);
        let keep = move || {
            let kept = match judged.is_new {
                true => copy.keep(&judged.text, &judged.about),
                false => copy.note(&judged.about),
            };
            kept.map_err(|error| {
                let message = format!("the list is in force, but no copy can be kept: {error}");
                Failure::new(Code::Store, message)
            })
        };
        blocking(keep).await
    }
}

/// What a state says of a list.
pub(super) struct Summary {
    /// Prefixes in it.
    pub entries: usize,
    /// Lines of it that nobody could read.
    pub unread: usize,
    /// When it came.
    pub fetched_at: Timestamp,
    /// When it was last looked at.
    pub checked_at: Timestamp,
}

impl Judged {
    pub(super) fn summary(&self) -> Summary {
        Summary {
            entries: self.taken.entries,
            unread: self.taken.unread,
            fetched_at: self.about.fetched_at,
            checked_at: self.about.checked_at,
        }
    }
}

async fn read(path: &Path) -> Result<Found, Failure> {
    let path = path.to_owned();
    blocking(move || {
        let text = read_regular(&path)
            .map_err(|error| bad_input(format!("cannot read {}: {error}", path.display())))?;
        Ok(Found {
            text: text.into_bytes(),
            about: about("", Validators::default()),
            before: None,
            is_new: true,
        })
    })
    .await
}

/// Of what came just now.
fn about(url: &str, validators: Validators) -> About {
    let now = Timestamp::now();
    About {
        url: url.to_owned(),
        validators,
        fetched_at: now,
        checked_at: now,
        entries: 0,
    }
}

/// Reads what was found, and judges it.
pub(super) async fn judged(feed: Arc<Feed>, found: Found) -> Result<Judged, Failure> {
    /// Between two looks at how much it is by now.
    const PIECE: usize = 64 << 10;
    blocking(move || {
        let Found {
            text,
            mut about,
            before,
            is_new,
        } = found;
        let mut reader = Reader::new(feed.format);
        for piece in text.chunks(PIECE) {
            reader.push(piece);
            if reader.prefixes() > feed.bounds.entries {
                break;
            }
        }
        let fetched = WallSecs(about.fetched_at.as_second());
        let taken = judge(&feed, reader.end(), before, fetched, clock::now())?;
        about.entries = taken.entries;
        Ok(Judged {
            text,
            about,
            taken,
            is_new,
        })
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

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let message = refused.to_string();
        match refused {
            Refused::Changed { .. } => Self::new(Code::Conflict, message)
                .with_hint("look at it; `fw-ctl feed refresh NAME --force` takes it all the same"),
            Refused::TooMany { .. } => Self::new(Code::BadInput, message)
                .with_hint("`max_entries` of the feed says how many"),
            Refused::TooWide { .. } => Self::new(Code::BadInput, message)
                .with_hint("`widest_ipv4` and `widest_ipv6` of the feed say how wide"),
            Refused::Unreadable { .. } | Refused::Other { .. } => {
                Self::new(Code::BadInput, message)
            }
        }
    }
}
