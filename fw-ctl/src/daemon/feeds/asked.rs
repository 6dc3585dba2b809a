//! Feeds as somebody on this host adds, refreshes and removes them.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{
    Added, Feeds, Running,
    look::{How, Judged, judged},
    state::State,
};
use crate::{
    api::wire::{Changed, Code, FeedDone, FeedPut},
    daemon::{handle::Handle, problem::Failure},
    feed::Feed,
    policy::{entry::ListName, rule::Origin},
};

impl Feeds {
    /// `POST /feeds`: nothing is added that cannot be had. Says whether it is new.
    ///
    /// # Errors
    /// What is wrong with it, or with what its source has.
    pub async fn add(
        &self,
        handle: &Handle,
        put: FeedPut,
        dry_run: bool,
        by: String,
    ) -> Result<(bool, FeedDone), Failure> {
        let _turn = self.0.adding.lock().await;
        let feed = Arc::new(Feed::read(&put)?);
        let (wanted, asked) = (Arc::clone(&feed), put.clone());
        let is_there = handle.call(move |owner| owner.feed_is_there(&asked, &wanted));
        if is_there.await? {
            let kept = self.named(feed.name.as_str())?;
            let feed = self.shown(&kept);
            let changed = Changed::default();
            return Ok((false, FeedDone { feed, changed }));
        }
        let _room = self.room().await;
        handle.refresh_guard().await?;
        let found = self.find(&feed, None, How::Forced).await?;
        let Judged { text, about, taken } = judged(Arc::clone(&feed), found).await?;
        let adding = Added {
            put,
            feed: Arc::clone(&feed),
        };
        let known = about.clone();
        let changed = handle
            .change(move |owner| owner.feed_add(adding, taken.items, &known, dry_run, &by))
            .await?;
        let due = Self::due_after(&feed, about.checked_at);
        let state = State::good(&about, taken.unread, changed.refused.len(), due);
        let shown = state.shown(&feed, Origin::Local, Timestamp::now(), Instant::now());
        if !dry_run {
            self.keep_copy(&feed, text).await;
            self.renew(handle).await?;
            self.note(&feed.name, state);
        }
        let feed = shown;
        Ok((!dry_run, FeedDone { feed, changed }))
    }

    /// `DELETE /feeds/{name}`
    ///
    /// # Errors
    /// There is none, or it is the configuration's.
    pub async fn remove(
        &self,
        handle: &Handle,
        name: &str,
        dry_run: bool,
        by: String,
    ) -> Result<Changed, Failure> {
        let name = self.named(name)?.feed.name.clone();
        let removing = handle.change(move |owner| owner.feed_remove(&name, dry_run, &by));
        let changed = removing.await?;
        self.renew(handle).await?;
        Ok(changed)
    }

    /// `POST /feeds/{name}/refresh`
    ///
    /// # Errors
    /// There is no such feed, or why its list stays as it was.
    pub async fn refresh(
        &self,
        handle: &Handle,
        name: &str,
        force: bool,
    ) -> Result<FeedDone, Failure> {
        let kept = self.named(name)?;
        let how = match force {
            true => How::Forced,
            false => How::Usual,
        };
        let changed = self.look(handle, &kept, how).await?;
        kept.moved.notify_one();
        let feed = self.shown(&kept);
        Ok(FeedDone { feed, changed })
    }

    /// The feed of this name. As `feed add` calls them, the beginning of a list's name need not be
    /// said.
    fn named(&self, name: &str) -> Result<Running, Failure> {
        let running = self.0.running.lock();
        let found = [name.to_owned(), format!("feed:{name}")]
            .iter()
            .find_map(|name| running.get(&name.parse::<ListName>().ok()?).cloned());
        found.ok_or_else(|| {
            let shown: String = name.chars().take(64).collect();
            Failure::new(Code::NotFound, format!("there is no feed {shown:?}"))
                .with_hint("`fw-ctl feed list` names them")
        })
    }

    async fn renew(&self, handle: &Handle) -> Result<(), Failure> {
        let told = handle.clone();
        let renewing = handle.call(move |owner| {
            owner.renew_feeds(&told);
            Ok(())
        });
        renewing.await
    }
}
