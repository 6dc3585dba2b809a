//! Many at once, and others who hold the lock.

use std::{
    collections::BTreeSet,
    fs::File,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use fw_tests::lab::{
    address::FAMILIES,
    command::Reply,
    netfilter::{Backend, PROGRAMS},
};
use nix::fcntl::{Flock, FlockArg};

use super::{Layers, add, door::Door, is_kept_by, lab, start, with_each_backend};

const APPLIERS: u16 = 50;
const NEIGHBOURS: usize = 20;
/// Between two things that a neighbour does.
const PAUSE: Duration = Duration::from_millis(500);

/// All succeed, or say why not; then everybody has what he asked for.
fn fifty_appliers_beside_twenty_others_all_get_what_they_ask_for(backend: Backend) {
    let lab = lab(backend);
    let foreign = lab.foreign();
    let _daemon = start(&lab, backend, Layers::MirrorAlone);
    let (over, rounds) = (AtomicBool::new(false), AtomicU32::new(0));
    let replies: Vec<Reply> = thread::scope(|scope| {
        for number in 0..NEIGHBOURS {
            let (lab, over, rounds) = (&lab, &over, &rounds);
            let program = backend.tool(PROGRAMS[number % 2], "");
            scope.spawn(move || {
                let port = (6000 + number).to_string();
                let rule = ["INPUT", "-p", "tcp", "--dport", &port, "-j", "DROP"];
                while !over.load(Ordering::Relaxed) {
                    for verb in ["-I", "-D"] {
                        lab.tool(&program, &[&["-w", verb], &rule[..]].concat());
                        thread::sleep(PAUSE);
                    }
                    rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let apply = |number| {
            let lab = &lab;
            scope.spawn(move || {
                lab.fw(&["port", "add", &format!("tcp/{}", 5000 + number), "--drop"])
            })
        };
        let appliers: Vec<_> = (0..APPLIERS).map(apply).collect();
        let join = |applier: thread::ScopedJoinHandle<'_, Reply>| applier.join().expect("no panic");
        let replies = appliers.into_iter().map(join).collect();
        over.store(true, Ordering::Relaxed);
        replies
    });
    let rounds = rounds.into_inner() as usize;
    assert!(rounds >= NEIGHBOURS, "the others did something: {rounds}");

    for reply in &replies {
        let clear = reply.code() == Some(0) || reply.stderr.contains(backend.name());
        assert!(clear, "{reply:?}");
    }
    let succeeded = replies
        .iter()
        .filter(|reply| reply.code() == Some(0))
        .count();
    let rules: BTreeSet<u64> = lab
        .entries("rules")
        .iter()
        .filter_map(|rule| rule["id"].as_u64())
        .collect();
    assert_eq!(rules.len(), succeeded, "{replies:?}");
    for ruled in lab.ruled(backend) {
        assert_eq!(ruled, rules);
    }
    // Each neighbour went first now and then; now nobody does.
    lab.fw(&["repair"]).must(0);
    lab.fw(&["diff"]).must(0);
    assert_eq!(lab.mirror()["state"], "in step");
    assert_eq!(lab.foreign(), foreign);
}

/// Who waits too long says for what; nothing is half done, and it is tried again.
#[test]
fn held_lock_is_named_and_what_waits_for_it_is_done_later() {
    let backend = Backend::IptablesLegacy;
    let lab = lab(backend);
    let doors = [2222, 2223].map(|port| Door::tcp(&lab, port));
    // A lock of this lab's own, which keeps nobody else.
    let file = lab.directory().join("xtables.lock");
    let daemon = lab
        .daemon()
        .env("XTABLES_LOCKFILE", file.display().to_string());
    let _daemon = daemon.start();
    is_kept_by(&lab, backend);
    add(&lab, "port add tcp/2222 --drop");
    let hold = || {
        let file = File::create(&file).expect("the lock");
        Flock::lock(file, FlockArg::LockExclusive).expect("it is free")
    };

    // For a moment: whoever wants it waits.
    let held = hold();
    let began = Instant::now();
    thread::scope(|scope| {
        let change = scope.spawn(|| lab.fw(&["limit", "add", "tcp/2224", "--rate", "9/minute"]));
        thread::sleep(Duration::from_secs(1));
        drop(held);
        change.join().expect("no panic").must(0);
    });
    assert!(began.elapsed() >= Duration::from_secs(1), "it did not wait");

    // For longer than anybody waits.
    let before = (lab.entries("rules"), lab.netfilter());
    let held = hold();
    let refused = lab.fw(&["port", "add", "tcp/2223", "--drop"]).must(8);
    refused.saying("iptables-legacy").saying("lock");
    assert_eq!((lab.entries("rules"), lab.netfilter()), before);
    let net = FAMILIES[0];
    lab.fw(&["block", net.block]).must(0);
    assert!(!lab.arrives(net.blocked) && lab.arrives(net.free));
    drop(held);
    lab.mirror_in_step();
    assert_eq!(
        (lab.entries("rules"), lab.mirrored(backend, "block").len()),
        (before.0, 1)
    );
    for net in FAMILIES {
        assert!(!doors[0].admits(net.free) && doors[1].admits(net.free));
    }
    lab.fw(&["diff"]).must(0);
}

with_each_backend! {
    fifty_appliers_beside_twenty_others_all_get_what_they_ask_for
}
