//! Webhooks and the events that wait for them: `webhooks.db` in the state directory.
//!
//! The message that is on its way is the events of a webhook up to a certain one. It is written down
//! before it is sent, so that it is the same message, with the same id, whatever happens meanwhile.
//!
//! - [`file`]: the file, [`rows`]: those of one webhook

mod file;
mod rows;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use jiff::Timestamp;
use rusqlite::{Connection, params};

use self::{
    file::Place,
    rows::{drop_oldest, end, on_its_way},
};
use super::{body::Message, hook::Hook, sign::new_id};
use crate::api::wire::{Code, Event, ProblemBody, Webhook};

/// Events that may wait for one webhook.
pub const MOST_EVENTS: usize = 10_000;

/// Webhooks that there may be.
pub const MOST_HOOKS: usize = 16;

/// For so long an event is tried.
const LIFE_MS: i64 = 24 * 60 * 60 * 1000;

/// A webhook's row; never given twice.
pub type Id = i64;

/// Something that happened, and its JSON.
#[derive(Clone, Debug)]
pub struct News {
    /// What.
    pub event: Event,
    /// As it goes over the wire.
    pub json: String,
}

impl News {
    /// An event that was written down nowhere yet.
    pub fn new(event: Event) -> Self {
        // Maps have keys of text, and numbers are finite: there is nothing that JSON cannot say.
        let json = serde_json::to_string(&event).unwrap_or_default();
        Self { event, json }
    }
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The receiver has it.
    Delivered,
    /// It does not want it, or did not take it in time.
    Failed,
}

/// The database.
pub struct Queue {
    connection: Connection,
    hooks: BTreeMap<Id, Arc<Hook>>,
    place: Option<Place>,
    /// What was wrong with the file.
    pub trouble: Result<(), String>,
}

impl Queue {
    /// Opens or makes the file. A damaged one is kept beside a new one.
    ///
    /// # Errors
    /// Not even memory can be had.
    pub fn open(directory: &Path) -> rusqlite::Result<Self> {
        let (file, trouble) = file::open(directory)?;
        Ok(Self {
            connection: file.connection,
            hooks: file.hooks,
            place: file.place,
            trouble,
        })
    }

    /// Every webhook.
    pub fn hooks(&self) -> Vec<(Id, Arc<Hook>)> {
        let hooks = self.hooks.iter();
        hooks.map(|(id, hook)| (*id, Arc::clone(hook))).collect()
    }

    /// The webhook of this name.
    pub fn named(&self, name: &str) -> Option<(Id, Arc<Hook>)> {
        let mut hooks = self.hooks().into_iter();
        hooks.find(|(_, hook)| hook.put.name == name)
    }

    /// Adds a webhook.
    ///
    /// # Errors
    /// There are too many, or the disk failed.
    pub fn add(&mut self, hook: Arc<Hook>, now: Timestamp) -> Result<Id, ProblemBody> {
        if self.hooks.len() >= MOST_HOOKS {
            let message = format!("there can be {MOST_HOOKS} webhooks");
            return Err(ProblemBody::new(Code::Full, message));
        }
        let text = serde_json::to_string(&hook.put).unwrap_or_default();
        self.for_good(|connection| {
            connection.execute(
                "INSERT INTO hooks (name, hook, created) VALUES (?1, ?2, ?3)",
                params![hook.put.name, text, now.as_millisecond()],
            )
        })?;
        let id = self.connection.last_insert_rowid();
        self.hooks.insert(id, hook);
        Ok(id)
    }

    /// Removes a webhook with everything that waits for it.
    ///
    /// # Errors
    /// The disk failed.
    pub fn remove(&mut self, id: Id) -> Result<(), ProblemBody> {
        self.for_good(|connection| {
            let change = connection.transaction()?;
            change.execute("DELETE FROM events WHERE hook = ?1", [id])?;
            change.execute("DELETE FROM hooks WHERE id = ?1", [id])?;
            change.commit()
        })?;
        self.hooks.remove(&id);
        Ok(())
    }

    /// A change that is on the disk when it is said to be done: events may be lost when the machine
    /// crashes, but whom they are for may not.
    fn for_good<T>(
        &mut self,
        change: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ProblemBody> {
        self.check_place()?;
        self.connection.pragma_update(None, "synchronous", "full")?;
        let changed = change(&mut self.connection);
        self.connection
            .pragma_update(None, "synchronous", "normal")?;
        Ok(changed?)
    }

    fn check_place(&self) -> Result<(), ProblemBody> {
        self.place.as_ref().map_or(Ok(()), Place::check)
    }

    /// Puts what happened into the queues of those who want to hear it. Where too many wait, the
    /// oldest go that are not on their way. Gives the webhooks that have something new.
    ///
    /// # Errors
    /// The disk failed: nothing of it is there.
    pub fn put(&mut self, news: &[News], now: Timestamp) -> Result<Vec<Id>, ProblemBody> {
        self.check_place()?;
        let change = self.connection.transaction()?;
        let mut grown = Vec::new();
        for (id, hook) in &self.hooks {
            let mut insert = change
                .prepare_cached("INSERT INTO events (hook, at, event) VALUES (?1, ?2, ?3)")?;
            let mut wanted = news
                .iter()
                .filter(|news| hook.wants(&news.event))
                .peekable();
            if wanted.peek().is_none() {
                continue;
            }
            for News { json, .. } in wanted {
                insert.execute(params![id, now.as_millisecond(), json])?;
            }
            drop_oldest(&change, *id)?;
            grown.push(*id);
        }
        change.commit()?;
        Ok(grown)
    }

    /// The message that is to be sent: the one that was on its way, or the next. Events that waited
    /// for too long have failed.
    ///
    /// # Errors
    /// The disk failed.
    pub fn next(&mut self, id: Id, now: Timestamp) -> rusqlite::Result<Option<Message>> {
        let Some(hook) = self.hooks.get(&id) else {
            return Ok(None);
        };
        let change = self.connection.transaction()?;
        let old = now.as_millisecond() - LIFE_MS;
        if on_its_way(&change, id)?.is_some_and(|message| message.newest < old) {
            end(&change, id, End::Failed)?;
        }
        if on_its_way(&change, id)?.is_none() {
            let late = change.execute(
                "DELETE FROM events WHERE hook = ?1 AND at < ?2",
                params![id, old],
            )?;
            change.execute(
                "UPDATE hooks SET failed = failed + ?2 WHERE id = ?1",
                params![id, late],
            )?;
            // Without random numbers there is no message now.
            let Ok(message) = new_id() else {
                return Ok(None);
            };
            change.execute(
                "UPDATE hooks SET message = ?2, message_time = ?3, message_last = last
                 FROM (SELECT max(id) AS last FROM
                     (SELECT id FROM events WHERE hook = ?1 ORDER BY id LIMIT ?4))
                 WHERE hooks.id = ?1 AND last IS NOT NULL",
                params![id, message, now.as_millisecond(), hook.format.most()],
            )?;
        }
        let message = on_its_way(&change, id)?.map(|sent| sent.message);
        change.commit()?;
        Ok(message)
    }

    /// The message that was on its way is done with.
    ///
    /// # Errors
    /// The disk failed: it is still on its way.
    pub fn done(&mut self, id: Id, how: End) -> rusqlite::Result<()> {
        let change = self.connection.transaction()?;
        end(&change, id, how)?;
        change.commit()
    }

    /// Notes how a try went.
    ///
    /// # Errors
    /// The disk failed.
    pub fn note(
        &mut self,
        id: Id,
        now: Timestamp,
        status: Option<u16>,
        problem: Option<&str>,
    ) -> rusqlite::Result<()> {
        self.connection.execute(
            "UPDATE hooks SET tried = ?2, status = ?3, problem = ?4 WHERE id = ?1",
            params![id, now.as_millisecond(), status, problem],
        )?;
        Ok(())
    }

    /// What is told of every webhook, by name.
    ///
    /// # Errors
    /// The disk failed.
    pub fn list(&self, now: Timestamp) -> rusqlite::Result<Vec<Webhook>> {
        let mut hooks = self.hooks();
        hooks.sort_by(|(_, one), (_, other)| one.put.name.cmp(&other.put.name));
        let told = hooks.iter().map(|(id, hook)| self.told(*id, hook, now));
        told.collect()
    }

    fn told(&self, id: Id, hook: &Hook, now: Timestamp) -> rusqlite::Result<Webhook> {
        let time = |at: i64| Timestamp::from_millisecond(at).unwrap_or_default();
        let (queued, oldest): (u64, Option<i64>) = self.connection.query_row(
            "SELECT count(*), min(at) FROM events WHERE hook = ?1",
            [id],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let age = |at| (now.as_millisecond() - at) / 1000;
        let mut query = self
            .connection
            .prepare_cached("SELECT * FROM hooks WHERE id = ?1")?;
        query.query_row([id], |row| {
            Ok(Webhook {
                queued,
                oldest_s: oldest.map(|at| age(at).try_into().unwrap_or(0)),
                delivered: row.get("delivered")?,
                failed: row.get("failed")?,
                dropped: row.get("dropped")?,
                tried_at: row.get::<_, Option<i64>>("tried")?.map(time),
                status: row.get("status")?,
                problem: row.get("problem")?,
                ..hook.shown(time(row.get("created")?))
            })
        })
    }
}

impl From<rusqlite::Error> for ProblemBody {
    fn from(error: rusqlite::Error) -> Self {
        let message = format!("the queue of webhooks: {error}");
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::new(Code::Full, message).with_hint(
                "nothing was changed; make room on the file system of the state directory",
            ),
            _ => Self::new(Code::Store, message),
        }
    }
}

#[cfg(test)]
mod tests;
