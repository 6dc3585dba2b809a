//! Running `fw-ctl` and reading what it says.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsStr,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output, Stdio},
};

use serde_json::Value;

use super::Lab;

/// The program under test: `FW_CTL_BIN`, or the release build beside this one.
pub fn binary() -> PathBuf {
    let beside = || {
        let ours = env::current_exe().expect("this program has a path");
        let mut folders = ours.ancestors();
        let target = folders.find(|folder| folder.join("release").is_dir());
        target.expect("built by cargo").join("release/fw-ctl")
    };
    let binary = env::var_os("FW_CTL_BIN").map_or_else(beside, PathBuf::from);
    assert!(
        binary.is_file(),
        "{} is missing: `cargo build --release -p fw-ctl` makes it",
        binary.display()
    );
    binary
}

/// Makes a program with this content at this path.
///
/// Another process writes it. Were it this one, a test that forks meanwhile would keep it open for
/// writing, and nobody could run it (`ETXTBSY`).
pub fn install(program: &Path, content: impl Into<Stdio>) {
    let installed = Command::new("install")
        .args(["--mode=755", "--", "/dev/stdin"])
        .arg(program)
        .stdin(content)
        .status();
    assert!(installed.expect("install starts").success(), "{program:?}");
}

/// As [`install`], of a text.
pub fn install_script(program: &Path, text: &str) {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    // Scripts are smaller than a pipe.
    writer.write_all(text.as_bytes()).expect("a short script");
    drop(writer);
    install(program, reader);
}

/// `fw-ctl` with the places of one lab.
pub struct Fw<'lab> {
    lab: &'lab Lab,
    input: String,
}

impl<'lab> Fw<'lab> {
    /// Without input.
    pub fn new(lab: &'lab Lab) -> Self {
        Self {
            lab,
            input: String::new(),
        }
    }

    /// Gives it this on its standard input.
    pub fn input(mut self, text: impl Into<String>) -> Self {
        self.input = text.into();
        self
    }

    /// Runs it as an operator does.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Reply {
        self.finish(limited(Command::new("timeout")).args(arguments))
    }

    /// Runs it inside the server's namespace, for the verbs that look at the host themselves.
    pub fn inside<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Reply {
        let mut command = limited(self.lab.server.command("timeout"));
        command.args(arguments).args(self.lab.places());
        self.finish(&mut command)
    }

    fn finish(&self, command: &mut Command) -> Reply {
        let mut child = command
            .env("FW_CTL_SOCKET", self.lab.socket())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("fw-ctl starts");
        let mut input = child.stdin.take().expect("fw-ctl has an input");
        // It need not read it: a refusal may come before.
        let _closed_early = input.write_all(self.input.as_bytes());
        drop(input);
        let output = child.wait_with_output().expect("fw-ctl ends");
        Reply::new(format!("{:?}", command.get_args()), output)
    }
}

/// A command that hangs fails the test, not the run.
fn limited(mut timeout: Command) -> Command {
    timeout.args(["--kill-after=5", "60"]).arg(binary());
    timeout
}

impl Lab {
    /// Runs `fw-ctl` against this lab's daemon.
    pub fn fw<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Reply {
        Fw::new(self).run(arguments)
    }

    /// `fw-ctl` for this lab's daemon, to be started by the caller, who sees to it that it ends.
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.env("FW_CTL_SOCKET", self.socket());
        command
    }

    /// Runs `fw-ctl --json`, which must succeed, and reads its one object.
    pub fn json<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Value {
        let mut with_flag: Vec<&OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        with_flag.push("--json".as_ref());
        self.fw(&with_flag).must(0).json()
    }

    /// The entries of `fw-ctl list`, by prefix.
    pub fn entries(&self, list: &str) -> Vec<Value> {
        let Value::Array(items) = self.json(&["list", list])["items"].take() else {
            panic!("items of `list {list}` are no array");
        };
        items
    }

    /// Their prefixes.
    pub fn prefixes(&self, list: &str) -> BTreeSet<String> {
        let prefix = |entry: Value| entry["prefix"].as_str().map(str::to_owned);
        self.entries(list).into_iter().filter_map(prefix).collect()
    }

    /// The entry of this prefix.
    pub fn entry(&self, list: &str, prefix: &str) -> Option<Value> {
        let mut entries = self.entries(list).into_iter();
        entries.find(|entry| entry["prefix"] == prefix)
    }

    /// The flags that name this lab's state and pins.
    pub fn places(&self) -> [String; 2] {
        [("state", &*self.state()), ("pin", self.pins())]
            .map(|(name, path)| format!("--{name}-dir={}", path.display()))
    }
}

/// What a run of `fw-ctl` came to.
#[derive(Debug)]
pub struct Reply {
    command: String,
    status: ExitStatus,
    /// Data.
    pub stdout: String,
    /// Talk.
    pub stderr: String,
}

impl Reply {
    /// Of a command that has ended.
    pub fn new(command: String, output: Output) -> Self {
        Self {
            command,
            status: output.status,
            stdout: String::from_utf8(output.stdout).expect("fw-ctl prints UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("fw-ctl talks UTF-8"),
        }
    }

    /// The exit code; `None` after a signal.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Fails the test on another exit code.
    #[track_caller]
    pub fn must(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            Some(code),
            "exit code of {}\n{}{}",
            self.command,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Fails the test if a text is not said on stderr.
    #[track_caller]
    pub fn saying(self, text: &str) -> Self {
        let said = self.stderr.contains(text);
        assert!(
            said,
            "{text:?} is not said by {}\n{}",
            self.command, self.stderr
        );
        self
    }

    /// Standard output as one object.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.command, self.stdout))
    }
}
