//! Full tables, a full disk, a corrupt database.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::PathBuf,
    process::Command,
};

use fw_ctl::store;
use fw_tests::lab::{
    Lab,
    address::{V4, V6},
    command::Fw,
    daemon::eventually,
    http::{API, Ask},
    namespace::run,
};

#[test]
fn full_table_is_exit_7_with_the_key_that_makes_room_and_the_policy_stands() {
    const CAPACITY: usize = 8;
    let lab = Lab::new();
    let config = format!("[tables]\nipv4 = {CAPACITY}\n");
    fs::write(lab.config(), config).expect("it can be written");
    let _daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    let hosts = |number: usize| -> Vec<String> {
        (0..number)
            .map(|host| format!("203.0.113.{host}"))
            .collect()
    };
    let too_many = [vec!["block".to_owned()], hosts(CAPACITY)].concat();
    let needed = CAPACITY + 1;
    lab.fw(&too_many)
        .must(7)
        .saying(&format!(
            "table block_v4 is full: it holds {CAPACITY} entries and would need {needed}"
        ))
        .saying("nothing was changed; `ipv4` in `[tables]`");
    assert_eq!(lab.entries("blocks").len(), 1, "all or nothing");
    assert_eq!(lab.blocks_in_kernel(), 1);

    let just_enough = [vec!["block".to_owned()], hosts(CAPACITY - 1)].concat();
    lab.fw(&just_enough).must(0);
    lab.fw(&["block", "203.0.113.200"]).must(7);
    lab.fw(&[
        "block",
        "203.0.113.1",
        "--ttl",
        "1h",
        "--comment",
        "was there",
    ])
    .must(0);
    assert_eq!(lab.blocks_in_kernel(), CAPACITY);
    let tables = lab.json(&["status"])["tables"].take();
    let mut tables = tables.as_array().expect("a list of tables").iter();
    let full = tables.find(|table| table["name"] == "block_v4");
    let full = full.expect("the table of IPv4");
    assert_eq!([&full["used"], &full["capacity"]], [CAPACITY, CAPACITY]);
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
    lab.fw(&["block", V6.block]).must(0);
    // What is taken out makes room.
    lab.fw(&["unblock", "203.0.113.0"]).must(0);
    lab.fw(&["block", "203.0.113.200"]).must(0);
    lab.fw(&["check", "203.0.113.200"]).must(1);
}

#[test]
fn what_the_tables_take_is_said_before_they_are_made() {
    for ipv4 in [1 << 16, 1 << 20] {
        let lab = Lab::new();
        let config = format!("[tables]\nipv4 = {ipv4}\n");
        fs::write(lab.config(), config).expect("it can be written");
        let config = lab.config().display().to_string();
        let doctor = ["doctor", "--json", "--iface", "lo", "--config", &config];
        let checks = Fw::new(&lab).inside(&doctor).json()["items"].take();
        let mut checks = checks.as_array().expect("a list of checks").iter();
        let check = checks.find(|check| check["check"] == "tables");
        let found = check.and_then(|check| check["found"].as_str());
        let found = found.expect("a check of the tables");
        let said = found
            .split_once(" take ")
            .and_then(|(_, rest)| rest.split_once(" MiB"));
        let said: f64 = said.and_then(|(mib, _)| mib.parse().ok()).expect(found);

        let _daemon = lab.daemon().start();
        let memory = lab.json(&["status"])["memory"].take();
        let maps = memory.as_array().expect("a list of maps").iter();
        let bytes: u64 = maps.filter_map(|map| map["bytes"].as_u64()).sum();
        let taken = bytes as f64 / f64::from(1 << 20);
        assert!(
            (said / taken - 1.0).abs() < 0.01,
            "said {said}, taken {taken} MiB"
        );
    }
}

/// A file system of its own for the state directory.
pub struct Disk(PathBuf);

impl Disk {
    pub fn mount(lab: &Lab) -> Self {
        fs::create_dir(lab.state()).expect("the state directory can be made");
        let mut mount = Command::new("mount");
        run(mount
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(lab.state()));
        Self(lab.state())
    }

    /// Fills it to the last byte.
    pub fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).expect("there is room for a name");
        for size in [4096, 1] {
            loop {
                match file.write(&vec![0; size]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("cannot fill the disk: {error}"),
                }
            }
        }
    }

    pub fn make_room(&self) {
        fs::remove_file(self.0.join("filler")).expect("the filler can be removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0));
    }
}

#[test]
fn full_disk_is_an_error_and_the_policy_stands() {
    let lab = Lab::new();
    let disk = Disk::mount(&lab);
    let daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    disk.fill();

    // Some hundred kilobytes may still fit into what the database has already taken.
    let refused = (0..50).find_map(|number| {
        let hosts = (0..=255).map(|host| format!("203.0.{number}.{host} # a comment\n"));
        let import = Fw::new(&lab).input(hosts.collect::<String>());
        let reply = import.run(&["import", "-"]);
        (reply.code() != Some(0)).then_some((number, reply))
    });
    let (applied, reply) = refused.expect("the disk is full");
    reply.must(7);
    let before = lab.prefixes("blocks");
    assert_eq!(before.len(), 1 + applied * 256);
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));

    // It starts on a full disk, too, with everything it had.
    daemon.kill_9();
    let _daemon = lab.daemon().start();
    assert_eq!(lab.prefixes("blocks"), before);
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
    disk.make_room();
    lab.fw(&["block", "198.51.100.1"]).must(0);
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
}

#[test]
fn start_that_finds_no_room_says_so() {
    let lab = Lab::new();
    let disk = Disk::mount(&lab);
    let daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    daemon.term();
    disk.fill();
    lab.daemon()
        .refused()
        .must(7)
        .saying("no room left")
        .saying("make room");
    disk.make_room();
    let _daemon = lab.daemon().start();
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
}

#[test]
fn token_that_is_revoked_on_a_full_disk_opens_nothing() {
    let lab = Lab::new();
    let disk = Disk::mount(&lab);
    fs::write(lab.config(), format!("[api]\nlisten = \"{API}\"\n")).expect("it can be written");
    let daemon = lab.daemon().start();
    let [gone, kept] = ["gone", "kept"].map(|name| lab.token(name, "read"));
    let asked = |token: &str| lab.ask(&Ask::new("GET /api/v1/status").token(token)).status;
    disk.fill();
    // Until what the database has already taken is used up, it can be done for good.
    let full = (0..2_000).find_map(|number| {
        let prefix = format!("203.0.{}.{}", number / 256, number % 256);
        let reply = lab.fw(&["block", &prefix]);
        (reply.code() != Some(0)).then_some(reply)
    });
    full.expect("the disk is full").must(7);
    lab.fw(&["token", "del", "gone"])
        .must(7)
        .saying("opens nothing");
    assert_eq!([asked(&gone), asked(&kept)], [401, 200]);
    for verb in [
        &["webhook", "add", "x", "https://9.9.9.9/x"][..],
        &["block", "198.51.100.77"],
    ] {
        lab.fw(verb).must(7).saying("make room");
    }
    let alarms = || lab.json(&["status"])["alarms"].to_string();
    assert!(alarms().contains("gone is revoked in memory only"));
    disk.make_room();
    eventually("it is revoked for good", || !alarms().contains("revoked"));
    daemon.kill_9();
    let _daemon = lab.daemon().start();
    assert_eq!([asked(&gone), asked(&kept)], [401, 200]);
}

#[test]
fn database_that_is_removed_under_the_daemon_is_an_alarm() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    let add = |name: &str| lab.fw(&["webhook", "add", name, "https://9.9.9.9/x"]);
    add("one").must(0);
    for (file, alarm) in [
        ("webhooks.db", "queue of webhooks: "),
        (store::FILE, "database: "),
    ] {
        let alarms = || lab.json(&["status"])["alarms"].to_string();
        assert!(!alarms().contains(alarm), "{}", alarms());
        fs::remove_file(lab.state().join(file)).expect("it is there");
        // Events are written all the time; some happen here.
        eventually(alarm, || {
            let _refused = lab.fw(&["block", "203.0.113.9", "--ttl", "1s"]);
            alarms().contains(alarm)
        });
    }
    add("two").must(1).saying("is gone");
    lab.fw(&["webhook", "del", "one"]).must(1).saying("is gone");
    drop(daemon);
}

#[test]
fn corrupt_database_is_an_error_and_neither_touched_nor_deleted() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    daemon.term();
    let database = lab.state().join(store::FILE);
    let whole = fs::read(&database).expect("the database can be read");

    let mut torn = whole.clone();
    let middle = 100..torn.len().min(4096);
    torn[middle].fill(0xa5);
    for bad in [&b"this is no database, this is no database"[..], &torn] {
        fs::write(&database, bad).expect("the database can be written");
        let name = database
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let reply = lab.daemon().refused().saying(name);
        assert!(matches!(reply.code(), Some(1..=10)), "{reply:?}");
        assert_eq!(fs::read(&database).expect("it is still there"), bad);
        assert!(
            !lab.arrives(V4.blocked),
            "the kernel goes on with what it has"
        );
        assert!(lab.arrives(V4.free));
    }
    fs::write(&database, &whole).expect("the database can be written");
    let _daemon = lab.daemon().start();
    assert!(lab.entry("blocks", V4.block).is_some());
}
