//! What a program that is running may still read, until it has come to its end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Sender},
    },
    thread,
};

use super::super::sys;

/// Counts grace periods in a thread of its own: the kernel takes some milliseconds for one, and a
/// change shall not wait for it.
#[derive(Debug)]
pub struct Grace {
    /// Changes that are to be waited for.
    begun: u64,
    /// Changes of which no program sees the old state any more.
    over: Arc<AtomicU64>,
    waiter: Sender<u64>,
}

impl Default for Grace {
    /// A clock of grace periods. Its thread ends with it.
    fn default() -> Self {
        let (waiter, changes) = mpsc::channel();
        let over = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&over);
        thread::spawn(move || {
            while let Ok(change) = changes.recv() {
                // Changes that came meanwhile are older than the period that begins now.
                let newest = changes.try_iter().last().unwrap_or(change);
                sys::wait_for_programs();
                seen.fetch_max(newest, Ordering::AcqRel);
            }
        });
        Self {
            begun: 0,
            over,
            waiter,
        }
    }
}

impl Grace {
    /// A change has become true: what it retired may be used again when [`Self::is_over`] says so.
    pub fn begin(&mut self) -> u64 {
        self.begun += 1;
        // Without the thread nothing is ever over, and the tables are full earlier.
        let _ = self.waiter.send(self.begun);
        self.begun
    }

    /// Whether no program sees the state before this change any more.
    pub fn is_over(&self, change: u64) -> bool {
        self.over.load(Ordering::Acquire) >= change
    }

    /// Waits until it is so for all changes.
    pub fn wait(&self) {
        if !self.is_over(self.begun) {
            sys::wait_for_programs();
            self.over.fetch_max(self.begun, Ordering::AcqRel);
        }
    }
}

/// Things that were retired, with the change that retired them.
#[derive(Debug)]
pub struct Limbo<T>(Vec<(u64, Vec<T>)>);

impl<T> Default for Limbo<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Limbo<T> {
    /// Retires things.
    pub fn add(&mut self, change: u64, things: Vec<T>) {
        if !things.is_empty() {
            self.0.push((change, things));
        }
    }

    /// What may be used again.
    pub fn take(&mut self, grace: &Grace) -> impl Iterator<Item = T> {
        let over = self
            .0
            .iter()
            .take_while(|(change, _)| grace.is_over(*change));
        let over = over.count();
        self.0.drain(..over).flat_map(|(_, things)| things)
    }
}
