use tempfile::TempDir;

use super::*;
use crate::{
    detect::{sentence::Evidence, settings::Mode},
    policy::time::WallSecs,
};

const BOOT: &str = "11111111-1111-1111-1111-111111111111";
const NEXT_BOOT: &str = "22222222-2222-2222-2222-222222222222";

fn at(boot: u64, wall: i64) -> Now {
    Now {
        boot: Duration::from_secs(boot),
        wall: WallSecs(wall),
    }
}

/// The last offence an hour after the boot, the block until two hours after it.
fn record() -> Record {
    Record {
        offences: 3,
        proven: 2,
        last: 3_600,
        evidence: Evidence::Proven,
        until: BootSecs(7_200),
        seen: "10 ports (21, 22, 23)".to_owned(),
    }
}

fn sources() -> [Prefix; 2] {
    ["192.0.2.7", "2001:db8::/64"].map(|text| text.parse().expect("a prefix"))
}

/// A store with two offenders, written a second after the offence.
fn with_offenders() -> (TempDir, Store) {
    let now = at(3_601, 1_000_000);
    let directory = TempDir::new().expect("a directory");
    let mut store = Store::open(directory.path()).expect("a new store");
    store.load(now, BOOT).expect("an empty policy");
    let change = store.begin().expect("a transaction");
    let written = record();
    let all = sources().map(|source| (source, Some(&written)));
    change.write_offenders(all, now).expect("written");
    change.commit().expect("committed");
    (directory, store)
}

fn reopened(directory: &TempDir, now: Now, boot_id: &str) -> Store {
    let mut store = Store::open(directory.path()).expect("opens");
    store.load(now, boot_id).expect("loads");
    store
}

#[test]
fn a_restart_keeps_offences_and_deadlines_whatever_the_wall_clock_says() {
    let (directory, store) = with_offenders();
    drop(store);
    let store = reopened(&directory, at(4_000, 9_999_999), BOOT);
    let expected = sources().map(|source| (source, record()));
    assert_eq!(store.offenders().expect("read"), expected);
}

#[test]
fn after_a_reboot_an_offence_is_as_old_as_the_wall_clock_says() {
    let (directory, store) = with_offenders();
    drop(store);
    // Ten minutes after it was written, and half a minute into the next boot.
    let store = reopened(&directory, at(30, 1_000_600), NEXT_BOOT);
    let (_, rebooted) = store.offenders().expect("read").remove(0);
    assert_eq!(rebooted.last, 30 - 601);
    assert_eq!(rebooted.until, BootSecs(30 + 3_599 - 600));
    assert_eq!((rebooted.offences, rebooted.proven), (3, 2));
    // The new times are boot times again: a jump of the wall clock leaves them alone.
    drop(store);
    let store = reopened(&directory, at(90, 0), NEXT_BOOT);
    assert_eq!(store.offenders().expect("read")[0].1, rebooted);
}

#[test]
fn a_block_that_ended_while_the_host_was_down_is_over() {
    let (directory, store) = with_offenders();
    drop(store);
    let store = reopened(&directory, at(30, 2_000_000), NEXT_BOOT);
    let (_, rebooted) = store.offenders().expect("read").remove(0);
    assert_eq!(rebooted.until, BootSecs(30));
    assert_eq!(rebooted.last, 30 - 1_000_001);
    // A clock that is far behind makes no deadline that is none.
    drop(store);
    let store = reopened(&directory, at(40, -9_000_000_000), BOOT);
    let (_, rebooted) = store.offenders().expect("read").remove(0);
    assert_eq!(rebooted.until, BootSecs(abi::NEVER - 1));
}

#[test]
fn who_is_forgotten_is_gone_and_what_is_not_committed_never_was() {
    let (_directory, mut store) = with_offenders();
    let [first, second] = sources();
    let now = at(3_700, 1_000_099);
    let forget = |store: &mut Store, source, commit: bool| {
        let change = store.begin().expect("a transaction");
        change
            .write_offenders([(source, None)], now)
            .expect("written");
        if commit {
            change.commit().expect("committed");
        }
    };
    forget(&mut store, first, true);
    forget(&mut store, second, false);
    assert_eq!(store.offenders().expect("read"), [(second, record())]);
}

#[test]
fn a_source_that_cannot_be_read_is_a_damaged_database() {
    let (_directory, store) = with_offenders();
    let update = "UPDATE offenders SET source = 'x' WHERE source = '192.0.2.7'";
    store.connection.execute(update, []).expect("updated");
    let error = store.offenders().expect_err("refused");
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[test]
fn what_was_set_is_kept_until_it_is_taken_back() {
    let (directory, mut store) = with_offenders();
    assert_eq!(store.overrides().expect("read"), Overrides::default());
    let set = Overrides {
        mode: Some(Mode::Enforce),
        ports: Some(15),
        window: Some(Duration::from_secs(30)),
        ttl: Some(Duration::from_secs(900)),
    };
    let some = Overrides {
        mode: None,
        ttl: None,
        ..set.clone()
    };
    for overrides in [set, some, Overrides::default()] {
        let change = store.begin().expect("a transaction");
        change.write_overrides(&overrides).expect("written");
        change.commit().expect("committed");
        drop(store);
        store = reopened(&directory, at(4_000, 1_000_399), BOOT);
        assert_eq!(store.overrides().expect("read"), overrides);
    }
    // Beside them, the rest of `meta` is as it was.
    assert_eq!(store.boot_id().expect("read").as_deref(), Some(BOOT));
}
