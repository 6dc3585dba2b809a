//! Programs that show rules.

use std::{
    io,
    process::{Command, Stdio},
};

/// The most of an error that is told, in characters.
const MAX_REASON: usize = 200;

/// What a program prints; `None` when it is not installed.
///
/// # Errors
/// A sentence: it could not be run, or says that it failed.
pub(super) fn run(program: &str, arguments: &[&str]) -> Result<Option<String>, String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot run {program}: {error}")),
    };
    if output.status.success() {
        return Ok(Some(String::from_utf8_lossy(&output.stdout).into_owned()));
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    let reason: String = reason
        .lines()
        .next()
        .unwrap_or_default()
        .chars()
        .take(MAX_REASON)
        .collect();
    Err(format!("{program} failed, {}: {reason}", output.status))
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
}
