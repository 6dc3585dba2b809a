//! Who is dropped and who passes.

use std::{thread, time::Duration};

use fw_tests::lab::{Lab, address::GLOBAL};
use serde_json::json;

use super::World;

#[test]
fn blocked_country_is_dropped_and_its_neighbours_pass() {
    let world = World::new(Lab::new());
    let _daemon = world.start("");
    world.until_well();
    world.drops_nobody();
    let lab = &world.lab;
    let done = lab.fw(&["geo", "block", "KP"]).must(0);
    assert!(done.stderr.contains("prefixes of IPv4"), "{}", done.stderr);
    world.drops_kp_alone();
    lab.fw(&["geo", "block", "AS64500"]).must(0);
    for net in GLOBAL {
        assert!(!lab.arrives(net.free) && lab.arrives(net.above));
    }
    lab.fw(&["geo", "unblock", "AS64500", "KP"]).must(0);
    world.drops_nobody();
    assert_eq!(world.told()["lists"], json!([]), "nothing is left");
}

#[test]
fn only_named_countries_pass_and_what_is_nowhere() {
    let world = World::new(Lab::new());
    let _daemon = world.start("");
    world.until_well();
    let lab = &world.lab;
    lab.fw(&["geo", "only", "DE", "--yes"]).must(0);
    world.drops_kp_alone();
    // The first link is private, and for benchmarks.
    for net in fw_tests::lab::address::FAMILIES {
        assert!(lab.arrives(net.free) && lab.arrives(net.blocked));
    }
    lab.fw(&["geo", "only", "KP", "--yes"]).must(0);
    for net in GLOBAL {
        assert!(lab.arriving(&net.outside()).is_empty());
        assert_eq!(lab.arriving(&net.inside()), net.inside());
    }
    // A system beside a country.
    lab.fw(&["geo", "only", "KP", "AS64500", "--yes"]).must(0);
    for net in GLOBAL {
        assert!(lab.arrives(net.free) && lab.arrives(net.first) && !lab.arrives(net.above));
    }
    lab.fw(&["geo", "only", "--off"]).must(0);
    world.drops_nobody();
}

#[test]
fn guard_and_allow_come_before_countries_and_blocks_beside_them() {
    let world = World::new(Lab::new());
    let _daemon = world.start("block = [\"KP\"]\nonly = [\"DE\"]");
    world.until_well();
    let lab = &world.lab;
    world.drops_kp_alone();
    for net in GLOBAL {
        assert!(!lab.arrives(net.allowed) && !lab.arrives(net.guarded));
        lab.fw(&["allow", &net.allowed.to_string()]).must(0);
        lab.fw(&["guard", "add", &net.guarded.to_string()]).must(0);
        assert!(lab.arrives(net.allowed) && lab.arrives(net.guarded));
        assert!(!lab.arrives(net.blocked));
        // Another list blocks within what may pass.
        lab.fw(&["block", &net.free.to_string()]).must(0);
        assert!(!lab.arrives(net.free) && lab.arrives(net.above));
        lab.fw(&["unallow", &net.allowed.to_string()]).must(0);
        assert!(!lab.arrives(net.allowed));
    }
}

#[test]
fn selection_outlives_restarts_and_kills_and_configuration_lies_below() {
    let world = World::new(Lab::new());
    let daemon = world.start("block = [\"CN\"]");
    world.until_well();
    let lab = &world.lab;
    lab.fw(&["geo", "block", "KP"]).must(0);
    lab.fw(&["geo", "unblock", "CN"]).must(0);
    assert_eq!(world.told()["changed"], json!(["block KP", "unblock CN"]));
    daemon.term();
    let daemon = lab.daemon().start();
    world.drops_kp_alone();
    daemon.kill_9();
    world.drops_kp_alone();
    let mut daemon = lab.daemon().start();
    world.until_well();
    assert_eq!(world.told()["block"], json!(["KP"]));

    // What the file says later counts, but for what was spoken of.
    world.configure("block = [\"CN\", \"RU\"]");
    daemon.hup();
    world.until_well();
    assert_eq!(world.told()["block"], json!(["KP", "RU"]));
    lab.fw(&["geo", "reset"]).must(0);
    assert_eq!(world.told()["block"], json!(["CN", "RU"]));
    world.drops_nobody();
    // And a selection that is gone when the daemon comes back is lifted.
    daemon.term();
    world.configure("");
    daemon = lab.daemon().start();
    world.until_well();
    assert_eq!(lab.json(&["geo"])["lists"], json!([]));
    daemon.term();
}

#[test]
fn countries_have_no_gap_whatever_is_selected_and_whoever_is_killed() {
    let world = World::new(Lab::alone());
    let mut daemon = world.start("block = [\"KP\"]");
    world.until_well();
    let lab = &world.lab;
    for net in GLOBAL {
        let stream = lab.stream(net, [net.blocked, net.free], 20_000);
        // In and out of each kind of list, and always in one.
        for words in [
            &["geo", "only", "DE", "--yes"][..],
            &["geo", "unblock", "KP"],
            &["geo", "only", "DE", "AT", "--yes"],
            &["geo", "block", "KP", "RU"],
            &["geo", "only", "--off"],
            &["geo", "unblock", "RU"],
        ] {
            lab.fw(words).must(0);
        }
        daemon.kill_9();
        thread::sleep(Duration::from_millis(200));
        daemon = lab.daemon().start();
        world.until_well();
        let [blocked, free] = stream.stop();
        assert_eq!(blocked.received, 0, "blocked packets arrived: {blocked:?}");
        assert_eq!(free.missing, [] as [u64; 0], "lost: {free:?}");
    }
}
