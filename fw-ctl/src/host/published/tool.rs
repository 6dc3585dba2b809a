//! Programs that show rules.

use std::{
    io::{self, Read},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
};

/// The most of an error that is told, in characters.
const MAX_REASON: usize = 200;

/// The most that is read of what a program prints: the rules of a large host are a few megabytes.
const MAX_BYTES: u64 = 64 << 20;

/// Ends what does not come to its end, in seconds (timeout(1), of coreutils).
const DEADLINE: [&str; 2] = ["--kill-after=1", "10"];

/// What timeout(1) says of a program that is not there, and of one that took too long.
const NOT_FOUND: i32 = 127;
const TOO_LONG: i32 = 124;

/// What a program prints; `None` when it is not installed.
///
/// # Errors
/// A sentence: it could not be run, says that it failed, takes too long or prints too much.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<Option<String>, String> {
    let child = Command::new("timeout")
        .args(DEADLINE)
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let printed = child.and_then(finish);
    let (status, shown, said) =
        printed.map_err(|error| format!("cannot run {program}: {error}"))?;
    match status.code() {
        Some(0) => Ok(Some(shown)),
        Some(NOT_FOUND) => Ok(None),
        Some(TOO_LONG) => Err(format!("{program} takes more than {} s", DEADLINE[1])),
        _ => {
            let reason: String = said.lines().next().unwrap_or_default().into();
            let reason: String = reason.chars().take(MAX_REASON).collect();
            Err(format!("{program} failed, {status}: {reason}"))
        }
    }
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

    #[test]
    fn a_program_that_is_not_there_is_no_failure_and_one_that_fails_is() {
        assert_eq!(run("fw-ctl-no-such-tool", &[]), Ok(None));
        assert_eq!(
            run("sh", &["-c", "echo rules"]),
            Ok(Some("rules\n".to_owned()))
        );
        let failed = run(
            "sh",
            &["-c", "echo rules; echo no right >&2; echo more >&2; exit 3"],
        );
        assert_eq!(
            failed,
            Err("sh failed, exit status: 3: no right".to_owned())
        );
    }

    #[test]
    fn a_program_that_never_stops_printing_is_stopped() {
        assert_eq!(
            run("yes", &[]),
            Err("cannot run yes: it prints more than 64 MiB".to_owned())
        );
    }
}
