//! How much is done at once for those who ask over TCP.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Requests that are worked on at once: the others wait, so that the daemon's loop always has room for
/// the Unix socket.
const AT_WORK: usize = 8;

/// Requests of one caller that are read, or worked on, at once.
const OF_ONE: usize = 4;

/// Turns that are taken one after the other.
pub struct Turns {
    at_work: Semaphore,
    by: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            at_work: Semaphore::new(AT_WORK),
            by: Mutex::default(),
        }
    }
}

impl Turns {
    /// Waits until this caller may send one more. Whoever sends nothing is forgotten.
    pub async fn own(&self, name: &str) -> impl Drop {
        let own = {
            let mut by = self.by.lock();
            by.retain(|_, turns| Arc::strong_count(turns) > 1);
            let own = by.entry(name.to_owned());
            Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(OF_ONE))))
        };
        own.acquire_owned().await.expect("it is never closed")
    }

    /// Waits until one more may be worked on.
    pub async fn work(&self) -> SemaphorePermit<'_> {
        self.at_work.acquire().await.expect("it is never closed")
    }
}
