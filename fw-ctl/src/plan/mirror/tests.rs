use super::*;
use crate::policy::guard::GuardSource;

fn prefix(text: &str) -> Prefix {
    Prefix::parse(text).expect("a prefix").0
}

fn element(text: &str) -> Element {
    Element {
        prefix: prefix(text),
        deadline: None,
    }
}

fn edit(set: SetName, edits: &[(&str, bool)]) -> MirrorPlan {
    let edits = edits
        .iter()
        .map(|(text, put)| (prefix(text), put.then(|| element(text))))
        .collect();
    MirrorPlan::edit(set, edits)
}

fn guard() -> Guard {
    let mut guard = Guard::default();
    guard.set(GuardSource::Added, [prefix("192.0.2.1")]);
    guard
}

#[test]
fn a_plan_that_lets_a_guarded_prefix_go_is_none() {
    let guard = guard();
    let plan = edit(SetName::Guard, &[("192.0.2.1", false)]);
    let lock_out = plan.check(&guard).expect_err("it cuts");
    assert_eq!(lock_out.guarded, prefix("192.0.2.1"));
    let plan = edit(SetName::Guard, &[("192.0.2.2", false), ("192.0.2.1", true)]);
    plan.check(&guard).expect("it cuts nobody");
}

#[test]
fn a_guard_that_is_replaced_must_be_whole() {
    let guard = guard();
    let all: Vec<Element> = guard
        .iter()
        .map(|(prefix, _)| Element {
            prefix,
            deadline: None,
        })
        .collect();
    let of = |elements: &[Element]| MirrorPlan {
        sets: BTreeMap::from([(SetName::Guard, SetChange::Replace(elements.to_vec()))]),
        ruleset: None,
    };
    of(&all).check(&guard).expect("all of it");
    for left_out in 0..all.len() {
        let mut some = all.clone();
        let gone = some.remove(left_out);
        let lock_out = of(&some).check(&guard).expect_err("one is missing");
        assert_eq!(lock_out.guarded, gone.prefix);
    }
}

#[test]
fn of_two_plans_the_later_word_counts() {
    let guard = Guard::default();
    let check = |plan: MirrorPlan| plan.check(&guard).expect("cuts nobody");
    let both = check(edit(
        SetName::Block,
        &[("10.0.0.1", true), ("10.0.0.2", true)],
    ))
    .then(check(edit(
        SetName::Block,
        &[("10.0.0.2", false), ("10.0.0.3", true)],
    )));
    let expected = edit(
        SetName::Block,
        &[("10.0.0.1", true), ("10.0.0.2", false), ("10.0.0.3", true)],
    );
    assert_eq!(*both.plan(), expected);

    let whole = MirrorPlan {
        sets: BTreeMap::from([(
            SetName::Block,
            SetChange::Replace(vec![element("10.0.0.1"), element("10.0.0.2")]),
        )]),
        ruleset: None,
    };
    let later = edit(SetName::Block, &[("10.0.0.1", false), ("10.0.0.0", true)]);
    let both = check(whole.clone()).then(check(later));
    let held = SetChange::Replace(vec![element("10.0.0.0"), element("10.0.0.2")]);
    assert_eq!(both.plan().sets[&SetName::Block], held);
    let both = check(edit(SetName::Block, &[("10.0.0.9", true)])).then(check(whole.clone()));
    assert_eq!(*both.plan(), whole);
}

#[test]
fn what_is_only_observed_is_not_mirrored() {
    let row = |observed| Effective {
        deadline: None,
        list: crate::policy::entry::ListId(1),
        observed,
    };
    let rows = [
        (prefix("10.0.0.1"), Some(row(true))),
        (prefix("10.0.0.2"), Some(row(false))),
        (prefix("10.0.0.3"), None),
    ];
    let expected = edit(
        SetName::Block,
        &[("10.0.0.1", false), ("10.0.0.2", true), ("10.0.0.3", false)],
    );
    assert_eq!(MirrorPlan::of(Action::Block, rows), expected);
}
