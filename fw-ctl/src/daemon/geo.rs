//! Countries and autonomous systems, in the daemon.
//!
//! - [`work`]: reading files and working prefixes out, which takes its time and is done elsewhere
//! - [`force`]: what comes of it is put in force, as one change
//! - [`report`]: what is told of it

pub mod force;
pub mod report;
pub mod work;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::{sync::OwnedMutexGuard, task::spawn_blocking, time::Instant};

use self::work::{Before, Read, Worked};
use super::{
    handle::Handle,
    owner::Owner,
    problem::{Failure, bad_input},
};
use crate::{
    api::wire::{Code, GeoChange},
    geo::{
        code,
        databases::Databases,
        selection::{Overrides, Selection, Wish},
    },
};

/// How often is looked whether a file is another one.
pub const LOOK: Duration = Duration::from_secs(3);

/// How soon it is tried again to put in force what could not be.
const RETRY: Duration = Duration::from_secs(60);

/// Subject of the alarm while a file or a list is not what it should be.
pub(super) const SUBJECT: &str = "geo";

/// What the daemon knows of countries.
#[derive(Default)]
pub struct Countries {
    /// What `fw-ctl geo` said.
    overrides: Overrides,
    /// The files as they were last read, in the order of the configuration.
    files: Vec<Read>,
    /// What is in them.
    databases: Databases,
    /// What the lists in force were made of; `None` as long as they are those of the last daemon.
    done: Option<Selection>,
    /// After a failure.
    not_before: Option<Instant>,
}

impl Countries {
    /// Goes on with what was said to the last daemon.
    pub fn resume(overrides: Overrides) -> Self {
        Self {
            overrides,
            ..Self::default()
        }
    }

    /// Does not wait any more before what failed is tried again.
    pub(super) fn try_again(&mut self) {
        self.not_before = None;
    }
}

/// What shall be selected from now on.
#[derive(Clone, Debug)]
pub enum Ask {
    /// The same; files may be others.
    Same,
    /// Something else.
    Change(Wish),
    /// What the configuration says.
    Reset,
}

impl Ask {
    /// As it came over the socket.
    ///
    /// # Errors
    /// The first word that is no code; nothing or too much is asked for.
    pub fn change(change: &GeoChange) -> Result<Self, Failure> {
        let wish = Wish {
            block: codes(&change.block)?,
            unblock: codes(&change.unblock)?,
            only: change.only.as_deref().map(codes).transpose()?,
        };
        if let Some(code) = wish.block.intersection(&wish.unblock).next() {
            let message = format!("{code} is to be blocked and unblocked at once");
            return Err(bad_input(message));
        }
        match wish == Wish::default() {
            true => {
                Err(bad_input("nothing is to be changed")
                    .with_hint("say `block`, `unblock` or `only`"))
            }
            false => Ok(Self::Change(wish)),
        }
    }
}

fn codes(texts: &[String]) -> Result<BTreeSet<code::Code>, Failure> {
    if texts.len() > Selection::MAX {
        let message = format!("at most {} codes can be named at once", Selection::MAX);
        return Err(bad_input(message));
    }
    let read = |text: &String| {
        text.parse().map_err(|error| {
            let shown: String = text.chars().take(16).collect();
            bad_input(format!("{shown:?}: {error}"))
        })
    };
    texts.iter().map(read).collect()
}

/// Looks whether files or the configuration are others than those in force, in a task of its own.
pub fn watch(handle: Handle) {
    tokio::spawn(async move {
        // Whoever works at it now looks at the files, too.
        let Ok(_turn) = Arc::clone(&handle.countries).try_lock_owned() else {
            return;
        };
        let result = handle.look_at_countries().await;
        let noted = handle.call(move |owner| {
            if let Err(failure) = result {
                owner.countries.not_before = Some(Instant::now() + RETRY);
                owner.note(SUBJECT, Err(failure));
            }
            Ok(())
        });
        // The daemon is ending: nobody is left to be told.
        drop(noted.await);
    });
}

impl Handle {
    async fn look_at_countries(&self) -> Result<(), Failure> {
        let before = self.call(|owner| Ok(owner.before_countries(&Ask::Same)));
        let before = before.await?;
        let worked = spawn_blocking(move || before.is_stale().then(|| before.work_out()));
        match worked.await.map_err(broke_off)? {
            None => Ok(()),
            Some(worked) => {
                let worked = worked?;
                self.refresh_guard().await?;
                let put = self.call(move |owner| owner.put_countries(worked, false, SUBJECT));
                put.await.map(drop)
            }
        }
    }

    /// Works out what a change of the selection comes to. No other is worked out as long as the
    /// second value is kept.
    ///
    /// # Errors
    /// A code that no file knows, or as [`Handle::call`].
    pub async fn work_out(&self, ask: Ask) -> Result<(Worked, OwnedMutexGuard<()>), Failure> {
        let turn = Arc::clone(&self.countries).lock_owned().await;
        let before: Before = self
            .call(move |owner| Ok(owner.before_countries(&ask)))
            .await?;
        let worked = spawn_blocking(move || before.work_out());
        Ok((worked.await.map_err(broke_off)??, turn))
    }
}

fn broke_off(error: tokio::task::JoinError) -> Failure {
    Failure::new(Code::Internal, format!("the work broke off: {error}"))
}

impl Owner {
    /// What a work begins with.
    fn before_countries(&self, ask: &Ask) -> Before {
        let configured = self.config.geo.selection();
        let overrides = match ask {
            Ask::Same => self.countries.overrides.clone(),
            Ask::Change(wish) => self.countries.overrides.then(wish, &configured),
            Ask::Reset => Overrides::default(),
        };
        let selection = overrides.over(&configured);
        let is_waiting = (self.countries.not_before).is_some_and(|time| time > Instant::now());
        Before {
            paths: self.config.geo.databases.clone(),
            files: self.countries.files.clone(),
            is_done: self.countries.done.as_ref() == Some(&selection),
            is_waiting,
            asked: match ask {
                Ask::Change(wish) => wish.named(),
                Ask::Same | Ask::Reset => BTreeSet::new(),
            },
            standing: self.counts_of_countries(),
            selection,
            overrides,
        }
    }
}
