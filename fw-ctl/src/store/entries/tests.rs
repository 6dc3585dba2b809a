use std::time::Duration;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::policy::{
    change::Change as Wish,
    entry::{Comment, Item, ListName},
    time::{BootSecs, WallSecs},
};

const BOOT: &str = "a boot";

fn now() -> Now {
    Now {
        boot: Duration::from_secs(1000),
        wall: WallSecs(1_000_000),
    }
}

fn item(text: &str, ends: Option<u32>) -> Item {
    Item {
        prefix: text.parse().expect("a prefix"),
        deadline: ends.map(BootSecs),
        comment: Comment::default(),
        created: None,
    }
}

fn opened() -> (TempDir, Store, Policy) {
    let directory = TempDir::new().expect("a directory");
    let mut store = Store::open(directory.path()).expect("a new store");
    let policy = store.load(now(), BOOT).expect("an empty policy");
    (directory, store, policy)
}

fn done(store: &mut Store, policy: &mut Policy, wish: Wish) {
    let draft = policy.prepare(wish, now()).expect("good");
    policy.apply(&draft);
    let change = store.begin().expect("begins");
    change.write(&draft, policy, now()).expect("written");
    change.commit().expect("committed");
}

fn put(list: &str, items: Vec<Item>) -> Wish {
    Wish::Put {
        action: Action::Block,
        list: list.parse().expect("a name"),
        items,
        strict: false,
    }
}

fn all(policy: &Policy) -> Vec<(Action, Place, Entry)> {
    let of = |action| {
        let entries = policy.table(action).iter();
        entries.map(move |(place, entry)| (action, place, entry.clone()))
    };
    Action::ALL.into_iter().flat_map(of).collect()
}

/// Few addresses, so that groups fill and empty again.
fn some_item() -> impl Strategy<Value = Item> {
    let text = prop_oneof![
        (0u8..3, 0u8..8).prop_map(|(second, last)| format!("10.{second}.0.{last}")),
        (0u8..3, 8u8..32).prop_map(|(second, length)| format!("10.{second}.0.0/{length}")),
        (0u8..3, 20u8..128).prop_map(|(part, length)| format!("2001:db{part}::/{length}")),
    ];
    (text, prop::option::of(2000u32..2010)).prop_map(|(text, ends)| item(&text, ends))
}

fn wish() -> impl Strategy<Value = Wish> {
    let items = prop::collection::vec(some_item(), 0..20);
    let action = prop_oneof![Just(Action::Allow), Just(Action::Block)];
    (0u8..4, items, action).prop_map(|(kind, items, action)| match kind {
        0 => put("local", items),
        1 => Wish::Replace {
            action,
            list: "feed".parse().expect("a name"),
            items,
        },
        2 => Wish::Remove {
            action,
            prefixes: items.into_iter().map(|item| item.prefix).collect(),
        },
        _ => Wish::Detected(items),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_is_loaded_is_what_was_in_force(wishes in prop::collection::vec(wish(), 1..8)) {
        let (directory, mut store, mut policy) = opened();
        for wish in wishes {
            done(&mut store, &mut policy, wish);
        }
        let loaded = store.load(now(), BOOT).expect("loads");
        prop_assert_eq!(all(&loaded), all(&policy));
        prop_assert_eq!(loaded.next_ending(), policy.next_ending());
        let empty = "SELECT count(*) FROM entry_groups WHERE length(packed) <= 5";
        let empty = store.connection.query_row(empty, [], |row| row.get::<_, i64>(0));
        prop_assert_eq!(empty, Ok(0));
        drop(directory);
    }
}

#[test]
fn a_change_rewrites_the_groups_it_touches_and_no_others() {
    let (_directory, mut store, mut policy) = opened();
    let items = ["10.1.0.1", "10.2.0.1", "2001:db8::1"];
    let items = items.map(|text| item(text, None)).to_vec();
    done(&mut store, &mut policy, put("local", items));
    let total = |store: &Store| store.connection.total_changes();
    let before = total(&store);
    done(
        &mut store,
        &mut policy,
        put("local", vec![item("10.1.0.2", None)]),
    );
    assert_eq!(total(&store) - before, 1, "one row is written");
}

#[test]
fn a_damaged_group_is_named_and_stays_as_it_is() {
    let (_directory, mut store, mut policy) = opened();
    let items = vec![item("10.1.0.1", None), item("10.1.0.2", Some(2000))];
    done(&mut store, &mut policy, put("local", items));
    let good: Vec<u8> = store
        .connection
        .query_row("SELECT packed FROM entry_groups", [], |row| row.get(0))
        .expect("one group");
    let set = |store: &Store, packed: &[u8]| {
        let set = "UPDATE entry_groups SET packed = ?1";
        store.connection.execute(set, [packed]).expect("set");
    };
    let refused = |store: &mut Store, boot_id| match store.load(now(), boot_id) {
        Err(StoreError::Corrupt { detail, .. }) => detail,
        other => panic!("{other:?}"),
    };
    for end in 0..good.len() {
        set(&store, &good[..end]);
        for boot_id in [BOOT, "another boot"] {
            let detail = refused(&mut store, boot_id);
            assert!(
                detail.starts_with("the entries of block 10.1.0.0/16: "),
                "{detail}"
            );
        }
    }
    set(&store, &good);
    assert_eq!(all(&store.load(now(), BOOT).expect("loads")), all(&policy));

    let text = "UPDATE entry_groups SET packed = 'a text'";
    store.connection.execute(text, []).expect("set");
    assert!(refused(&mut store, BOOT).starts_with("the entries of block 10.1.0.0/16: "));
    set(&store, &good);
    let number = "UPDATE entry_groups SET id = 1 << 40";
    store.connection.execute(number, []).expect("set");
    assert_eq!(
        refused(&mut store, BOOT),
        "no entries have the number 1099511627776"
    );
}

#[test]
fn an_entry_of_a_list_that_is_gone_is_damage() {
    let (_directory, mut store, mut policy) = opened();
    done(
        &mut store,
        &mut policy,
        put("feed", vec![item("10.1.0.1", None)]),
    );
    let remove = "DELETE FROM lists WHERE name = 'feed'";
    store.connection.execute(remove, []).expect("removed");
    let refused = store.load(now(), BOOT).expect_err("a list is missing");
    let StoreError::Corrupt { detail, .. } = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        detail,
        "the entries of block 10.1.0.0/16: there is no list 3"
    );
}

#[test]
fn after_a_reboot_all_ends_are_of_this_boot_also_those_that_are_saved() {
    let (_directory, mut store, mut policy) = opened();
    let items = vec![
        item("10.1.0.1", Some(1600)),
        item("10.1.0.2", None),
        item("2001:db8::", Some(1050)),
    ];
    done(&mut store, &mut policy, put(ListName::LOCAL, items));
    let change = store.begin().expect("begins");
    change.save().expect("saved");
    change.commit().expect("committed");
    let rebooted = Now {
        boot: Duration::from_secs(20),
        wall: WallSecs(1_000_100),
    };
    let loaded = store.load(rebooted, "another boot").expect("loads");
    let ends = |entries: Vec<(Action, Place, Entry)>| {
        let ends = entries.into_iter().map(|(_, _, entry)| entry.deadline());
        ends.collect::<Vec<_>>()
    };
    // 600 seconds were left, 100 have gone by; the last has ended meanwhile.
    let expected = [Some(BootSecs(520)), None, Some(BootSecs(20))];
    assert_eq!(ends(all(&loaded)), expected);
    let saved = store.checkpoint().expect("read").entries;
    let saved: Vec<_> = saved.iter().map(|(_, item, _)| item.deadline).collect();
    assert_eq!(saved, expected);
}
