//! How the other tasks reach the owner: jobs that run one after the other, each to its end.

use std::{pin::pin, sync::Arc, time::Duration};

use fw_common::Prefix;
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::timeout,
};

use super::{
    broadcast::Broadcast,
    feeds::Feeds,
    owner::Owner,
    problem::{Failure, all_found},
    revision::Revision,
    tokens::Tokens,
};
use crate::{
    api::wire::{Changed, Code},
    host::{
        self,
        peers::{self, Proof},
    },
    policy::guard::GuardSource,
    webhook::Webhooks,
};

/// Work for the owner.
pub type Job = Box<dyn FnOnce(&mut Owner) + Send>;

/// Sends jobs to the owner.
#[derive(Clone)]
pub struct Handle {
    jobs: mpsc::Sender<Job>,
    /// What happens.
    pub broadcast: Broadcast,
    /// Which policy is in force.
    pub revision: Revision,
    /// Who may use the API over TCP.
    pub tokens: Tokens,
    /// Who is told of it elsewhere.
    pub webhooks: Webhooks,
    /// Lists that are kept from elsewhere.
    pub feeds: Feeds,
    /// Held by the one change of rules that waits for the mirror.
    turn: Arc<Mutex<()>>,
    /// Held by the one who works out what countries come to.
    pub(super) countries: Arc<Mutex<()>>,
}

/// How long a change of lists waits for the mirror.
const PATIENCE: Duration = Duration::from_secs(15);

/// Jobs that may wait; more wait in their senders.
const QUEUE: usize = 64;

/// Runs the jobs that come while something is waited for, where the daemon's loop does not.
pub async fn meanwhile<T>(
    owner: &mut Owner,
    jobs: &mut mpsc::Receiver<Job>,
    waited_for: impl Future<Output = T>,
) -> T {
    let mut waited_for = pin!(waited_for);
    loop {
        tokio::select! {
            value = &mut waited_for => return value,
            Some(job) = jobs.recv() => job(owner),
        }
    }
}

/// Does work to its end, in a task of its own: a client that goes away meanwhile must not leave half a
/// change.
///
/// # Errors
/// The work's own.
pub async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    tokio::spawn(work).await.unwrap_or_else(|error| {
        let message = format!("the change broke off: {error}");
        Err(Failure::new(Code::Internal, message))
    })
}

impl Handle {
    /// A handle, and the end its jobs come out of.
    pub fn new(
        broadcast: Broadcast,
        revision: Revision,
        tokens: Tokens,
        webhooks: Webhooks,
        feeds: Feeds,
    ) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let handle = Self {
            jobs,
            broadcast,
            revision,
            tokens,
            webhooks,
            feeds,
            turn: Arc::default(),
            countries: Arc::default(),
        };
        (handle, queue)
    }

    /// Runs a job and answers with what it returns.
    ///
    /// # Errors
    /// The job's own, or that the daemon is ending.
    pub async fn call<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Owner) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let ending = || Failure::new(Code::NotRunning, "the daemon is ending");
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |owner| {
            // Nobody waits any more: the client went away, the change stands.
            let _ = reply.send(job(owner));
        });
        self.jobs.send(job).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?
    }

    /// Runs a job that changes lists, and waits for the mirror. What the mirror cannot take stands
    /// in XDP all the same: that is a warning.
    ///
    /// # Errors
    /// As [`Handle::call`].
    pub async fn change(
        &self,
        job: impl FnOnce(&mut Owner) -> Result<Changed, Failure> + Send + 'static,
    ) -> Result<Changed, Failure> {
        let mut changed = self.call(job).await?;
        if changed.added + changed.updated + changed.removed > 0 {
            let warning = match timeout(PATIENCE, self.settle()).await {
                Ok(Ok(())) => None,
                Ok(Err(failure)) => Some(format!("not in the mirror yet: {failure}")),
                Err(_) => Some("the mirror is still at it".to_owned()),
            };
            changed.warnings.extend(warning);
        }
        Ok(changed)
    }

    /// Runs a job that changes rules or the whole policy, and waits for the mirror, where rules live:
    /// if it refuses, everything is as it was.
    ///
    /// # Errors
    /// As [`Handle::call`], and the mirror's.
    pub async fn change_rules<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Owner) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let handle = self.clone();
        whole(async move { handle.change_or_undo(job).await }).await
    }

    async fn change_or_undo<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Owner) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let _turn = self.turn.lock().await;
        let value = self
            .call(move |owner| {
                owner.undoable = None;
                job(owner)
            })
            .await?;
        let Err(failure) = self.settle().await else {
            self.call(|owner| {
                owner.undoable = None;
                Ok(())
            })
            .await?;
            return Ok(value);
        };
        let layer = self
            .call(move |owner| {
                owner.undo()?;
                Ok(owner.mirror.name)
            })
            .await?;
        Err(failure
            .prefixed(&format!("{layer}: "))
            .with_hint("nothing was changed; `fw-ctl status` shows the state of the mirror"))
    }

    /// Looks again who must never be dropped. Called before each block, so that the session that
    /// sends it is guarded.
    ///
    /// # Errors
    /// As [`Handle::call`].
    pub async fn refresh_guard(&self) -> Result<(), Failure> {
        let discovered = host::discover().await;
        // Every host has an address, if only that of its loopback interface.
        let blind = discovered
            .own
            .is_empty()
            .then(|| discovered.problems.join("; "));
        self.call(move |owner| {
            let discover = owner.config.guard.discover;
            owner.discovered(discovered);
            match blind.filter(|_| discover) {
                None => Ok(()),
                Some(problems) => Err(Failure::new(
                    Code::Kernel,
                    format!("cannot find out who must not be blocked: {problems}"),
                )),
            }
        })
        .await
    }

    /// Looks whether sources that are blocked as scanners, but may be forged, are real.
    ///
    /// # Errors
    /// As [`Handle::call`].
    pub async fn prove(&self) -> Result<(), Failure> {
        let unproven = self.call(|owner| Ok(owner.unproven())).await?;
        let proof = match unproven.as_slice() {
            [] => Proof::default(),
            _ => tokio::task::spawn_blocking(move || peers::proven(&unproven))
                .await
                .unwrap_or_default(),
        };
        self.call(move |owner| {
            owner.prove(&proof);
            Ok(())
        })
        .await
    }
}

impl Owner {
    /// Guards what the host was found to need.
    pub(super) fn discovered(&mut self, found: host::Discovered) {
        let before = self.policy.guard.clone();
        self.take_in(found);
        let result = self.push_guard();
        self.note("guard", result);
        if self.policy.guard != before {
            self.pardon_guarded(&before);
        }
    }

    /// Takes into the policy what the host was found to need, without telling the kernel yet.
    /// After a look that failed in part, nobody is let go.
    pub(super) fn take_in(&mut self, found: host::Discovered) {
        if !found.own.is_empty() {
            let result = self.take_own(&found.own);
            self.note("own addresses", result);
        }
        let found = match self.config.guard.discover {
            true => found,
            false => host::Discovered::default(),
        };
        for (source, addresses) in [
            (GuardSource::OwnAddress, found.own),
            (GuardSource::Gateway, found.gateways),
            (GuardSource::Resolver, found.resolvers),
            (GuardSource::SshPeer, found.ssh_peers),
        ] {
            let mut prefixes: Vec<Prefix> = addresses.into_iter().map(Into::into).collect();
            if !found.problems.is_empty() {
                prefixes.extend(self.policy.guard.of(source));
            }
            self.policy.guard.set(source, prefixes);
        }
        self.note("discovery", all_found(&found.problems));
    }
}
