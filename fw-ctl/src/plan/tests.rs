use super::*;
use crate::policy::{entry::ListId, time::BootSecs};

fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

fn effective(deadline: Option<u32>) -> Effective {
    Effective {
        deadline: deadline.map(BootSecs),
        list: ListId(1),
        observed: false,
    }
}

fn held(guard: &Guard) -> BTreeMap<Prefix, u32> {
    diff_guard(guard, &BTreeMap::new())
        .into_iter()
        .filter_map(|op| Some((op.prefix, op.after?)))
        .collect()
}

#[test]
fn only_what_differs_is_written_and_counters_are_kept() {
    let one = prefix("192.0.2.1");
    let counted = abi::Entry {
        packets: 7,
        bytes: 700,
        ..abi::Entry::new(one, 1, 50)
    };
    assert_eq!(diff([(one, Some(effective(Some(50))), Some(counted))]), []);
    assert_eq!(diff([(one, None, None)]), []);

    let extended = diff([(one, Some(effective(None)), Some(counted))]);
    let after = extended[0].after.expect("written");
    assert_eq!(
        (after.deadline, after.packets, after.bytes),
        (abi::NEVER, 7, 700)
    );

    let removed = diff([(one, None, Some(counted))]);
    assert_eq!((removed[0].before, removed[0].after), (Some(counted), None));
}

#[test]
fn joining_pairs_what_should_be_with_what_is() {
    let (one, two, three) = (
        prefix("192.0.2.1"),
        prefix("192.0.2.2"),
        prefix("192.0.2.3"),
    );
    let desired = vec![(one, effective(None)), (two, effective(None))];
    let observed = vec![
        (three, abi::Entry::new(three, 1, 9)),
        (two, abi::Entry::new(two, 1, abi::NEVER)),
    ];
    let ops = diff(join(desired, observed));
    let told: Vec<_> = ops
        .iter()
        .map(|op| (op.prefix, op.after.is_some()))
        .collect();
    assert_eq!(told, [(one, true), (three, false)]);
}

#[test]
fn a_plan_that_leaves_a_guarded_address_unprotected_cannot_be_applied() {
    let mut guard = Guard::default();
    guard.set(GuardSource::SshPeer, [prefix("198.51.100.7")]);
    let all = held(&guard);

    assert!(Plan::default().check(&guard, &all).is_ok());

    let mut lacking = all.clone();
    lacking.remove(&prefix("198.51.100.7"));
    let other = prefix("192.0.2.1");
    let entry = abi::Entry::new(other, 1, 5);
    let cuts = Plan {
        block: diff([(other, Some(effective(None)), None)]),
        ..Plan::default()
    };
    let exposes = Plan {
        allow: diff([(other, None, Some(entry))]),
        ..Plan::default()
    };
    for plan in [cuts, exposes] {
        assert!(plan.clone().check(&guard, &all).is_ok());
        let refused = plan
            .check(&guard, &lacking)
            .expect_err("nothing protects it");
        assert_eq!(refused.guarded, prefix("198.51.100.7"));
    }
    let helps = Plan {
        allow: diff([(other, Some(effective(None)), None)]),
        block: diff([(other, None, Some(entry))]),
        ..Plan::default()
    };
    assert!(helps.check(&guard, &lacking).is_ok(), "it cuts nobody");

    let plan = Plan {
        guard: diff_guard(&guard, &lacking),
        ..Plan::default()
    };
    assert!(
        plan.check(&guard, &lacking).is_ok(),
        "the plan itself protects it"
    );

    let mut exposing = Plan::default();
    exposing.guard.push(Op {
        prefix: prefix("198.51.100.7"),
        before: Some(GuardSource::SshPeer as u32),
        after: None,
    });
    assert!(exposing.check(&guard, &all).is_err());
}

#[test]
fn the_inverse_takes_everything_back() {
    let one = prefix("192.0.2.1");
    let plan = Plan {
        block: diff([(one, Some(effective(None)), None)]),
        allow: diff([(one, None, Some(abi::Entry::new(one, 1, 5)))]),
        ..Plan::default()
    };
    let inverse = plan.inverse();
    assert_eq!(inverse.block[0].after, None);
    assert_eq!(inverse.allow[0].after, Some(abi::Entry::new(one, 1, 5)));
    assert_eq!(inverse.inverse(), plan);
    assert_eq!((plan.len(), plan.is_empty()), (2, false));
}
