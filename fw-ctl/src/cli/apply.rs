//! `apply`: a policy file becomes the policy, whole or not at all.

use std::{
    io::{self, ErrorKind, Read},
    path::PathBuf,
};

use anyhow::Result;

use super::{Context, confirm, diff, failure::bad_input};
use crate::{
    api::wire::{Applied, Apply, Code, PolicyText, ProblemBody},
    config::policy_file,
    duration::Ttl,
    host::files::read_regular,
};

/// A million entries with comments fit.
const MAX_BYTES: u64 = 256 << 20;

/// What `apply` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The policy file, or `-` for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take it back unless `fw-ctl confirm` is run within so many seconds; also 60s, 2m
    #[arg(long, value_name = "SECS", value_parser = secs)]
    confirm: Option<u32>,
}

/// Seconds of a duration that ends.
fn secs(text: &str) -> Result<u32, String> {
    let ttl: Ttl = text.parse().map_err(|error| format!("{error}"))?;
    let secs = ttl.secs().and_then(|secs| u32::try_from(secs).ok());
    secs.ok_or_else(|| "who never has to confirm leaves --confirm away".to_owned())
}

/// `fw-ctl apply`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let dry_run = context.global.dry_run;
    let body = Apply {
        policy: args.policy()?,
        confirm_s: args.confirm,
        dry_run,
    };
    let applied: Applied = context.client.post("/apply", &body)?;
    context.warn_of_all(&applied.warnings);
    context
        .output
        .done(&applied, |applied| told(applied, dry_run))?;
    Ok(0)
}

impl Args {
    /// The policy in the file.
    fn policy(&self) -> Result<PolicyText, ProblemBody> {
        let name = match self.is_stdin() {
            true => "stdin".to_owned(),
            false => self.file.display().to_string(),
        };
        let text = self.read().map_err(|error| {
            let code = match error.kind() {
                ErrorKind::PermissionDenied => Code::Permission,
                _ => Code::BadInput,
            };
            ProblemBody::new(code, format!("cannot read {name}: {error}"))
        })?;
        policy_file::parse(&text).map_err(|error| bad_input(format!("{name}: {error}")))
    }

    fn read(&self) -> io::Result<String> {
        match self.is_stdin() {
            true => {
                let mut text = String::new();
                let input = io::stdin().lock();
                input.take(MAX_BYTES).read_to_string(&mut text)?;
                if text.len() as u64 == MAX_BYTES {
                    let message = format!("larger than {} MiB", MAX_BYTES >> 20);
                    return Err(io::Error::other(message));
                }
                Ok(text)
            }
            false => read_regular(&self.file),
        }
    }

    fn is_stdin(&self) -> bool {
        self.file.to_str() == Some("-")
    }
}

fn told(applied: &Applied, dry_run: bool) -> String {
    let changes = diff::told(&applied.layers, "applied", dry_run);
    match &applied.pending {
        Some(pending) if !dry_run => format!("{changes}{}\n", confirm::waits(pending)),
        _ => changes,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::api::wire::{LayerChange, Pending};

    fn args(file: impl Into<PathBuf>) -> Args {
        Args {
            file: file.into(),
            confirm: None,
        }
    }

    #[test]
    fn times_to_confirm_are_seconds_and_end() {
        assert_eq!(secs("60"), Ok(60));
        assert_eq!(secs("60s"), Ok(60));
        assert_eq!(secs("2m"), Ok(120));
        for text in ["0", "never", "soon", "-1", "4294967296"] {
            assert!(secs(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_broken_file_is_refused_with_its_name_its_line_and_its_column() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("policy.toml");
        let name = file.display().to_string();
        let refused = |text: &[u8]| {
            fs::write(&file, text).expect("a temporary directory");
            args(&file).policy().expect_err("a broken file")
        };
        let problem = refused(b"default = \"drop\"\nblock = []\n");
        assert_eq!(problem.code.exit(), 2);
        let place = format!("{name}: line 2, column 1: ");
        assert!(problem.message.starts_with(&place), "{}", problem.message);
        let problem = refused(b"\xff");
        let place = format!("{name}: line 1, ");
        assert!(problem.message.starts_with(&place), "{}", problem.message);
        fs::remove_file(&file).expect("a temporary directory");
        let problem = args(&file).policy().expect_err("no file");
        assert_eq!(problem.code.exit(), 2);
    }

    #[test]
    fn a_good_file_is_read_whole() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let file = directory.path().join("policy.toml");
        let text = "default = \"drop\"\n[[rule]]\nservice = \"tcp/22\"\naction = \"accept\"\n";
        fs::write(&file, text).expect("a temporary directory");
        let policy = args(&file).policy().expect("a good file");
        assert_eq!(policy.default.as_deref(), Some("drop"));
        assert_eq!(policy.rules.map(|rules| rules.len()), Some(1));
        assert_eq!(policy.blocks, None);
    }

    #[test]
    fn who_has_to_confirm_is_told_unless_it_was_a_dry_run() {
        let applied = Applied {
            layers: vec![LayerChange {
                layer: "xdp".into(),
                changes: vec!["+ block 192.0.2.1".into()],
                more: 0,
            }],
            pending: Some(Pending {
                until: None,
                left_s: None,
            }),
            warnings: Vec::new(),
        };
        let text = told(&applied, false);
        assert!(
            text.starts_with("xdp\n  + block 192.0.2.1\napplied\n"),
            "{text}"
        );
        assert!(text.contains("`fw-ctl confirm` keeps it"), "{text}");
        let dry = told(&applied, true);
        assert!(dry.ends_with("dry run: nothing was changed\n"), "{dry}");
    }
}
