//! What is not done, and leaves everything as it was.

use std::fs;

use fw_tests::lab::{Lab, address::GLOBAL, command::Fw, daemon::eventually};
use serde_json::json;

use super::World;

#[test]
fn what_makes_no_sense_is_refused_with_its_reason() {
    let world = World::new(Lab::new());
    let _daemon = world.start("block = [\"KP\"]");
    world.until_well();
    let lab = &world.lab;
    for (words, code, said) in [
        (
            &["geo", "block", "ZZ"][..],
            2,
            "no address of ZZ is in any file",
        ),
        (
            &["geo", "block", "AS7"],
            2,
            "no address of AS7 is in any file",
        ),
        (&["geo", "block", "kp"], 2, "two letters A to Z"),
        (&["geo", "block", "AS4294967296"], 2, "two letters A to Z"),
        (&["geo", "block"], 2, "required"),
        (&["geo", "only"], 2, "required"),
        (&["geo", "only", "DE", "--off"], 2, "cannot be used with"),
        (&["geo", "only", "DE"], 2, "add --yes"),
        (&["geo", "find", "192.0.2.0/24"], 2, "one address"),
    ] {
        lab.fw(words).must(code).saying(said);
    }
    assert_eq!(world.told()["block"], json!(["KP"]));
    assert_eq!(world.told()["only"], json!([]));
    world.drops_kp_alone();
}

#[test]
fn lists_of_countries_are_nobodys_to_write() {
    let world = World::new(Lab::new());
    let _daemon = world.start("block = [\"KP\"]");
    world.until_well();
    let lab = &world.lab;
    let before = lab.prefixes("geo:KP");
    let reason = "list geo:KP is made of the countries that are selected";
    lab.fw(&["block", "203.0.113.7", "--list", "geo:KP"])
        .must(2)
        .saying(reason);
    lab.fw(&["flush", "geo:KP", "--yes"]).must(2).saying(reason);
    for flags in [&[][..], &["--replace"]] {
        let import = Fw::new(lab).input("203.0.113.7\n");
        let words = [&["import", "-", "--list", "geo:KP"], flags].concat();
        import.run(&words).must(2).saying(reason);
    }
    // An entry of it cannot be taken out by itself.
    let [v4, _] = GLOBAL;
    let done = lab.fw(&["unblock", v4.block]).must(0);
    assert!(
        done.stderr.contains("is still blocked by"),
        "{}",
        done.stderr
    );
    assert_eq!(lab.prefixes("geo:KP"), before);
    world.drops_kp_alone();
}

#[test]
fn what_has_no_room_is_refused_before_anything_changes() {
    let world = World::new(Lab::new());
    world.configure("");
    let config = fs::read_to_string(world.lab.config()).expect("written");
    let small = config.replace("ipv4 = 131072", "ipv4 = 200");
    fs::write(world.lab.config(), small).expect("configured");
    let _daemon = world.lab.daemon().start();
    world.until_well();
    let lab = &world.lab;
    lab.fw(&["geo", "block", "AS64500"]).must(0);
    for words in [
        &["geo", "block", "US", "--dry-run"][..],
        &["geo", "block", "US"],
        &["geo", "only", "DE", "--yes"],
    ] {
        lab.fw(words).must(7).saying("block_v4 is full");
    }
    let told = world.told();
    assert_eq!(
        (&told["block"], &told["only"]),
        (&json!(["AS64500"]), &json!([]))
    );
    for net in GLOBAL {
        assert!(!lab.arrives(net.free) && lab.arrives(net.blocked));
    }
}

#[test]
fn dry_run_says_how_much_it_takes_and_does_nothing() {
    let world = World::new(Lab::new());
    let _daemon = world.start("");
    world.until_well();
    let lab = &world.lab;
    let tried = lab.json(&["geo", "only", "DE", "--dry-run"]);
    let list = &tried["lists"][0];
    assert_eq!(list["list"], "geo:only");
    let number = |value: &serde_json::Value| value.as_u64().expect("a number");
    assert!(
        number(&list["ipv4"]) > 100 && number(&list["ipv6"]) > 100,
        "{tried}"
    );
    assert_eq!(
        number(&tried["added"]),
        number(&list["ipv4"]) + number(&list["ipv6"])
    );
    assert!(
        number(&tried["bytes"]) > 32 * number(&tried["added"]),
        "{tried}"
    );
    world.drops_nobody();
    assert_eq!(world.told()["lists"], json!([]));

    let done = lab.json(&["geo", "only", "DE", "--yes"]);
    assert_eq!(done["lists"], tried["lists"], "as it was said");
    assert_eq!(world.told()["bytes"], tried["bytes"]);
}

#[test]
fn without_files_nothing_can_be_selected() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    lab.fw(&["geo", "block", "KP"])
        .must(2)
        .saying("databases = [...]");
    let told = lab.json(&["geo"]);
    assert_eq!(
        (&told["files"], &told["problem"]),
        (&json!([]), &json!(null))
    );
    lab.fw(&["geo", "find", "192.0.2.7"]).must(1);
    assert_eq!(lab.json(&["status"])["state"], "ok");
}

#[test]
fn configuration_that_makes_no_sense_is_refused_and_the_old_one_stays() {
    let world = World::new(Lab::new());
    let daemon = world.start("block = [\"KP\"]");
    world.until_well();
    world.configure("block = [\"KP\", \"korea\"]");
    daemon.hup();
    eventually("the alarm", || {
        let status = world.lab.json(&["status"]);
        status["alarms"].to_string().contains("korea")
    });
    world.drops_kp_alone();
    let checked =
        Fw::new(&world.lab).inside(&["run", "-t", "-c", &world.lab.config().display().to_string()]);
    checked.must(2).saying("korea");
}
