//! The time in which a policy can be confirmed, when the daemon ends in it.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use fw_tests::lab::{
    INTERFACE, Lab,
    address::FAMILIES,
    command::{Fw, binary},
    daemon::{Daemon, eventually},
    hostile::Service,
};
use serde_json::Value;

use super::{
    SLACK, assert_let_in, assert_locked_out, assert_nobody_waits, before, configure, let_in,
    lock_out, pending, services,
};
use crate::hostile::storage::Disk;

/// Applies a policy that locks out, with this many seconds to confirm it.
fn apply(lab: &Lab, secs: u64) -> Instant {
    let began = Instant::now();
    lab.apply(&lock_out(), &[&format!("--confirm={secs}")])
        .must(0);
    began
}

/// The policy that was before is in force again, as the next daemon says too.
#[track_caller]
fn assert_gone_back(lab: &Lab, services: &[Service; 2], policy: &BTreeSet<String>) {
    assert_let_in(lab, services);
    assert_nobody_waits(lab);
    let _daemon = lab.daemon().start();
    lab.policy_must_be(policy);
    assert_eq!(pending(lab), Value::Null);
    lab.fw(&["confirm"]).must(9).saying("rolled back");
    lab.fw(&["diff"]).must(0);
    assert_let_in(lab, services);
}

/// Kills the daemon in the window, and starts none until the clients are let in.
fn goes_back_without_a_daemon(backend: &str) {
    let lab = Lab::new();
    configure(&lab, backend);
    let daemon = lab.daemon().start();
    let services = services(&lab);
    lab.adopt(&before());
    let policy = lab.policy();
    let began = apply(&lab, 3);
    daemon.kill_9();
    assert_locked_out(&lab, &services);
    let_in(&lab, &services, began + Duration::from_secs(3) + SLACK).expect("everybody is back");
    assert_gone_back(&lab, &services, &policy);
}

#[test]
fn daemon_that_is_killed_does_not_keep_a_policy_from_going_back() {
    goes_back_without_a_daemon("nftables");
}

#[test]
fn daemon_that_is_killed_does_not_keep_a_policy_from_going_back_in_iptables() {
    goes_back_without_a_daemon("iptables");
}

/// A kill after the kernel and before the database has heard of a policy, as if by chance.
#[test]
fn policy_that_is_in_force_and_nowhere_written_down_is_taken_back_too() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let services = services(&lab);
    let kept = lab.directory().join("kept");
    let daemon = lab.daemon().start();
    lab.adopt(&before());
    let policy = lab.policy();
    daemon.term();
    copy(&lab.state(), &kept);
    let daemon = lab.daemon().start();
    lab.apply(&lock_out(), &[]).must(0);
    daemon.kill_9();
    fs::remove_dir_all(lab.state()).expect("it can be removed");
    copy(&kept, &lab.state());
    assert_locked_out(&lab, &services);

    let config = format!("--config={}", lab.config().display());
    let socket = format!("--socket={}", lab.socket().display());
    let interface = format!("--iface={INTERFACE}");
    let recover = ["recover", "--due=0", &config, &socket, &interface];
    Fw::new(&lab).inside(&recover).must(0);
    assert_let_in(&lab, &services);
    let _daemon = lab.daemon().start();
    lab.policy_must_be(&policy);
    // Beside a daemon that lives it has nothing to do, and says so by ending.
    Fw::new(&lab).inside(&recover).must(0);
    assert_let_in(&lab, &services);
}

/// Copies the files of a directory into a new one.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("it can be made");
    for file in fs::read_dir(from).expect("it can be read") {
        let file = file.expect("an entry");
        fs::copy(file.path(), to.join(file.file_name())).expect("it can be copied");
    }
}

#[test]
fn daemon_that_is_stopped_takes_the_policy_back_before_it_ends() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let daemon = lab.daemon().start();
    let services = services(&lab);
    lab.adopt(&before());
    let policy = lab.policy();
    apply(&lab, 3600);
    assert_locked_out(&lab, &services);
    daemon.term();
    assert_gone_back(&lab, &services, &policy);
}

#[test]
fn next_daemon_after_a_kill_takes_the_policy_back_in_time() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let daemon = lab.daemon().start();
    let services = services(&lab);
    lab.adopt(&before());
    let policy = lab.policy();
    let began = apply(&lab, 6);
    daemon.kill_9();
    let _daemon = lab.daemon().start();
    assert_locked_out(&lab, &services);
    let left = pending(&lab)["left_s"].as_u64();
    assert!(left.is_some_and(|left| left <= 6), "{left:?}");
    let_in(&lab, &services, began + Duration::from_secs(6) + SLACK).expect("everybody is back");
    assert_let_in(&lab, &services);
    lab.policy_must_be(&policy);
    assert_nobody_waits(&lab);
}

#[test]
fn policy_that_is_confirmed_with_the_next_daemon_stays() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let daemon = lab.daemon().start();
    let services = services(&lab);
    lab.adopt(&before());
    apply(&lab, 6);
    let applied = lab.policy();
    daemon.kill_9();
    let daemon = lab.daemon().start();
    lab.fw(&["confirm"]).must(0);
    // Also when whoever waits for the first daemon finds none.
    daemon.kill_9();
    assert_nobody_waits(&lab);
    assert_locked_out(&lab, &services);
    let _daemon = lab.daemon().start();
    lab.policy_must_be(&applied);
    assert_eq!(pending(&lab), Value::Null);
}

#[test]
fn detach_in_the_window_is_for_good_though_the_daemon_was_killed() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let daemon = lab.daemon().start();
    let services = services(&lab);
    lab.adopt(&before());
    apply(&lab, 3);
    daemon.kill_9();
    assert_eq!(lab.sentinels().len(), 1);
    Fw::new(&lab).inside(&["detach", "--yes"]).must(0);
    assert_nobody_waits(&lab);
    assert!(!lab.pins().exists(), "the pins are there again");
    let mut nft = lab.server.command("nft");
    let shown = nft.args(["list", "tables"]).output().expect("nft starts");
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "");
    for (net, service) in FAMILIES.iter().zip(&services) {
        assert!(service.answers(&lab, net.below), "nothing filters");
    }
}

/// Ends what a reboot ends, and takes away what it takes away.
fn reboot(lab: &Lab, daemon: Daemon<'_>) {
    daemon.kill_9();
    lab.end_sentinels();
    fs::remove_dir_all(lab.pins()).expect("the pins can be removed");
    let mut nft = lab.server.command("nft");
    let flushed = nft.args(["flush", "ruleset"]).status();
    assert!(flushed.expect("nft starts").success());
}

/// A daemon of another boot, as its number says.
fn start_after_reboot<'lab>(lab: &'lab Lab, boot_id: &Path) -> Daemon<'lab> {
    fs::write(boot_id, "12345678-1234-1234-1234-123456789abc\n").expect("it can be written");
    let mount = format!(
        "mount --bind {} /proc/sys/kernel/random/boot_id && exec \"$0\" \"$@\"",
        boot_id.display()
    );
    let program = binary().display().to_string();
    let words = ["unshare", "--mount", "sh", "-c", &mount, &program];
    lab.daemon().program(&words).start()
}

#[test]
fn reboot_in_the_window_takes_the_policy_back_at_the_start() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let daemon = lab.daemon().start();
    let services = services(&lab);
    lab.adopt(&before());
    let policy = lab.policy();
    apply(&lab, 3600);
    assert_locked_out(&lab, &services);
    reboot(&lab, daemon);

    let _daemon = start_after_reboot(&lab, &lab.directory().join("boot_id"));
    assert_let_in(&lab, &services);
    lab.policy_must_be(&policy);
    assert_eq!(pending(&lab), Value::Null);
    lab.fw(&["confirm"]).must(9).saying("rolled back");
}

#[test]
fn reboot_leaves_a_policy_without_time_limit_to_be_confirmed() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let daemon = lab.daemon().start();
    let services = services(&lab);
    lab.adopt(&before());
    lab.apply(&lock_out(), &[]).must(0);
    let applied = lab.policy();
    reboot(&lab, daemon);
    let _daemon = start_after_reboot(&lab, &lab.directory().join("boot_id"));
    assert_locked_out(&lab, &services);
    lab.policy_must_be(&applied);
    assert_ne!(pending(&lab), Value::Null);
}

/// Fills the disk in the window.
fn goes_back_on_a_full_disk(dies: bool) {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let disk = Disk::mount(&lab);
    let mut daemon = Some(lab.daemon().start());
    let services = services(&lab);
    lab.adopt(&before());
    let policy = lab.policy();
    let began = apply(&lab, 3);
    disk.fill();
    assert_locked_out(&lab, &services);
    if dies {
        daemon.take().expect("it lives").kill_9();
    }
    let limit = began + Duration::from_secs(3) + SLACK;
    let_in(&lab, &services, limit).expect("everybody is back");
    // It is written when there is room. Until then it is tried, by one and not by many.
    thread::sleep(Duration::from_secs(3));
    assert_let_in(&lab, &services);
    assert!(lab.sentinels().len() <= 1, "{:?}", lab.sentinels());
    disk.make_room();
    let _daemon = daemon.unwrap_or_else(|| {
        assert_nobody_waits(&lab);
        lab.daemon().start()
    });
    eventually("it is written", || pending(&lab) == Value::Null);
    lab.policy_must_be(&policy);
    assert_nobody_waits(&lab);
}

#[test]
fn full_disk_does_not_keep_a_policy_from_going_back() {
    goes_back_on_a_full_disk(false);
}

#[test]
fn full_disk_does_not_keep_a_policy_from_going_back_without_a_daemon() {
    goes_back_on_a_full_disk(true);
}
