//! Filtering has no gap: whatever happens to the daemon, no blocked packet arrives and no allowed
//! one is lost.

use std::{fs, thread, time::Duration};

use fw_common::abi;
use fw_tests::lab::{
    Lab,
    address::{Addresses, FAMILIES, V4, V6},
    command::Fw,
    daemon::{Daemon, eventually},
};
use serde_json::Value;

/// Of each source.
const PACKETS_A_SECOND: u32 = 60_000;
/// What must show; the rest is room for a busy machine.
const AT_LEAST: f64 = 50_000.0;
/// The stream runs this long before and after what happens.
const AROUND: Duration = Duration::from_millis(400);

/// Streams from a blocked source and from one that is allowed inside the block, while something
/// happens to the daemon.
fn no_gap(
    mode: &str,
    happens: impl for<'lab> Fn(&'lab Lab, Daemon<'lab>, &Addresses) -> Daemon<'lab>,
) {
    let lab = Lab::alone();
    let mut daemon = lab.daemon().with(&["-m", mode]).start();
    for net in FAMILIES {
        lab.fw(&["block", net.block]).must(0);
        lab.fw(&["allow", &net.allowed.to_string()]).must(0);

        let stream = lab.stream(net, [net.blocked, net.allowed], PACKETS_A_SECOND);
        thread::sleep(AROUND);
        daemon = happens(&lab, daemon, &net);
        thread::sleep(AROUND);
        let [blocked, allowed] = stream.stop();

        assert!(allowed.rate >= AT_LEAST, "too slow to tell: {allowed:?}");
        assert_eq!(blocked.received, 0, "blocked packets arrived: {blocked:?}");
        assert_eq!(
            allowed.missing,
            [] as [u64; 0],
            "allowed packets were lost: {allowed:?}"
        );
    }
}

#[test]
fn restart_lets_no_blocked_packet_in_and_loses_no_allowed_one() {
    no_gap("native", |lab, daemon, _| {
        daemon.term();
        lab.daemon().start()
    });
}

#[test]
fn kill_9_and_restart_let_no_blocked_packet_in_and_lose_no_allowed_one() {
    no_gap("native", |lab, daemon, _| {
        daemon.kill_9();
        thread::sleep(AROUND);
        lab.daemon().start()
    });
}

#[test]
fn kill_9_and_restart_have_no_gap_in_generic_mode_either() {
    no_gap("skb", |lab, daemon, _| {
        daemon.kill_9();
        lab.daemon().with(&["-m", "skb"]).start()
    });
}

/// Id of the program that `status` shows.
fn program(lab: &Lab) -> Value {
    lab.json(&["status"])["program"]["id"].clone()
}

#[test]
fn another_program_lets_no_blocked_packet_in_and_loses_no_allowed_one() {
    no_gap("native", |lab, daemon, _| {
        let before = program(lab);
        daemon.term();
        // Not knowing the program that runs, the next daemon puts its own in the links.
        let pin = lab.pins().join(format!("v{}/program", abi::VERSION));
        fs::remove_file(pin).expect("the pin can be removed");
        let daemon = lab.daemon().start();
        assert_ne!(program(lab), before, "the program was replaced");
        daemon
    });
}

#[test]
fn tables_of_another_size_let_no_blocked_packet_in_and_lose_no_allowed_one() {
    no_gap("native", |lab, daemon, net| {
        let before = program(lab);
        daemon.term();
        let blocks = if net.server.is_ipv4() { 1000 } else { 2000 };
        let config = format!("[tables]\nipv4 = {blocks}\nipv6 = {blocks}\nallows = {blocks}\n");
        fs::write(lab.config(), config).expect("the configuration can be written");
        let daemon = lab.daemon().start();
        assert_ne!(program(lab), before, "the program was replaced");
        daemon
    });
}

#[test]
fn upgrade_from_another_abi_lets_no_blocked_packet_in_and_loses_no_allowed_one() {
    no_gap("native", |lab, daemon, _| {
        let before = program(lab);
        daemon.term();
        let version = |number| lab.pins().join(format!("v{number}"));
        let other = version(abi::VERSION + 1);
        fs::rename(version(abi::VERSION), &other).expect("the pins can be moved");
        let daemon = lab.daemon().start();
        assert_ne!(program(lab), before, "the program was replaced");
        assert!(!other.exists(), "the other version is gone");
        daemon
    });
}

#[test]
fn sighup_lets_no_blocked_packet_in_and_loses_no_allowed_one() {
    no_gap("native", |lab, daemon, net| {
        let new = if net.server.is_ipv4() {
            "203.0.113.0/24"
        } else {
            "2001:db8::/32"
        };
        let config = format!("[guard]\nprefixes = [\"{new}\"]\n");
        fs::write(lab.config(), config).expect("the configuration can be written");
        daemon.hup();
        eventually("the new configuration is in force", || {
            lab.json(&["list", "guard"]).to_string().contains(new)
        });
        daemon
    });
}

#[test]
fn replacement_of_a_list_lets_no_blocked_packet_in_and_loses_no_allowed_one() {
    no_gap("native", |lab, daemon, _| {
        for part in 0..4 {
            let others = (0..=255).map(|host| format!("100.64.{part}.{host}\n"));
            let list = format!("{}\n{}\n{}", V4.block, V6.block, others.collect::<String>());
            let import = Fw::new(lab).input(list);
            import
                .run(&["import", "-", "--list", "feed", "--replace"])
                .must(0);
        }
        daemon
    });
}
