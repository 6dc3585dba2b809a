//! How a failed verb is told: one sentence and what to do about it, or the same as JSON.

use std::{collections::BTreeSet, io};

use crate::{
    api::wire::{Code, Problem, ProblemBody, Refused},
    cli::output::{escape, say},
};

/// Refused items that are spelled out for people.
const MAX_REFUSED: usize = 20;

/// Prints why a verb failed and gives its exit code.
pub fn report(error: anyhow::Error, json: bool) -> u8 {
    let problem = problem(error);
    let code = problem.code.exit();
    match json {
        true => print_json(problem),
        false => say(format_args!("{}", human(&problem))),
    }
    code
}

/// An argument that was not understood.
pub fn bad_input(message: impl Into<String>) -> anyhow::Error {
    ProblemBody::new(Code::BadInput, message).into()
}

/// Tells an error of the command line itself, which clap has found.
pub fn usage(error: &clap::Error, json: bool) -> u8 {
    if !json || !error.use_stderr() {
        // Printed to a reader that went away: nothing is left to say.
        drop(error.print());
    } else {
        let text = error.render().to_string();
        let sentence = text.lines().next().unwrap_or_default();
        let message = sentence.strip_prefix("error: ").unwrap_or(sentence);
        print_json(ProblemBody::new(Code::BadInput, message).with_hint("see --help"));
    }
    match error.use_stderr() {
        true => Code::BadInput.exit(),
        false => 0,
    }
}

fn print_json(error: ProblemBody) {
    match serde_json::to_string(&Problem { error }) {
        Ok(text) => say(format_args!("{text}\n")),
        Err(error) => say(format_args!("fw-ctl: {error}\n")),
    }
}

/// The problem an error is, or the kind it comes from.
fn problem(error: anyhow::Error) -> ProblemBody {
    let denied = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied)
    };
    let known = error.chain().find_map(|cause| cause.downcast_ref::<ProblemBody>());
    match known {
        Some(known) => ProblemBody {
            message: format!("{error:#}"),
            ..known.clone()
        },
        None if error.chain().any(denied) => {
            ProblemBody::new(Code::Permission, format!("{error:#}"))
        }
        None => ProblemBody::new(Code::Internal, format!("{error:#}")),
    }
}

fn human(problem: &ProblemBody) -> String {
    let mut text = format!("fw-ctl: {}\n", escape(&problem.message));
    let said = |refused: &Refused| problem.message.contains(&refused.message);
    if !problem.refused.iter().all(said) {
        text += &refusals(&problem.refused);
    }
    if let Some(hint) = &problem.hint {
        text += &format!("help: {}\n", escape(hint));
    }
    text
}

/// One line for each refused item, the first of them.
pub fn refusals(refused: &[Refused]) -> String {
    let lines = refused
        .iter()
        .take(MAX_REFUSED)
        .map(|refused| format!("  {}\n", escape(&refused.message)));
    let mut text: String = lines.collect();
    if let Some(more @ 1..) = refused.len().checked_sub(MAX_REFUSED) {
        let kinds: BTreeSet<_> = refused.iter().map(|refused| refused.code.exit()).collect();
        text += &format!("  ... {more} more\n");
        drop(kinds);
    }
    text
}
