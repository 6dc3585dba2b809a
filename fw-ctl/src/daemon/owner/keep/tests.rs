use std::cell::Cell;

use fw_common::Prefix;
use tempfile::TempDir;

use super::*;
use crate::{host::clock, policy::guard::GuardSource};

const ORDERS: [Order; 2] = [Order::StoreFirst, Order::Together];

fn opened() -> (TempDir, Store) {
    let directory = TempDir::new().expect("a directory");
    let store = Store::open(directory.path()).expect("a new store");
    (directory, store)
}

fn guard(change: &Change<'_>) -> Result<(), StoreError> {
    change.write_guard(&["192.0.2.1".parse().expect("a prefix")])
}

/// What another start would find.
fn guarded(store: &mut Store) -> Vec<Prefix> {
    let policy = store.load(clock::now(), "a boot").expect("loads");
    policy.guard.of(GuardSource::Added).collect()
}

#[test]
fn what_both_take_is_kept() {
    for order in ORDERS {
        let (_directory, mut store) = opened();
        let applied = Cell::new(0);
        let apply = || {
            applied.set(applied.get() + 1);
            Ok::<_, &str>(())
        };
        in_both(&mut store, guard, apply, order).expect("both take it");
        assert_eq!(
            (applied.get(), guarded(&mut store).len()),
            (1, 1),
            "{order:?}"
        );
    }
}

#[test]
fn what_the_kernel_refuses_is_not_kept() {
    for order in ORDERS {
        let (_directory, mut store) = opened();
        let refused = in_both(&mut store, guard, || Err("full"), order);
        assert!(
            matches!(refused, Err(Refused::Kernel("full"))),
            "{order:?}: {refused:?}"
        );
        assert!(guarded(&mut store).is_empty(), "{order:?}");
        // The store is free for the next change.
        in_both(&mut store, guard, || Ok::<_, &str>(()), order).expect("both take it");
        assert_eq!(guarded(&mut store).len(), 1, "{order:?}");
    }
}

#[test]
fn what_the_store_cannot_write_is_not_in_the_kernel_or_told_to_be() {
    for (order, told) in [(Order::StoreFirst, false), (Order::Together, true)] {
        let (_directory, mut store) = opened();
        let applied = Cell::new(false);
        let apply = || {
            applied.set(true);
            Ok::<_, &str>(())
        };
        // Twice the same prefix: the table refuses.
        let twice = |change: &Change<'_>| {
            let prefix = "192.0.2.1".parse().expect("a prefix");
            change.write_guard(&[prefix, prefix])
        };
        let refused = in_both(&mut store, twice, apply, order);
        let Err(Refused::Store { is_applied, .. }) = refused else {
            panic!("{order:?}: {refused:?}");
        };
        assert_eq!((applied.get(), is_applied), (told, told), "{order:?}");
        assert!(guarded(&mut store).is_empty(), "{order:?}");
    }
}

#[test]
fn a_store_that_is_gone_begins_nothing() {
    for order in ORDERS {
        let (directory, mut store) = opened();
        std::fs::remove_file(store.path()).expect("removed");
        let refused = in_both(&mut store, guard, || Ok::<_, &str>(()), order);
        let is_gone = matches!(
            refused,
            Err(Refused::Store {
                error: StoreError::Gone { .. },
                ..
            })
        );
        assert!(is_gone, "{order:?}: {refused:?}");
        drop(directory);
    }
}
