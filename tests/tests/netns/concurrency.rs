//! Many at once, and some that leave in the middle.

use std::{
    collections::BTreeSet,
    fs,
    net::Ipv4Addr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use fw_tests::lab::{Lab, address::V4, command::binary, daemon::eventually};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// The kernel has as many blocks as the policy, and as `status` says.
#[track_caller]
fn assert_kernel_agrees(lab: &Lab, blocks: usize) {
    assert_eq!(lab.blocks_in_kernel(), blocks, "blocks in the kernel");
    let status = lab.json(&["status"]);
    let tables = status["tables"].as_array().expect("a list of tables");
    let used = tables.iter().filter(|table| {
        table["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("block_"))
    });
    let used: u64 = used.filter_map(|table| table["used"].as_u64()).sum();
    assert_eq!(used, blocks as u64, "blocks by status");
}

/// A list of hosts in 100.64.0.0/10.
fn hosts(number: usize) -> String {
    let addresses = (0x6440_0000..).map(Ipv4Addr::from).take(number);
    addresses.map(|address| format!("{address}\n")).collect()
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
            .arg(binary())
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

/// Starts to import a file into `local`.
fn start_import(lab: &Lab, file: &Path) -> Child {
    let mut import = lab.command();
    import.arg("import").arg(file);
    import.stdout(Stdio::null()).stderr(Stdio::null());
    import.spawn().expect("fw-ctl starts")
}

#[test]
fn import_that_is_interrupted_is_done_whole_or_not_at_all() {
    const HOSTS: usize = 120_000;
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    let file = lab.directory().join("hosts");
    fs::write(&file, hosts(HOSTS)).expect("the list can be written");

    for milliseconds in [5, 50, 150, 300, 600, 1_000] {
        let mut import = start_import(&lab, &file);
        thread::sleep(Duration::from_millis(milliseconds));
        let pid = i32::try_from(import.id()).expect("a process id");
        // It may be done already.
        let _done = kill(Pid::from_raw(pid), Signal::SIGINT);
        let done = import.wait().expect("fw-ctl ends").success();

        // A request that was sent whole is carried out, in the daemon's own time.
        eventually("the daemon is at rest", || {
            let before = daemon.cpu_time();
            thread::sleep(Duration::from_millis(200));
            before == daemon.cpu_time()
        });
        let blocks = lab.blocks_in_kernel();
        assert!(
            blocks == 0 || blocks == HOSTS,
            "{blocks} after {milliseconds} ms"
        );
        assert!(!done || blocks == HOSTS, "it said that it was done");
        assert_eq!(lab.prefixes("blocks").len(), blocks);
        assert_kernel_agrees(&lab, blocks);
        lab.fw(&["flush", "local", "--yes"]).must(0);
        assert_kernel_agrees(&lab, 0);
    }
}

#[test]
fn daemon_killed_in_an_import_comes_back_with_all_of_it_or_nothing() {
    const HOSTS: usize = 100_000;
    let lab = Lab::new();
    let file = lab.directory().join("hosts");
    fs::write(&file, hosts(HOSTS)).expect("the list can be written");
    for milliseconds in [40, 80, 120, 160, 200, 250, 300, 400, 500, 700] {
        let daemon = lab.daemon().start();
        lab.fw(&["block", V4.block]).must(0);
        let mut import = start_import(&lab, &file);
        thread::sleep(Duration::from_millis(milliseconds));
        daemon.kill_9();
        let done = import.wait().expect("fw-ctl ends").success();

        let _daemon = lab.daemon().start();
        let blocks = lab.prefixes("blocks");
        assert!(
            blocks.len() == 1 || blocks.len() == HOSTS + 1,
            "{} blocks after {milliseconds} ms",
            blocks.len()
        );
        assert!(
            !done || blocks.len() == HOSTS + 1,
            "it said that it was done"
        );
        assert!(blocks.contains(V4.block));
        assert_kernel_agrees(&lab, blocks.len());
        assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
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
    assert_eq!(lab.prefixes("blocks"), expected);
    assert_kernel_agrees(&lab, expected.len());
    assert!(!lab.arrives(V4.blocked));
    assert!(lab.arrives(V4.free));
}
