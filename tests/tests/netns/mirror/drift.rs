//! What somebody changes of ours is seen, mended and counted; the rest is his.

use std::{
    thread,
    time::{Duration, Instant},
};

use fw_tests::lab::{
    Lab,
    address::{FAMILIES, V4, V6},
    netfilter::{Backend, PROGRAMS},
};

use super::{Layers, add, door::Door, lab, start, with_each_backend};

const SOON: Duration = Duration::from_secs(5);

/// What an operator does to a host that uses iptables. `$4` and `$6` are its two programs.
const OF_IPTABLES: [&str; 9] = [
    "$4 -F FWCTL",
    "$4 -D INPUT -j FWCTL; $4 -F FWCTL; $4 -X FWCTL",
    "$6 -D FWCTL 2",
    "$6 -D INPUT -j FWCTL",
    "$4 -I INPUT 1 -s 203.0.113.9 -j ACCEPT",
    "$6 -A FWCTL -j ACCEPT",
    "ipset flush fwctl-block4",
    "ipset del fwctl-block6 fd00:198:18::40/124",
    "$4 -F; $6 -F; $4 -X FWCTL; $6 -X FWCTL; ipset destroy",
];

/// The same with `nft`.
const OF_NFTABLES: [&str; 7] = [
    "nft delete table inet fwctl",
    "nft flush chain inet fwctl fwctl",
    "nft flush chain inet fwctl input",
    "nft insert rule inet fwctl fwctl accept",
    "nft flush set inet fwctl block4_28",
    "nft delete element inet fwctl block6_124 '{ fd00:198:18::40 }'",
    "nft flush ruleset",
];

fn breaks(backend: Backend) -> Vec<String> {
    let scripts = match backend {
        Backend::Nftables => OF_NFTABLES.to_vec(),
        // All that iptables has stands in tables of nftables.
        Backend::IptablesNft => [&OF_IPTABLES[..], &["nft flush ruleset"]].concat(),
        Backend::IptablesLegacy => OF_IPTABLES.to_vec(),
    };
    let [v4, v6] = ["iptables", "ip6tables"].map(|program| backend.tool(program, " -w"));
    let named = |script: &str| script.replace("$4", &v4).replace("$6", &v6);
    scripts.into_iter().map(named).collect()
}

/// Closes a port, blocks a network and allows a host in it, for both families.
fn fill(lab: &Lab) {
    add(lab, "port add tcp/2222 --drop");
    for net in FAMILIES {
        lab.fw(&["block", net.block]).must(0);
        lab.fw(&["allow", &net.allowed.to_string()]).must(0);
    }
}

/// Who gets where, with the rules of [`fill`].
#[track_caller]
fn holds(lab: &Lab, [closed, open]: &[Door<'_>; 2], after: &str) {
    for net in FAMILIES {
        assert!(!closed.admits(net.free), "{after}");
        let everyone = [net.blocked, net.allowed, net.free];
        assert_eq!(open.admitted(&everyone), [net.allowed, net.free], "{after}");
        assert_eq!(lab.arriving(&everyone), [net.allowed, net.free], "{after}");
    }
}

fn drifts(lab: &Lab) -> u64 {
    lab.mirror()["drifts"].as_u64().expect("a number")
}

/// What of ours stands, and what packets meet first.
fn standing(lab: &Lab, backend: Backend) -> String {
    let of_iptables = |program| {
        let iptables = backend.tool(program, " -w");
        format!("{iptables} -S FWCTL || true; {iptables} -S INPUT | sed -n 2p\n")
    };
    let chains = match backend {
        Backend::Nftables => ["fwctl", "input"]
            .map(|chain| format!("nft -s list chain inet fwctl {chain} || true\n"))
            .concat(),
        _ => PROGRAMS.map(of_iptables).concat(),
    };
    let sets = ["guard", "allow", "block"].map(|set| lab.mirrored(backend, set));
    format!("{}{sets:#?}", lab.shell(&chains))
}

/// Without the empty chains that iptables begins with.
fn rules_of_others(lab: &Lab) -> Vec<String> {
    let mut lines = lab.foreign();
    lines.retain(|line| {
        ["-A ", "add ", "create "]
            .iter()
            .any(|verb| line.starts_with(verb))
    });
    lines
}

/// It stands again, in time.
#[track_caller]
fn is_soon(lab: &Lab, backend: Backend, before: &str, after: &str) {
    let broken = Instant::now();
    loop {
        let standing = standing(lab, backend);
        if standing == before {
            return;
        }
        let left = SOON.checked_sub(broken.elapsed());
        assert!(left.is_some(), "after {after}:\n{standing}\n{before}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn what_is_broken_is_mended_within_five_seconds_and_counted(backend: Backend) {
    let lab = lab(backend);
    let doors = [Door::tcp(&lab, 2222), Door::tcp(&lab, 2223)];
    let mut daemon = start(&lab, backend, Layers::MirrorAlone);
    fill(&lab);
    holds(&lab, &doors, "the start");
    let before = standing(&lab, backend);
    for (number, script) in breaks(backend).iter().enumerate() {
        if number == 5 {
            // So many in a minute that it would be a quarrel are for another daemon.
            daemon.kill_9();
            daemon = start(&lab, backend, Layers::MirrorAlone);
        }
        let mut tail = lab.tail(&[]);
        let known = drifts(&lab);
        lab.shell(script);
        let foreign = rules_of_others(&lab);
        is_soon(&lab, backend, &before, script);
        holds(&lab, &doors, script);
        lab.fw(&["diff"]).must(0);
        assert_eq!(drifts(&lab), known + 1, "{script}");
        assert_eq!(lab.mirror()["state"], "in step", "{script}");
        let told = tail.hears("drift", SOON);
        assert!(told.is_some(), "tail says nothing after {script}");
        assert_eq!(rules_of_others(&lab), foreign, "{script}");
    }
}

/// `diff` sees it before the daemon does.
#[track_caller]
fn differs(lab: &Lab, script: &str) {
    for _ in 0..5 {
        lab.shell(script);
        let diff = lab.fw(&["diff"]);
        if diff.code() == Some(1) {
            return;
        }
        // The daemon was quicker.
        diff.must(0);
        lab.mirror_in_step();
    }
    panic!("never seen by diff: {script}");
}

fn diff_shows_what_is_missing_and_repair_mends_it_at_once(backend: Backend) {
    let lab = lab(backend);
    let doors = [Door::tcp(&lab, 2222), Door::tcp(&lab, 2223)];
    let _daemon = start(&lab, backend, Layers::MirrorAlone);
    fill(&lab);
    lab.fw(&["diff"]).must(0);
    let scripts = breaks(backend);
    for script in [&scripts[0], &scripts[scripts.len() - 3]] {
        differs(&lab, script);
        lab.fw(&["repair"]).must(0);
        lab.fw(&["diff"]).must(0);
        holds(&lab, &doors, script);
    }
    // One more of ours that nobody asked for.
    let intruder = match backend {
        Backend::Nftables => "nft add element inet fwctl block4_28 '{ 198.18.0.192 }'",
        _ => "ipset add fwctl-block4 198.18.0.192/28",
    };
    differs(&lab, intruder);
    lab.fw(&["repair"]).must(0);
    assert!(lab.arrives(V4.free), "198.18.0.200 is free again");
    assert!(!lab.arrives(V6.blocked));
}

with_each_backend! {
    what_is_broken_is_mended_within_five_seconds_and_counted
    diff_shows_what_is_missing_and_repair_mends_it_at_once
}
