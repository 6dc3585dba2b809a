//! The lists, where no program filters: the mirror holds them too.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use fw_tests::lab::{
    Lab,
    address::{FAMILIES, V4, V6},
    daemon::eventually,
    netfilter::Backend,
};
use serde_json::Value;

use super::{Layers, door::Door, lab, lab_with, start, take_program_off, with_each_backend};

const NOBODY: [IpAddr; 0] = [];

fn blocks_allows_and_guard_hold_without_the_program(backend: Backend) {
    let lab = lab(backend);
    let _daemon = start(&lab, backend, Layers::MirrorAlone);
    for net in FAMILIES {
        let [allowed, guarded, host] =
            [net.allowed, net.guarded, net.free].map(|host| host.to_string());
        let everyone = [
            &net.inside()[..],
            &net.outside(),
            &[net.allowed, net.guarded],
        ]
        .concat();
        assert_eq!(lab.arriving(&everyone), everyone, "before");
        lab.fw(&["block", net.block, &host]).must(0);
        let neighbours = [net.below, net.above];
        assert_eq!(lab.arriving(&everyone), neighbours, "blocked");
        lab.fw(&["allow", &allowed]).must(0);
        lab.fw(&["guard", "add", &guarded]).must(0);
        let spared = [&neighbours[..], &[net.allowed, net.guarded]].concat();
        assert_eq!(lab.arriving(&everyone), spared, "and spared");
        lab.fw(&["unallow", &allowed]).must(0);
        lab.fw(&["guard", "del", &guarded]).must(0);
        assert_eq!(lab.arriving(&everyone), neighbours, "and spared no more");
        lab.fw(&["unblock", net.block, &host]).must(0);
        assert_eq!(lab.arriving(&everyone), everyone, "after");
    }
}

fn allow_of_everything_lifts_every_block_for_as_long_as_it_stands(backend: Backend) {
    let lab = lab(backend);
    let _daemon = start(&lab, backend, Layers::MirrorAlone);
    let (everything, blocks) = (["0.0.0.0/0", "::/0"], [V4.block, V6.block]);
    lab.fw(&[&["block"], &blocks[..]].concat()).must(0);
    lab.fw(&["default", "drop"]).must(0);
    for (verb, passes) in [("allow", true), ("unallow", false)] {
        lab.fw(&[&[verb], &everything[..]].concat()).must(0);
        for net in FAMILIES {
            let sources = [net.blocked, net.free];
            let arriving = if passes { &sources[..] } else { &[] };
            assert_eq!(lab.arriving(&sources), arriving, "{verb}");
        }
        lab.fw(&["diff"]).must(0);
    }
}

fn block_ends_in_the_mirror_though_the_daemon_is_killed(backend: Backend) {
    const TTL: Duration = Duration::from_secs(3);
    let lab = lab(backend);
    let daemon = start(&lab, backend, Layers::MirrorAlone);
    let began = Instant::now();
    lab.fw(&["block", V4.block, V6.block, "--ttl", "3s"])
        .must(0);
    lab.fw(&["block", &V4.free.to_string(), "--ttl", "1h"])
        .must(0);
    daemon.kill_9();
    let blocked = [V4.blocked, V6.blocked];
    assert_eq!(lab.arriving(&blocked), NOBODY);
    eventually("the block ends", || lab.arriving(&blocked) == blocked);
    let took = began.elapsed();
    let on_time = TTL - Duration::from_secs(1)..TTL + Duration::from_secs(2);
    assert!(on_time.contains(&took), "{TTL:?} took {took:?}");
    assert!(!lab.arrives(V4.free), "one that has not ended");
}

/// Connects to ports that nobody serves.
fn scan(lab: &Lab, source: IpAddr, server: IpAddr) {
    for port in 20_000..20_040 {
        let answer = lab.connect(source, (server, port).into(), Duration::from_millis(20));
        assert!(answer.is_none(), "nobody serves it");
    }
}

fn automatic_block_stands_in_the_mirror_too(backend: Backend) {
    let lab = lab_with(backend, "[scan]\nmode = \"enforce\"\n");
    let _daemon = start(&lab, backend, Layers::Both);
    lab.wait_for_detector();
    scan(&lab, V4.blocked, V4.server);
    let source = V4.blocked.to_string();
    eventually("the scanner is blocked", || {
        lab.prefixes("auto").contains(&source)
    });
    eventually("the mirror has it", || {
        lab.mirrored(backend, "block").contains(&source)
    });
    take_program_off(&lab);
    assert_eq!(lab.arriving(&[V4.blocked, V4.free]), [V4.free]);
    lab.fw(&["unblock", &source]).must(0);
    assert_eq!(lab.arriving(&[V4.blocked, V4.free]), [V4.blocked, V4.free]);
}

fn list_of_ten_thousand_stands_in_the_mirror(backend: Backend) {
    const HOSTS: u32 = 10_000;
    let lab = lab(backend);
    let daemon = start(&lab, backend, Layers::MirrorAlone);
    let hosts = (0..HOSTS).map(|host| Ipv4Addr::from(0x6440_0000 + 2 * host).to_string());
    let hosts: Vec<String> = hosts
        .chain([V4.block.to_owned(), V6.block.to_owned()])
        .collect();
    let file = lab.directory().join("hosts");
    fs::write(&file, hosts.join("\n")).expect("the list can be written");
    lab.fw(&["import", &file.display().to_string()]).must(0);
    let expected = hosts.into_iter().collect();
    assert_eq!(lab.mirrored(backend, "block"), expected);
    for net in FAMILIES {
        assert_eq!(lab.arriving(&[net.blocked, net.free]), [net.free]);
    }
    daemon.kill_9();
    let _daemon = start(&lab, backend, Layers::MirrorAlone);
    assert_eq!(lab.mirrored(backend, "block"), expected);
    lab.fw(&["flush", "local", "--yes"]).must(0);
    assert_eq!(lab.mirrored(backend, "block").len(), 0);
}

/// Without a layer, a rule would be a lie.
fn none_takes_blocks_and_no_rules(backend: Backend) {
    let lab = Lab::new();
    lab.settle_neighbour(backend);
    fs::write(lab.config(), "[mirror]\nbackend = \"none\"\n").expect("it can be written");
    let door = Door::tcp(&lab, 2222);
    let before = lab.netfilter();
    let _daemon = lab.daemon().start();
    assert_eq!(lab.mirror()["backend"], "none");
    lab.fw(&["block", V4.block]).must(0);
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
    let refused = lab.fw(&["port", "add", "tcp/2222", "--drop"]).must(8);
    refused.saying("netfilter");
    assert!(door.admits(V4.free));
    assert_eq!(lab.entries("rules"), [] as [Value; 0]);
    assert_eq!(lab.netfilter(), before);
}

with_each_backend! {
    blocks_allows_and_guard_hold_without_the_program
    allow_of_everything_lifts_every_block_for_as_long_as_it_stands
    block_ends_in_the_mirror_though_the_daemon_is_killed
    automatic_block_stands_in_the_mirror_too
    list_of_ten_thousand_stands_in_the_mirror
}

#[test]
fn no_backend_takes_blocks_and_no_rules() {
    none_takes_blocks_and_no_rules(Backend::IptablesNft);
}
