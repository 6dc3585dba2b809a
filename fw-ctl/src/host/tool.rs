//! Running the programs that show and change netfilter.

use std::{
    io::{self, Read, Seek, Write},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

use nix::sys::memfd::{MFdFlags, memfd_create};

/// The most of an error that is told, in characters.
const MAX_REASON: usize = 200;

/// The most that is read of what a program prints: the rules of a large host are a few megabytes,
/// a million elements of a set are fifty.
const MAX_BYTES: u64 = 128 << 20;

/// How long a program may take, in seconds: one that shows, and one that works through an input.
const SHOW_SECS: u32 = 10;
const FEED_SECS: u32 = 60;

/// What timeout(1) of coreutils says of a program that is not there, and of one that took too long.
const NOT_FOUND: i32 = 127;
const TIMED_OUT: i32 = 124;

/// Why a program did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    /// Not installed.
    #[error("{tool} is not installed")]
    Missing {
        /// Its name.
        tool: String,
    },
    /// It says so.
    #[error("{tool} failed, {status}: {reason}")]
    Failed {
        /// Its name.
        tool: String,
        /// How it ended.
        status: ExitStatus,
        /// The first thing it complains of.
        reason: String,
    },
    /// Another program kept the lock of iptables (`/run/xtables.lock`) for as long as we waited.
    #[error("{tool} failed: another program holds the xtables lock")]
    Locked {
        /// Its name.
        tool: String,
    },
    /// It was ended.
    #[error("{tool} takes more than {secs} s")]
    TooLong {
        /// Its name.
        tool: String,
        /// What it was given.
        secs: u32,
    },
    /// It did not start, or prints without end.
    #[error("cannot run {tool}")]
    Run {
        /// Its name.
        tool: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// What a program prints.
///
/// # Errors
/// [`ToolError`]
pub fn show(tool: &str, arguments: &[&str]) -> Result<String, ToolError> {
    let started = start(tool, arguments, Stdio::null(), SHOW_SECS);
    end(tool, SHOW_SECS, started)
}

/// What a program prints that reads `input`. It lies in memory as a whole before the program
/// starts: should this process be killed, the program works it off, and never half a line of it.
///
/// # Errors
/// [`ToolError`]
pub fn feed(tool: &str, arguments: &[&str], input: &str) -> Result<String, ToolError> {
    let started = whole(input).and_then(|input| start(tool, arguments, input, FEED_SECS));
    end(tool, FEED_SECS, started)
}

/// A file without a name that holds the text.
fn whole(text: &str) -> io::Result<Stdio> {
    let mut file = std::fs::File::from(memfd_create("input", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(text.as_bytes())?;
    file.rewind()?;
    Ok(file.into())
}

fn start(tool: &str, arguments: &[&str], input: Stdio, secs: u32) -> io::Result<Child> {
    Command::new("timeout")
        .args(["--kill-after=1", &secs.to_string(), tool])
        .args(arguments)
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn end(tool: &str, secs: u32, started: io::Result<Child>) -> Result<String, ToolError> {
    let tool = tool.to_owned();
    match started.and_then(finish) {
        Err(source) => Err(ToolError::Run { tool, source }),
        Ok((status, shown, said)) => match status.code() {
            Some(0) => Ok(shown),
            Some(NOT_FOUND) => Err(ToolError::Missing { tool }),
            Some(TIMED_OUT) => Err(ToolError::TooLong { tool, secs }),
            _ if said.contains("xtables lock") => Err(ToolError::Locked { tool }),
            _ => Err(ToolError::Failed {
                tool,
                status,
                reason: reason(&said),
            }),
        },
    }
}

/// The first line that says more than who speaks and is no warning.
fn reason(said: &str) -> String {
    let complains = |line: &&str| {
        let line = line.trim_end();
        !line.is_empty()
            && !line.ends_with(':')
            && !line.starts_with('#')
            && !line.starts_with("Warning: ")
    };
    let line = said.lines().find(complains).unwrap_or_default();
    line.chars().take(MAX_REASON).collect()
}

/// What it printed on both ways, when it has ended.
fn finish(mut child: Child) -> io::Result<(ExitStatus, String, String)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let said = thread::spawn(move || read(stderr));
    let shown = read(stdout);
    if shown.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    let said = said.join().unwrap_or_else(|_| Ok(String::new()));
    Ok((status, shown?, said?))
}

/// Everything, if it is not too much. What is left is thrown away with the pipe.
fn read(pipe: Option<impl Read>) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(MAX_BYTES).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 == MAX_BYTES {
        let message = format!("it prints more than {} MiB", MAX_BYTES >> 20);
        return Err(io::Error::other(message));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<String, String> {
        show("sh", &["-c", script]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_program_that_is_not_there_is_told_from_one_that_fails() {
        assert_eq!(shell("echo rules"), Ok("rules\n".to_owned()));
        let failed = shell("echo rules; echo no right >&2; echo more >&2; exit 3");
        assert_eq!(
            failed,
            Err("sh failed, exit status: 3: no right".to_owned())
        );
        let missing = show("fw-ctl-no-such-tool", &[]).expect_err("it is not there");
        assert!(matches!(missing, ToolError::Missing { .. }));
        assert_eq!(missing.to_string(), "fw-ctl-no-such-tool is not installed");
    }

    #[test]
    fn what_a_program_says_of_itself_and_its_warnings_are_no_reason() {
        let said = "# Warning: iptables-legacy tables present\nWarning: never matched protocol: 51\n\
                    iptables-nft-restore v1.8.9 (nf_tables): \nline 3: RULE_APPEND failed\n";
        assert_eq!(reason(said), "line 3: RULE_APPEND failed");
        assert_eq!(reason(""), "");
    }

    #[test]
    fn a_held_lock_is_told_from_other_failures() {
        let said = "Another app is currently holding the xtables lock; still 1s 0us time ahead to have a chance to grab the lock...";
        let locked = show("sh", &["-c", "echo \"$0\" >&2; exit 4", said]).expect_err("it failed");
        assert!(matches!(locked, ToolError::Locked { .. }), "{locked}");
    }

    #[test]
    fn a_program_reads_all_of_its_input() {
        let text = "add fwctl-block4 192.0.2.0/24\n".repeat(100_000);
        assert_eq!(feed("cat", &[], &text).expect("it reads"), text);
    }

    #[test]
    fn a_program_that_never_stops_printing_is_stopped() {
        let endless = show("yes", &[]).expect_err("it has no end");
        let ToolError::Run { source, .. } = endless else {
            panic!("{endless}");
        };
        assert_eq!(source.to_string(), "it prints more than 128 MiB");
    }

    #[test]
    fn a_program_that_takes_too_long_is_stopped() {
        let asleep = start("sleep", &["100"], Stdio::null(), 1);
        let error = end("sleep", 1, asleep).expect_err("it sleeps");
        assert_eq!(error.to_string(), "sleep takes more than 1 s");
    }
}
