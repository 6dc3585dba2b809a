//! Feeds, blocks and allows in any order, against plain sets of prefixes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::policy::table::Count;

/// It is never blocked, whoever wants it.
const GUARDED: [u8; 4] = [192, 0, 2, 5];

const FEEDS: [&str; 2] = ["feed:one", "feed:two"];

#[derive(Clone, Debug)]
enum Step {
    /// What a feed is from now on.
    Feed(usize, Action, Vec<Prefix>),
    /// It is removed.
    Gone(usize),
    /// The operator's.
    Put(Action, Prefix),
    Remove(Action, Prefix),
}

/// Few, so that they meet and nest.
fn some_prefix() -> impl Strategy<Value = Prefix> {
    (0u8..32, 26u8..=32).prop_filter_map("it fits", |(low, length)| {
        Prefix::new([192, 0, 2, low].into(), length)
    })
}

fn step() -> impl Strategy<Value = Step> {
    let action = prop_oneof![3 => Just(Action::Block), 1 => Just(Action::Allow)];
    let many = prop::collection::vec(some_prefix(), 0..12);
    prop_oneof![
        4 => (0..2usize, action.clone(), many).prop_map(|(feed, action, all)| Step::Feed(feed, action, all)),
        1 => (0..2usize).prop_map(Step::Gone),
        2 => (action.clone(), some_prefix()).prop_map(|(action, prefix)| Step::Put(action, prefix)),
        2 => (action, some_prefix()).prop_map(|(action, prefix)| Step::Remove(action, prefix)),
    ]
}

/// Who wants what of which prefix.
type Plain = BTreeMap<(&'static str, Action), BTreeSet<Prefix>>;

fn is_kept(action: Action, prefix: &Prefix) -> bool {
    action == Action::Allow || !prefix.contains(GUARDED.into())
}

fn take(plain: &mut Plain, step: &Step) {
    match step {
        Step::Feed(feed, action, all) => {
            let kept = all.iter().filter(|prefix| is_kept(*action, prefix));
            plain.insert((FEEDS[*feed], *action), kept.copied().collect());
            plain.remove(&(FEEDS[*feed], action.other()));
        }
        Step::Gone(feed) => {
            for action in Action::ALL {
                plain.remove(&(FEEDS[*feed], action));
            }
        }
        Step::Put(action, prefix) => {
            if is_kept(*action, prefix) {
                plain.entry(("local", *action)).or_default().insert(*prefix);
            }
        }
        Step::Remove(action, prefix) => {
            let lists = plain.iter_mut().filter(|((_, of), _)| of == action);
            for (_, prefixes) in lists {
                prefixes.remove(prefix);
            }
        }
    }
}

fn change(step: &Step) -> Change {
    let items = |prefixes: &[Prefix]| {
        let item = |prefix: &Prefix| Item {
            prefix: *prefix,
            deadline: None,
            comment: Comment::default(),
            created: None,
        };
        prefixes.iter().map(item).collect()
    };
    match step {
        Step::Feed(feed, action, all) => Change::Keep {
            action: *action,
            list: list(FEEDS[*feed]),
            items: items(all),
        },
        Step::Gone(feed) => Change::Flush {
            list: list(FEEDS[*feed]),
        },
        Step::Put(action, prefix) => put(*action, "local", vec![item(&prefix.to_string(), None)]),
        Step::Remove(action, prefix) => Change::Remove {
            action: *action,
            prefixes: vec![*prefix],
        },
    }
}

/// What each packet meets, and what each list counts.
fn same(policy: &Policy, plain: &Plain) -> Result<(), String> {
    for low in 0..64 {
        let address = IpAddr::from([192, 0, 2, low]);
        let told = |action| {
            let mut covering = policy.table(action).covering(Prefix::host(address));
            covering.next().is_some()
        };
        let expected = |action| {
            let lists = plain.iter().filter(|((_, of), _)| *of == action);
            lists
                .flat_map(|(_, all)| all)
                .any(|prefix| prefix.contains(address))
        };
        let drops = |of: &dyn Fn(Action) -> bool| !of(Action::Allow) && of(Action::Block);
        if drops(&told) != drops(&expected) {
            return Err(format!("{address}: {}", drops(&told)));
        }
    }
    for name in FEEDS.into_iter().chain(["local"]) {
        for action in Action::ALL {
            let count = |id| policy.table(action).count(id);
            let told = policy.list_id(&list(name)).map(count).unwrap_or_default();
            let ipv4 = plain.get(&(name, action)).map_or(0, BTreeSet::len);
            if told != (Count { ipv4, ipv6: 0 }) {
                return Err(format!("{name} {}: {told:?}, not {ipv4}", action.name()));
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn feeds_blocks_and_allows_in_any_order_are_what_plain_sets_say(
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let mut policy = policy();
        policy.guard.set(GuardSource::Configured, [Prefix::host(GUARDED.into())]);
        let mut plain = Plain::default();
        for step in &steps {
            // A list that never was cannot be removed.
            let draft = policy.prepare(change(step), NOW).unwrap_or_default();
            policy.apply(&draft);
            take(&mut plain, step);
            prop_assert_eq!(same(&policy, &plain), Ok(()), "after {:?}", step);
        }
    }
}
