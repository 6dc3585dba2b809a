//! Lists of countries: written as one, and by nobody else.

use super::*;

/// What each list of countries shall hold; `-` for what stays as it is.
fn countries(wanted: &[(&str, &str)]) -> Change {
    let wanted = wanted.iter().map(|(name, prefixes)| {
        let items = || {
            let prefixes = prefixes.split_whitespace();
            prefixes.map(|prefix| item(prefix, None)).collect()
        };
        (list(name), (*prefixes != "-").then(items))
    });
    Change::Countries(wanted.collect())
}

/// What stands in a list.
fn held(policy: &Policy, name: &str) -> String {
    let Some(id) = policy.list_id(&list(name)) else {
        return "no list".to_owned();
    };
    let places = policy.table(Action::Block).of_list(id);
    let texts: Vec<String> = places.map(|(place, _)| place.prefix.to_string()).collect();
    texts.join(" ")
}

#[test]
fn all_lists_change_in_one_draft_and_those_not_named_are_emptied() {
    let mut policy = policy();
    let own = put(Action::Block, "local", vec![item("5.0.0.0/8", None)]);
    done(&mut policy, own);
    let first = [
        ("geo:KP", "5.0.0.0/8 2a00::/16"),
        ("geo:AS1", "5.5.0.0/16"),
        ("geo:only", "6.0.0.0/7"),
    ];
    let draft = done(&mut policy, countries(&first));
    assert_eq!((draft.edits.len(), draft.new_lists.len()), (4, 3));
    for (name, prefixes) in first {
        assert_eq!(held(&policy, name), prefixes);
    }

    let next = [
        ("geo:KP", "2a00::/16 7.0.0.0/8"),
        ("geo:only", "-"),
        ("geo:DE", "8.0.0.0/8"),
    ];
    let draft = done(&mut policy, countries(&next));
    assert_eq!((draft.edits.len(), draft.unchanged), (4, 1));
    assert_eq!(held(&policy, "geo:KP"), "7.0.0.0/8 2a00::/16");
    assert_eq!(held(&policy, "geo:AS1"), "");
    assert_eq!(held(&policy, "geo:only"), "6.0.0.0/7", "as it was");
    assert_eq!(held(&policy, "local"), "5.0.0.0/8", "not theirs");
    assert!(done(&mut policy, countries(&next)).is_empty());

    policy.revert(&draft);
    assert_eq!(held(&policy, "geo:KP"), "5.0.0.0/8 2a00::/16");
    assert_eq!(
        (held(&policy, "geo:AS1"), held(&policy, "geo:DE")),
        ("5.5.0.0/16".into(), "no list".into())
    );
}

#[test]
fn a_country_may_lie_around_whom_is_guarded() {
    let mut policy = policy();
    policy.guard.set(GuardSource::SshPeer, [prefix("5.5.5.5")]);
    let draft = done(&mut policy, countries(&[("geo:KP", "5.0.0.0/8 5.5.5.5")]));
    assert!(draft.refused.is_empty() && draft.warnings.is_empty());
    assert_eq!(held(&policy, "geo:KP"), "5.0.0.0/8 5.5.5.5");
}

#[test]
fn nobody_else_writes_into_lists_of_countries() {
    let mut policy = policy();
    done(&mut policy, countries(&[("geo:KP", "5.0.0.0/8")]));
    let name = list("geo:KP");
    let items = vec![item("6.0.0.0/8", None)];
    for change in [
        put(Action::Block, "geo:KP", items.clone()),
        put(Action::Allow, "geo:XX", items.clone()),
        Change::Replace {
            action: Action::Block,
            list: name.clone(),
            items,
        },
        Change::Flush { list: name },
    ] {
        let refused = policy.prepare(change, NOW).expect_err("not theirs");
        assert!(matches!(refused, Refusal::Countries(_)), "{refused}");
    }
    let own = put(Action::Block, "local", vec![item("5.0.0.0/8", None)]);
    done(&mut policy, own);
    let removal = Change::Remove {
        action: Action::Block,
        prefixes: vec![prefix("5.0.0.0/8")],
    };
    let draft = done(&mut policy, removal);
    assert_eq!(draft.edits.len(), 1, "that of the operator");
    assert_eq!(
        draft.warnings,
        ["5.0.0.0/8 is still blocked by 5.0.0.0/8 (list geo:KP)"]
    );
    assert_eq!(held(&policy, "geo:KP"), "5.0.0.0/8");
}
