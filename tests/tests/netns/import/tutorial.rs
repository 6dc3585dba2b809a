//! The tutorial's `allowlist.json`, there and back again.

use fw_tests::lab::{Lab, address::V4};
use serde_json::{Value, json};

use super::{import, written};

#[test]
fn allowlist_of_the_tutorial_comes_here_and_goes_back_with_nothing_lost_or_invented() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let blocked = V4.blocked;
    lab.fw(&["block", V4.block]).must(0);
    assert!(!lab.arrives(blocked));
    let theirs = json!({"allowed_ips": [
        {"ip": "192.0.2.1", "added": "2024-03-01T09:30:00+00:00", "comment": "office, \"main\" é"},
        {"ip": "192.0.2.7", "added": "2024-03-02T10:00:00+00:00", "comment": ""},
        {"ip": blocked.to_string(), "added": "2024-03-03T11:00:00+00:00", "comment": "monitoring"},
    ]});
    let text = serde_json::to_string_pretty(&theirs).expect("JSON");
    import(&lab, &written(&lab, text), &[]).must(0);
    assert!(lab.arrives(blocked) && !lab.arrives(V4.first));

    let ours = lab.fw(&["export", "--format", "allowlist"]).must(0).stdout;
    let ours: Value = serde_json::from_str(&ours).expect("JSON");
    let sorted = |list: &Value| {
        let mut all = list["allowed_ips"].as_array().expect("an array").clone();
        all.sort_by_key(|allowed| allowed["ip"].to_string());
        all
    };
    assert_eq!(sorted(&ours), sorted(&theirs));
    lab.fw(&["flush", "local", "--yes"]).must(0);
    import(&lab, &written(&lab, ours.to_string()), &[]).must(0);
    let again = lab.fw(&["export", "--format", "allowlist"]).must(0).stdout;
    assert_eq!(again.parse::<Value>().expect("JSON"), ours);

    // What ends is no part of a list that never forgets.
    lab.fw(&["allow", "192.0.2.9", "--ttl", "1h"]).must(0);
    let reply = lab.fw(&["export", "--format", "allowlist"]).must(0);
    assert!(!reply.stdout.contains("192.0.2.9"), "{}", reply.stdout);
    reply.saying("1 entries that end are left out");
    lab.fw(&["export", "--format", "allowlist", "--action", "block"])
        .must(2);
}
