//! A change in the store and in the kernel, or in neither.

use std::{panic, sync::mpsc, thread};

use crate::store::{Change, Store, StoreError};

/// In which order both are written. The store is committed last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The kernel hears of nothing that the store could not write.
    StoreFirst,
    /// The store is written in a thread of its own meanwhile.
    Together,
}

/// Who refused; nothing is kept in the store.
#[derive(Debug)]
pub(super) enum Refused<E> {
    /// The kernel.
    Kernel(E),
    /// The store.
    Store {
        /// Why.
        error: StoreError,
        /// Whether the kernel has taken the change already.
        is_applied: bool,
    },
}

/// Writes to the store, applies to the kernel, and commits. Killed between the last two, the next
/// start makes the kernel equal to the store again: the old policy, whole.
pub(super) fn in_both<E>(
    store: &mut Store,
    write: impl FnOnce(&Change<'_>) -> Result<(), StoreError> + Send,
    apply: impl FnOnce() -> Result<(), E>,
    order: Order,
) -> Result<(), Refused<E>> {
    let (applied, kept) = match order {
        Order::StoreFirst => {
            let mut applied = None;
            let kept = keep(store, write, || applied.insert(apply()).is_ok());
            (applied, kept)
        }
        Order::Together => thread::scope(|scope| {
            let (tell, told) = mpsc::channel();
            let writer = scope.spawn(move || keep(store, write, || told.recv().is_ok()));
            let applied = apply();
            if applied.is_ok() {
                // A writer that has failed listens no more, and answers below.
                let _ = tell.send(());
            }
            drop(tell);
            let kept = writer
                .join()
                .unwrap_or_else(|panic| panic::resume_unwind(panic));
            (Some(applied), kept)
        }),
    };
    match (applied, kept) {
        (Some(Err(error)), _) => Err(Refused::Kernel(error)),
        (applied, Err(error)) => Err(Refused::Store {
            error,
            is_applied: applied.is_some(),
        }),
        (_, Ok(())) => Ok(()),
    }
}

/// Writes, and commits if the kernel has applied it.
fn keep(
    store: &mut Store,
    write: impl FnOnce(&Change<'_>) -> Result<(), StoreError>,
    is_applied: impl FnOnce() -> bool,
) -> Result<(), StoreError> {
    let change = store.begin()?;
    write(&change)?;
    match is_applied() {
        true => change.commit(),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
