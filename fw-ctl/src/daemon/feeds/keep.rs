//! Feeds as the owner of the policy knows them: which there are, and what is in their lists.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    api::wire::{Changed, Code, FeedPut},
    daemon::{
        edit::refusals,
        handle::Handle,
        owner::{Owner, counts},
        problem::{Failure, bad_input},
    },
    feed::{
        Feed, Source,
        copy::{About, Copy},
    },
    host::clock,
    policy::{
        change::{Change, Draft},
        entry::{Action, Item, ListName},
        rule::Origin,
        time::Now,
    },
    store,
};

/// Feeds that can be added.
const MAX_FEEDS: usize = 64;

/// A feed that was added by command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    /// As it was asked for.
    pub put: FeedPut,
    /// What that means.
    pub feed: Arc<Feed>,
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

    /// Keeps from now on what there is by now, and forgets what was known of others.
    pub(in crate::daemon) fn renew_feeds(&mut self, handle: &Handle) {
        let wanted = self.feeds_wanted();
        let result = self.forget_feeds(&wanted);
        self.note("lists of former feeds", result);
        let in_force = |feed: &Arc<Feed>| self.feed_in_force(feed).ok().flatten();
        let wanted = wanted.into_iter().map(|(feed, origin)| {
            let about = in_force(&feed);
            (feed, origin, about)
        });
        let wanted = wanted.collect();
        self.feeds.set(handle, wanted);
        self.note_feeds();
    }

    fn forget_feeds(&mut self, wanted: &[(Arc<Feed>, Origin)]) -> Result<(), Failure> {
        let names: BTreeSet<&ListName> = wanted.iter().map(|(feed, _)| &feed.name).collect();
        Copy::retain(self.store.directory(), &names);
        let is_gone = |name: &String| !names.iter().any(|kept| kept.as_str() == name);
        let known = self.store.feed_lists()?.into_keys();
        let gone: Vec<String> = known.filter(is_gone).collect();
        if gone.is_empty() {
            return Ok(());
        }
        let change = self.store.begin()?;
        for name in &gone {
            change.write_feed_list(name, None)?;
        }
        Ok(change.commit()?)
    }

    /// What is known of the list in force, if it is of this feed.
    pub(super) fn feed_in_force(&self, feed: &Feed) -> Result<Option<About>, Failure> {
        let mut known = self.store.feed_lists()?;
        let about = known.remove(feed.name.as_str());
        // What an earlier version wrote down is as good as nothing.
        let about = about.and_then(|text| serde_json::from_str(&text).ok());
        Ok(about.filter(|about: &About| about.is_of(feed)))
    }

    /// An alarm, as long as a list cannot be brought up to date.
    pub(in crate::daemon) fn note_feeds(&mut self) {
        let problems = self.feeds.problems().join("; ");
        let message = (!problems.is_empty()).then(|| format!("feeds: {problems}"));
        if self.alarm("feeds", message.clone())
            && let Some(message) = message
        {
            tracing::error!("{message}");
        }
    }

    /// Gives the list of a feed exactly these entries, in one step. Those that would cut somebody
    /// who is guarded are left out, and named.
    pub(in crate::daemon) fn take_feed(
        &mut self,
        feed: &Feed,
        items: Vec<Item>,
        about: &About,
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
        let by = format!("feed {}", feed.name);
        let text = about_text(about);
        let name = feed.name.as_str();
        match draft.is_empty() {
            // A file that is as it was is known as it was.
            true if matches!(feed.source, Source::File(_)) => {}
            true => {
                let change = self.store.begin()?;
                change.write_feed_list(name, Some(&text))?;
                change.commit()?;
            }
            false => {
                let also = |change: &store::Change<'_>| change.write_feed_list(name, Some(&text));
                self.commit_with(&draft, now, &by, also)?;
                self.revised();
            }
        }
        Ok(told(feed, &draft))
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
        added: Added,
        items: Vec<Item>,
        about: &About,
        dry_run: bool,
        by: &str,
    ) -> Result<Changed, Failure> {
        let Added { put, feed } = &added;
        // Meanwhile somebody else may have.
        if self.feed_is_there(put, feed)? {
            return Ok(Changed::default());
        }
        let now = clock::now();
        let draft = self.exactly(feed, items, now)?;
        let changed = told(feed, &draft);
        if dry_run {
            return Ok(changed);
        }
        let name = feed.name.to_string();
        let mut feeds = self.feeds_added.clone();
        feeds.push(added);
        let (texts, about) = (texts(&feeds), about_text(about));
        self.commit_with(&draft, now, by, |change| {
            change.write_feeds(&texts)?;
            change.write_feed_list(&name, Some(&about))
        })?;
        self.feeds_added = feeds;
        self.tell(now, by, &format!("feed {name} added"));
        self.revised();
        Ok(changed)
    }

    /// Removes a feed that was added, with its list, unless the configuration keeps that by now.
    pub(super) fn feed_remove(
        &mut self,
        name: &ListName,
        dry_run: bool,
        by: &str,
    ) -> Result<Changed, Failure> {
        let mut feeds = self.feeds_added.clone();
        feeds.retain(|added| added.feed.name != *name);
        if feeds.len() == self.feeds_added.len() {
            let message = format!("feed {name} is not one that was added by command");
            return Err(bad_input(message).with_hint(
                "if it is the configuration's, remove its table `[[list]]` and reload",
            ));
        }
        let now = clock::now();
        let is_configured = self.config.lists.iter().any(|feed| feed.name == *name);
        let draft = match self.policy.list_id(name).filter(|_| !is_configured) {
            Some(_) => self
                .policy
                .prepare(Change::Flush { list: name.clone() }, now)?,
            None => Draft::default(),
        };
        if !dry_run {
            let texts = texts(&feeds);
            self.commit_with(&draft, now, by, |change| change.write_feeds(&texts))?;
            self.feeds_added = feeds;
            self.tell(now, by, &format!("feed {name} removed"));
            self.revised();
        }
        Ok(counts(&draft))
    }
}

/// Feeds as they are written down, by their names.
fn texts(feeds: &[Added]) -> Vec<(String, String)> {
    let text = |added: &Added| {
        let text = serde_json::to_string(&added.put).expect("texts and numbers are JSON");
        (added.feed.name.to_string(), text)
    };
    feeds.iter().map(text).collect()
}

fn about_text(about: &About) -> String {
    serde_json::to_string(about).expect("texts and numbers are JSON")
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
