//! The thread of the queue: SQLite waits for the disk, and nobody else shall.

use std::{io, path::PathBuf, thread};

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
    /// Starts the thread. The file is opened for the first job.
    ///
    /// # Errors
    /// There can be no more threads.
    pub fn start(directory: PathBuf) -> io::Result<Self> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(WAITING);
        thread::Builder::new()
            .name("webhooks".to_owned())
            .spawn(move || {
                let mut next = waiting.blocking_recv();
                if next.is_none() {
                    return;
                }
                match Queue::open(&directory) {
                    Ok(mut queue) => {
                        while let Some(job) = next {
                            job(&mut queue);
                            next = waiting.blocking_recv();
                        }
                    }
                    Err(error) => tracing::error!(%error, "there are no webhooks"),
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
        let gone = || ProblemBody::new(Code::NotRunning, "the queue of webhooks is gone");
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |queue| {
            // Who asked may have gone; what was done stays done.
            let _ = reply.send(job(queue).map_err(ProblemBody::from));
        });
        self.0.send(job).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}
