//! Lists from files: what is told of them, what spoils them, and Ctrl-C on the way.
//!
//! - [`said`]: what tools and the daemon say, to be compared
//! - the others: a tool each, as Debian has it, and there and back again

mod crowdsec;
mod fail2ban;
mod ipset;
mod iptables;
mod nft;
mod said;
mod tutorial;

use std::{
    fs::{self, File, OpenOptions},
    io::{Read as _, Write as _},
    net::Ipv4Addr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use fw_tests::lab::{
    Lab,
    address::V4,
    command::{Fw, Reply, binary},
    daemon::eventually,
};
use nix::{
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::{Pid, mkfifo},
};
use serde_json::{Value, json};

/// A list of hosts in 100.64.0.0/10.
fn hosts(number: usize) -> String {
    let addresses = (0x6440_0000..).map(Ipv4Addr::from).take(number);
    addresses.map(|address| format!("{address}\n")).collect()
}

fn written(lab: &Lab, text: impl AsRef<[u8]>) -> PathBuf {
    let file = lab.directory().join("list");
    fs::write(&file, text).expect("the list can be written");
    file
}

fn import(lab: &Lab, file: &Path, flags: &[&str]) -> Reply {
    let file = file.display().to_string();
    lab.fw(&[&["import", &file], flags].concat())
}

/// Starts an import that is not waited for.
fn start(lab: &Lab, file: &Path) -> Child {
    let mut import = lab.command();
    import.arg("import").arg(file);
    import.stdout(Stdio::piped()).stderr(Stdio::piped());
    import.spawn().expect("fw-ctl starts")
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).expect("a process id");
    kill(Pid::from_raw(pid), signal).expect("the process lives");
}

/// Presses Ctrl-C and gives what is said then.
#[track_caller]
fn interrupt(import: Child) -> Reply {
    signal(import.id(), Signal::SIGINT);
    let output = import.wait_with_output().expect("fw-ctl ends");
    Reply::new("import".into(), output).must(130)
}

/// Waits until a process waits for something itself.
fn until_it_waits(import: &Child) {
    let stat = format!("/proc/{}/stat", import.id());
    let mut calm = 0;
    eventually("the import waits", || {
        let stat = fs::read_to_string(&stat).expect("it lives");
        calm = if stat.contains(") S ") { calm + 1 } else { 0 };
        thread::sleep(Duration::from_millis(20));
        calm > 10
    });
}

#[test]
fn report_tells_apart_what_became_of_each_line() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    lab.fw(&["allow", "203.0.113.0/24", "--ttl", "1d"]).must(0);
    lab.fw(&["block", "198.51.100.9"]).must(0);
    let list = "\
198.51.100.0/24,1h
198.51.100.7,30m
198.51.100.7,10m
198.51.100.8,2h
198.51.100.9
203.0.113.5,1h
203.0.113.6
nonsense
";
    let file = written(&lab, list);
    let flags = ["--keep-going", "--drop-covered", "--json"];
    let told = import(&lab, &file, &flags).must(6).json();
    let of = |name: &str| told[name].clone();
    assert_eq!(
        (of("added"), of("unchanged")),
        (json!(3), json!(1)),
        "{told}"
    );
    assert_eq!(
        (of("duplicates"), of("covered")),
        (json!(1), json!(2)),
        "{told}"
    );
    assert_eq!(of("invalid"), 1, "{told}");
    assert_eq!(of("refused")[0]["index"], 7, "{told}");
    let expected = [
        "198.51.100.0/24",
        "198.51.100.8",
        "198.51.100.9",
        "203.0.113.6",
    ];
    assert_eq!(lab.prefixes("blocks"), expected.map(str::to_owned).into());

    // Ends that are earlier change nothing; the same ones might be a second later by now.
    let file = written(&lab, list.replace("1h", "59m").replace("2h", "119m"));
    let said = import(&lab, &file, &["--keep-going"]).must(6).stdout;
    assert!(
        said.starts_with("2 added, 4 unchanged, 1 duplicates, 1 invalid in "),
        "{said}"
    );
}

#[test]
fn replacement_changes_what_differs_and_nothing_else() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let all = hosts(10_100);
    let (old, new) = (
        &all[..all.find("100.64.39.16\n").expect("host 10,000")],
        &all,
    );
    let new = &new[new.find("100.64.0.100\n").expect("host 100")..];
    assert_eq!((old.lines().count(), new.lines().count()), (10_000, 10_000));
    import(&lab, &written(&lab, old), &["--list", "feed"]).must(0);
    let before = lab.entry("blocks", "100.64.1.0").expect("an entry");
    thread::sleep(Duration::from_millis(1_100));

    let flags = ["--list", "feed", "--replace", "--json"];
    let told = import(&lab, &written(&lab, new), &flags).must(0).json();
    let counts = ["added", "removed", "unchanged", "updated"].map(|name| told[name].as_u64());
    assert_eq!(counts, [100, 100, 9_900, 0].map(Some), "{told}");
    assert_eq!(lab.blocks_in_kernel(), 10_000);
    assert_eq!(
        lab.entry("blocks", "100.64.1.0").expect("an entry")["created_at"],
        before["created_at"]
    );
    assert!(lab.entry("blocks", "100.64.0.99").is_none());
}

#[test]
fn ctrl_c_while_a_pipe_is_read_says_that_nothing_was_changed() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let pipe = lab.directory().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).expect("a pipe");
    let importing = start(&lab, &pipe);
    let mut writer = OpenOptions::new()
        .write(true)
        .open(&pipe)
        .expect("it reads");
    writer.write_all(hosts(1_000).as_bytes()).expect("it reads");
    until_it_waits(&importing);
    interrupt(importing).saying("nothing was changed");
    drop(writer);
    assert_eq!(lab.blocks_in_kernel(), 0);

    // Whoever closes the pipe has said everything.
    let importing = start(&lab, &pipe);
    fs::write(&pipe, hosts(1_000)).expect("it reads");
    let output = importing.wait_with_output().expect("fw-ctl ends");
    Reply::new("import".into(), output).must(0);
    assert_eq!(lab.blocks_in_kernel(), 1_000);
}

#[test]
fn ctrl_c_while_the_daemon_has_it_says_that_it_may_be_done_and_it_is_whole_or_not_at_all() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    // The first fits into what waits at a socket, the second does not: it never comes whole.
    for (number, whole) in [(1_000, true), (60_000, false)] {
        let file = written(&lab, hosts(number));
        signal(daemon.pid(), Signal::SIGSTOP);
        let importing = start(&lab, &file);
        until_it_waits(&importing);
        let reply = interrupt(importing).saying("may still be made, whole or not at all");
        assert_eq!(reply.stdout, "");
        signal(daemon.pid(), Signal::SIGCONT);
        eventually("the daemon is at rest", || {
            let before = daemon.cpu_time();
            thread::sleep(Duration::from_millis(200));
            before == daemon.cpu_time()
        });
        let blocks = lab.blocks_in_kernel();
        assert!(blocks == 0 || whole && blocks == number, "{blocks}");
        assert_eq!(lab.prefixes("blocks").len(), blocks);
        lab.fw(&["flush", "local", "--yes"]).must(0);
    }
}

/// Imports what a shell command prints, with so much address space.
fn import_of(lab: &Lab, producer: &str, mib: usize) -> Reply {
    let script = format!("{producer} | (ulimit -v $(({mib} * 1024)); exec \"$0\" import -)");
    let mut shell = std::process::Command::new("timeout");
    shell.args(["--kill-after=5", "60", "bash", "-c", &script]);
    shell.arg(binary()).env("FW_CTL_SOCKET", lab.socket());
    Reply::new(script, shell.output().expect("bash starts"))
}

#[test]
fn what_is_no_list_is_refused_in_little_memory_however_large_it_is() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    import_of(&lab, "head -c 1G /dev/zero | tr '\\0' 1", 600)
        .must(2)
        .saying("stdin:1: the line has more than 4096 bytes");
    // Of no format, whatever comes next: `{` would begin a document.
    let junk = "(printf x; head -c 100M /dev/urandom)";
    let junk = import_of(&lab, junk, 600).must(2);
    assert!(junk.stderr.len() < 10_000, "{} bytes", junk.stderr.len());
    assert!(
        junk.stderr
            .contains("lines cannot be read, nothing was imported")
    );
    // Documents are held whole, up to a limit.
    let document = "(printf '['; head -c 2G /dev/zero | tr '\\0' ' ')";
    import_of(&lab, document, 1_000)
        .must(2)
        .saying("at most 256 MiB");
    assert_eq!(lab.entries("blocks"), [Value::Null; 0]);
    assert!(lab.arrives(V4.free));
}

#[test]
fn more_prefixes_than_one_request_takes_are_refused_before_they_are_sent() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let file = written(&lab, hosts((4 << 20) + 1));
    import(&lab, &file, &[])
        .must(2)
        .saying("has more than 4194304 prefixes")
        .saying("split it");
    assert_eq!(lab.blocks_in_kernel(), 0);
}

#[test]
fn empty_file_is_nothing_to_do() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    for text in ["", "\n\n", "# head\n"] {
        let reply = import(&lab, &written(&lab, text), &[]).must(0);
        assert!(
            reply.stdout.starts_with("nothing to do"),
            "{}",
            reply.stdout
        );
    }
}

/// Sends a request with a body and reads its answer.
fn request(lab: &Lab, head: &str, body: impl FnOnce(&mut UnixStream)) -> String {
    let mut socket = UnixStream::connect(lab.socket()).expect("the daemon answers");
    let timeout = Some(Duration::from_secs(20));
    socket.set_read_timeout(timeout).expect("a time limit");
    let common = "Host: x\r\nConnection: close\r\nContent-Type: application/json";
    write!(socket, "{head} HTTP/1.1\r\n{common}\r\n").expect("it listens");
    body(&mut socket);
    let mut answer = String::new();
    // A refusal closes the connection while the rest is on its way.
    let _cut_short = socket.read_to_string(&mut answer);
    answer
}

#[test]
fn body_beyond_the_limit_is_413_and_the_daemon_lives() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let announced = request(&lab, "POST /api/v1/blocks", |socket| {
        write!(socket, "Content-Length: 300000000\r\n\r\n").expect("it listens");
    });
    let streamed = request(&lab, "PUT /api/v1/lists/feed", |socket| {
        write!(socket, "Transfer-Encoding: chunked\r\n\r\n").expect("it listens");
        let piece = vec![b' '; 1 << 20];
        for _ in 0..=256 {
            let sent = write!(socket, "{:x}\r\n", piece.len())
                .and_then(|()| socket.write_all(&piece))
                .and_then(|()| socket.write_all(b"\r\n"));
            if sent.is_err() {
                break;
            }
        }
    });
    for answer in [announced, streamed] {
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains("larger than 256 MiB"), "{answer}");
    }
    lab.fw(&["status"]).must(0);
}

#[test]
fn batch_takes_strings_and_objects_and_does_all_or_nothing() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let batch = |body: &str| {
        request(&lab, "POST /api/v1/batch", |socket| {
            write!(socket, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("it listens");
        })
    };
    let good = r#"{"block":["198.51.100.1",{"prefix":"198.51.100.2","ttl_s":60,"comment":"x"}],"allow":["198.51.100.3"]}"#;
    let answer = batch(good);
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"added\":3"),
        "{answer}"
    );
    let entry = lab.entry("blocks", "198.51.100.2").expect("an entry");
    assert_eq!(entry["comment"], "x");
    let bad = r#"{"block":["198.51.100.4","198.51.100"],"unblock":["198.51.100.1"]}"#;
    let answer = batch(bad);
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"index\":1"),
        "{answer}"
    );
    let expected = ["198.51.100.1", "198.51.100.2"];
    assert_eq!(lab.prefixes("blocks"), expected.map(str::to_owned).into());
}

#[test]
fn terminal_sees_a_bar_and_a_file_does_not() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let file = written(&lab, hosts(50_000));
    let said = lab.directory().join("said");
    let script = format!(
        "TERM=xterm '{}' import '{}' 2>&1",
        binary().display(),
        file.display()
    );
    let mut terminal = lab.server.command("script");
    terminal.args(["-qefc", &script]).arg(&said);
    terminal.env("FW_CTL_SOCKET", lab.socket());
    terminal.stdin(Stdio::null()).stdout(Stdio::null());
    let status = terminal.status().expect("script starts");
    let mut text = Vec::new();
    let mut said = File::open(said).expect("what was said");
    said.read_to_end(&mut text).expect("what was said");
    let text = String::from_utf8_lossy(&text);
    assert!(status.success(), "{status}: {text}");
    for part in ["reading", "KiB", "applying", "50000 added in "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let quiet = Fw::new(&lab)
        .run(&["import", &file.display().to_string()])
        .must(0);
    assert_eq!(quiet.stderr, "");
}
