use super::*;

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
            ["two lists", "local"],
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
