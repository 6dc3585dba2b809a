//! The task of one webhook: its messages in order, one request at a time, each until it is taken,
//! refused, or too old.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::{
    sync::{Mutex, Notify},
    time::sleep,
};

use super::{
    door::{Answer, Door},
    hook::Hook,
    keeper::Keeper,
    queue::{End, Id},
    retry::{Outcome, judge, pause},
};
use crate::{api::wire::ProblemBody, host::random::random};

/// Sends what waits for one webhook.
pub struct Sender {
    /// Its row.
    pub id: Id,
    /// The webhook.
    pub hook: Arc<Hook>,
    /// Where the events wait.
    pub keeper: Keeper,
    /// The way out.
    pub door: Arc<Door>,
    /// Name of this host.
    pub host: Arc<str>,
    /// Told when more waits.
    pub news: Arc<Notify>,
    /// Held from when a message is taken until what became of it is written down: whoever holds it
    /// may end this task.
    pub turn: Arc<Mutex<()>>,
}

impl Sender {
    /// Sends for ever.
    pub async fn run(self) {
        let mut tries = 0;
        loop {
            let outcome = {
                let _turn = self.turn.lock().await;
                self.send_next().await
            };
            let at_least = match outcome {
                Ok(None) => {
                    self.news.notified().await;
                    continue;
                }
                Ok(Some(Outcome::Delivered | Outcome::Refused)) => {
                    tries = 0;
                    continue;
                }
                Ok(Some(Outcome::Later(at_least))) => at_least,
                Err(problem) => {
                    let webhook = &self.hook.put.name;
                    tracing::error!(%webhook, error = %problem, "cannot send");
                    Default::default()
                }
            };
            tries += 1;
            // Without random numbers, as late as may be.
            sleep(pause(tries, at_least, random().unwrap_or(u64::MAX))).await;
        }
    }

    /// What became of the next message; `None` if there is none.
    async fn send_next(&self) -> Result<Option<Outcome>, ProblemBody> {
        let id = self.id;
        let next = self
            .keeper
            .call(move |queue| queue.next(id, Timestamp::now()));
        let Some(message) = next.await? else {
            return Ok(None);
        };
        let answer = self.door.post(&self.hook, &message, &self.host).await;
        let now = Timestamp::now();
        let (outcome, status, problem) = match answer {
            Ok(Answer {
                status,
                retry_after,
            }) => {
                let outcome = judge(status, retry_after.as_deref(), now);
                let problem = problem_of(&outcome, status);
                (outcome, Some(status), problem)
            }
            Err(why) => (Outcome::Later(Default::default()), None, Some(why)),
        };
        let webhook = &self.hook.put.name;
        match &problem {
            None => tracing::debug!(%webhook, events = message.events.len(), "delivered"),
            Some(problem) => tracing::warn!(%webhook, problem, "not delivered"),
        }
        let end = match outcome {
            Outcome::Delivered => Some(End::Delivered),
            Outcome::Refused => Some(End::Failed),
            Outcome::Later(_) => None,
        };
        let noted = self.keeper.call(move |queue| {
            if let Some(end) = end {
                queue.done(id, end)?;
            }
            queue.note(id, now, status, problem.as_deref())
        });
        noted.await?;
        Ok(Some(outcome))
    }
}

/// What is wrong with an answer.
pub fn problem_of(outcome: &Outcome, status: u16) -> Option<String> {
    match outcome {
        Outcome::Delivered => None,
        Outcome::Refused if (300..400).contains(&status) => {
            Some(format!("answered {status}: redirects are not followed"))
        }
        Outcome::Refused => Some(format!("answered {status}: refused, not tried again")),
        Outcome::Later(_) => Some(format!("answered {status}: tried again")),
    }
}
