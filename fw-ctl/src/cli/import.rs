//! `import`: a file of prefixes becomes a part of a list, or all of it. The whole file is one
//! request, which the daemon does whole or not at all.

use std::{
    fs,
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    api::wire::{Changed, Code, ProblemBody, Put, PutItem, Refused, Replace},
    cli::{Context, changed, client::encode, failure::bad_input},
    duration::Ttl,
    listfile::{self, Format, Line, LineError},
    policy::entry::{Action, ListName},
};

/// Warnings of one file that are spelled out.
const MAX_WARNINGS: usize = 20;

/// What `import` takes.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The file, or `-` for stdin
    file: PathBuf,
    /// The list to add to
    #[arg(long, value_name = "NAME", default_value = ListName::LOCAL)]
    list: ListName,
    /// What to do with the prefixes; without it what the file says, or else block
    #[arg(long, value_parser = action_parser())]
    action: Option<Action>,
    /// Remove what the list has and the file has not
    #[arg(long)]
    replace: bool,
    /// How the file is laid out
    #[arg(long, default_value = "auto", value_parser = format_parser())]
    format: Format,
    /// Leave out bad lines and refused prefixes instead of refusing everything; exits 6 then
    #[arg(long)]
    keep_going: bool,
}

/// Reads the name of an action.
pub fn action_parser() -> impl TypedValueParser<Value = Action> {
    PossibleValuesParser::new(Action::ALL.map(Action::name)).try_map(|name| name.parse::<Action>())
}

fn format_parser() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(Format::ALL.map(Format::name)).try_map(|name| name.parse::<Format>())
}

/// What an import did; the object of `--json`.
#[derive(Serialize)]
struct Imported {
    /// Positions are those of lines, from 0.
    #[serde(flatten)]
    changed: Changed,
    /// From the first byte read to the daemon's answer.
    seconds: f64,
}

/// `fw-ctl import`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let started = Instant::now();
    let spinner = context.output.shows_progress().then(|| {
        let spinner = ProgressBar::new_spinner().with_message(format!("importing {}", args.name()));
        spinner.enable_steady_tick(Duration::from_millis(100));
        spinner
    });
    let changed = import(args, context);
    // Before anything else is written to the terminal.
    drop(spinner);
    let imported = Imported {
        changed: changed?,
        seconds: started.elapsed().as_secs_f64(),
    };
    context.warn_of(&imported.changed);
    context
        .output
        .done(&imported, |Imported { changed, seconds }| {
            format!("{} in {seconds:.2} s", context.summary(changed))
        })?;
    Ok(changed::exit(&imported.changed))
}

fn import(args: &Args, context: &Context) -> Result<Changed> {
    let file = args.name();
    let parsed = listfile::parse(&read(&args.file, &file)?, args.format);
    if !parsed.errors.is_empty() && !args.keep_going {
        return Err(unreadable(&file, &parsed.errors).into());
    }
    let lines = &parsed.lines;
    if args.replace && lines.len() <= parsed.errors.len() {
        let list = &args.list;
        let message =
            format!("{file} has no list to put in the place of {list}, which stays as it was");
        let hint = format!("look into the file; `fw-ctl flush {list}` empties the list");
        return Err(bad_input(message).with_hint(hint).into());
    }
    let action = args.action.map_or_else(|| action_of(&file, lines), Ok)?;
    let mut changed: Changed = match send(args, action, lines, context) {
        Ok(changed) => changed,
        Err(error) => {
            let mut problem: ProblemBody = error.downcast()?;
            place(&mut problem.refused, &file, lines);
            return Err(problem.into());
        }
    };
    place(&mut changed.refused, &file, lines);
    changed
        .refused
        .extend(parsed.errors.iter().map(|error| unread(&file, error)));
    changed.refused.sort_by_key(|refused| refused.index);
    changed.warnings.extend(cleared(&file, lines));
    Ok(changed)
}

impl Args {
    /// The file as messages name it.
    fn name(&self) -> String {
        match self.file.to_str() {
            Some("-") => "stdin".to_owned(),
            _ => self.file.display().to_string(),
        }
    }
}

/// The text of the file. What is not UTF-8 is replaced: in a prefix it makes the line a bad one,
/// in a note it does no harm.
fn read(path: &Path, name: &str) -> Result<String, ProblemBody> {
    let bytes = match path.to_str() {
        Some("-") => {
            let mut bytes = Vec::new();
            io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
        }
        _ => fs::read(path),
    };
    match bytes {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) => {
            let code = match error.kind() {
                ErrorKind::PermissionDenied => Code::Permission,
                _ => Code::BadInput,
            };
            Err(ProblemBody::new(
                code,
                format!("cannot read {name}: {error}"),
            ))
        }
    }
}

/// The one action that a file asks for.
fn action_of(file: &str, lines: &[Line]) -> Result<Action, ProblemBody> {
    let action = |line: &Line| line.action.unwrap_or(Action::Block);
    let first = lines.first().map_or(Action::Block, action);
    match lines.iter().find(|line| action(line) != first) {
        None => Ok(first),
        Some(other) => {
            let message = format!(
                "{file}:{}: a file is imported as one action: this says {}, the first entry {}",
                other.line,
                action(other).name(),
                first.name(),
            );
            Err(bad_input(message).with_hint("--action makes everything that action"))
        }
    }
}

fn send(args: &Args, action: Action, lines: &[Line], context: &Context) -> Result<Changed> {
    let item = |line: &Line| PutItem {
        prefix: line.prefix.to_string(),
        ttl_s: line.ttl.and_then(Ttl::secs),
        comment: line.comment.as_str().to_owned(),
    };
    let items = lines.iter().map(item).collect();
    let (keep_going, dry_run) = (args.keep_going, context.global.dry_run);
    if args.replace {
        let body = Replace {
            action: action.name().to_owned(),
            items,
            keep_going,
            dry_run,
        };
        let path = format!("/lists/{}", encode(args.list.as_str()));
        return context.client.put(&path, &body);
    }
    let body = Put {
        items,
        list: Some(args.list.to_string()),
        keep_going,
        strict: false,
        dry_run,
    };
    let path = match action {
        Action::Block => "/blocks",
        Action::Allow => "/allows",
    };
    context.client.post(path, &body)
}

/// Gives refused items the lines they come from.
fn place(refused: &mut [Refused], file: &str, lines: &[Line]) {
    for refused in refused {
        if let Some(line) = lines.get(refused.index) {
            refused.index = line.line - 1;
            refused.message = format!("{file}:{}: {}", line.line, refused.message);
        }
    }
}

fn unreadable(file: &str, errors: &[LineError]) -> ProblemBody {
    let lines = match errors.len() {
        1 => "1 line".to_owned(),
        many => format!("{many} lines"),
    };
    let message = format!("{file}: {lines} cannot be read, nothing was imported");
    ProblemBody {
        refused: errors.iter().map(|error| unread(file, error)).collect(),
        ..bad_input(message).with_hint("mend them, or leave them out with --keep-going")
    }
}

fn unread(file: &str, error: &LineError) -> Refused {
    let LineError { line, text, reason } = error;
    Refused {
        prefix: text.clone(),
        index: line - 1,
        code: Code::BadInput,
        message: format!("{file}:{line}: {reason}: `{text}`"),
    }
}

/// Warnings of the lines whose prefix is not what it says.
fn cleared(file: &str, lines: &[Line]) -> Vec<String> {
    let cleared: Vec<&Line> = lines.iter().filter(|line| line.host_bits_cleared).collect();
    let warning = |line: &&Line| {
        format!(
            "{file}:{}: host bits are set, {} is taken",
            line.line, line.prefix
        )
    };
    let mut warnings: Vec<String> = cleared.iter().take(MAX_WARNINGS).map(warning).collect();
    if cleared.len() > MAX_WARNINGS {
        let more = cleared.len() - MAX_WARNINGS;
        warnings.push(format!("{file}: host bits are set in {more} more lines"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<Line> {
        listfile::parse(text, Format::Auto).lines
    }

    #[test]
    fn bad_lines_are_named_with_their_numbers() {
        let parsed = listfile::parse("192.0.2.1\n# note\nbogus\n\n192.0.2.0/33\n", Format::Auto);
        let problem = unreadable("a.txt", &parsed.errors);
        assert_eq!(problem.code.exit(), 2);
        assert_eq!(
            problem.message,
            "a.txt: 2 lines cannot be read, nothing was imported"
        );
        let messages: Vec<_> = problem
            .refused
            .iter()
            .map(|refused| &refused.message)
            .collect();
        assert!(messages[0].starts_with("a.txt:3: "), "{}", messages[0]);
        assert!(messages[1].starts_with("a.txt:5: "), "{}", messages[1]);
        assert_eq!(problem.refused[1].index, 4);
    }

    #[test]
    fn what_the_daemon_refuses_is_named_with_its_line_even_behind_a_range() {
        let lines = lines("192.0.2.1-192.0.2.4\n\n198.51.100.1\n");
        let mut refused = [(2, "192.0.2.4"), (3, "198.51.100.1")].map(|(index, prefix)| Refused {
            prefix: prefix.into(),
            index,
            code: Code::GuardRefused,
            message: format!("{prefix} is guarded"),
        });
        place(&mut refused, "-", &lines);
        assert_eq!(refused[0].message, "-:1: 192.0.2.4 is guarded");
        assert_eq!(refused[1].message, "-:3: 198.51.100.1 is guarded");
        assert_eq!(refused.map(|refused| refused.index), [0, 2]);
    }

    #[test]
    fn a_file_has_one_action() {
        let action = |text| action_of("f", &lines(text));
        assert_eq!(action(""), Ok(Action::Block));
        assert_eq!(action("192.0.2.1\n"), Ok(Action::Block));
        assert_eq!(
            action(r#"{"allowed_ips":[{"ip":"192.0.2.1"}]}"#),
            Ok(Action::Allow)
        );
        let mixed =
            "[{\"prefix\":\"192.0.2.1\",\"action\":\"allow\"},\n{\"prefix\":\"192.0.2.2\"}]";
        let problem = action(mixed).expect_err("mixed");
        assert_eq!(problem.code.exit(), 2);
        assert!(problem.message.starts_with("f:2: "), "{}", problem.message);
    }

    #[test]
    fn cleared_host_bits_are_warned_of_but_not_without_end() {
        let text: String = (0..25)
            .map(|n| format!("192.0.{n}.1/24\n192.0.{n}.0/25\n"))
            .collect();
        let warnings = cleared("f", &lines(&text));
        assert_eq!(warnings.len(), MAX_WARNINGS + 1);
        assert_eq!(warnings[1], "f:3: host bits are set, 192.0.1.0/24 is taken");
        assert_eq!(warnings[20], "f: host bits are set in 5 more lines");
    }
}
