//! Where an address is said to be.

use fw_tests::lab::{Lab, address::GLOBAL};
use serde_json::{Value, json};

use super::World;

/// What is said of the one address that has a system.
fn known() -> Value {
    json!({"country": "DE", "asn": 64500, "as_name": "Example \u{1b}[31m<b>"})
}

fn in_kp() -> Value {
    json!({"country": "KP", "asn": null, "as_name": null})
}

#[test]
fn why_list_and_find_say_where_an_address_is() {
    let world = World::new(Lab::new());
    let _daemon = world.start("block = [\"KP\"]");
    world.until_well();
    let lab = &world.lab;
    for net in GLOBAL {
        let [free, blocked] = [net.free, net.blocked].map(|address| address.to_string());
        let why = lab.json(&["why", &free]);
        assert_eq!(why["geo"], known());
        let why = lab.json(&["why", &blocked]);
        assert_eq!(
            (&why["geo"], &why["entry"]["list"]),
            (&in_kp(), &json!("geo:KP"))
        );
        let text = lab.fw(&["why", &free]).must(0).stdout;
        assert!(
            text.contains("from    DE AS64500 (Example \\u{1b}[31m<b>)"),
            "{text}"
        );

        lab.fw(&["block", &free]).must(0);
        let entry = lab.entry("local", &free).expect("it is blocked");
        assert_eq!(entry["geo"], known());
        let entry = lab.entry("geo:KP", net.block).expect("a network of KP");
        assert_eq!(entry["geo"], in_kp());
        let text = lab.fw(&["list", "local"]).must(0).stdout;
        assert!(text.contains("DE AS64500"), "{text}");
        // Of a network in which there are two countries, nothing is said.
        let wide = match net.free.is_ipv4() {
            true => "5.5.5.64/27",
            false => "2a00:5:5::40/123",
        };
        lab.fw(&["block", wide]).must(0);
        let entry = lab.entry("local", wide).expect("it is blocked");
        assert_eq!(entry["geo"], json!(null));
        lab.fw(&["unblock", wide, &free]).must(0);

        let found = lab.json(&["geo", "find", &free, "192.0.2.7"]);
        assert_eq!(found["items"][0]["geo"], known());
        assert_eq!(found["items"][1]["geo"], json!(null));
    }
}

#[test]
fn events_and_samples_say_where_a_source_is() {
    let world = World::new(Lab::new());
    let _daemon = world.start("block = [\"KP\"]");
    world.until_well();
    let lab = &world.lab;
    for net in GLOBAL {
        let mut tail = lab.tail(&[]);
        let free = net.free.to_string();
        // Until it listens, nothing is sampled.
        lab.fw(&["block", &free]).must(0);
        assert_eq!(tail.next_of("block")["geo"], known());
        assert!(!lab.arrives(net.blocked));
        let drop = tail.next_of("drop");
        assert_eq!((&drop["geo"], &drop["list"]), (&in_kp(), &json!("geo:KP")));
        lab.fw(&["unblock", &free]).must(0);
        assert_eq!(tail.next_of("unblock")["geo"], known());
    }
}

#[test]
fn status_says_which_files_and_how_old() {
    let world = World::new(Lab::new());
    let _daemon = world.start("block = [\"KP\"]\nonly = [\"DE\", \"KP\"]");
    world.until_well();
    let geo = world.lab.json(&["status"])["geo"].clone();
    let [countries, systems] = [&geo["files"][0], &geo["files"][1]];
    assert_eq!(
        (&countries["kind"], &countries["countries"]),
        (&json!("Test-Country"), &json!(true))
    );
    assert_eq!(
        (&systems["kind"], &systems["systems"]),
        (&json!("Test-ASN"), &json!(true))
    );
    assert_eq!(countries["built_at"], "2026-11-18T11:06:40Z");
    assert_eq!(geo["block"], json!(["KP"]));
    let text = world.lab.fw(&["geo"]).must(0).stdout;
    for part in ["block    KP", "only     DE, KP", "Test-ASN", "geo:only"] {
        assert!(text.contains(part), "{text}");
    }
    let status = world.lab.fw(&["status"]).must(0).stdout;
    assert!(
        status.contains("geo      block KP; only DE, KP; Test-Country of "),
        "{status}"
    );
}
