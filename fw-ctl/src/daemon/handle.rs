//! How the other tasks reach the owner: jobs that run one after the other, each to its end.

use fw_common::Prefix;
use tokio::sync::{broadcast, mpsc, oneshot};

use super::{
    owner::Owner,
    problem::{Failure, all_found},
};
use crate::{
    api::wire::{Code, Event},
    host::{
        self,
        peers::{self, Proof},
    },
    policy::guard::GuardSource,
};

/// Work for the owner.
pub type Job = Box<dyn FnOnce(&mut Owner) + Send>;

/// Sends jobs to the owner.
#[derive(Clone)]
pub struct Handle {
    jobs: mpsc::Sender<Job>,
    events: broadcast::Sender<Event>,
}

/// Jobs that may wait; more wait in their senders.
const QUEUE: usize = 64;

impl Handle {
    /// A handle, and the end its jobs come out of.
    pub fn new(events: broadcast::Sender<Event>) -> (Self, mpsc::Receiver<Job>) {
        let (jobs, queue) = mpsc::channel(QUEUE);
        (Self { jobs, events }, queue)
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

    /// What happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
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
