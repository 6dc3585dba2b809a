//! Other programs: found, asked, and run with their command line shown first.

use std::{
    env, fmt, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};

/// What the `cargo` that runs this recipe sets for its own toolchain, and what would override
/// the flags of the kernel build: neither may reach another compiler.
const LEAKS: [&str; 5] = [
    "CARGO",
    "CARGO_ENCODED_RUSTFLAGS",
    "LD_LIBRARY_PATH",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// A program that ran and failed.
#[derive(Debug)]
pub struct Failed {
    program: String,
    code: u8,
}

impl Failed {
    /// The exit code to end with: the program's own.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed with exit code {}", self.program, self.code)
    }
}

impl std::error::Error for Failed {}

/// The root of the checkout.
pub fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Where cargo puts what it builds for the host.
pub fn target_dir() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into()))
}

/// A command of the cargo in use, its arguments parted by blanks, run at the root.
pub fn cargo(arguments: &str) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(arguments.split_whitespace())
        .current_dir(root());
    command
}

/// A command of another toolchain, which must not see the one that runs this recipe.
pub fn foreign(program: &Path) -> Command {
    let mut command = Command::new(program);
    for name in LEAKS {
        command.env_remove(name);
    }
    command
}

/// Shows the command, runs it, and fails as it does.
pub fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", shown(command));
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("cannot start {program}"))?;
    if status.success() {
        return Ok(());
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Err(Failed {
        program,
        code: code.unwrap_or(1),
    }
    .into())
}

/// What the command prints, or nothing if it is missing or fails.
pub fn ask(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then_some(text)
}

/// Finds a program on PATH, or where a user's PATH on Debian does not look.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Whether this process may install packages, mount and load programs.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// The command as a shell would take it.
fn shown(command: &Command) -> String {
    let settings = command.get_envs().filter_map(|(name, value)| {
        let value = quoted(&value?.to_string_lossy());
        Some(format!("{}={value}", name.to_string_lossy()))
    });
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words = words.map(|word| quoted(&word.to_string_lossy()));
    settings.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    if word.contains(char::is_whitespace) {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("make");
        command
            .env("FLAGS", "-a -b")
            .env_remove("HOME")
            .args(["all", "a b"]);
        assert_eq!(shown(&command), "FLAGS='-a -b' make all 'a b'");
    }

    #[test]
    fn a_failing_program_hands_on_its_exit_code() {
        let outcome = run(Command::new("sh").args(["-c", "exit 7"])).context("ring host");
        let error = outcome.expect_err("the shell fails");
        assert_eq!(error.downcast_ref().map(Failed::code), Some(7));
    }

    #[test]
    fn a_question_to_a_missing_program_has_no_answer() {
        assert_eq!(ask(&mut Command::new("no-such-program-here")), None);
        assert_eq!(ask(&mut Command::new("false")), None);
    }
}
