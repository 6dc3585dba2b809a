//! With the real `nft`, each test in a network namespace of its own.

mod others;
mod shapes;

use std::{
    collections::BTreeMap,
    process::Command,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use fw_common::Prefix;
use nix::sched::{CloneFlags, unshare};

use super::*;
use crate::{
    plan::{
        mirror::{MirrorPlan, SetChange},
        ruleset::{LimitRow, PortRow, Ruleset},
    },
    policy::{
        guard::Guard,
        rate::Per,
        rule::{RuleId, Verdict},
        rules::Base,
        time::BootSecs,
    },
};

/// Runs something in a network namespace that nobody else sees.
fn alone(test: impl FnOnce() + Send + 'static) {
    let alone = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).expect("these tests run as root");
        test();
    });
    if let Err(panic) = alone.join() {
        std::panic::resume_unwind(panic);
    }
}

fn sh(script: &str) -> String {
    let done = Command::new("sh")
        .args(["-ec", script])
        .output()
        .expect("sh");
    assert!(done.status.success(), "{script}: {done:?}");
    String::from_utf8(done.stdout).expect("text")
}

fn element(text: &str, deadline: Option<BootSecs>) -> Element {
    Element {
        prefix: text.parse().expect("a prefix"),
        deadline,
    }
}

fn hosts(texts: &[&str]) -> Vec<Element> {
    texts.iter().map(|text| element(text, None)).collect()
}

fn ruleset() -> Ruleset {
    Ruleset {
        observe: false,
        forward: false,
        base: Base {
            default: Verdict::Drop,
            drop_invalid: true,
        },
        limits: Vec::new(),
        ports: vec![port(1, "tcp/22", Some("10.0.0.0/8"))],
    }
}

fn port(id: u32, service: &str, source: Option<&str>) -> PortRow {
    PortRow {
        id: RuleId(id),
        service: service.parse().expect("a service"),
        source: source.map(|text| text.parse().expect("a prefix")),
        verdict: Verdict::Accept,
    }
}

fn limit(id: u32, sources: &[&str], rate: &str, burst: u32, per: Per) -> LimitRow {
    LimitRow {
        id: RuleId(id),
        service: "tcp/22,8000-8100".parse().expect("a service"),
        sources: sources
            .iter()
            .map(|text| text.parse().expect("a prefix"))
            .collect(),
        rate: rate.parse().expect("a rate"),
        burst,
        per,
    }
}

/// Reserved addresses are guarded in any case.
fn guarded() -> Vec<Element> {
    let guard = Guard::default();
    let element = |(prefix, _)| Element {
        prefix,
        deadline: None,
    };
    guard.iter().map(element).collect()
}

fn whole(block: Vec<Element>, ruleset: Ruleset) -> CheckedMirror {
    let sets = [
        (SetName::Guard, SetChange::Replace(guarded())),
        (
            SetName::Allow,
            SetChange::Replace(hosts(&["198.51.100.0/25"])),
        ),
        (SetName::Block, SetChange::Replace(block)),
    ];
    checked(sets.into(), Some(ruleset))
}

fn edit(edits: Vec<(&str, Option<Element>)>) -> CheckedMirror {
    let edits = edits
        .into_iter()
        .map(|(text, element)| (text.parse().expect("a prefix"), element));
    checked(
        [(SetName::Block, SetChange::Edit(edits.collect()))].into(),
        None,
    )
}

fn rules(ruleset: Ruleset) -> CheckedMirror {
    checked(BTreeMap::new(), Some(ruleset))
}

fn checked(sets: BTreeMap<SetName, SetChange>, ruleset: Option<Ruleset>) -> CheckedMirror {
    let ruleset = ruleset.map(Arc::new);
    let plan = MirrorPlan { sets, ruleset };
    plan.check(&Guard::default()).expect("the guard is whole")
}

/// The daemon's way: what stands there afterwards is what it expects to find.
fn apply(mirror: &mut Nftables, plan: &CheckedMirror) -> Observed {
    mirror.apply(plan, clock::now()).expect("nft takes it");
    mirror.observe().expect("nft shows it")
}

/// What a set holds.
fn held(mirror: &mut Nftables, set: SetName) -> Vec<Element> {
    let mut sets = mirror.elements(clock::now()).expect("nft shows them");
    sets.remove(&set).unwrap_or_default()
}

/// What is blocked. An end within two seconds of `end` is that: `nft` prints whole seconds.
fn blocked(mirror: &mut Nftables, end: BootSecs) -> Vec<(String, Option<BootSecs>)> {
    let elements = held(mirror, SetName::Block);
    let round = |found: BootSecs| match found.0.abs_diff(end.0) <= 2 {
        true => end,
        false => found,
    };
    elements
        .into_iter()
        .map(|held| (held.prefix.to_string(), held.deadline.map(round)))
        .collect()
}

fn prefixes(mirror: &mut Nftables) -> Vec<String> {
    let elements = held(mirror, SetName::Block).into_iter();
    elements.map(|held| held.prefix.to_string()).collect()
}

#[test]
fn what_was_put_is_there_with_its_end_and_stays() {
    alone(|| {
        let mut mirror = Nftables::new();
        let end = clock::now().after(Duration::from_secs(90_000));
        let block = vec![
            element("192.0.2.0/24", Some(end)),
            element("192.0.2.1", None),
            element("2001:db8::/48", Some(end)),
        ];
        let observed = apply(&mut mirror, &whole(block, ruleset()));
        assert_eq!(
            observed.counts.into_values().collect::<Vec<_>>(),
            [guarded().len(), 1, 3]
        );
        let shown = observed.lines.join("\n");
        assert!(shown.contains("ip saddr & 255.255.255.0 == @block4_24 counter drop\n"));
        assert!(shown.contains("ip saddr 10.0.0.0/8 tcp dport 22 accept comment \"rule 1\"\n"));
        assert!(shown.contains("hook input priority filter - 1; policy accept;\njump fwctl"));
        let expected = [
            ("192.0.2.0/24", Some(end)),
            ("192.0.2.1", None),
            ("2001:db8::/48", Some(end)),
        ];
        assert_eq!(
            blocked(&mut mirror, end),
            expected.map(|(text, end)| (text.to_owned(), end))
        );
        assert_eq!(held(&mut mirror, SetName::Guard), guarded());
    });
}

#[test]
fn an_edit_asks_nothing_back_and_a_look_finds_what_it_says() {
    alone(|| {
        let mut mirror = Nftables::new();
        let before = apply(
            &mut mirror,
            &whole(hosts(&["192.0.2.1", "192.0.2.2"]), ruleset()),
        );
        let end = clock::now().after(Duration::from_secs(600));
        let plan = edit(vec![
            ("192.0.2.1", Some(element("192.0.2.1", Some(end)))),
            ("192.0.2.2", None),
            ("192.0.2.3", Some(element("192.0.2.3", None))),
            ("192.0.2.4", None),
        ]);
        mirror.apply(&plan, clock::now()).expect("nft takes it");
        assert!(mirror.known.is_some(), "our change was the only one");
        let told = mirror.observe().expect("known");
        assert_eq!(told, before);
        mirror.known = None;
        assert_eq!(mirror.observe().expect("nft shows it"), told);
        let expected = [
            ("192.0.2.1".to_owned(), Some(end)),
            ("192.0.2.3".to_owned(), None),
        ];
        assert_eq!(blocked(&mut mirror, end), expected);

        mirror
            .apply(&edit(Vec::new()), clock::now())
            .expect("nothing to do");
        assert!(mirror.known.is_some());
        sh("nft add table inet mine");
        mirror
            .apply(&edit(vec![("192.0.2.3", None)]), clock::now())
            .expect("nft takes it");
        assert!(mirror.known.is_none(), "somebody else was there before it");
    });
}

#[test]
fn a_new_length_and_other_rules_are_taken_in_and_buckets_stay() {
    alone(|| {
        let mut mirror = Nftables::new();
        let limited = Ruleset {
            limits: vec![
                limit(2, &[], "10/minute", 20, Per::Source),
                limit(3, &["10.0.0.0/8", "2001:db8::/32"], "5/second", 9, Per::All),
            ],
            ..ruleset()
        };
        apply(&mut mirror, &whole(hosts(&["192.0.2.1"]), limited.clone()));
        // As a packet would make them.
        sh(
            "nft 'add element inet fwctl limit4_2_10_minute_20 { 10.9.9.9 limit rate over 10/minute burst 20 packets }'",
        );
        let bucket = || sh("nft list set inet fwctl limit4_2_10_minute_20").contains("10.9.9.9");

        let plan = edit(vec![(
            "198.51.100.0/24",
            Some(element("198.51.100.0/24", None)),
        )]);
        let observed = apply(&mut mirror, &plan).lines.join("\n");
        assert!(observed.contains("ip saddr & 255.255.255.0 == @block4_24 counter drop"));
        assert!(bucket());
        assert_eq!(prefixes(&mut mirror), ["192.0.2.1", "198.51.100.0/24"]);

        let other = Ruleset {
            ports: vec![port(7, "udp/53", None)],
            forward: true,
            ..limited.clone()
        };
        let observed = apply(&mut mirror, &rules(other)).lines.join("\n");
        assert!(observed.contains("udp dport 53 accept comment \"rule 7\""));
        assert!(!observed.contains("rule 1\""));
        assert!(observed.contains("type filter hook forward priority filter - 1; policy accept;"));
        assert!(bucket());
        assert_eq!(prefixes(&mut mirror), ["192.0.2.1", "198.51.100.0/24"]);

        let slower = Ruleset {
            limits: vec![limit(2, &[], "9/minute", 20, Per::Source)],
            ..limited
        };
        let observed = apply(&mut mirror, &rules(slower)).lines.join("\n");
        assert!(observed.contains("set limit4_2_9_minute_20 {"));
        for gone in ["10_minute", "limit_3", "forward"] {
            assert!(!observed.contains(gone), "{gone}");
        }
    });
}

#[test]
fn networks_within_each_other_end_each_at_its_time() {
    alone(|| {
        let mut mirror = Nftables::new();
        let now = clock::now();
        let end = |secs| Some(now.after(Duration::from_secs(secs)));
        let (short, long) = (end(4), end(100));
        let block = vec![
            element("192.0.2.0/24", None),
            element("192.0.2.0/25", short),
            element("192.0.2.0/26", long),
            element("192.0.2.0", short),
        ];
        let before = apply(&mut mirror, &whole(block, ruleset()));
        assert_eq!(prefixes(&mut mirror).len(), 4);
        let started = Instant::now();
        while prefixes(&mut mirror).len() > 2 {
            assert!(
                started.elapsed() < Duration::from_secs(10),
                "they do not end"
            );
            thread::sleep(Duration::from_millis(50));
        }
        let left = [
            ("192.0.2.0/24".to_owned(), None),
            ("192.0.2.0/26".to_owned(), long),
        ];
        assert_eq!(blocked(&mut mirror, long.expect("an end")), left);
        let due = Duration::from_secs(short.expect("an end").0.into());
        let late = clock::now().boot;
        assert!(late >= due, "they end at {late:?}, before {due:?}");
        assert_eq!(
            mirror.observe().expect("known"),
            before,
            "nobody has touched it"
        );
        mirror.known = None;
        assert_eq!(
            mirror.observe().expect("nft shows it"),
            before,
            "nobody has touched it"
        );
    });
}
