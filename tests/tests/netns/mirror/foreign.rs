//! Only what is ours is touched, and nothing of it is left behind.

use std::env;

use fw_tests::lab::{
    Lab,
    address::{FAMILIES, V4},
    command::Fw,
    daemon::Daemon,
    netfilter::Backend,
};

use super::{Layers, lab_with, start, with_each_backend};

/// The same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // Knuth's MMIX.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn prefix(&mut self) -> String {
        match self.roll(3) {
            0 => format!("198.18.0.{}", 64 + self.roll(16)),
            1 => format!("100.{}.0.0/{}", 64 + self.roll(8), 16 + self.roll(9)),
            _ => format!("2001:db8:{}::/{}", self.roll(16), 48 + self.roll(17)),
        }
    }
}

/// Some change of any kind.
fn change(lab: &Lab, dice: &mut Dice) {
    let prefix = dice.prefix();
    let service = format!(
        "{}/{}",
        ["tcp", "udp"][dice.roll(2) as usize],
        5000 + dice.roll(9)
    );
    let verdict = ["--accept", "--drop"][dice.roll(2) as usize];
    let words: Vec<&str> = match dice.roll(12) {
        0 | 1 => vec!["block", &prefix],
        2 => vec!["block", &prefix, "--ttl", "2s"],
        3 => vec!["unblock", &prefix],
        4 => vec!["allow", &prefix],
        5 => vec!["unallow", &prefix],
        6 => vec!["guard", "add", &prefix],
        7 => vec!["guard", "del", &prefix],
        8 => vec!["default", ["accept", "drop"][dice.roll(2) as usize]],
        9 => vec!["limit", "add", &service, "--rate", "9/minute"],
        10 => vec!["port", "add", &service, verdict, "--from", &prefix],
        _ => {
            let rules = lab.entries("rules");
            let Some(rule) = rules.get(dice.roll(rules.len().max(1) as u64) as usize) else {
                return;
            };
            let (kind, id) = (rule["kind"].as_str(), rule["id"].to_string());
            lab.fw(&[kind.expect("a kind"), "del", &id]).must(0);
            return;
        }
    };
    let reply = lab.fw(&words);
    // Who is guarded cannot be blocked, and a rule cannot contradict another.
    let refusal = match words[0] {
        "block" => 5,
        "port" => 10,
        _ => 0,
    };
    let code = reply.code();
    assert!([0, refusal].map(Some).contains(&code), "{reply:?}");
}

/// The end of a block may be on its way at the first look.
#[track_caller]
fn nothing_differs(lab: &Lab) {
    if lab.fw(&["diff"]).code() != Some(0) {
        lab.fw(&["diff"]).must(0);
    }
}

fn rules_of_others_are_as_they_were(backend: Backend) {
    let changes = if env::var_os("FW_TEST_LONG").is_some() {
        1_000
    } else {
        60
    };
    let lab = lab_with(backend, "forward = true\n");
    let mut dice = Dice(0x5eed);
    let foreign = lab.foreign();
    let raw = lab.netfilter();
    assert_eq!(foreign, raw, "nothing of ours is there");
    assert!(foreign.len() > 40, "somebody else has rules: {foreign:#?}");

    let mut daemon = start(&lab, backend, Layers::MirrorAlone);
    for number in 1..=changes {
        change(&lab, &mut dice);
        if number % 10 == 0 {
            assert_eq!(lab.foreign(), foreign, "after {number} changes");
            nothing_differs(&lab);
        }
        if number % 15 == 0 {
            let mirror = lab.mirror();
            assert_eq!(
                mirror["drifts"], 0,
                "nobody else changed anything: {mirror}"
            );
            daemon.kill_9();
            assert_eq!(lab.foreign(), foreign, "after a crash");
            daemon = start(&lab, backend, Layers::MirrorAlone);
        }
    }
    assert!(lab.mirrored(backend, "block").len() > 3, "it did something");
    match changes % 2 {
        0 => drop(daemon),
        _ => daemon.term(),
    }
    Fw::new(&lab).inside(&["detach", "--yes"]).must(0);
    assert_eq!(lab.netfilter(), raw);
}

fn is_taken_off(backend: Backend, stop: Option<fn(Daemon<'_>)>) {
    let lab = lab_with(backend, "forward = true\n");
    let before = lab.netfilter();
    let daemon = start(&lab, backend, Layers::MirrorAlone);
    lab.fw(&["default", "drop"]).must(0);
    for (net, port) in FAMILIES.into_iter().zip(["tcp/5001", "udp/5002"]) {
        lab.fw(&["block", net.block]).must(0);
        lab.fw(&["allow", &net.allowed.to_string()]).must(0);
        lab.fw(&["port", "add", port, "--accept", "--from", net.block])
            .must(0);
        lab.fw(&["limit", "add", port, "--rate", "9/minute"])
            .must(0);
        lab.fw(&[
            "limit",
            "add",
            "tcp",
            "--from",
            net.block,
            "--rate",
            "99/minute",
            "--per",
            "all",
        ])
        .must(0);
    }
    let _alive = match stop {
        Some(stop) => {
            stop(daemon);
            None
        }
        None => Some(daemon),
    };
    assert!(
        !lab.arrives(V4.blocked) && !lab.arrives(V4.free),
        "it filters until detach"
    );
    Fw::new(&lab).inside(&["detach", "--yes"]).must(0);
    assert_eq!(lab.ours(), [] as [String; 0]);
    assert_eq!(lab.netfilter(), before);
    assert!(lab.arrives(V4.blocked) && lab.arrives(V4.free));
}

fn detach_leaves_nothing_with_the_daemon(backend: Backend) {
    is_taken_off(backend, None);
}

fn detach_leaves_nothing_without_the_daemon(backend: Backend) {
    is_taken_off(backend, Some(|daemon| daemon.kill_9()));
    is_taken_off(backend, Some(|daemon| daemon.term()));
}

/// Another backend than before takes over, and leaves nothing of the other.
#[test]
fn change_of_backend_leaves_nothing_of_the_one_before() {
    let lab = lab_with(Backend::IptablesNft, "");
    let before = lab.foreign();
    for backend in [
        Backend::IptablesNft,
        Backend::Nftables,
        Backend::IptablesNft,
    ] {
        lab.configure_mirror(backend, "");
        let daemon = start(&lab, backend, Layers::MirrorAlone);
        lab.fw(&["block", V4.block]).must(0);
        assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
        lab.fw(&["unblock", V4.block]).must(0);
        assert!(lab.arrives(V4.blocked), "the other backend's copy is gone");
        assert_eq!(lab.foreign(), before);
        daemon.term();
    }
}

with_each_backend! {
    rules_of_others_are_as_they_were
    detach_leaves_nothing_with_the_daemon
    detach_leaves_nothing_without_the_daemon
}
