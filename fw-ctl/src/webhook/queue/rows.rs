//! The rows of one webhook.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{End, Id, MOST_EVENTS};
use crate::webhook::body::Message;

/// A message that is on its way.
pub struct OnItsWay {
    /// The message.
    pub message: Message,
    /// When the newest of its events happened.
    pub newest: i64,
}

/// The message of a webhook that is on its way.
///
/// # Errors
/// The disk failed.
pub fn on_its_way(change: &Transaction<'_>, id: Id) -> rusqlite::Result<Option<OnItsWay>> {
    let mut query = change.prepare_cached(
        "SELECT message, message_time, message_last FROM hooks
         WHERE id = ?1 AND message IS NOT NULL",
    )?;
    let found: Option<(String, i64, Id)> = query
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((message, time, last)) = found else {
        return Ok(None);
    };
    let mut query = change
        .prepare_cached("SELECT event, at FROM events WHERE hook = ?1 AND id <= ?2 ORDER BY id")?;
    let rows = query.query_map([id, last], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows: Vec<(String, i64)> = rows.collect::<Result<_, _>>()?;
    let (events, times): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    Ok(Some(OnItsWay {
        message: Message {
            id: message,
            time: Timestamp::from_millisecond(time).unwrap_or_default(),
            events,
        },
        newest: times.into_iter().max().unwrap_or_default(),
    }))
}

/// It is done with.
///
/// # Errors
/// The disk failed.
pub fn end(change: &Transaction<'_>, id: Id, how: End) -> rusqlite::Result<()> {
    let events = change.execute(
        "DELETE FROM events WHERE hook = ?1
         AND id <= (SELECT message_last FROM hooks WHERE id = ?1)",
        [id],
    )?;
    let (delivered, failed) = match how {
        End::Delivered => (events, 0),
        End::Failed => (0, events),
    };
    change.execute(
        "UPDATE hooks SET message = NULL, message_time = NULL, message_last = NULL,
         delivered = delivered + ?2, failed = failed + ?3 WHERE id = ?1",
        params![id, delivered, failed],
    )?;
    Ok(())
}

/// Where too many events wait for a webhook, the oldest go that are not on their way.
///
/// # Errors
/// The disk failed.
pub fn drop_oldest(change: &Transaction<'_>, id: Id) -> rusqlite::Result<()> {
    let mut count = change.prepare_cached("SELECT count(*) FROM events WHERE hook = ?1")?;
    let waiting: usize = count.query_row([id], |row| row.get(0))?;
    let Some(excess @ 1..) = waiting.checked_sub(MOST_EVENTS) else {
        return Ok(());
    };
    let dropped = change.execute(
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE hook = ?1
         AND id > (SELECT coalesce(message_last, 0) FROM hooks WHERE id = ?1)
         ORDER BY id LIMIT ?2)",
        params![id, excess],
    )?;
    change.execute(
        "UPDATE hooks SET dropped = dropped + ?2 WHERE id = ?1",
        params![id, dropped],
    )?;
    Ok(())
}
