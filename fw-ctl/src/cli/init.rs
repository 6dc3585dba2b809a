//! `init`: five questions, a configuration, and a trial that ends by itself.
//!
//! - [`questions`]: what is asked, and what an answer means (pure)
//! - [`file`]: the configuration that follows (pure)
//! - [`host`]: what is proposed
//! - [`trial`]: a daemon that drops nothing, until somebody says that all is well

mod file;
mod host;
mod questions;
mod trial;

use std::{
    fs::{self, OpenOptions},
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use self::{
    host::Host,
    questions::{Answers, QUESTIONS, Question},
};
use super::{Context, Places, failure::bad_input, output::say};
use crate::{
    api::wire::{Code, ProblemBody, Status},
    config::{self, Config},
    host::capabilities,
};

/// What `init` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file to write; it must not be there yet
    #[arg(short, long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    /// Seconds after which the trial is taken back, unless it is confirmed
    #[arg(long, value_name = "SECS", default_value = "120", value_parser = clap::value_parser!(u64).range(1..=3600))]
    confirm: u64,
    #[command(flatten)]
    places: Places,
}

/// `fw-ctl init`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    may_begin(args, context)?;
    let host = Host::look();
    say(format_args!(
        "Five questions, and Enter takes what stands in brackets. Nothing is written or\n\
         started before all are answered; Ctrl-C ends it.\n"
    ));
    let mut answers = Answers::default();
    for question in &QUESTIONS {
        if !ask(question, &host, &mut answers)? {
            context.output.note("nothing was written");
            return Ok(1);
        }
    }
    let text = file::text(&answers, &host);
    say(format_args!("\n{}", file::consequences(&answers)));
    if context.global.dry_run {
        say(format_args!("\n"));
        write!(io::stdout(), "{text}").context("cannot print the configuration")?;
        return Ok(0);
    }
    write(&args.config, &text)?;
    // Also what was found on this host, which nobody has typed, is read back.
    Config::read(Some(&args.config))?;
    say(format_args!("{} is written.\n\n", args.config.display()));
    trial::run(args, context)
}

/// Refuses before the first question what would be in vain after the last.
fn may_begin(args: &Args, context: &Context) -> Result<(), ProblemBody> {
    if !io::stdin().is_terminal() || context.output.is_json() {
        return Err(
            bad_input("init asks questions, and there is no terminal to ask on").with_hint(
                "copy the configuration that comes with fw-ctl, fw-ctl.toml, and change it",
            ),
        );
    }
    let running: Result<Status> = context.client.get("/status");
    if running.is_ok() {
        return Err(ProblemBody::new(Code::Conflict, "a daemon runs already")
            .with_hint("`fw-ctl status` shows it"));
    }
    let missing = capabilities::missing();
    if !missing.is_empty() {
        let message = format!("missing {}", missing.join(" and "));
        return Err(ProblemBody::new(Code::Permission, message).with_hint("run it as root"));
    }
    if args.config.exists() {
        let message = format!("{} is there already", args.config.display());
        return Err(bad_input(message)
            .with_hint("move it away, or name another file with `-c`; `fw-ctl run -t` checks it"));
    }
    Ok(())
}

/// Asks until the answer makes sense; says whether there is one.
fn ask(question: &Question, host: &Host, answers: &mut Answers) -> Result<bool> {
    let proposed = (question.proposed)(host);
    say(format_args!("\n{}\n", question.explained));
    if let Some(found) = (question.found)(host) {
        say(format_args!("{found}\n"));
    }
    loop {
        say(format_args!("{} [{proposed}] ", question.asked));
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            say(format_args!("\n"));
            return Ok(false);
        }
        let answer = match line.trim() {
            "" => proposed.as_str(),
            answer => answer,
        };
        match (question.take)(answer, host, answers) {
            Ok(()) => return Ok(true),
            Err(why) => say(format_args!("  {why}\n")),
        }
    }
}

/// Writes a file that is not there yet.
fn write(path: &Path, text: &str) -> Result<()> {
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o644)
                .open(path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
    if written
        .as_ref()
        .is_err_and(|error| error.kind() != io::ErrorKind::AlreadyExists)
    {
        // A part of it would be in the way of the next try.
        let _gone = fs::remove_file(path);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}
