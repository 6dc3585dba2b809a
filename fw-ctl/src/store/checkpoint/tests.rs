use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::policy::{
    change::Change as Wish,
    entry::{Comment, Entry, Place},
    rule::{Verdict, text::RuleText},
    rules::Rules,
    time::Now,
};

fn now(boot: u64, wall: i64) -> Now {
    Now {
        boot: Duration::from_secs(boot),
        wall: WallSecs(wall),
    }
}

fn rule(service: &str) -> Rule {
    let text = RuleText {
        service: service.into(),
        action: "drop".into(),
        ..RuleText::default()
    };
    text.read(|_| None).expect("a rule").0
}

fn block(policy: &mut Policy, store: &mut Store, text: &str, deadline: Option<u32>, save: bool) {
    let item = Item {
        prefix: Prefix::parse(text).expect("a prefix").0,
        deadline: deadline.map(BootSecs),
        comment: Comment::default(),
        created: None,
    };
    let wish = Wish::Put {
        action: Action::Block,
        list: ListName::local(),
        items: vec![item],
        strict: false,
    };
    let at = now(1_000, 1_000_000);
    let draft = policy.prepare(wish, at).expect("a change");
    policy.apply(&draft);
    let change = store.begin().expect("begins");
    if save {
        change.save().expect("saved");
        change.write_due(Some(BootSecs(1_060))).expect("written");
    }
    change.write(&draft, policy, at).expect("written");
    change.commit().expect("committed");
}

/// A store with a block, a rule and a default that are saved, and a second block on top of them.
fn saved() -> (TempDir, Store) {
    let directory = TempDir::new().expect("a directory");
    let mut store = Store::open(directory.path()).expect("opens");
    let at = now(1_000, 1_000_000);
    let mut policy = store.load(at, "first boot").expect("loads");
    let mut rules = Rules::default();
    rules.add(rule("tcp/22")).expect("added");
    let change = store.begin().expect("begins");
    change.write_rules(&rules, at).expect("written");
    change
        .write_base(BaseOverrides {
            default: Some(Verdict::Drop),
            drop_invalid: None,
        })
        .expect("written");
    change.commit().expect("committed");
    block(&mut policy, &mut store, "192.0.2.1", Some(1_500), false);
    block(&mut policy, &mut store, "192.0.2.2", None, true);
    let change = store.begin().expect("begins");
    change.write_rules(&Rules::default(), at).expect("written");
    change
        .write_base(BaseOverrides::default())
        .expect("written");
    change.commit().expect("committed");
    (directory, store)
}

#[test]
fn what_was_saved_is_what_stood_before_and_not_what_came_with_it() {
    let (_directory, store) = saved();
    assert_eq!(store.due().expect("read"), Some(Due::At(BootSecs(1_060))));
    let checkpoint = store.checkpoint().expect("read");
    let [(Action::Block, item, _)] = checkpoint.entries.as_slice() else {
        panic!("{checkpoint:?}");
    };
    assert_eq!(item.prefix.to_string(), "192.0.2.1");
    assert_eq!(item.deadline, Some(BootSecs(1_500)));
    let ids: Vec<_> = checkpoint.rules.keys().collect();
    assert_eq!(ids, [&RuleId(1)]);
    assert_eq!(checkpoint.base.default, Some(Verdict::Drop));
    assert_eq!(store.base_overrides().expect("read").default, None);
}

#[test]
fn after_a_reboot_it_is_due_at_once_and_its_ends_are_of_this_boot() {
    let (directory, store) = saved();
    drop(store);
    let mut store = Store::open(directory.path()).expect("opens");
    store
        .load(now(50, 1_000_100), "second boot")
        .expect("loads");
    assert_eq!(store.due().expect("read"), Some(Due::Now));
    let checkpoint = store.checkpoint().expect("read");
    // 500 seconds were left, 100 have gone by.
    assert_eq!(checkpoint.entries[0].1.deadline, Some(BootSecs(450)));
}

#[test]
fn what_is_forgotten_does_not_come_back() {
    let (_directory, mut store) = saved();
    let change = store.begin().expect("begins");
    change.forget().expect("forgotten");
    change.commit().expect("committed");
    assert_eq!(store.due().expect("read"), None);
    assert_eq!(store.checkpoint().expect("read"), Checkpoint::default());
}

/// What is blocked after a start.
fn listed(store: &mut Store) -> Vec<String> {
    let policy = store.load(now(1_000, 1_000_000), "first boot");
    let policy = policy.expect("loads");
    let blocks = policy.table(Action::Block).iter();
    blocks.map(|(place, _)| place.prefix.to_string()).collect()
}

#[test]
fn going_back_writes_all_entries_whatever_an_earlier_attempt_has_left_behind() {
    let (_directory, mut store) = saved();
    assert_eq!(listed(&mut store), ["192.0.2.1", "192.0.2.2"]);
    // The policy has gone back already; the store could not.
    let mut policy = Policy::default();
    policy.restore_list(ListName::local(), ListId(1));
    for (action, item, since) in store.checkpoint().expect("read").entries {
        let place = Place {
            prefix: item.prefix,
            list: ListId(1),
        };
        let entry = Entry::new(item.comment, since, item.deadline);
        policy.restore(action, vec![(place, entry)]);
    }
    let change = store.begin().expect("begins");
    change
        .restore(&policy, now(1_000, 1_000_000))
        .expect("restored");
    change.commit().expect("committed");
    assert_eq!(listed(&mut store), ["192.0.2.1"]);
    assert_eq!(store.due().expect("read"), None);
    assert_eq!(store.rules().expect("read").iter().count(), 1);
}

#[test]
fn only_the_operators_own_list_is_saved() {
    let (_directory, mut store) = saved();
    let change = store.begin().expect("begins");
    change.forget().expect("forgotten");
    change.commit().expect("committed");
    let at = now(1_000, 1_000_000);
    let mut policy = store.load(at, "first boot").expect("loads");
    let wish = Wish::Put {
        action: Action::Block,
        list: "feed".parse().expect("a name"),
        items: ["192.0.2.1", "198.51.100.1"]
            .map(|text| Item {
                prefix: text.parse().expect("a prefix"),
                deadline: None,
                comment: Comment::default(),
                created: None,
            })
            .to_vec(),
        strict: false,
    };
    let draft = policy.prepare(wish, at).expect("good");
    policy.apply(&draft);
    let change = store.begin().expect("begins");
    change.write(&draft, &policy, at).expect("written");
    change.save().expect("saved");
    change.commit().expect("committed");
    let saved = store.checkpoint().expect("read").entries;
    let saved: Vec<_> = saved
        .iter()
        .map(|(_, item, _)| item.prefix.to_string())
        .collect();
    assert_eq!(saved, ["192.0.2.1", "192.0.2.2"]);
}
