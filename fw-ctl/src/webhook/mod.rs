//! Webhooks: events go out to receivers, in order, signed, until they are taken.
//!
//! Knows what happens ([`crate::api::wire::Event`]) and whom to tell; who tells it, and what follows
//! from an answer, is the daemon's. It waits on disks and networks, so the owner of the policy never
//! waits for it.
//!
//! - [`hook`]: what a webhook is, and what it wants to hear (pure)
//! - [`body`], [`template`]: what is sent (pure), [`sign`]: how it is signed
//! - [`address`]: which addresses are global (pure), [`door`]: the only way out
//! - [`queue`]: what waits, in a file; [`keeper`]: the thread that reads and writes it
//! - [`sender`]: the task of one webhook, [`retry`]: how it goes on after a try (pure)

pub mod address;
mod body;
mod door;
mod hook;
mod keeper;
mod queue;
mod retry;
mod sender;
mod sign;
mod template;

use std::{collections::BTreeMap, io, path::Path, sync::Arc, time::Duration};

use fw_common::Prefix;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::{
    sync::{Mutex as Turn, Notify},
    task::AbortHandle,
    time::{Instant, timeout},
};

pub use self::queue::News;
use self::{
    body::Message,
    door::{Answer, Door},
    hook::Hook,
    keeper::Keeper,
    queue::Id,
    retry::judge,
    sender::{Sender, problem_of},
    sign::{new_id, new_secret},
};
use crate::api::wire::{
    Changed, Code, Event, ProblemBody, Webhook, WebhookAdded, WebhookPut, WebhookTested,
};

/// All webhooks; every clone is the same.
#[derive(Clone)]
pub struct Webhooks(Arc<Inner>);

struct Inner {
    keeper: Keeper,
    door: Arc<Door>,
    /// Name of this host.
    host: Arc<str>,
    senders: Mutex<BTreeMap<Id, Running>>,
}

/// A sender at work.
struct Running {
    news: Arc<Notify>,
    turn: Arc<Turn<()>>,
    task: AbortHandle,
}

impl Webhooks {
    /// Those of the state directory. Nothing is read or sent yet.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn new(directory: &Path, allow: Vec<Prefix>) -> Result<Self, ProblemBody> {
        let keeper = Keeper::start(directory.to_owned()).map_err(|error| {
            ProblemBody::new(Code::Internal, format!("webhooks have no thread: {error}"))
        })?;
        let host = nix::unistd::gethostname().unwrap_or_default();
        Ok(Self(Arc::new(Inner {
            keeper,
            door: Arc::new(Door::new(allow)),
            host: host.to_string_lossy().into(),
            senders: Mutex::default(),
        })))
    }

    /// Begins to send.
    ///
    /// # Errors
    /// What is wrong with the file. It goes on with another, or with memory.
    pub async fn start(&self) -> Result<(), ProblemBody> {
        let opening = self
            .0
            .keeper
            .call(|queue| Ok::<_, ProblemBody>((queue.hooks(), queue.trouble.clone())));
        let (hooks, trouble) = opening.await?;
        for (id, hook) in hooks {
            self.send_for(id, hook);
        }
        trouble.map_err(|message| ProblemBody::new(Code::Store, message))
    }

    fn send_for(&self, id: Id, hook: Arc<Hook>) {
        let mut senders = self.0.senders.lock();
        // It may have been added while all were started: two would send everything twice.
        if senders.contains_key(&id) {
            return;
        }
        let (news, turn) = (Arc::new(Notify::new()), Arc::new(Turn::new(())));
        let sender = Sender {
            id,
            hook,
            keeper: self.0.keeper.clone(),
            door: Arc::clone(&self.0.door),
            host: Arc::clone(&self.0.host),
            news: Arc::clone(&news),
            turn: Arc::clone(&turn),
        };
        let task = tokio::spawn(sender.run()).abort_handle();
        senders.insert(id, Running { news, turn, task });
    }

    /// Ends, and lets requests that are on their way so much time to be answered.
    pub async fn stop(&self, grace: Duration) {
        let senders = std::mem::take(&mut *self.0.senders.lock());
        let end = Instant::now() + grace;
        for Running { turn, task, .. } in senders.into_values() {
            let left = end.saturating_duration_since(Instant::now());
            // A message that is cut off is sent again by the next daemon, as the same.
            let _turn = timeout(left, turn.lock()).await;
            task.abort();
        }
    }

    /// Other networks that may be reached although they are not global.
    pub fn allow(&self, prefixes: Vec<Prefix>) {
        self.0.door.allow(prefixes);
    }

    /// Puts what happened into the queues, for good.
    ///
    /// # Errors
    /// The disk failed: nothing of it is there.
    pub async fn put(&self, news: Vec<News>) -> Result<(), ProblemBody> {
        let put = self
            .0
            .keeper
            .call(move |queue| queue.put(&news, Timestamp::now()));
        let grown = put.await?;
        let senders = self.0.senders.lock();
        for running in grown.iter().filter_map(|id| senders.get(id)) {
            running.news.notify_one();
        }
        Ok(())
    }

    /// Every webhook, with its numbers.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn list(&self) -> Result<Vec<Webhook>, ProblemBody> {
        let list = self.0.keeper.call(|queue| queue.list(Timestamp::now()));
        list.await
    }

    /// Adds a webhook. The same once more is nothing new.
    ///
    /// # Errors
    /// What is wrong with it, or there is another of this name.
    pub async fn add(&self, put: WebhookPut, dry_run: bool) -> Result<WebhookAdded, ProblemBody> {
        let given = put.secret.is_some();
        let hook = Arc::new(Hook::read(put, new_secret().map_err(no_random)?)?);
        self.0.door.could_reach(&hook.url).await.map_err(|why| {
            ProblemBody::new(Code::BadInput, why.to_string())
                .with_hint("receivers inside are named by the configuration: `[webhooks] allow = [\"10.0.0.5/32\"]`")
        })?;
        let now = Timestamp::now();
        let added = WebhookAdded {
            webhook: hook.shown(now),
            changed: true,
            secret: None,
        };
        let wanted = Arc::clone(&hook);
        let adding = self
            .0
            .keeper
            .call(move |queue| match queue.named(&wanted.put.name) {
                Some((_, there)) if is_same(&there.put, &wanted.put, given) => Ok(None),
                Some(_) => {
                    let message = format!("there is another webhook {}", wanted.put.name);
                    let hint = format!("`fw-ctl webhook del {}` removes it", wanted.put.name);
                    Err(ProblemBody::new(Code::Conflict, message).with_hint(hint))
                }
                None if dry_run => Ok(Some(None)),
                None => queue.add(wanted, now).map(|id| Some(Some(id))),
            });
        match adding.await? {
            None => Ok(WebhookAdded {
                changed: false,
                ..added
            }),
            Some(None) => Ok(added),
            Some(Some(id)) => {
                let made = (!given).then(|| hook.put.secret.clone()).flatten();
                self.send_for(id, hook);
                Ok(WebhookAdded {
                    secret: made,
                    ..added
                })
            }
        }
    }

    /// Removes a webhook with everything that waits for it.
    ///
    /// # Errors
    /// There is no such webhook, or the disk failed.
    pub async fn remove(&self, name: String, dry_run: bool) -> Result<Changed, ProblemBody> {
        let removing = self.0.keeper.call(move |queue| {
            let (id, _) = queue.named(&name).ok_or_else(|| unknown(&name))?;
            if !dry_run {
                queue.remove(id)?;
            }
            Ok::<_, ProblemBody>(id)
        });
        let id = removing.await?;
        if !dry_run && let Some(running) = self.0.senders.lock().remove(&id) {
            running.task.abort();
        }
        Ok(Changed {
            removed: 1,
            ..Changed::default()
        })
    }

    /// Sends an event of its own to a webhook now, past its queue, and says what came of it.
    ///
    /// # Errors
    /// There is no such webhook.
    pub async fn test(&self, name: String, by: String) -> Result<WebhookTested, ProblemBody> {
        let asked = name.clone();
        let named = self
            .0
            .keeper
            .call(move |queue| Ok::<_, ProblemBody>(queue.named(&asked)));
        let (_, hook) = named.await?.ok_or_else(|| unknown(&name))?;
        let time = Timestamp::now();
        let detail = format!("a test of webhook {name}");
        let event = Event::Changed { time, detail, by };
        let message = Message {
            id: new_id().map_err(no_random)?,
            time,
            events: vec![serde_json::to_string(&event).unwrap_or_default()],
        };
        let start = Instant::now();
        let answer = self.0.door.post(&hook, &message, &self.0.host).await;
        let (status, problem) = match answer {
            Ok(Answer { status, .. }) => {
                let outcome = judge(status, None, time);
                (Some(status), problem_of(&outcome, status))
            }
            Err(why) => (None, Some(why)),
        };
        Ok(WebhookTested {
            delivered: problem.is_none(),
            status,
            time_ms: start.elapsed().as_millis().try_into().unwrap_or(u64::MAX),
            problem,
        })
    }
}

/// Whether what is asked for is there; a secret that was not given is as good as any.
fn is_same(there: &WebhookPut, asked: &WebhookPut, given: bool) -> bool {
    let secret = match given {
        true => asked.secret.clone(),
        false => there.secret.clone(),
    };
    *there
        == WebhookPut {
            secret,
            ..asked.clone()
        }
}

fn unknown(name: &str) -> ProblemBody {
    let shown: String = name.chars().take(64).collect();
    ProblemBody::new(Code::NotFound, format!("there is no webhook {shown:?}"))
        .with_hint("`fw-ctl webhook list` names them")
}

fn no_random(error: io::Error) -> ProblemBody {
    ProblemBody::new(Code::Kernel, format!("cannot read random numbers: {error}"))
}
