use std::{process::Command, thread};

use nix::sched::{CloneFlags, unshare};

use super::*;

const NONE: Rules = Rules {
    any: false,
    input: false,
};
/// Of containers, or of address translation.
const SOME: Rules = Rules {
    any: true,
    input: false,
};
const FILTER: Rules = Rules {
    any: true,
    input: true,
};

/// A host with every tool, where `iptables` is the newer one.
fn live(legacy: Rules, iptables_nft: Rules, native: Rules) -> Live {
    Live {
        legacy,
        iptables_nft,
        native,
        iptables: Some("iptables v1.8.9 (nf_tables)".to_owned()),
        has_iptables_nft: true,
        has_iptables_legacy: true,
        has_ipset: true,
        has_nft: true,
        problems: Vec::new(),
    }
}

#[test]
fn the_mirror_goes_where_the_rules_are() {
    for (legacy, iptables_nft, native, choice) in [
        (FILTER, NONE, NONE, Choice::IptablesLegacy),
        (SOME, NONE, NONE, Choice::IptablesLegacy),
        (NONE, FILTER, NONE, Choice::IptablesNft),
        (NONE, SOME, FILTER, Choice::IptablesNft),
        (NONE, NONE, SOME, Choice::Nftables),
        (NONE, NONE, FILTER, Choice::Nftables),
        (NONE, NONE, NONE, Choice::IptablesNft),
    ] {
        let (chosen, why) = choose(&live(legacy, iptables_nft, native));
        assert_eq!(
            chosen, choice,
            "{legacy:?} {iptables_nft:?} {native:?}: {why}"
        );
        assert!(!why.contains("warning"), "{why}");
    }
}

#[test]
fn of_a_mixture_the_one_that_filters_is_taken_and_a_warning_given() {
    for (legacy, iptables_nft, native, choice) in [
        (FILTER, SOME, NONE, Choice::IptablesLegacy),
        (FILTER, NONE, SOME, Choice::IptablesLegacy),
        (SOME, FILTER, NONE, Choice::IptablesNft),
        (SOME, NONE, FILTER, Choice::Nftables),
        (SOME, SOME, FILTER, Choice::Nftables),
        (FILTER, FILTER, NONE, Choice::IptablesNft),
        (SOME, NONE, SOME, Choice::Nftables),
    ] {
        let (chosen, why) = choose(&live(legacy, iptables_nft, native));
        assert_eq!(
            chosen, choice,
            "{legacy:?} {iptables_nft:?} {native:?}: {why}"
        );
        assert!(
            why.contains("warning: both legacy iptables and nftables"),
            "{why}"
        );
    }
    let older = Live {
        iptables: Some("iptables v1.8.9 (legacy)".to_owned()),
        ..live(FILTER, FILTER, NONE)
    };
    assert_eq!(choose(&older).0, Choice::IptablesLegacy);
}

#[test]
fn without_rules_it_is_what_iptables_stands_for_or_what_is_installed() {
    let all = live(NONE, NONE, NONE);
    let without = |change: fn(&mut Live)| {
        let mut live = all.clone();
        change(&mut live);
        choose(&live)
    };
    let older = |live: &mut Live| live.iptables = Some("iptables v1.6.1".to_owned());
    assert_eq!(without(older).0, Choice::IptablesLegacy);
    assert_eq!(without(|live| live.iptables = None).0, Choice::Nftables);
    let (choice, why) = without(|live| live.has_ipset = false);
    assert_eq!(choice, Choice::Nftables);
    assert!(
        why.ends_with("but ipset is not installed, and nft is"),
        "{why}"
    );
    let (choice, why) = choose(&Live::default());
    assert_eq!(choice, Choice::None);
    assert_eq!(
        why,
        "nothing has rules here, but nft is not installed: install nftables, or iptables and ipset"
    );
    let (choice, why) = choose(&Live {
        has_nft: false,
        has_ipset: false,
        problems: vec!["iptables-nft-save failed".to_owned()],
        ..live(FILTER, NONE, NONE)
    });
    assert_eq!(choice, Choice::None);
    assert!(
        why.starts_with("legacy iptables has rules here, but ipset is not installed"),
        "{why}"
    );
    assert!(why.ends_with("; iptables-nft-save failed"), "{why}");
}

#[test]
fn saved_rules_are_told_from_ours_and_from_policies_that_accept() {
    for (text, rules) in [
        ("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT", NONE),
        ("*filter\n:INPUT DROP [0:0]\nCOMMIT", FILTER),
        ("*filter\n:FORWARD DROP [0:0]\nCOMMIT", SOME),
        (
            "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 192.0.2.1/32 -j DROP",
            FILTER,
        ),
        ("*filter\n-A FORWARD -j DOCKER-USER", SOME),
        ("*nat\n-A INPUT -j ACCEPT", SOME),
        (
            "*filter\n:FWCTL - [0:0]\n-A INPUT -j FWCTL\n-A FWCTL -i lo -j RETURN",
            NONE,
        ),
        (
            "*filter\n-A DOCKER-USER -j FWCTL-FORWARD\n-A FWCTL-FORWARD -j DROP",
            NONE,
        ),
        ("*filter\n-A INPUT -j FWCTL-LIKE", FILTER),
        ("", NONE),
    ] {
        assert_eq!(saved(text).rules, rules, "{text}");
    }
    let mixed = "# Table `filter' contains incompatible base-chains, use 'nft' tool to list them.\n\
                 *filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n*nat\nCOMMIT";
    assert_eq!(saved(mixed).tables, ["nat"]);
}

#[test]
fn what_is_no_listing_is_a_sentence() {
    assert!(native("nonsense", &[]).is_err());
    assert_eq!(native(r#"{"nftables": [{"metainfo": {}}]}"#, &[]), Ok(NONE));
}

/// What is live in a network namespace after a script has run in it.
fn after(script: &'static str) -> Live {
    let alone = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests run as root");
        let done = Command::new("sh")
            .args(["-ec", script])
            .output()
            .expect("sh");
        assert!(done.status.success(), "{script}: {done:?}");
        let before = state();
        let live = super::live();
        assert_eq!(state(), before, "{script}: looking makes nothing");
        live
    });
    alone.join().expect("it looks")
}

fn state() -> (Option<u32>, [String; 2]) {
    let names = LEGACY.map(|(names, _)| fs::read_to_string(names).expect("the kernel has it"));
    (generation().expect("the kernel answers"), names)
}

#[test]
fn looking_finds_who_keeps_rules_and_makes_no_table() {
    for (script, legacy, iptables_nft, native) in [
        ("true", NONE, NONE, NONE),
        ("iptables-nft -A INPUT -j DROP", NONE, FILTER, NONE),
        ("ip6tables-nft -P INPUT DROP", NONE, FILTER, NONE),
        (
            "iptables-nft -t nat -A PREROUTING -j ACCEPT",
            NONE,
            SOME,
            NONE,
        ),
        ("iptables-legacy -A INPUT -j DROP", FILTER, NONE, NONE),
        ("ip6tables-legacy -A FORWARD -j DROP", SOME, NONE, NONE),
        (
            "nft 'table inet a { chain c { type filter hook input priority 0; drop; }; }'",
            NONE,
            NONE,
            FILTER,
        ),
        (
            "nft 'table inet a { chain c { type filter hook input priority 0; policy drop; }; }'",
            NONE,
            NONE,
            FILTER,
        ),
        (
            "nft 'table ip filter { chain c { type filter hook input priority 0; drop; }; }'",
            NONE,
            NONE,
            FILTER,
        ),
        (
            "nft 'table ip a { chain c { accept; }; }'",
            NONE,
            NONE,
            SOME,
        ),
        (
            "nft 'table bridge a { chain c { accept; }; }'",
            NONE,
            NONE,
            NONE,
        ),
        (
            "nft 'table inet a { set s { type ipv4_addr; }; chain c { type filter hook input priority 0; }; }'",
            NONE,
            NONE,
            NONE,
        ),
        (
            "nft 'table inet fwctl { chain c { type filter hook input priority 0; drop; }; }'",
            NONE,
            NONE,
            NONE,
        ),
        (
            "iptables-nft -N FWCTL; iptables-nft -A INPUT -j FWCTL",
            NONE,
            NONE,
            NONE,
        ),
        (
            "iptables-legacy -A INPUT -j DROP; iptables-nft -A FORWARD -j DROP",
            FILTER,
            SOME,
            NONE,
        ),
    ] {
        let live = after(script);
        assert_eq!(
            (live.legacy, live.iptables_nft, live.native),
            (legacy, iptables_nft, native),
            "{script}"
        );
        assert_eq!(live.problems, [""; 0], "{script}");
        assert!(
            live.has_iptables_nft && live.has_iptables_legacy && live.has_ipset && live.has_nft
        );
        assert!(
            live.iptables
                .is_some_and(|version| version.starts_with("iptables v1."))
        );
    }
}
