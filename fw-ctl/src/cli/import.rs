//! `import`: a file of prefixes becomes a part of a list, or all of it. The whole file is one
//! request, which the daemon does whole or not at all.
//!
//! - [`source`]: reading it
//! - [`database`]: reading fail2ban's
//! - [`wanted`]: what is sent of it
//! - [`told`]: what is said of its lines
//! - [`interrupt`]: what Ctrl-C means meanwhile

mod database;
mod interrupt;
mod source;
mod told;
mod wanted;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use fw_common::Prefix;
use hyper::Method;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Zoned;
use serde::Serialize;

use self::{interrupt::Interrupt, source::Source, wanted::Wanted};
use crate::{
    api::wire::{Changed, Code, Entry, Items, ProblemBody, PutOf, Refused, ReplaceOf},
    cli::{Context, changed, client::encode, failure::bad_input},
    listfile::{Format, Line, Parsed, Reading},
    policy::entry::{Action, ListName},
};

/// A bar is drawn again after so long.
const TICK: Duration = Duration::from_millis(100);

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
    /// Take only what the file says is to be blocked, or allowed, and leave the rest
    #[arg(long, value_parser = action_parser(), conflicts_with = "action")]
    only: Option<Action>,
    /// Of a file with several sets (ipset, nft), read this one; may be given again
    #[arg(long = "set", value_name = "NAME")]
    sets: Vec<String>,
    /// Remove what the list has and the file has not
    #[arg(long)]
    replace: bool,
    /// Leave out what a shorter prefix of the file, or an allow, covers for at least as long
    #[arg(long)]
    drop_covered: bool,
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
    let formats = Format::ALL.map(|format| PossibleValue::new(format.name()).help(format.origin()));
    PossibleValuesParser::new(formats).try_map(|name| name.parse::<Format>())
}

/// What an import did; the object of `--json`.
#[derive(Default, Serialize)]
struct Imported {
    /// Positions are those of lines, from 0.
    #[serde(flatten)]
    changed: Changed,
    /// Prefixes that stand in the file more than once, as often as they do so again.
    duplicates: usize,
    /// Prefixes left out because something shorter covers them.
    covered: usize,
    /// Lines that cannot be read.
    invalid: usize,
    /// What the file says that no list can say, such as a rule about a port.
    left_out: usize,
    /// Entries that have ended already.
    ended: usize,
    /// From the start to the daemon's answer.
    seconds: f64,
}

impl Imported {
    fn numbers(&self) -> String {
        let by_daemon = |refused: &&Refused| refused.code != Code::BadInput;
        let refused = self.changed.refused.iter().filter(by_daemon).count();
        changed::numbers(changed::counts(&self.changed).into_iter().chain([
            (self.duplicates, "duplicates"),
            (self.covered, "covered"),
            (self.invalid, "invalid"),
            (self.left_out, "left out"),
            (self.ended, "ended"),
            (refused, "refused"),
        ]))
    }
}

/// `fw-ctl import`
pub fn run(args: &Args, context: &Context) -> Result<u8> {
    let started = Instant::now();
    let bar = match context.output.shows_progress() {
        true => ProgressBar::new_spinner(),
        false => ProgressBar::hidden(),
    };
    let imported = import(args, context, &bar);
    // Before anything else is written to the terminal.
    bar.finish_and_clear();
    let imported = Imported {
        seconds: started.elapsed().as_secs_f64(),
        ..imported?
    };
    context.warn_of(&imported.changed);
    context.output.done(&imported, |imported| {
        let numbers = context.would(imported.numbers());
        format!("{numbers} in {:.2} s", imported.seconds)
    })?;
    Ok(changed::exit(&imported.changed))
}

fn import(args: &Args, context: &Context, bar: &ProgressBar) -> Result<Imported> {
    let interrupt = Interrupt::watch(bar.clone())?;
    let file = source::name(&args.file);
    let source = Source::open(&args.file)?;
    show(bar, source.length(), &file);
    let mut parsed = source.read(reading(args), bar)?;
    let invalid = parsed.errors.len() + parsed.more_errors;
    if let Some(only) = args.only {
        parsed.lines.retain(|line| action_of_line(line) == only);
    }
    let action = check(args, &file, &parsed)?;
    let mut warnings = told::cleared(&file, &parsed.lines);
    warnings.extend(told::not_taken(&file, &parsed, !args.sets.is_empty()));
    let mut wanted = Wanted::of(std::mem::take(&mut parsed.lines));
    if args.drop_covered {
        wanted.leave_out_covered(&allowed(action, context)?);
    }
    bar.set_style(ProgressStyle::default_spinner());
    bar.set_message("applying");
    interrupt.sending();
    let mut changed: Changed = match send(args, action, &wanted, context) {
        Ok(changed) => changed,
        Err(error) => {
            let mut problem: ProblemBody = error.downcast()?;
            told::place(&mut problem.refused, &file, |position| {
                wanted.line(position)
            });
            problem.refused.sort_by_key(|refused| refused.index);
            return Err(problem.into());
        }
    };
    told::place(&mut changed.refused, &file, |position| {
        wanted.line(position)
    });
    changed.refused.extend(told::unread(&file, &parsed.errors));
    changed.refused.sort_by_key(|refused| refused.index);
    if parsed.more_errors > 0 {
        let more = parsed.more_errors;
        warnings.push(format!("{file}: {more} more lines cannot be read"));
    }
    changed.warnings.append(&mut warnings);
    Ok(Imported {
        changed,
        duplicates: wanted.duplicates,
        covered: wanted.covered,
        invalid,
        left_out: parsed.left_out.len() + parsed.more_left_out,
        ended: parsed.ended,
        seconds: 0.0,
    })
}

/// How the file is to be read: now, and in the zone of this machine.
fn reading(args: &Args) -> Reading {
    Reading {
        format: args.format,
        sets: args.sets.clone(),
        most: None,
        now: Zoned::now(),
    }
}

/// A bar of the bytes where their number is known.
fn show(bar: &ProgressBar, length: Option<u64>, file: &str) {
    if let Some(length) = length {
        let bytes = "{msg} {wide_bar} {bytes}/{total_bytes}";
        bar.set_length(length);
        bar.set_style(ProgressStyle::with_template(bytes).unwrap_or(ProgressStyle::default_bar()));
    }
    bar.set_message(format!("reading {file}"));
    bar.enable_steady_tick(TICK);
}

/// Whether the file may be imported, and as what.
fn check(args: &Args, file: &str, parsed: &Parsed) -> Result<Action, ProblemBody> {
    let bad = parsed.errors.len() + parsed.more_errors;
    if bad > 0 && !args.keep_going {
        return Err(told::unreadable(file, parsed));
    }
    if let Some(missing) = args.sets.iter().find(|name| !parsed.sets.contains(name)) {
        return Err(told::without_set(file, missing, parsed));
    }
    if args.replace && parsed.lines.len() <= bad {
        let list = &args.list;
        let message =
            format!("{file} has no list to put in the place of {list}, which stays as it was");
        let hint = format!("look into the file; `fw-ctl flush {list}` empties the list");
        return Err(bad_input(message).with_hint(hint));
    }
    args.action
        .map_or_else(|| action_of(file, &parsed.lines), Ok)
}

/// What beats a block, by prefix, with the seconds it has left.
fn allowed(action: Action, context: &Context) -> Result<Vec<(Prefix, Option<u64>)>> {
    if action == Action::Allow {
        return Ok(Vec::new());
    }
    let allows: Items<Entry> = context.client.get("/allows")?;
    let mut allowed = Vec::with_capacity(allows.items.len());
    for entry in allows.items {
        allowed.push((entry.prefix.parse()?, entry.ttl_s));
    }
    allowed.sort_unstable();
    Ok(allowed)
}

/// The one action that a file asks for.
fn action_of(file: &str, lines: &[Line]) -> Result<Action, ProblemBody> {
    let first = lines.first().map_or(Action::Block, action_of_line);
    match lines.iter().find(|line| action_of_line(line) != first) {
        None => Ok(first),
        Some(other) => {
            let message = format!(
                "{file}:{}: a file is imported as one action: this says {}, the first entry {}",
                other.line,
                action_of_line(other).name(),
                first.name(),
            );
            let hint = "--only allow or --only block takes one kind; --action makes everything that action";
            Err(bad_input(message).with_hint(hint))
        }
    }
}

fn action_of_line(line: &Line) -> Action {
    line.action.unwrap_or(Action::Block)
}

fn send(args: &Args, action: Action, items: &Wanted, context: &Context) -> Result<Changed> {
    let (keep_going, dry_run) = (args.keep_going, context.global.dry_run);
    if args.replace {
        let body = ReplaceOf {
            action: action.name().to_owned(),
            items,
            keep_going,
            dry_run,
        };
        let path = format!("/lists/{}", encode(args.list.as_str()));
        return context.client.stream(Method::PUT, &path, &body);
    }
    let body = PutOf {
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
    context.client.stream(Method::POST, path, &body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listfile;

    #[test]
    fn a_file_has_one_action() {
        let lines = |text| listfile::parse(text, Format::Auto).lines;
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
    fn what_an_import_did_is_told_apart() {
        let refused = |code| Refused {
            prefix: String::new(),
            index: 0,
            code,
            message: String::new(),
        };
        let imported = Imported {
            changed: Changed {
                added: 4,
                unchanged: 1,
                refused: [Code::BadInput, Code::GuardRefused, Code::GuardRefused]
                    .map(refused)
                    .into(),
                ..Changed::default()
            },
            duplicates: 3,
            covered: 2,
            invalid: 1,
            left_out: 5,
            ended: 6,
            seconds: 0.0,
        };
        assert_eq!(
            imported.numbers(),
            "4 added, 1 unchanged, 3 duplicates, 2 covered, 1 invalid, 5 left out, 6 ended, 2 refused"
        );
        assert_eq!(Imported::default().numbers(), "nothing to do");
    }
}
