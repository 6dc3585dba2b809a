//! A prefix stands in as many lists as name it.

use fw_tests::lab::address::V4;

use super::{add, held, list, refresh, server, set, url};
use crate::outside::Outside;

#[test]
fn prefix_of_two_feeds_is_blocked_until_both_let_it_go_and_an_allow_beats_both() {
    let outside = Outside::with("");
    let _daemon = outside.daemon();
    let lab = &outside.lab;
    let [one, two] = [(); 2].map(|()| server(&outside));
    let other = "203.0.113.9";
    one.always(list(&[V4.block, other]));
    two.always(list(&[V4.block, "203.0.113.10"]));
    add(lab, "one", &url(&one), &[]);
    add(lab, "two", &url(&two), &[]);
    let counts = |name: &str| {
        let status = lab.json(&["status"]);
        let lists = status["lists"].as_array().expect("lists").clone();
        let found = lists.into_iter().find(|list| list["name"] == name);
        found.map_or(0, |list| list["blocks"].as_u64().expect("a number"))
    };
    assert_eq!((counts("feed:one"), counts("feed:two")), (2, 2));
    assert!(!lab.arrives(V4.blocked));
    one.always(list(&[other]));
    refresh(lab, &["one"]).must(0);
    assert_eq!((counts("feed:one"), counts("feed:two")), (1, 2));
    assert!(!lab.arrives(V4.blocked), "the other list has it");
    lab.fw(&["allow", V4.block]).must(0);
    assert!(lab.arrives(V4.blocked), "an allow beats every list");
    lab.fw(&["unallow", V4.block]).must(0);
    assert!(!lab.arrives(V4.blocked));
    two.always(list(&["203.0.113.10"]));
    refresh(lab, &["two"]).must(0);
    assert!(lab.arrives(V4.blocked), "nobody blocks it any more");
    assert_eq!(held(lab, "feed:two"), set(&["203.0.113.10"]));
    // What the operator blocks is his own, and stays.
    lab.fw(&["block", "203.0.113.10"]).must(0);
    lab.fw(&["feed", "del", "two"]).must(0);
    let blocks = lab.prefixes("blocks");
    assert!(
        blocks.contains("203.0.113.10") && !blocks.contains(V4.block),
        "{blocks:?}"
    );
}
