//! Feeds as the owner of the policy knows them: which there are, and what is in their lists.

use std::sync::Arc;

use crate::{
    api::wire::{Changed, Code, FeedPut},
    daemon::{
        edit::refusals,
        handle::Handle,
        owner::{Owner, counts},
        problem::{Failure, bad_input},
    },
    feed::Feed,
    host::clock,
    policy::{
        change::{Change, Draft},
        entry::{Action, Item, ListName},
        rule::Origin,
        time::Now,
    },
};

/// Feeds that can be added.
const MAX_FEEDS: usize = 64;

/// A feed that was added by command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// As it was asked for.
    put: FeedPut,
    feed: Arc<Feed>,
}

impl Added {
    /// What was kept, and what is wrong with the first that this version does not take: no reason
    /// not to start.
    pub fn read_all(texts: &[String]) -> (Vec<Self>, Result<(), Failure>) {
        let (mut all, mut result) = (Vec::new(), Ok(()));
        for text in texts {
            match Self::read(text) {
                Ok(added) => all.push(added),
                Err(failure) => result = result.and(Err(failure)),
            }
        }
        (all, result)
    }

    fn read(text: &str) -> Result<Self, Failure> {
        let put: FeedPut = serde_json::from_str(text).map_err(|error| {
            Failure::new(Code::Store, format!("a feed cannot be read back: {error}"))
        })?;
        let feed = Feed::read(&put).map_err(|error| error.prefixed(&format!("{}: ", put.name)))?;
        Ok(Self {
            put,
            feed: Arc::new(feed),
        })
    }

    /// As it is kept.
    fn text(&self) -> String {
        serde_json::to_string(&self.put).expect("texts and numbers are JSON")
    }
}

impl Owner {
    /// Every feed. What the configuration names is as it says.
    fn feeds_wanted(&self) -> Vec<(Arc<Feed>, Origin)> {
        let named = |name: &ListName| self.config.lists.iter().any(|feed| feed.name == *name);
        let configured = self.config.lists.iter().cloned().map(Arc::new);
        let added = self.feeds_added.iter().map(|added| Arc::clone(&added.feed));
        configured
            .map(|feed| (feed, Origin::Configuration))
            .chain(
                added
                    .filter(|feed| !named(&feed.name))
                    .map(|feed| (feed, Origin::Local)),
            )
            .collect()
    }

    /// Keeps from now on what there is by now.
    pub(in crate::daemon) fn renew_feeds(&mut self, handle: &Handle) {
        self.feeds.set(handle, self.feeds_wanted());
        self.note_feeds();
    }

    /// An alarm, as long as a list cannot be brought up to date.
    pub(in crate::daemon) fn note_feeds(&mut self) {
        let result = match self.feeds.problems().as_slice() {
            [] => Ok(()),
            problems => Err(Failure::new(Code::Upstream, problems.join("; "))),
        };
        self.note("feeds", result);
    }

    /// Gives the list of a feed exactly these entries, in one step. Those that would cut somebody
    /// who is guarded are left out, and named.
    pub(in crate::daemon) fn take_feed(
        &mut self,
        feed: &Feed,
        items: Vec<Item>,
    ) -> Result<Changed, Failure> {
        if !self
            .feeds_wanted()
            .iter()
            .any(|(wanted, _)| **wanted == *feed)
        {
            let message = format!("feed {} is another one by now", feed.name);
            return Err(Failure::new(Code::Conflict, message));
        }
        let now = clock::now();
        let draft = self.exactly(feed, items, now)?;
        let changed = told(feed, &draft);
        if !draft.is_empty() {
            self.commit(&draft, now, &format!("feed {}", feed.name))?;
            self.revised();
        }
        Ok(changed)
    }

    fn exactly(&self, feed: &Feed, items: Vec<Item>, now: Now) -> Result<Draft, Failure> {
        let change = Change::Keep {
            action: feed.action,
            list: feed.name.clone(),
            items,
        };
        Ok(self.policy.prepare(change, now)?)
    }

    /// Whether the very same feed is there.
    ///
    /// # Errors
    /// Another one of its name is, or a list that somebody else keeps.
    pub(super) fn feed_is_there(&self, put: &FeedPut, feed: &Feed) -> Result<bool, Failure> {
        let name = &feed.name;
        let conflict = |message: String, hint: &str| {
            Err(Failure::new(Code::Conflict, message).with_hint(hint))
        };
        if self.config.lists.iter().any(|feed| feed.name == *name) {
            return conflict(
                format!("the configuration keeps list {name} already"),
                "change its table `[[list]]`",
            );
        }
        if let Some(added) = self
            .feeds_added
            .iter()
            .find(|added| added.feed.name == *name)
        {
            return match added.put == *put {
                true => Ok(true),
                false => conflict(
                    format!("there is another feed {name}"),
                    "`fw-ctl feed del` removes it",
                ),
            };
        }
        let held = |id| {
            let count = |action| self.policy.table(action).count(id).all();
            count(Action::Block) + count(Action::Allow) > 0
        };
        match self.policy.list_id(name) {
            Some(id) if held(id) => conflict(
                format!("list {name} has entries, which a feed would replace"),
                "give the feed another name, or flush the list first",
            ),
            _ if self.feeds_added.len() >= MAX_FEEDS => Err(Failure::new(
                Code::Full,
                format!("there are {MAX_FEEDS} feeds, and there can be no more by command"),
            )
            .with_hint("`[[list]]` of the configuration has no such bound")),
            _ => Ok(false),
        }
    }

    /// Adds a feed with these entries.
    pub(super) fn feed_add(
        &mut self,
        put: FeedPut,
        feed: Arc<Feed>,
        items: Vec<Item>,
        dry_run: bool,
        by: &str,
    ) -> Result<Changed, Failure> {
        // Meanwhile somebody else may have.
        if self.feed_is_there(&put, &feed)? {
            return Ok(Changed::default());
        }
        let now = clock::now();
        let draft = self.exactly(&feed, items, now)?;
        if dry_run {
            return Ok(told(&feed, &draft));
        }
        let detail = format!("feed {} added", feed.name);
        let mut feeds = self.feeds_added.clone();
        feeds.push(Added {
            put,
            feed: Arc::clone(&feed),
        });
        let before = self.keep_feeds(feeds, now, by, &detail)?;
        if let Err(failure) = self.commit(&draft, now, by) {
            self.keep_feeds(before, now, by, &format!("{detail} in vain"))?;
            return Err(failure);
        }
        self.revised();
        Ok(told(&feed, &draft))
    }

    /// Removes a feed that was added, with its list.
    pub(super) fn feed_remove(
        &mut self,
        name: &ListName,
        dry_run: bool,
        by: &str,
    ) -> Result<Changed, Failure> {
        let mut feeds = self.feeds_added.clone();
        feeds.retain(|added| added.feed.name != *name);
        if feeds.len() == self.feeds_added.len() {
            let message = format!("feed {name} is the configuration's");
            return Err(bad_input(message).with_hint("remove its table `[[list]]`, and reload"));
        }
        let now = clock::now();
        let draft = match self.policy.list_id(name) {
            Some(_) => self
                .policy
                .prepare(Change::Flush { list: name.clone() }, now)?,
            None => Draft::default(),
        };
        if !dry_run {
            self.commit(&draft, now, by)?;
            self.keep_feeds(feeds, now, by, &format!("feed {name} removed"))?;
            self.revised();
        }
        Ok(counts(&draft))
    }

    /// Writes down which feeds were added; says which were before.
    fn keep_feeds(
        &mut self,
        feeds: Vec<Added>,
        now: Now,
        by: &str,
        detail: &str,
    ) -> Result<Vec<Added>, Failure> {
        let texts = feeds
            .iter()
            .map(|added| (added.feed.name.as_str(), added.text()));
        let change = self.store.begin()?;
        change.write_feeds(texts)?;
        change.record(now, by, detail)?;
        change.commit()?;
        self.tell(now, by, detail);
        Ok(std::mem::replace(&mut self.feeds_added, feeds))
    }
}

/// What becomes of the list of a feed.
fn told(feed: &Feed, draft: &Draft) -> Changed {
    let mut changed = counts(draft);
    changed.refused = refusals(draft);
    if let [first, ..] = changed.refused.as_slice() {
        changed.warnings.push(format!(
            "{} entries of list {} are left out, the first: {}",
            changed.refused.len(),
            feed.name,
            first.message
        ));
    }
    changed
}
