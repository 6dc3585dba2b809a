//! A daemon that drops nothing, until somebody says that all is well. Attaching a program may reset a
//! network card: whoever is cut off by it says nothing, and it is taken off again.

use std::{
    env,
    fs::{self, File},
    io::{self, BufRead as _},
    os::{fd::AsRawFd as _, unix::process::CommandExt as _},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::{
    sys::{
        memfd::{MFdFlags, memfd_create},
        signal::{Signal, kill},
    },
    unistd::Pid,
};
use tokio::{
    runtime::{self, Runtime},
    signal::unix::{Signal as Signals, SignalKind, signal},
    sync::oneshot,
    time::sleep,
};

use super::Args;
use crate::{
    api::wire::{Code, Interface, ProblemBody, Status},
    cli::{
        Context,
        output::{escape, say},
    },
};

/// How long a daemon may take to start.
const START: Duration = Duration::from_secs(60);

/// Starts a trial; goes on for good when it is confirmed, and leaves nothing attached when not.
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    // From now on a signal is an answer: attaching may be what cuts this terminal off.
    let question = Question::new()?;
    let mut daemon = Daemon::start(args, context)?;
    let interfaces = match daemon.ready(context) {
        Ok(interfaces) => interfaces,
        Err(error) => {
            // What it attached it takes off itself; what others attached is theirs.
            daemon.end()?;
            return Err(error);
        }
    };
    for Interface {
        name, mode, detail, ..
    } in &interfaces
    {
        let mode = mode.as_deref().unwrap_or("not attached");
        say(format_args!(
            "{}: {mode}, {}\n",
            escape(name),
            escape(detail)
        ));
    }
    say(format_args!(
        "\nA trial runs now, and drops nothing. See that you still get in: open another session.\n"
    ));
    if !question.confirmed(Duration::from_secs(args.confirm)) {
        daemon.take_back(args, context)?;
        let file = args.config.display();
        say(format_args!(
            "\nTaken back: nothing is attached. {file} stays.\n"
        ));
        return Ok(Code::NotConfirmed.exit());
    }
    daemon.end()?;
    say(format_args!(
        "It runs here until Ctrl-C, and filtering goes on afterwards. To have it started with the\n\
         host: systemctl enable --now fw-ctl\n"
    ));
    let error = ourselves(args, context, "run")?
        .arg("-c")
        .arg(&args.config)
        .exec();
    Err(error).context("cannot go on for good")
}

/// This program with a verb, and the places it was given.
fn ourselves(args: &Args, context: &Context, verb: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe().context("cannot find myself")?);
    command
        .arg(verb)
        .arg("--socket")
        .arg(&context.global.socket)
        .arg("--state-dir")
        .arg(&args.places.state_dir)
        .arg("--pin-dir")
        .arg(&args.places.pin_dir);
    Ok(command)
}

/// A daemon on trial, and what it says.
struct Daemon {
    child: Child,
    said: File,
}

impl Daemon {
    fn start(args: &Args, context: &Context) -> Result<Self> {
        let said = memfd_create(c"fw-ctl init", MFdFlags::MFD_CLOEXEC);
        let said = File::from(said.context("there is no memory for what the daemon says")?);
        let child = ourselves(args, context, "run")?
            .arg("-c")
            .arg(&args.config)
            .arg("--observe")
            .stdout(said.try_clone()?)
            .stderr(said.try_clone()?)
            // Ctrl-C is for the one that asks.
            .process_group(0)
            .spawn()
            .context("cannot start the daemon")?;
        Ok(Self { child, said })
    }

    /// Waits until it filters, it and no other; says where.
    fn ready(&mut self, context: &Context) -> Result<Vec<Interface>> {
        let start = Instant::now();
        loop {
            match context.client.get::<Status>("/status") {
                Ok(status) if status.pid == self.child.id() => return Ok(status.interfaces),
                _ => {}
            }
            if self.child.try_wait()?.is_some() || start.elapsed() > START {
                let said = fs::read_to_string(format!("/proc/self/fd/{}", self.said.as_raw_fd()));
                let said = said.unwrap_or_default();
                let last = said.lines().last().unwrap_or("it says nothing");
                let message = format!("the daemon did not start: {}", escape(last));
                return Err(ProblemBody::new(Code::Internal, message)
                    .with_hint("`fw-ctl doctor` says what this host can do")
                    .into());
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn end(&mut self) -> Result<()> {
        let process = Pid::from_raw(i32::try_from(self.child.id())?);
        if self.child.try_wait()?.is_none() {
            kill(process, Signal::SIGTERM)?;
        }
        self.child.wait()?;
        Ok(())
    }

    /// Ends it, and takes what it attached off the host.
    fn take_back(&mut self, args: &Args, context: &Context) -> Result<()> {
        self.end()?;
        let detached = ourselves(args, context, "detach")?
            .args(["--yes", "--quiet"])
            .status()
            .context("cannot detach")?;
        match detached.success() {
            true => Ok(()),
            false => Err(
                ProblemBody::new(Code::Kernel, "the trial is not taken back")
                    .with_hint("`fw-ctl detach` takes everything off this host")
                    .into(),
            ),
        }
    }
}

/// The question whether a trial is kept.
struct Question {
    runtime: Runtime,
    hangup: Signals,
    interrupt: Signals,
    terminate: Signals,
}

impl Question {
    /// Signals that come from now on are answers to it.
    fn new() -> Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let caught = |kind| signal(kind).context("cannot catch signals");
        let (hangup, interrupt, terminate) = (
            caught(SignalKind::hangup())?,
            caught(SignalKind::interrupt())?,
            caught(SignalKind::terminate())?,
        );
        drop(entered);
        Ok(Self {
            runtime,
            hangup,
            interrupt,
            terminate,
        })
    }

    /// Whether somebody says yes in time. Who hangs up, or presses Ctrl-C, does not.
    fn confirmed(self, limit: Duration) -> bool {
        let Self {
            runtime,
            mut hangup,
            mut interrupt,
            mut terminate,
        } = self;
        say(format_args!(
            "Keep it? Without a yes within {} s it is taken back. [yes/no] ",
            limit.as_secs()
        ));
        let (answer, answered) = oneshot::channel();
        // It may wait for ever: the process ends without it.
        thread::spawn(move || answer.send(yes_or_no()));
        runtime.block_on(async {
            tokio::select! {
                biased;
                _ = hangup.recv() => false,
                _ = interrupt.recv() => false,
                _ = terminate.recv() => false,
                () = sleep(limit) => false,
                answer = answered => answer.unwrap_or(false),
            }
        })
    }
}

fn yes_or_no() -> bool {
    for line in io::stdin().lock().lines() {
        match line.as_deref().map(str::trim) {
            Ok("yes" | "y") => return true,
            Ok("no" | "n") | Err(_) => return false,
            Ok(_) => say(format_args!("yes or no? ")),
        }
    }
    false
}
