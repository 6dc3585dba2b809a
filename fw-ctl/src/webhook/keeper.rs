//! The thread of the queue: SQLite waits for the disk, and nobody else shall.

use std::{io, thread};

use tokio::sync::{mpsc, oneshot};

use super::queue::Queue;
use crate::api::wire::{Code, ProblemBody};

type Job = Box<dyn FnOnce(&mut Queue) + Send>;

/// Jobs that may wait; more wait in their senders.
const WAITING: usize = 64;

/// A way to the queue. The thread ends with the last of them.
#[derive(Clone)]
pub struct Keeper(mpsc::Sender<Job>);

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn start(mut queue: Queue) -> io::Result<Self> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(WAITING);
        thread::Builder::new()
            .name("webhooks".to_owned())
            .spawn(move || {
                while let Some(job) = waiting.blocking_recv() {
                    job(&mut queue);
                }
            })?;
        Ok(Self(jobs))
    }

    /// Does something with the queue.
    ///
    /// # Errors
    /// The job's own, or that the thread is gone.
    pub async fn call<T, E>(
        &self,
        job: impl FnOnce(&mut Queue) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ProblemBody>
    where
        T: Send + 'static,
        ProblemBody: From<E>,
    {
        let gone = || ProblemBody::new(Code::NotRunning, "the daemon is ending");
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |queue| {
            // Who asked may have gone; what was done stays done.
            let _ = reply.send(job(queue).map_err(ProblemBody::from));
        });
        self.0.send(job).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
