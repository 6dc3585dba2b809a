//! The verbs do what they say and end with the code that is written down.

use std::net::Ipv4Addr;

use fw_ctl::{
    api::wire::{Entry, Items},
    cli::client::Client,
};
use fw_tests::lab::{
    Lab,
    address::{FAMILIES, V4},
    command::Fw,
};
use serde_json::Value;

#[test]
fn blocking_twice_is_success_may_extend_the_end_and_is_exit_10_when_strict() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let left = || lab.entry("blocks", V4.block).expect("an entry")["ttl_s"].clone();
    lab.fw(&["block", V4.block, "--ttl", "1h"]).must(0);
    lab.fw(&["block", V4.block, "--ttl", "1h"]).must(0);
    lab.fw(&["block", V4.block, "--ttl", "2h"]).must(0);
    assert!(
        left().as_u64().is_some_and(|left| left > 7_100),
        "{}",
        left()
    );
    lab.fw(&["block", V4.block, "--strict"]).must(10);
    assert_ne!(left(), Value::Null, "a refused command changed the end");
    lab.fw(&["block", V4.block]).must(0);
    assert_eq!(left(), Value::Null, "without end");
    for _ in 0..2 {
        lab.fw(&["unblock", V4.block]).must(0);
    }
}

#[test]
fn aliases_and_ranges_and_durations_are_understood() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    for (blocks, unblocks) in [("ban", "unban"), ("deny", "del")] {
        for net in FAMILIES {
            let range = format!("{}-{}", net.first, net.last);
            lab.fw(&[blocks, &range, "--ttl", "1h30m"]).must(0);
            assert!(
                lab.entry("blocks", net.block).is_some(),
                "{range} is {}",
                net.block
            );
            assert_eq!(lab.arriving(&net.inside()), [] as [std::net::IpAddr; 0]);
            lab.fw(&[unblocks, &range]).must(0);
            assert_eq!(lab.arriving(&net.inside()), net.inside());
        }
    }
    for bad in ["", "1", "x", "-1s", "1y", "36526d", "99999999999999999999s"] {
        let code = if bad == "1" { 0 } else { 2 };
        lab.fw(&["block", "198.51.100.1", &format!("--ttl={bad}")])
            .must(code);
    }
}

#[test]
fn dry_run_changes_nothing() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    let before = lab.prefixes("blocks");
    let commands: [&[&str]; 5] = [
        &["block", "198.51.100.1"],
        &["allow", "198.51.100.1"],
        &["unblock", V4.block],
        &["flush", "local"],
        &["guard", "add", V4.block],
    ];
    for command in commands {
        lab.fw(&[command, &["--dry-run"]].concat()).must(0);
        assert_eq!(lab.prefixes("blocks"), before, "{command:?}");
        assert!(!lab.arrives(V4.blocked), "{command:?}");
    }
    assert!(lab.entries("allows").is_empty());
    Fw::new(&lab).inside(&["detach", "--dry-run"]).must(0);
    assert!(!lab.arrives(V4.blocked), "detach");
}

#[test]
fn prefix_in_two_lists_is_blocked_until_it_leaves_the_last() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    for net in FAMILIES {
        lab.fw(&["block", net.block, "--list", "feed"]).must(0);
        lab.fw(&["block", net.block, "--list", "partner"]).must(0);
    }
    lab.fw(&["flush", "feed", "--yes"]).must(0);
    for net in FAMILIES {
        assert!(!lab.arrives(net.blocked), "partner still has it");
    }
    lab.fw(&["flush", "partner", "--yes"]).must(0);
    for net in FAMILIES {
        assert!(lab.arrives(net.blocked));
    }
}

#[test]
fn list_shows_what_covers_an_address_and_export_is_what_import_reads() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    for net in FAMILIES {
        lab.fw(&["block", net.block, "--comment", "a note"]).must(0);
        lab.fw(&["allow", &net.allowed.to_string(), "--ttl", "1d"])
            .must(0);
        let covering = lab.json(&["list", "blocks", "--contains", &net.blocked.to_string()]);
        assert_eq!(covering["total"], 1, "{covering}");
        assert_eq!(covering["items"][0]["prefix"], net.block);
        let none = lab.json(&["list", "blocks", "--contains", &net.free.to_string()]);
        assert_eq!(none["total"], 0, "{none}");
    }
    let both = ["block", "allow"];
    let exported = both.map(|action| lab.fw(&["export", "local", "--action", action]).must(0));
    lab.fw(&["flush", "local", "--yes"]).must(0);
    assert!(lab.arrives(V4.blocked));
    for (action, exported) in both.into_iter().zip(exported) {
        let import = Fw::new(&lab).input(exported.stdout);
        import.run(&["import", "-", "--action", action]).must(0);
    }
    for net in FAMILIES {
        assert!(!lab.arrives(net.blocked) && lab.arrives(net.allowed));
        let entry = lab.entry("blocks", net.block).expect("an entry");
        assert_eq!(entry["comment"], "a note");
        let entry = lab
            .entry("allows", &net.allowed.to_string())
            .expect("an entry");
        assert!(
            entry["ttl_s"].as_u64().is_some_and(|left| left > 86_000),
            "{entry}"
        );
    }
}

#[test]
fn list_of_many_pages_shows_every_entry_once() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let hosts = (0..50_000u32).map(|host| Ipv4Addr::from(0x1e00_0000 + 3 * host));
    let lines: String = hosts.map(|host| format!("{host}\n")).collect();
    for list in ["one", "two"] {
        // Where a page may end, a prefix stands in both.
        let import = Fw::new(&lab).input(lines.clone());
        import.run(&["import", "-", "--list", list]).must(0);
    }
    for (words, expected) in [(&["list"][..], 100_000), (&["list", "two"], 50_000)] {
        let listed = lab.fw(words).must(0).stdout;
        let mut rows: Vec<_> = listed.lines().collect();
        assert_eq!(rows.len(), 1 + expected);
        assert!(rows[0].starts_with("PREFIX"), "{}", rows[0]);
        rows.sort_unstable();
        rows.dedup();
        assert_eq!(rows.len(), 1 + expected, "a row is there twice");
    }
    let shown = lab.json(&["list", "two"]);
    assert_eq!(shown["total"], 50_000);

    let client = Client::new(lab.socket());
    let page: Items<Entry> = client
        .get("/blocks?limit=1&after=30.0.0.0")
        .expect("a page");
    let found: Vec<_> = page
        .items
        .iter()
        .map(|item| (&*item.prefix, &*item.list))
        .collect();
    assert_eq!(found, [("30.0.0.3", "one"), ("30.0.0.3", "two")]);
    assert_eq!(page.total, 2 * 49_999);
    for refused in [
        "/lists/two?after=30.0.0.0",
        "/blocks?after=x",
        "/blocks?after=::&contains=::1",
    ] {
        client.get::<Items<Entry>>(refused).expect_err(refused);
    }
}

#[test]
fn json_is_one_object_on_stdout_and_an_error_has_its_code() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let verbs: [&[&str]; 7] = [
        &["status"],
        &["block", V4.block],
        &["list"],
        &["check", "198.51.100.1"],
        &["why", "198.51.100.1"],
        &["guard"],
        &["unblock", V4.block],
    ];
    for verb in verbs {
        assert!(lab.json(verb).is_object(), "{verb:?}");
    }
    let refused = lab.fw(&["block", "0.0.0.0/0", "--json"]).must(5);
    let error: Value = serde_json::from_str(&refused.stderr).expect("the error is JSON");
    assert_eq!(error["error"]["code"], "guard_refused");
    assert_eq!(refused.stdout, "");
}
