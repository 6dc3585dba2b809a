//! Files that change, break and go away.

use std::{fs, thread, time::Duration};

use fw_tests::{
    lab::{Lab, address::GLOBAL, daemon::eventually},
    mmdb::{self, Shape, Tree, Value},
};
use serde_json::json;

use super::{World, countries, place, prefix};

/// How many networks the file says, as it was read last.
fn networks(world: &World) -> u64 {
    world.told()["files"][0]["networks"].as_u64().unwrap_or(0)
}

#[test]
fn file_that_is_replaced_under_traffic_makes_no_wrong_verdict() {
    let world = World::new(Lab::alone());
    let _daemon = world.start("block = [\"KP\"]\nonly = [\"DE\"]");
    world.until_well();
    let lab = &world.lab;
    for (round, net) in GLOBAL.into_iter().enumerate() {
        let stream = lab.stream(net, [net.blocked, net.free], 20_000);
        for seed in 0..3 {
            // Another file has other networks around those of the link.
            let before = networks(&world);
            world.write(10 + 3 * round as u64 + seed);
            eventually("the new file is in force", || networks(&world) != before);
        }
        thread::sleep(Duration::from_millis(200));
        let [blocked, free] = stream.stop();
        assert_eq!(blocked.received, 0, "blocked packets arrived: {blocked:?}");
        assert_eq!(free.missing, [] as [u64; 0], "lost: {free:?}");
    }
}

#[test]
fn what_a_new_file_says_is_in_force_by_itself() {
    let world = World::new(Lab::new());
    let _daemon = world.start("block = [\"KP\"]");
    world.until_well();
    world.drops_kp_alone();
    // The country moves to the neighbour.
    let mut tree = Tree::new(Shape::default());
    let record = tree.record(&mmdb::country("KP"));
    for net in GLOBAL {
        tree.insert(fw_common::Prefix::host(net.above), record);
    }
    world.put(&world.countries(), tree.bytes());
    for net in GLOBAL {
        eventually("it is blocked", || !world.lab.arrives(net.above));
        assert_eq!(world.lab.arriving(&net.inside()), net.inside());
    }
    world.drops_only_above();
}

impl World {
    #[track_caller]
    fn drops_only_above(&self) {
        for net in GLOBAL {
            assert!(!self.lab.arrives(net.above) && self.lab.arrives(net.below));
        }
    }
}

#[test]
fn file_that_is_no_good_changes_nothing_and_is_an_alarm() {
    let world = World::new(Lab::new());
    let _daemon = world.start("block = [\"KP\"]\nonly = [\"DE\"]");
    world.until_well();
    let lab = &world.lab;
    let good = countries(1);
    let other = |code: &str| {
        let mut tree = Tree::new(Shape::default());
        place(&mut tree);
        let record = tree.record(&mmdb::country(code));
        for wide in ["5.5.5.0/24", "2a00:5:5::/64"] {
            tree.insert(prefix(wide), record);
        }
        tree.bytes()
    };
    let mut strange = Tree::new(Shape::default());
    let record = strange.record(&mmdb::map(&[("is_anycast", Value::Bool(true))]));
    strange.insert(prefix("5.0.0.0/8"), record);
    let cases: [(Vec<u8>, &str); 5] = [
        (good[..good.len() / 2].to_vec(), "no whole file"),
        (Vec::new(), "no whole file"),
        (b"<html>moved</html>".to_vec(), "no whole file"),
        (strange.bytes(), "neither country nor autonomous system"),
        (other("FR"), "no address of DE, KP is in any file"),
    ];
    for (bytes, problem) in cases {
        world.put(&world.countries(), bytes);
        eventually(problem, || {
            let status = lab.json(&["status"]);
            let alarms = status["alarms"].to_string();
            alarms.contains(problem) && status["state"] == "degraded"
        });
        world.drops_kp_alone();
        world.write(1);
        world.until_well();
        assert_eq!(lab.json(&["status"])["state"], "ok");
    }
    fs::remove_file(world.countries()).expect("removed");
    eventually("it is missed", || !world.told()["problem"].is_null());
    world.drops_kp_alone();
}

#[test]
fn daemon_that_starts_without_its_files_keeps_what_it_had() {
    let world = World::new(Lab::new());
    let daemon = world.start("block = [\"KP\"]");
    world.until_well();
    daemon.term();
    fs::remove_file(world.countries()).expect("removed");
    let _daemon = world.lab.daemon().start();
    world.drops_kp_alone();
    eventually("the alarm", || {
        let status = world.lab.json(&["status"]);
        let problem = status["geo"]["problem"].as_str().unwrap_or_default();
        problem.contains("country.mmdb: No such file") && status["state"] == "degraded"
    });
    world.drops_kp_alone();
    assert_eq!(world.told()["lists"][0]["list"], json!("geo:KP"));
    world.write(1);
    world.until_well();
    world.drops_kp_alone();
}

#[test]
fn pipe_in_the_place_of_a_file_keeps_nobody_waiting() {
    let world = World::new(Lab::new());
    let _daemon = world.start("block = [\"KP\"]");
    world.until_well();
    fs::remove_file(world.countries()).expect("removed");
    nix::unistd::mkfifo(&world.countries(), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    eventually("the alarm", || {
        let told = world.told();
        let problem = told["problem"].as_str().unwrap_or_default();
        problem.contains("not a regular file")
    });
    world.drops_kp_alone();
}
