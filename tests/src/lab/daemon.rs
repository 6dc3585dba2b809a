//! Starting and ending `fw-ctl run`.

use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    time::clock_getcpuclockid,
    unistd::Pid,
};
use serde_json::json;

use super::{INTERFACE, Lab, command, command::Reply};

const PATIENCE: Duration = Duration::from_secs(20);

/// Tables that are made quickly, where a test does not ask for others.
const SMALL: &str = "\n[tables]\nipv4 = 131072\nipv6 = 16384\nallows = 8192\n";

/// How a daemon shall be started.
pub struct Launch<'lab> {
    lab: &'lab Lab,
    program: Vec<String>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Lab {
    /// A daemon on this lab's server.
    pub fn daemon(&self) -> Launch<'_> {
        Launch {
            lab: self,
            program: vec![command::binary().display().to_string()],
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }
}

impl<'lab> Launch<'lab> {
    /// More flags; one that the lab sets too takes the place of the lab's.
    pub fn with(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(ToString::to_string));
        self
    }

    /// Another program to run, with the arguments that come before `run`.
    pub fn program(mut self, words: &[&str]) -> Self {
        self.program = words.iter().map(ToString::to_string).collect();
        self
    }

    /// An environment variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Starts it and waits until it says that it is ready, as a service manager does.
    #[track_caller]
    pub fn start(self) -> Daemon<'lab> {
        let place = self.lab.directory().join("notify");
        let _old = fs::remove_file(&place);
        let notify = UnixDatagram::bind(&place).expect("a socket for the readiness");
        // A daemon may be another user; the directory decides who comes near.
        let open = fs::Permissions::from_mode(0o777);
        fs::set_permissions(&place, open).expect("the socket can be opened");
        let tick = Some(Duration::from_millis(50));
        notify.set_read_timeout(tick).expect("a time limit");

        let lab = self.lab;
        let log = OpenOptions::new().create(true).append(true).open(lab.log());
        // It dies with this process, however that ends.
        let child = self
            .command(&["setpriv", "--pdeathsig", "KILL", "--"])
            .env("NOTIFY_SOCKET", &place)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("the log can be written"))
            .spawn()
            .expect("the daemon starts");
        let mut daemon = Daemon { lab, child, notify };
        daemon.wait_until_ready();
        daemon
    }

    /// Starts it where it must not come up, and waits for its end.
    pub fn refused(self) -> Reply {
        let mut command = self.command(&["timeout", "--kill-after=5", "20"]);
        let output = command.output().expect("the daemon starts");
        Reply::new(format!("{:?}", command.get_args()), output)
    }

    fn command(&self, wrapper: &[&str]) -> Command {
        let lab = self.lab;
        let config = OpenOptions::new()
            .create(true)
            .append(true)
            .open(lab.config());
        let mut config = config.expect("the configuration can be made");
        let text = fs::read_to_string(lab.config()).unwrap_or_default();
        if !text.contains("[tables]") {
            config
                .write_all(SMALL.as_bytes())
                .expect("it can be written");
        }

        let mut command = lab.server.command(wrapper[0]);
        command.args(&wrapper[1..]).args(&self.program).arg("run");
        let ours = [
            ("-c", lab.config()),
            ("--socket", lab.socket()),
            ("--state-dir", lab.state()),
            ("--pin-dir", lab.pins().to_owned()),
            ("-i", INTERFACE.into()),
        ];
        for (flag, value) in ours {
            // A configuration that names its interfaces is not overruled.
            if flag == "-i" && text.starts_with("interfaces") {
                continue;
            }
            if !self.arguments.iter().any(|argument| argument == flag) {
                command.arg(flag).arg(value);
            }
        }
        // Who runs the tests over SSH is no peer of the server's.
        for name in ["SSH_CLIENT", "SSH_CONNECTION"] {
            command.env_remove(name);
        }
        let environment = self.environment.iter().map(|(name, value)| (name, value));
        command.args(&self.arguments).envs(environment);
        command
    }
}

/// A running daemon; dropped, it is killed.
pub struct Daemon<'lab> {
    lab: &'lab Lab,
    child: Child,
    /// Where it tells the service manager how it is.
    notify: UnixDatagram,
}

impl Daemon<'_> {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Time its threads, also those that ended, have spent on a processor.
    pub fn cpu_time(&self) -> Duration {
        let clock = clock_getcpuclockid(self.process()).expect("the daemon lives");
        clock.now().expect("its clock can be read").into()
    }

    /// Bytes of memory that it has ever had at once (`VmHWM`, proc(5)).
    pub fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the daemon lives");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|rest| rest.split_whitespace().next());
        kib.and_then(|kib| kib.parse::<u64>().ok())
            .expect("a number")
            << 10
    }

    /// Kills it as the kernel does when memory is short.
    pub fn kill_9(mut self) {
        self.end();
    }

    /// Asks it to stop, and waits; it must say that it went well.
    #[track_caller]
    pub fn term(mut self) {
        self.signal(Signal::SIGTERM);
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the daemon can be waited for") {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "the daemon does not stop");
            thread::sleep(Duration::from_millis(5));
        };
        assert!(status.success(), "the daemon stopped with {status}");
    }

    /// Lets it read its configuration again.
    pub fn hup(&self) {
        self.signal(Signal::SIGHUP);
    }

    fn signal(&self, signal: Signal) {
        kill(self.process(), signal).expect("the daemon lives");
    }

    fn process(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.pid()).expect("a process id"))
    }

    #[track_caller]
    fn wait_until_ready(&mut self) {
        let start = Instant::now();
        let mut message = [0; 4096];
        loop {
            match self.notify.recv(&mut message) {
                Ok(length) if message[..length].starts_with(b"READY=1") => return,
                Ok(_) => {}
                Err(error) if is_no_answer(&error) => {}
                Err(error) => panic!("waiting for the daemon: {error}"),
            }
            let ended = self.child.try_wait().expect("the daemon can be waited for");
            assert!(
                ended.is_none(),
                "the daemon ended: {ended:?}\n{}",
                self.lab.logged()
            );
            assert!(start.elapsed() < PATIENCE, "the daemon is not ready");
        }
    }

    fn end(&mut self) {
        // It may have ended already.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

impl Lab {
    /// Waits until the detector may block and knows which ports are served: before that it counts
    /// nothing.
    #[track_caller]
    pub fn wait_for_detector(&self) {
        eventually("the detector has looked at its host", || {
            let status = self.json(&["scan"]);
            status["served"]["udp"] != json!([]) && status["blocks"]["room"] != 0
        });
    }
}

/// The time limit of a socket passed, or the machine was halted meanwhile.
pub fn is_no_answer(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Waits until something holds that the daemon does in its own time.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    assert!(soon(&mut holds), "never happened: {what}");
}

/// Whether it does in time.
pub fn soon(mut holds: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !holds() {
        if start.elapsed() > PATIENCE {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
    true
}
