//! How a failed verb is told: one sentence and what to do about it, or the same as JSON.

use std::{error::Error, io};

use serde_json::json;

use crate::{
    api::wire::{Code, ProblemBody, Refused},
    cli::output::{escape, say},
};

/// Refused items that are spelled out for people.
const MAX_REFUSED: usize = 20;

/// An argument that was not understood.
pub fn bad_input(message: impl Into<String>) -> ProblemBody {
    ProblemBody::new(Code::BadInput, message)
}

/// Tells why a verb failed and gives its exit code.
pub fn report(error: &anyhow::Error, as_json: bool) -> u8 {
    let problem = problem(error);
    match as_json {
        true => say(format_args!("{}\n", json!({ "error": problem }))),
        false => say(format_args!("{}", human(&problem))),
    }
    problem.code.exit()
}

/// Tells what clap has to say, which may be the help that was asked for.
pub fn report_usage(error: &clap::Error, as_json: bool) -> u8 {
    if error.use_stderr() && as_json {
        let text = error.render().to_string();
        let sentence = text.lines().next().unwrap_or_default();
        let message = sentence.strip_prefix("error: ").unwrap_or(sentence);
        return report(&bad_input(message).with_hint("see --help").into(), true);
    }
    // A reader that went away has had enough.
    drop(error.print());
    match error.use_stderr() {
        true => Code::BadInput.exit(),
        false => 0,
    }
}

/// The problem that an error is, or the kind of problem it comes from.
fn problem(error: &anyhow::Error) -> ProblemBody {
    let message = format!("{error:#}");
    if let Some(problem) = error
        .chain()
        .find_map(<dyn Error>::downcast_ref::<ProblemBody>)
    {
        return ProblemBody {
            message,
            ..problem.clone()
        };
    }
    let denied = error
        .chain()
        .filter_map(<dyn Error>::downcast_ref::<io::Error>)
        .any(|cause| cause.kind() == io::ErrorKind::PermissionDenied);
    match denied {
        true => ProblemBody::new(Code::Permission, message),
        false => ProblemBody::new(Code::Internal, message),
    }
}

fn human(problem: &ProblemBody) -> String {
    let mut text = format!("fw-ctl: {}\n", escape(&problem.message));
    // A single refused item is the message itself.
    let said = |refused: &Refused| problem.message.contains(&refused.message);
    if !problem.refused.iter().all(said) {
        text += &refusals(problem.refused.iter().map(|refused| &*refused.message));
    }
    if let Some(hint) = &problem.hint {
        text += &format!("help: {}\n", escape(hint));
    }
    text
}

/// The first of them, a line each, and how many there are beyond.
pub fn refusals<'a>(messages: impl ExactSizeIterator<Item = &'a str>) -> String {
    let total = messages.len();
    let mut text: String = messages
        .take(MAX_REFUSED)
        .map(|message| format!("  {}\n", escape(message)))
        .collect();
    if total > MAX_REFUSED {
        text += &format!("  ... {} more\n", total - MAX_REFUSED);
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    fn refused(index: usize, message: &str) -> Refused {
        Refused {
            prefix: "192.0.2.1".into(),
            index,
            code: Code::GuardRefused,
            message: message.into(),
        }
    }

    #[test]
    fn a_problem_keeps_its_code_and_hint_below_any_context() {
        let cause = ProblemBody::new(Code::Kernel, "eth0 has a program").with_hint("detach it");
        let error = Err::<(), _>(cause)
            .context("cannot attach")
            .expect_err("an error");
        let told = problem(&error);
        assert_eq!((told.code, told.code.exit()), (Code::Kernel, 8));
        assert_eq!(
            human(&told),
            "fw-ctl: cannot attach: eth0 has a program\nhelp: detach it\n"
        );
    }

    #[test]
    fn a_refused_permission_is_exit_4_and_an_unknown_error_is_exit_1() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let denied = Err::<(), _>(denied)
            .context("cannot open x")
            .expect_err("an error");
        assert_eq!(problem(&denied).code.exit(), 4);
        assert_eq!(problem(&anyhow::anyhow!("x")).code.exit(), 1);
    }

    #[test]
    fn refused_items_are_spelled_out_unless_the_message_is_one_of_them() {
        let mut one = ProblemBody::new(Code::GuardRefused, "192.0.2.1 is guarded");
        one.refused = vec![refused(0, "192.0.2.1 is guarded")];
        assert_eq!(human(&one), "fw-ctl: 192.0.2.1 is guarded\n");

        let mut many = ProblemBody::new(Code::GuardRefused, "25 refused");
        many.refused = (0..25)
            .map(|n| refused(n, &format!("no {n}\x1b")))
            .collect();
        let text = human(&many);
        assert!(
            text.starts_with("fw-ctl: 25 refused\n  no 0\\u{1b}\n  no 1"),
            "{text}"
        );
        assert!(text.ends_with("  no 19\\u{1b}\n  ... 5 more\n"), "{text}");
    }
}
