use clap::CommandFactory;

use super::*;

fn parse(arguments: &[&str]) -> Result<Args, clap::Error> {
    Args::try_parse_from([&["fw-ctl"], arguments].concat())
}

/// Every verb that people type, also those of verbs, with the path to it.
fn verbs(command: &clap::Command, path: &str) -> Vec<(String, clap::Command)> {
    let mut found = Vec::new();
    for verb in command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help" && !verb.is_hide_set())
    {
        let path = format!("{path} {}", verb.get_name());
        found.push((path.clone(), verb.clone()));
        found.extend(verbs(verb, &path));
    }
    found
}

#[test]
fn the_declaration_of_the_arguments_is_sound() {
    Args::command().debug_assert();
}

#[test]
fn every_verb_has_an_example_that_parses() {
    for (path, verb) in verbs(&Args::command(), "fw-ctl") {
        let help = verb
            .get_after_help()
            .unwrap_or_else(|| panic!("{path} has no example"));
        let help = help.to_string();
        let example = help.strip_prefix("Example:\n  ").expect(&path);
        let ours = example
            .find(&path)
            .unwrap_or_else(|| panic!("{path}: {example}"));
        let words = example[ours..]
            .split(['|', '>', '&'])
            .next()
            .unwrap_or_default();
        let words = words.replace("'ssh brute force'", "text");
        let parsed = Args::try_parse_from(words.split_whitespace());
        assert!(parsed.is_ok(), "{path}: {words}: {parsed:?}");
    }
}

#[test]
fn global_flags_stand_before_or_after_the_verb() {
    for arguments in [
        [
            "-n", "-j", "-q", "-y", "-vv", "--socket", "/s", "--color", "never", "status",
        ],
        [
            "status", "-n", "-j", "-q", "-y", "-vv", "--socket", "/s", "--color", "never",
        ],
        [
            "-n", "-j", "-q", "status", "-y", "-vv", "--socket", "/s", "--color", "never",
        ],
    ] {
        let global = parse(&arguments).expect("good arguments").global;
        assert!(
            global.dry_run && global.quiet && global.yes,
            "{arguments:?}"
        );
        assert_eq!(global.format(), Format::Json, "{arguments:?}");
        assert_eq!(
            (global.verbose, global.color),
            (2, ColorChoice::Never),
            "{arguments:?}"
        );
        assert_eq!(global.socket, PathBuf::from("/s"), "{arguments:?}");
    }
}

#[test]
fn the_aliases_are_the_verbs() {
    for (alias, verb) in [
        ("ban", "Block"),
        ("deny", "Block"),
        ("unban", "Unblock"),
        ("del", "Unblock"),
    ] {
        let verb_of = format!("{:?}", parse(&[alias, "192.0.2.1"]).expect(alias).verb);
        assert!(
            verb_of.starts_with(&format!("{verb}(")),
            "{alias}: {verb_of}"
        );
    }
}

#[test]
fn arguments_that_make_no_sense_are_refused() {
    for arguments in [
        &["block"][..],
        &["block", "192.0.2.1", "--ttl", "0"],
        &["block", "192.0.2.1", "--ttl", "5y"],
        &["block", "192.0.2.1", "--list", "no spaces"],
        &["import"],
        &["import", "f", "--format", "xml"],
        &["import", "f", "--action", "drop"],
        &["run", "-m", "fast"],
        &["why", "192.0.2.1", "--vlan", "4095"],
        &["why", "192.0.2.1", "--proto", "sctp"],
        &["scan", "set"],
        &["scan", "set", "--mode", "on"],
        &["scan", "set", "--ports", "many"],
        &["scan", "set", "--ttl", "never"],
        &["scan", "set", "--window", "0"],
        &["scan", "reset", "--ports", "10"],
        &["port", "add", "tcp/22"],
        &["port", "add", "tcp/22", "--accept", "--drop"],
        &["port", "add", "22", "--accept"],
        &["port", "add", "tcp", "22", "--accept"],
        &["port", "add", "--accept"],
        &[
            "port",
            "add",
            "tcp/22",
            "--accept",
            "--hours",
            "09:00-17:00",
        ],
        &["port", "tcp/22", "--accept"],
        &["port", "del"],
        &["port", "del", "tcp/22"],
        &["limit", "add", "tcp/443"],
        &["limit", "add", "tcp/443", "10/minute"],
        &["limit", "add", "tcp/443", "--rate", "10"],
        &["limit", "add", "tcp/443", "--rate", "0/second"],
        &[
            "limit", "add", "tcp/443", "--rate", "9/second", "--burst", "0",
        ],
        &[
            "limit", "add", "tcp/443", "--rate", "9/second", "--burst", "10001",
        ],
        &[
            "limit", "add", "tcp/443", "--rate", "9/second", "--per", "port",
        ],
        &[
            "limit",
            "add",
            "tcp/443",
            "--rate",
            "9/second",
            "--adaptive",
        ],
        &[
            "limit", "add", "tcp/443", "--rate", "9/second", "--floor", "1/second",
        ],
        &[
            "limit", "add", "tcp/443", "--rate", "9/second", "--days", "mon",
        ],
        &["schedule", "add", "tcp/22"],
        &["schedule", "add", "tcp/22", "--hours", "9-17"],
        &[
            "schedule",
            "add",
            "tcp/22",
            "--hours",
            "09:00-17:00",
            "--days",
            "monday",
        ],
        &[
            "schedule",
            "add",
            "tcp/22",
            "--hours",
            "09:00-17:00",
            "--zone",
            "CET/CEST",
        ],
        &["default", "deny"],
        &["default", "--drop-invalid", "yes"],
        &["default", "--drop-invalid"],
        &["apply"],
        &["apply", "policy.toml", "--confirm", "0"],
        &["apply", "policy.toml", "--confirm", "never"],
        &["apply", "policy.toml", "--confirm", "4294967296"],
        &["confirm", "60"],
        &["status", "-j", "-o", "human"],
        &["webhook", "add", "pager"],
        &[
            "webhook",
            "add",
            "pager",
            "https://a/",
            "--events",
            "blocks",
        ],
        &["webhook", "add", "pager", "https://a/", "--lists", "a b"],
        &[
            "webhook",
            "add",
            "pager",
            "https://a/",
            "--min-ttl",
            "never",
        ],
        &["webhook", "add", "pager", "https://a/", "--format", "xml"],
        &[
            "webhook",
            "add",
            "pager",
            "https://a/",
            "--secret",
            "whsec_",
        ],
        &["webhook", "del"],
        &["webhook", "test"],
        &["frobnicate"],
    ] {
        let error = parse(arguments).expect_err(&arguments.join(" "));
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
    }
}

#[test]
fn the_forms_of_rules_and_policies_are_taken() {
    for arguments in [
        &["port", "add", "tcp/22", "--accept"][..],
        &[
            "port",
            "add",
            "--drop",
            "udp/53,5353-5355",
            "--ttl",
            "1h30m",
        ],
        &[
            "port",
            "add",
            "tcp/22",
            "--from",
            "192.0.2.0/24",
            "--from",
            "::1",
            "--accept",
        ],
        &["port"],
        &["port", "del", "7"],
        &["limit", "add", "tcp", "--rate", "10/min", "--per", "all"],
        &[
            "limit",
            "add",
            "tcp/443",
            "--rate",
            "60/minute",
            "--adaptive",
            "--floor",
            "10/minute",
            "--ceiling",
            "100/minute",
            "--burst",
            "10000",
        ],
        &[
            "limit",
            "add",
            "udp/53",
            "--rate",
            "9/s",
            "--hours",
            "22:00-06:00",
        ],
        &["schedule", "add", "tcp/8080", "--hours", "09:00-17:00"],
        &[
            "schedule",
            "add",
            "tcp/8080",
            "--drop",
            "--zone",
            "Europe/Berlin",
            "--days",
            "sat-sun",
            "--hours",
            "00:00-24:00",
            "--from",
            "192.0.2.1-192.0.2.9",
        ],
        &["default"],
        &["default", "drop", "--drop-invalid", "off"],
        &["list", "rules", "--contains", "192.0.2.1"],
        &["apply", "-", "--confirm", "60"],
        &["apply", "--confirm", "2m", "policy.toml", "-n"],
        &["confirm", "-n"],
        &["rollback", "-n"],
        &["diff", "-j"],
        &["repair"],
    ] {
        let parsed = parse(arguments);
        assert!(parsed.is_ok(), "{arguments:?}: {parsed:?}");
    }
}

#[test]
fn a_mistake_is_answered_with_the_example_of_the_verb() {
    let told = |arguments: &[&str]| {
        let error = parse(arguments).expect_err("a mistake");
        let arguments = [&["fw-ctl"], arguments].concat();
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        with_example(error, &arguments).render().to_string()
    };
    for (arguments, verb) in [
        (&["port", "add", "tcp", "22"][..], "port add tcp/22 --from"),
        (&["-n", "port", "add", "22"], "port add tcp/22 --from"),
        (&["port", "add", "tcp/22"], "port add tcp/22 --from"),
        (&["port", "open", "tcp/22"], "port add tcp/22 --accept"),
        (
            &["limit", "add", "tcp/443", "10/minute"],
            "limit add tcp/443 --rate",
        ),
        (
            &["schedule", "add", "09:00-17:00"],
            "schedule add tcp/8080 --hours",
        ),
        (&["ban"], "block 192.0.2.7"),
        (&["ban", "192.0.2.1", "--ttl=-1"], "block 192.0.2.7"),
    ] {
        let text = told(arguments);
        let tip = format!("tip: it is written like: fw-ctl {verb}");
        assert!(text.contains(&tip), "{arguments:?}: {text}");
    }
    assert!(!told(&["frobnicate"]).contains("it is written like"));
    let two = told(&["port", "add", "-x"]);
    assert!(
        two.contains("as a value") && two.contains("it is written like"),
        "{two}"
    );
}

#[test]
fn even_senseless_arguments_say_whether_they_want_json() {
    let wants = |arguments: &[&str]| {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        wants_json(&arguments)
    };
    assert!(wants(&["fw-ctl", "-j", "block"]));
    assert!(wants(&[
        "fw-ctl",
        "block",
        "192.0.2.1",
        "--ttl",
        "x",
        "--json"
    ]));
    assert!(wants(&["fw-ctl", "block", "-o", "json"]));
    assert!(wants(&["fw-ctl", "-qj", "frobnicate"]));
    assert!(!wants(&["fw-ctl", "block", "-o", "human"]));
    assert!(!wants(&["fw-ctl", "--just", "json"]));
    assert!(!wants(&["fw-ctl", "frobnicate"]));
}
