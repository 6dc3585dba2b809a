//! Many at once, and some that leave in the middle.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use fw_tests::lab::{Lab, address::V4, command, daemon::eventually};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Prefixes of all blocks in the policy.
fn policy(lab: &Lab) -> BTreeSet<String> {
    let entries = lab.entries("blocks").into_iter();
    entries
        .map(|entry| entry["prefix"].as_str().expect("a prefix").to_owned())
        .collect()
}

/// The kernel has as many blocks as the policy, and as `status` says.
#[track_caller]
fn assert_kernel_agrees(lab: &Lab, blocks: usize) {
    assert_eq!(lab.blocks_in_kernel(), blocks, "blocks in the kernel");
    let status = lab.json(&["status"]);
    let tables = status["tables"].as_array().expect("a list of tables");
    let used = tables.iter().filter(|table| {
        table["map"]
            .as_str()
            .is_some_and(|map| map.starts_with("BLOCK_"))
    });
    let used: u64 = used.filter_map(|table| table["used"].as_u64()).sum();
    assert_eq!(used, blocks as u64, "blocks by status");
}

fn hosts(number: u32) -> String {
    let address = |host: u32| std::net::Ipv4Addr::from(0x6440_0000 + host);
    (0..number)
        .map(|host| format!("{}\n", address(host)))
        .collect()
}

#[test]
fn reader_that_leaves_after_a_line_is_no_failure_and_leaves_no_lock() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let file = lab.directory().join("hosts");
    fs::write(&file, hosts(10_000)).expect("the list can be written");
    lab.fw(&["import", &file.display().to_string()]).must(0);

    // The list is longer than a pipe holds, so its writer always meets the closed end.
    for verb in ["status", "list"] {
        let script = format!(
            "set -o pipefail; for _ in $(seq 100); do \"$0\" {verb} | head -n 1 || exit; done"
        );
        let output = Command::new("bash")
            .args(["-c", &script])
            .arg(command::binary())
            .env("FW_CTL_SOCKET", lab.socket())
            .output()
            .expect("bash starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{verb}: {}: {said}", output.status);
        assert_eq!(said, "");
        assert_eq!(
            output.stdout.iter().filter(|byte| **byte == b'\n').count(),
            100
        );
    }
    lab.fw(&["block", V4.block]).must(0);
    assert_kernel_agrees(&lab, 10_001);
}

#[test]
fn import_that_is_interrupted_is_done_whole_or_not_at_all() {
    const HOSTS: u32 = 200_000;
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let file = lab.directory().join("hosts");
    fs::write(&file, hosts(HOSTS)).expect("the list can be written");

    for milliseconds in [5, 50, 150, 300, 600, 1_000] {
        let mut import = Command::new(command::binary())
            .arg("import")
            .arg(&file)
            .env("FW_CTL_SOCKET", lab.socket())
            .stdout(Stdio::null())
            .spawn()
            .expect("fw-ctl starts");
        thread::sleep(Duration::from_millis(milliseconds));
        let pid = i32::try_from(import.id()).expect("a process id");
        // It may be done already.
        let _done = kill(Pid::from_raw(pid), Signal::SIGINT);
        let status = import.wait().expect("fw-ctl ends");

        // The daemon may have it all, and still be at work.
        let total = lab.json(&["status"])["lists"][0]["blocks"]
            .as_u64()
            .unwrap_or(0);
        assert!(
            total == 0 || total == u64::from(HOSTS),
            "{total} after {milliseconds} ms"
        );
        if status.success() {
            assert_eq!(total, u64::from(HOSTS), "it said that it was done");
        }
        eventually("the import is over", || {
            let before = lab.blocks_in_kernel();
            thread::sleep(Duration::from_millis(50));
            before == lab.blocks_in_kernel()
        });
        assert_kernel_agrees(&lab, policy(&lab).len());
        lab.fw(&["flush", "local", "--yes"]).must(0);
        assert_kernel_agrees(&lab, 0);
    }
}

#[test]
fn daemon_killed_in_an_import_comes_back_with_all_of_it_or_nothing() {
    const HOSTS: u32 = 100_000;
    let lab = Lab::new();
    let file = lab.directory().join("hosts");
    fs::write(&file, hosts(HOSTS)).expect("the list can be written");
    for milliseconds in [50, 150, 250, 400] {
        let daemon = lab.daemon().start();
        lab.fw(&["block", V4.block]).must(0);
        let mut import = Command::new(command::binary())
            .arg("import")
            .arg(&file)
            .env("FW_CTL_SOCKET", lab.socket())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("fw-ctl starts");
        thread::sleep(Duration::from_millis(milliseconds));
        daemon.kill_9();
        let done = import.wait().expect("fw-ctl ends").success();

        let _daemon = lab.daemon().start();
        let blocks = policy(&lab);
        let all = HOSTS as usize + 1;
        assert!(
            blocks.len() == 1 || blocks.len() == all,
            "{} blocks",
            blocks.len()
        );
        assert!(!done || blocks.len() == all, "it said that it was done");
        assert!(blocks.contains(V4.block));
        assert_kernel_agrees(&lab, blocks.len());
        lab.fw(&["flush", "local", "--yes"]).must(0);
    }
}

#[test]
fn twenty_command_lines_at_once_all_do_what_they_say() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    thread::scope(|scope| {
        for number in 0..20 {
            let lab = &lab;
            scope.spawn(move || {
                let [stays, goes] = [1, 2].map(|host| format!("203.0.{number}.{host}"));
                lab.fw(&["block", &stays, &goes]).must(0);
                lab.fw(&["block", V4.block]).must(0);
                lab.fw(&["status"]).must(0);
                lab.fw(&["unblock", &goes]).must(0);
                lab.fw(&["check", &stays]).must(1);
                lab.fw(&["check", &goes]).must(0);
            });
        }
    });
    let stayed = (0..20).map(|number| format!("203.0.{number}.1"));
    let expected: BTreeSet<String> = stayed.chain([V4.block.to_owned()]).collect();
    assert_eq!(policy(&lab), expected);
    assert_kernel_agrees(&lab, expected.len());
    assert!(!lab.arrives(V4.blocked));
    assert!(lab.arrives(V4.free));
}
