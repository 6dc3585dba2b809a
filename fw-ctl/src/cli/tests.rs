use clap::CommandFactory;

use super::*;

fn parse(arguments: &[&str]) -> Result<Args, clap::Error> {
    Args::try_parse_from([&["fw-ctl"], arguments].concat())
}

/// Every verb, also those of verbs, with the path to it.
fn verbs(command: &clap::Command, path: &str) -> Vec<(String, clap::Command)> {
    let mut found = Vec::new();
    for verb in command
        .get_subcommands()
        .filter(|verb| verb.get_name() != "help")
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
        &["status", "-j", "-o", "human"],
        &["frobnicate"],
    ] {
        let error = parse(arguments).expect_err(&arguments.join(" "));
        assert_eq!(error.exit_code(), 2, "{arguments:?}");
    }
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
