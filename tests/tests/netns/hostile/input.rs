//! Prefixes and comments.

use fw_tests::lab::{Lab, address::FAMILIES, command::Fw};

use super::NOTHING;

#[test]
fn bad_prefix_is_exit_2_and_spoils_the_whole_command() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let long = "1".repeat(10_000);
    for bad in [
        "",
        " ",
        "x",
        "example.org",
        "192.0.2",
        "192.0.2.1.5",
        "192.0.2.256",
        "192.0.2.01",
        "0xc0.0.2.1",
        "3221225985",
        "192.0.2.1/33",
        "192.0.2.1/-1",
        "192.0.2.1/",
        "192.0.2.1/ 24",
        "192.0.2.1/24/24",
        "/24",
        "192.0.2.1\n192.0.2.2",
        "192.0.2.1;reboot",
        "１９２.0.2.1",
        "192.0.2.9-192.0.2.1",
        "192.0.2.1-2001:db8::1",
        "2001:db8::/129",
        "2001:db8:::1",
        "fe80::1%eth0",
        "::ffff:192.0.2.1",
        "[2001:db8::1]",
        &long,
    ] {
        let verbs: [&[&str]; 4] = [&["block"], &["allow"], &["unblock"], &["guard", "add"]];
        for verb in verbs {
            let reply = lab.fw(&[verb, &["198.51.100.1", bad]].concat()).must(2);
            assert!(reply.stderr.len() < 2_000, "the error floods the terminal");
        }
        lab.fw(&["check", bad]).must(2);
        lab.fw(&["why", bad]).must(2);
    }
    assert_eq!(lab.entries("blocks"), NOTHING);
    assert_eq!(lab.entries("allows"), NOTHING);
    assert!(
        !lab.json(&["list", "guard"])
            .to_string()
            .contains("198.51.100.1")
    );
}

#[test]
fn host_bits_are_cleared_with_a_warning() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    lab.fw(&["block", "198.51.100.7/24"])
        .must(0)
        .saying("198.51.100.0/24");
    assert!(lab.entry("blocks", "198.51.100.0/24").is_some());
}

#[test]
fn whole_internet_and_own_gateway_are_refused_with_exit_5() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let [v4, v6] = FAMILIES.map(|net| net.gateway.to_string());
    for prefix in [
        "0.0.0.0/0",
        "::/0",
        "0.0.0.0-255.255.255.255",
        "0.0.0.0/1",
        &v4,
        &v6,
    ] {
        lab.fw(&["block", "198.51.100.1", prefix, "--yes"]).must(5);
    }
    for gateway in [&v4, &v6] {
        lab.fw(&["block", gateway]).must(5).saying(gateway);
    }
    assert_eq!(lab.entries("blocks"), NOTHING);
    // To allow everyone cuts nobody.
    lab.fw(&["allow", "0.0.0.0/0"]).must(0);
}

#[test]
fn comment_that_could_forge_a_line_is_refused_and_any_other_is_kept_as_it_is() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let long = "x".repeat(10_000);
    for bad in [
        "a\nb", "a\r\nb", "\x1b[2J", "a\tb", "\u{7}", "\u{2028}", "\u{202e}", &long,
    ] {
        lab.fw(&["block", "198.51.100.1", "--comment", bad]).must(2);
    }
    assert_eq!(lab.entries("blocks"), NOTHING);

    let good = [
        "it's \"quoted\" and \\escaped\\",
        "'); DROP TABLE entries; --",
        "$(reboot) `reboot` %s %n {} <b>",
        "-j ACCEPT # ; ,",
        "Büro Zürich 防火墙 🧱",
    ];
    for (host, comment) in (1..).zip(good) {
        let prefix = format!("198.51.100.{host}");
        lab.fw(&["block", &prefix, &format!("--comment={comment}")])
            .must(0);
        let entry = lab.entry("blocks", &prefix).expect("an entry");
        assert_eq!(entry["comment"], comment);
    }
    // Out and in again: what is exported is what is imported.
    let exported = lab.fw(&["export", "local"]).must(0).stdout;
    lab.fw(&["flush", "local", "--yes"]).must(0);
    Fw::new(&lab).input(exported).run(&["import", "-"]).must(0);
    for (host, comment) in (1..).zip(good) {
        let entry = lab.entry("blocks", &format!("198.51.100.{host}"));
        assert_eq!(entry.expect("an entry")["comment"], comment);
    }
}
