use std::time::Duration;

use super::*;
use crate::{feed::Bounds, listfile::Format, policy::entry::Action};

#[test]
fn the_whole_file_is_read() {
    let config = Config::parse(
        r#"
        interfaces = ["eth0", "eth1"]
        mode = "skb"
        observe = true
        [guard]
        prefixes = ["10.0.0.7/24"]
        discover = false
        [api]
        group = "wheel"
        [tables]
        ipv6 = 1000
        [webhooks]
        allow = ["10.0.0.5/32"]
        [[list]]
        name = "partners"
        action = "allow"
        path = "/etc/fw-ctl/partners.txt"
        "#,
    )
    .expect("a good file");
    assert_eq!(config.interfaces, ["eth0", "eth1"]);
    assert_eq!((config.mode, config.observe), (Mode::Skb, true));
    assert_eq!(config.guard.prefixes[0].to_string(), "10.0.0.0/24");
    assert!(!config.guard.discover);
    let shape = config.shape(64 << 30);
    assert_eq!((shape.ipv4, shape.ipv6), (1 << 20, 1000));
    assert_eq!(config.shape(1 << 30).ipv4, 1 << 18);
    assert_eq!(config.lists[0].action, Action::Allow);
    assert_eq!(config.webhooks.allow[0].to_string(), "10.0.0.5");
}

#[test]
fn without_a_file_the_defaults_protect() {
    let config = Config::parse("").expect("an empty file");
    assert_eq!(config, Config::default());
    assert!(config.guard.discover && !config.observe);
}

#[test]
fn a_list_comes_from_a_file_or_from_a_url() {
    let config = Config::parse(
        r#"
        [feeds]
        allow = ["10.0.0.0/24"]
        [[list]]
        name = "partners"
        action = "allow"
        path = "partners.txt"
        [[list]]
        name = "drop"
        action = "block"
        url = "https://lists.example/drop.txt"
        format = "spamhaus"
        interval = "12h"
        time_limit = "5s"
        max_bytes = 1000
        max_entries = 10
        widest_ipv4 = 16
        widest_ipv6 = 32
        "#,
    )
    .expect("a good file");
    assert_eq!(config.feeds.allow[0].to_string(), "10.0.0.0/24");
    let [partners, drop] = config.lists.as_slice() else {
        panic!("{:?}", config.lists);
    };
    assert_eq!(partners.source, Source::File("partners.txt".into()));
    assert_eq!(partners.interval, None);
    assert_eq!(drop.source.shown(), "https://lists.example/...");
    assert_eq!(drop.format, Format::Spamhaus);
    assert_eq!(drop.interval, Some(Duration::from_secs(12 * 3600)));
    let bounds = Bounds {
        bytes: 1000,
        entries: 10,
        widest_ipv4: 16,
        widest_ipv6: 32,
        time: Duration::from_secs(5),
    };
    assert_eq!(drop.bounds, bounds);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    for (text, parts) in [
        ("interfces = []", ["line 1", "interfces"]),
        ("\n[guard]\nprefixes = [\"10.0.0\"]", ["line 3", "10.0.0"]),
        ("mode = \"fast\"", ["line 1", "fast"]),
        (
            "[webhooks]\nallow = [\"10.0.0.500\"]",
            ["line 2", "10.0.0.500"],
        ),
        ("[webhooks]\nurls = []", ["line 2", "urls"]),
        (
            "[[list]]\nname = \"a b\"\naction = \"block\"\npath = \"x\"",
            ["line 2", "list name"],
        ),
        (
            "[[list]]\nname = \"x\"\naction = \"drop\"\npath = \"x\"",
            ["line 3", "drop"],
        ),
        (
            "[[list]]\nname = \"auto\"\naction = \"block\"\npath = \"x\"",
            ["line 2, column 8", "list auto is the scan detector's own"],
        ),
        (
            "[[list]]\nname = \"geo:KP\"\naction = \"block\"\npath = \"x\"",
            ["line 2, column 8", "list geo:KP is made of the countries"],
        ),
        (
            "[[list]]\nname = \"local\"\naction = \"block\"\npath = \"x\"",
            ["line 2, column 8", "list local is the operator's own"],
        ),
        (
            "[[list]]\nname = \"x\"\naction = \"block\"",
            ["line 1", "either a path or a url"],
        ),
        (
            "[[list]]\nname = \"x\"\naction = \"block\"\npath = \"x\"\nurl = \"https://x/\"",
            ["line 1", "either a path or a url"],
        ),
        (
            "[[list]]\nname = \"x\"\naction = \"block\"\nurl = \"file:///x\"",
            ["line 1", "neither https nor http"],
        ),
        (
            "[[list]]\nname = \"x\"\naction = \"block\"\npath = \"x\"\ninterval = \"1s\"",
            ["line 1", "interval is 10s to"],
        ),
        (
            "[[list]]\nname = \"x\"\naction = \"block\"\npath = \"x\"\nformat = \"xml\"",
            ["line 5", "a list format is"],
        ),
        (
            "[[list]]\nname = \"x\"\naction = \"block\"\nurl = \"http://x/\"",
            ["list x", "http is only for"],
        ),
        ("[tables]\nblocks = 5", ["line 2", "blocks"]),
        ("[tables]\nipv4 = 0", ["1 to 16777216 entries", "not 0"]),
        ("[tables]\nallows = 16777217", ["1 to", "not 16777217"]),
        ("[tables]\nlookup = \"hash\"", ["line 2", "hash"]),
    ] {
        let error = Config::parse(text).expect_err(text);
        for part in parts {
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
