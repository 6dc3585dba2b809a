//! Changes of many items against changes of one.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::policy::table::merge;

/// Few hosts, a guarded one among them, and networks above some.
fn some_item() -> impl Strategy<Value = Item> {
    let text = prop_oneof![
        9 => (0u8..48).prop_map(|last| format!("192.0.2.{last}")),
        1 => (0u8..6).prop_map(|part| format!("192.0.2.{}/29", part * 8)),
        1 => Just("2001:db8::7".to_owned()),
        1 => Just("127.0.0.1".to_owned()),
    ];
    let comment = prop_oneof![2 => Just(""), 1 => Just("one"), 1 => Just("other")];
    let ends = prop::option::of(2000u32..2004);
    (text, ends, comment).prop_map(|(text, ends, comment)| Item {
        comment: comment.parse().expect("a comment"),
        ..item(&text, ends)
    })
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    prop::collection::vec(some_item(), 0..80)
}

/// Some blocks, some allows, a guard.
fn some_policy() -> impl Strategy<Value = Policy> {
    (items(), items()).prop_map(|(blocks, mut allows)| {
        let mut policy = policy();
        allows.truncate(3);
        done(&mut policy, put(Action::Block, "local", blocks));
        done(&mut policy, put(Action::Allow, "feed", allows));
        let guarded = ["192.0.2.16/31", "192.0.2.17"].map(prefix);
        policy.guard.set(GuardSource::Added, guarded);
        policy
    })
}

fn entries(policy: &Policy) -> Vec<(Place, Entry)> {
    let entries = policy.table(Action::Block).iter();
    entries
        .map(|(place, entry)| (place, entry.clone()))
        .collect()
}

proptest! {
    /// One draft of many items comes to what a draft for each would: the same entries, refusals by
    /// the positions of the items, and warnings in their order.
    #[test]
    fn a_put_of_many_is_what_puts_of_one_are(
        mut policy in some_policy(),
        mut items in items(),
        strict: bool,
    ) {
        let mut named = BTreeSet::new();
        // Of two mentions, a strict change takes the last.
        items.retain(|item| named.insert(item.prefix) || !strict);
        let wish = |items: Vec<Item>| Change::Put {
            action: Action::Block,
            list: ListName::local(),
            items,
            strict,
        };
        let draft = policy.prepare(wish(items.clone()), NOW).expect("refused by item");
        policy.apply(&draft);
        let at_once = entries(&policy);
        policy.revert(&draft);
        // What the change itself puts does not count as there already.
        let judged: Vec<_> = items
            .iter()
            .map(|item| policy.prepare(wish(vec![item.clone()]), NOW).expect("by item").refused)
            .collect();
        let (mut refused, mut warnings, mut unchanged) = (Vec::new(), Vec::new(), 0);
        for (index, (item, judged)) in items.into_iter().zip(judged).enumerate() {
            if let Some((_, prefix, refusal)) = judged.into_iter().next() {
                refused.push((index, prefix, refusal));
                continue;
            }
            let one = done(&mut policy, put(Action::Block, "local", vec![item]));
            warnings.extend(one.warnings);
            unchanged += one.unchanged;
        }
        warnings.truncate(20);
        let extends = draft.edits.iter().any(|edit| edit.before.is_some());
        prop_assert!(!(strict && extends), "a strict change extends nothing");
        prop_assert_eq!(at_once, entries(&policy));
        prop_assert_eq!(draft.refused, refused);
        prop_assert_eq!(draft.warnings, warnings);
        prop_assert_eq!(draft.unchanged, unchanged);
        let places: Vec<_> = draft.edits.iter().map(|edit| edit.place).collect();
        prop_assert!(places.is_sorted_by(|one, next| one < next), "each place once");
    }

    /// A list that is replaced holds the last mention of each item, and nothing else; what was there
    /// keeps the time it was first added.
    #[test]
    fn a_replacement_leaves_exactly_its_items(mut policy in some_policy(), items in items()) {
        let wish = Change::Replace {
            action: Action::Block,
            list: ListName::local(),
            items: items.clone(),
        };
        let later = Now { wall: WallSecs(2_000_000), ..NOW };
        let draft = policy.prepare(wish, later).expect("refused by item");
        let before: BTreeMap<Place, Entry> = entries(&policy).into_iter().collect();
        policy.apply(&draft);
        let mut expected = BTreeMap::new();
        for item in items {
            let place = Place { prefix: item.prefix, list: ListId(1) };
            if policy.guard.conflict(item.prefix).is_none() {
                let created = before.get(&place).map_or(later.wall, Entry::created);
                expected.insert(place, Entry::new(item.comment, created, item.deadline));
            } else if let Some(stays) = before.get(&place) {
                // Refused, it is neither put nor taken out.
                expected.insert(place, stays.clone());
            }
        }
        let expected: Vec<_> = expected.into_iter().collect();
        prop_assert_eq!(entries(&policy), expected);
        policy.revert(&draft);
        prop_assert_eq!(entries(&policy), before.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_conflict_is_the_most_telling_guard_that_shares_an_address(
        guarded in prop::collection::vec((0u8..48, 20u8..=32, 1usize..3), 0..12),
        asked in 0u8..48,
        length in 0u8..=32,
    ) {
        let network = |last, length| Prefix::new([192, 0, 2, last].into(), length);
        let mut guard = Guard::default();
        for source in GuardSource::ALL {
            let of = guarded.iter().filter(|(.., number)| GuardSource::ALL[*number] == source);
            let of = of.filter_map(|(last, length, _)| network(*last, *length));
            guard.set(source, of.collect::<Vec<_>>());
        }
        guard.set(GuardSource::Reserved, Guard::default().iter().map(|(prefix, _)| prefix));
        let asked = network(asked, length).expect("a length");
        let plain = guard
            .iter()
            .filter(|(prefix, _)| prefix.overlaps(&asked))
            .filter_map(|(prefix, sources)| Some((prefix, *sources.last()?)))
            .max_by_key(|(_, source)| *source);
        prop_assert_eq!(guard.conflict(asked), plain);
        let outermost = guard.outermost();
        let shares = outermost.iter().any(|outermost| outermost.overlaps(&asked));
        prop_assert_eq!(shares, plain.is_some());
        let nested = outermost.windows(2).any(|two| two[0].overlaps(&two[1]));
        prop_assert!(!nested && outermost.is_sorted());
    }

    #[test]
    fn merged_changes_are_changes_one_by_one(
        held in prop::collection::btree_map(0u8..60, any::<u8>(), 0..60),
        changes in prop::collection::btree_map(0u8..60, any::<Option<u8>>(), 0..60),
    ) {
        let (mut merged, mut plain) = (held.clone(), held.clone());
        let mut told = Vec::new();
        merge(&mut merged, changes.clone().into_iter(), |key, before, after| {
            told.push((*key, before.copied(), after.copied()));
        });
        let mut expected = Vec::new();
        for (key, after) in changes {
            expected.push((key, held.get(&key).copied(), after));
            match after {
                Some(value) => plain.insert(key, value),
                None => plain.remove(&key),
            };
        }
        prop_assert_eq!(merged, plain);
        prop_assert_eq!(told, expected);
    }
}

#[test]
fn a_draft_that_is_taken_back_later_finds_what_is_there_then() {
    let mut policy = policy();
    let hosts = ["192.0.2.0/28", "198.51.100.0/28"];
    let draft = done(
        &mut policy,
        put(
            Action::Block,
            "local",
            hosts.map(|text| item(text, Some(1500))).to_vec(),
        ),
    );
    // One of the two ends before the change is taken back.
    let remove = Change::Remove {
        action: Action::Block,
        prefixes: vec![prefix(hosts[0])],
    };
    done(&mut policy, remove);
    policy.apply(&draft.inverse());
    assert!(policy.table(Action::Block).is_empty());
    assert_eq!(policy.next_ending(), None);
    done(
        &mut policy,
        put(Action::Block, "local", vec![item("192.0.2.0/28", None)]),
    );
    let above = policy
        .table(Action::Block)
        .covering(prefix("192.0.2.1"))
        .count();
    assert_eq!(above, 1, "its length is in use");
}

#[test]
fn an_entry_is_two_words_and_none_takes_no_room() {
    assert_eq!(size_of::<Entry>(), 16);
    assert_eq!(size_of::<Option<Entry>>(), 16);
    let entry = |created, deadline: Option<u32>| {
        Entry::new(
            Comment::default(),
            WallSecs(created),
            deadline.map(BootSecs),
        )
    };
    let read = |entry: Entry| (entry.created().0, entry.deadline());
    let latest = u32::MAX.into();
    assert_eq!(read(entry(7, Some(0))), (7, Some(BootSecs(0))));
    assert_eq!(read(entry(-5, None)), (1, None));
    assert_eq!(
        read(entry(i64::MAX, Some(u32::MAX - 1))),
        (latest, Some(BootSecs(u32::MAX - 1)))
    );
}
