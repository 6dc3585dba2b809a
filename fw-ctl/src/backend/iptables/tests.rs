//! The real tools, in a network namespace of each test's own.

use std::{
    collections::BTreeMap,
    fs::File,
    process::Command,
    time::{Duration, Instant},
};

use fw_common::Prefix;
use nix::{
    fcntl::{Flock, FlockArg},
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use super::*;
use crate::{
    plan::{
        mirror::MirrorPlan,
        ruleset::{LimitRow, PortRow},
    },
    policy::{
        guard::Guard,
        rate::Per,
        rule::{RuleId, Verdict},
        rules::Base,
        time::{BootSecs, WallSecs},
    },
};

mod harm;
mod plans;

const NOW: Now = Now {
    boot: Duration::from_secs(1_000),
    wall: WallSecs(0),
};

/// Runs where nothing is: no rules, no sets, and a lock of iptables that nobody else of this machine
/// waits for. Needs root.
fn alone(test: impl FnOnce() + Send + 'static) {
    let inside = move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("root may");
        let none = None::<&str>;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(none, "/", none, private, none).expect("mounts are our own");
        mount(none, "/run", Some("tmpfs"), MsFlags::empty(), none).expect("/run is our own");
        test();
    };
    let ended = thread::spawn(inside).join();
    assert!(ended.is_ok(), "it failed inside");
}

/// [`alone`], with each variant.
fn each(test: fn(Variant)) {
    for variant in Variant::ALL {
        alone(move || test(variant));
    }
}

fn element(prefix: &str, deadline: Option<u32>) -> Element {
    Element {
        prefix: prefix.parse().expect(prefix),
        deadline: deadline.map(BootSecs),
    }
}

fn checked(plan: MirrorPlan) -> CheckedMirror {
    plan.check(&Guard::default()).expect("nobody is locked out")
}

fn ruleset(forward: bool) -> Ruleset {
    let port = |id, service: &str, source: Option<&str>, verdict| PortRow {
        id: RuleId(id),
        service: service.parse().expect(service),
        source: source.map(|text| text.parse().expect(text)),
        verdict,
    };
    let limit = |id, rate: &str, burst, per, sources: &[&str]| LimitRow {
        id: RuleId(id),
        service: "tcp/22,80".parse().expect("a service"),
        sources: sources
            .iter()
            .map(|text| text.parse().expect(text))
            .collect(),
        rate: rate.parse().expect(rate),
        burst,
        per,
    };
    let protocols = "udp icmp igmp ipip gre esp ah ospf vrrp sctp".split(' ');
    let whole_protocols = (100..)
        .zip(protocols)
        .map(|(id, name)| port(id, name, None, Verdict::Accept));
    let sources = ["192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0", "::/0"];
    let named = [
        port(1, "tcp/22", Some(sources[0]), Verdict::Accept),
        port(2, "udp/53,5000-6000", Some(sources[1]), Verdict::Drop),
        port(3, "tcp/1-65535", Some(sources[2]), Verdict::Accept),
        port(4, "udp", Some(sources[3]), Verdict::Accept),
        port(
            5,
            "tcp/1,3,5,7,9,11,13,15,17,19,21,23,25,27-29",
            None,
            Verdict::Drop,
        ),
    ];
    Ruleset {
        observe: false,
        forward,
        base: Base {
            default: Verdict::Drop,
            drop_invalid: true,
        },
        // The fastest and slowest that a policy can have, with the largest bursts.
        limits: vec![
            limit(11, "10000/second", 10_000, Per::Source, &[]),
            limit(12, "864000000/day", 10_000, Per::All, &sources),
            limit(13, "1/day", 1, Per::Source, &[]),
            limit(14, "7/day", 5, Per::Source, &sources[..2]),
            limit(15, "9999/second", 1, Per::Source, &[]),
            limit(16, "1/hour", 24, Per::All, &[]),
        ],
        ports: named.into_iter().chain(whole_protocols).collect(),
    }
}

fn whole(forward: bool, blocks: Vec<Element>) -> CheckedMirror {
    let mut guard = vec![element("10.0.0.0/24", None), element("fd00::/64", None)];
    let reserved = Guard::default();
    guard.extend(reserved.iter().map(|(prefix, _)| Element {
        prefix,
        deadline: None,
    }));
    checked(MirrorPlan {
        sets: BTreeMap::from([
            (SetName::Guard, SetChange::Replace(guard)),
            (SetName::Allow, SetChange::Replace(Vec::new())),
            (SetName::Block, SetChange::Replace(blocks)),
        ]),
        ruleset: Some(Arc::new(ruleset(forward))),
    })
}

fn only_chains(forward: bool) -> CheckedMirror {
    checked(MirrorPlan {
        ruleset: Some(Arc::new(ruleset(forward))),
        ..MirrorPlan::default()
    })
}

fn sh(script: &str) -> String {
    let ran = Command::new("sh").args(["-ec", script]).output();
    let ran = ran.expect("sh starts");
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{script}: {said}");
    String::from_utf8(ran.stdout).expect("text")
}

/// `iptables-nft`
fn command(variant: Variant, family: Family) -> String {
    let save = variant.tool(family, "save");
    save.trim_end_matches("-save").to_owned()
}

/// Rules as another program might have them, around ours.
fn make_foreign(variant: Variant) {
    for family in FAMILIES {
        let tool = variant.tool(family, "restore");
        sh(&format!(
            "{tool} <<'END'\n*filter\n:OTHER - [0:0]\n:DOCKER-USER - [0:0]\n\
             -A INPUT -p tcp --dport 22 -m comment --comment \"a -j FWCTL\" -j ACCEPT\n\
             -A INPUT -j OTHER\n-A FORWARD -j DOCKER-USER\n-A DOCKER-USER -j RETURN\n\
             -A OTHER -m limit --limit 3/min -j LOG --log-prefix \"x \\\"y\\\" \"\nCOMMIT\n\
             *mangle\n-A PREROUTING -p udp --dport 9 -j MARK --set-mark 7\nCOMMIT\nEND"
        ));
    }
    sh("ipset create other hash:ip; ipset add other 192.0.2.1");
}

/// All that is not ours, byte by byte but for dates.
fn foreign(variant: Variant) -> String {
    let mut text = String::new();
    for family in FAMILIES {
        text += &sh(&variant.tool(family, "save"));
    }
    text += &sh("ipset save other");
    let is_ours = |line: &&str| {
        line.starts_with('#')
            || render::OURS.iter().any(|chain| {
                line.starts_with(&format!(":{chain} "))
                    || line.starts_with(&format!("-A {chain}"))
                    || line.ends_with(&format!(" -j {chain}"))
            })
    };
    text.lines()
        .filter(|line| !is_ours(line))
        .collect::<Vec<_>>()
        .join("\n")
}

fn blocks() -> Vec<Element> {
    let mut blocks = vec![
        element("0.0.0.0/0", Some(1_500)),
        element("128.0.0.0/1", None),
        element("198.51.100.0/24", None),
        element("198.51.100.7", Some(4_000_000_000)),
        element("2001:db8::/32", Some(1_600)),
    ];
    blocks.sort_unstable();
    blocks
}
