//! fail2ban: the bans of a real server that runs meanwhile.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use fw_tests::lab::{
    Lab,
    address::V4,
    command::{Reply, binary},
    daemon::eventually,
    debian::unpacked,
};

use super::{
    import,
    said::{Said, by_daemon, same},
    start, until_it_waits, written,
};

/// A jail that bans for a while, and one that bans for good. Neither does anything about it.
const JAILS: &str = "[DEFAULT]
filter = none
backend = polling
action = none
logpath = $DIR/log-of-a-service
[sshd]
enabled = true
bantime = 600
[web]
enabled = true
bantime = -1
";

/// A server with everything in a folder of its own.
struct Fail2ban<'lab> {
    lab: &'lab Lab,
    directory: PathBuf,
    server: Child,
}

impl<'lab> Fail2ban<'lab> {
    fn start(lab: &'lab Lab) -> Self {
        let directory = lab.directory().join("fail2ban");
        let place = directory.display().to_string();
        for (file, text) in [
            ("log-of-a-service", String::new()),
            (
                "fail2ban.conf",
                format!(
                    "[Definition]\nlogtarget = {place}/log\ndbfile = {place}/db/bans.sqlite3\ndbpurgeage = 1d\nallowipv6 = auto\n"
                ),
            ),
            ("jail.conf", JAILS.replace("$DIR", &place)),
            (
                "filter.d/none.conf",
                "[Definition]\nfailregex = ^bad <HOST>$\n".into(),
            ),
            (
                "action.d/none.conf",
                "[Definition]\nactionban = true\nactionunban = true\n".into(),
            ),
            ("db/.keep", String::new()),
        ] {
            let file = directory.join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, text).expect("the file can be written");
        }
        let mut server = command(lab, &directory, "fail2ban-server");
        let server = server
            .args(["-f", "start"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let server = server.spawn().expect("nsenter starts");
        let this = Self {
            lab,
            directory,
            server,
        };
        eventually("fail2ban answers", || {
            let ping = this.command("fail2ban-client").arg("ping").output();
            ping.expect("it starts").status.success()
        });
        eventually("its jails are there", || {
            this.client(&["banned"]).contains("web")
        });
        this
    }

    fn command(&self, program: &str) -> Command {
        command(self.lab, &self.directory, program)
    }

    /// Asks the server, who must agree.
    #[track_caller]
    fn client(&self, arguments: &[&str]) -> String {
        let output = self
            .command("fail2ban-client")
            .args(arguments)
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn database(&self) -> PathBuf {
        self.directory.join("db/bans.sqlite3")
    }

    /// Waits until the database has this many bans, as its own program counts them.
    fn has_written(&self, bans: usize) {
        let query = format!(
            "import sqlite3; print(sqlite3.connect('file:{}?mode=ro', uri=True).execute('select count(*) from bips').fetchone()[0])",
            self.database().display()
        );
        eventually("the bans are written", || {
            self.lab.tool("/usr/bin/python3", &["-c", &query]).trim() == bans.to_string()
        });
    }
}

impl Drop for Fail2ban<'_> {
    fn drop(&mut self) {
        self.server.kill().expect("it can be ended");
        self.server.wait().expect("it ends");
    }
}

fn command(lab: &Lab, directory: &Path, program: &str) -> Command {
    let mut command = lab.attacker.command("/usr/bin/python3");
    command.arg(unpacked(&format!("usr/bin/{program}")));
    for (flag, file) in [("-c", ""), ("-s", "socket"), ("-p", "pid")] {
        command.arg(flag).arg(directory.join(file));
    }
    command.env("PYTHONPATH", unpacked("usr/lib/python3/dist-packages"));
    command
}

/// What a folder holds, and what is in it.
fn contents(directory: &Path) -> BTreeSet<(PathBuf, Vec<u8>)> {
    let files = fs::read_dir(directory).expect("a folder");
    let file = |file: std::io::Result<fs::DirEntry>| {
        let path = file.expect("a file").path();
        let content = fs::read(&path).expect("it can be read");
        (path, content)
    };
    files.map(file).collect()
}

#[test]
fn bans_of_a_running_fail2ban_are_imported_with_what_is_left_of_them() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let fail2ban = Fail2ban::start(&lab);
    let (since, blocked) = (Instant::now(), V4.blocked.to_string());
    fail2ban.client(&[
        "set",
        "sshd",
        "banip",
        "192.0.2.1",
        "2001:db8::1",
        "198.51.100.0/24",
        "192.0.2.9",
    ]);
    fail2ban.client(&["set", "web", "banip", "192.0.2.7", &blocked]);
    fail2ban.client(&["set", "sshd", "unbanip", "192.0.2.9"]);
    fail2ban.has_written(5);

    let before = contents(&fail2ban.directory.join("db"));
    import(&lab, &fail2ban.database(), &["--list", "database"]).must(0);
    assert!(
        contents(&fail2ban.directory.join("db")) == before,
        "it was written to"
    );
    let said = |note: &dyn Fn(&str) -> String, left: Option<u64>| {
        let of = |address: &str, left, jail: &str| Said::new(address, left, &note(jail));
        vec![
            of("192.0.2.1", left, "sshd"),
            of("2001:db8::1", left, "sshd"),
            of("198.51.100.0/24", left, "sshd"),
            of("192.0.2.7", None, "web"),
            of(&blocked, None, "web"),
        ]
    };
    let in_jail = |jail: &str| format!("fail2ban {jail}");
    same(
        by_daemon(&lab, "database"),
        said(&in_jail, Some(600)),
        since,
    );
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));

    let times = ["sshd", "web"].map(|jail| fail2ban.client(&["get", jail, "banip", "--with-time"]));
    import(&lab, &written(&lab, times.concat()), &["--list", "times"]).must(0);
    same(
        by_daemon(&lab, "times"),
        said(&|_| "fail2ban".into(), Some(600)),
        since,
    );

    let banned = fail2ban.client(&["banned"]);
    import(&lab, &written(&lab, banned), &["--list", "banned"])
        .must(0)
        .saying("5 bans are for good here");
    same(by_daemon(&lab, "banned"), said(&in_jail, None), since);
}

#[test]
fn database_that_is_being_written_is_waited_for_and_never_read_from_a_pipe() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let fail2ban = Fail2ban::start(&lab);
    fail2ban.client(&["set", "sshd", "banip", "192.0.2.1"]);
    fail2ban.has_written(1);
    let database = fail2ban.database();

    let lock = format!(
        "import sqlite3, sys; db = sqlite3.connect('{}'); db.execute('begin exclusive'); print('held', flush=True); sys.stdin.read()",
        database.display()
    );
    let mut holder = Command::new("/usr/bin/python3")
        .args(["-c", &lock])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python starts");
    let mut held = [0; 4];
    let mut output = holder.stdout.take().expect("an output");
    std::io::Read::read_exact(&mut output, &mut held).expect("it holds the lock");
    let importing = start(&lab, &database);
    until_it_waits(&importing);
    assert_eq!(lab.prefixes("blocks").len(), 0);
    drop(holder.stdin.take());
    holder.wait().expect("it ends");
    let output = importing.wait_with_output().expect("fw-ctl ends");
    Reply::new("import".into(), output).must(0);
    assert_eq!(lab.prefixes("blocks"), ["192.0.2.1".to_owned()].into());

    let piped = format!("cat '{}' | \"$0\" import -", database.display());
    let mut shell = Command::new("sh");
    shell.args(["-c", &piped]).arg(binary());
    shell.env("FW_CTL_SOCKET", lab.socket());
    let reply = Reply::new(piped, shell.output().expect("sh starts")).must(2);
    reply.saying("stdin is a database").saying("name the file");
    // A database of something else is told apart, and one that ends early.
    let other = lab.directory().join("other");
    lab.shell(&format!("sqlite3 {} 'create table t (x)'", other.display()));
    import(&lab, &other, &[])
        .must(2)
        .saying("no such table: bips");
    let half = fs::read(&database).expect("the database")[..5000].to_vec();
    import(&lab, &written(&lab, half), &[]).must(2);
}
