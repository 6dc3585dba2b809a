//! Full tables, a full disk, a corrupt database.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::PathBuf,
    process::Command,
};

use fw_tests::lab::{Lab, address::V4, command::Fw, namespace::run};

#[test]
fn full_table_is_exit_7_and_the_policy_stands() {
    const CAPACITY: usize = 8;
    let lab = Lab::new();
    let config = format!("[tables]\nblocks = {CAPACITY}\n");
    fs::write(lab.config(), config).expect("it can be written");
    let _daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    let hosts = |number: usize| -> Vec<String> {
        (0..number)
            .map(|host| format!("203.0.113.{host}"))
            .collect()
    };
    let too_many = [vec!["block".to_owned()], hosts(CAPACITY + 1)].concat();
    lab.fw(&too_many).must(7);
    assert_eq!(lab.entries("blocks").len(), 1, "all or nothing");
    assert_eq!(lab.blocks_in_kernel(), 1);

    let just_enough = [vec!["block".to_owned()], hosts(CAPACITY)].concat();
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
    assert_eq!(lab.blocks_in_kernel(), CAPACITY + 1);
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
    // What is taken out makes room.
    lab.fw(&["unblock", "203.0.113.0"]).must(0);
    lab.fw(&["block", "203.0.113.200"]).must(0);
    lab.fw(&["check", "203.0.113.200"]).must(1);
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
fn corrupt_database_is_an_error_and_neither_touched_nor_deleted() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    daemon.term();
    let files = fs::read_dir(lab.state())
        .expect("the state directory")
        .flatten();
    let database = files
        .map(|file| file.path())
        .find(|file| fs::read(file).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3")));
    let database = database.expect("a database");
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
