//! What is told of single lines.

use crate::{
    api::wire::{Code, ProblemBody, Refused},
    cli::failure::bad_input,
    listfile::{Format, Line, LineError, Parsed},
};

/// Warnings of one file that are spelled out.
const MAX_WARNINGS: usize = 20;

/// Why a file with bad lines is refused.
pub fn unreadable(file: &str, parsed: &Parsed) -> ProblemBody {
    let lines = match parsed.errors.len() + parsed.more_errors {
        1 => "1 line".to_owned(),
        many => format!("{many} lines"),
    };
    let message = format!("{file}: {lines} cannot be read, nothing was imported");
    ProblemBody {
        refused: unread(file, &parsed.errors).collect(),
        ..bad_input(message).with_hint("mend them, or leave them out with --keep-going")
    }
}

/// Bad lines, as items that are refused.
pub fn unread(file: &str, errors: &[LineError]) -> impl Iterator<Item = Refused> {
    errors
        .iter()
        .map(move |LineError { line, text, reason }| Refused {
            prefix: text.clone(),
            index: line - 1,
            code: Code::BadInput,
            message: format!("{file}:{line}: {reason}: `{text}`"),
        })
}

/// Why a file is refused that has not the set that was asked for.
pub fn without_set(file: &str, missing: &str, parsed: &Parsed) -> ProblemBody {
    let problem = bad_input(format!("{file} has no set {missing}, nothing was imported"));
    match parsed.sets.is_empty() {
        true => problem.with_hint("--set is for what ipset and nft print"),
        false => problem.with_hint(format!("it has {}", parsed.sets.join(", "))),
    }
}

/// What else the file says, and what it does not say.
pub fn not_taken(file: &str, parsed: &Parsed, chosen: bool) -> Vec<String> {
    let spelled = parsed.left_out.iter().take(MAX_WARNINGS);
    let mut warnings: Vec<String> = spelled
        .map(|LineError { line, text, reason }| {
            format!("{file}:{line}: left out: {reason}: `{text}`")
        })
        .collect();
    let more = parsed.left_out.len() + parsed.more_left_out - warnings.len();
    if more > 0 {
        warnings.push(format!("{file}: {more} more are left out"));
    }
    if parsed.sets.len() > 1 && !chosen {
        let mut sets = parsed.sets[..parsed.sets.len().min(MAX_WARNINGS)].join(", ");
        if parsed.sets.len() > MAX_WARNINGS {
            sets += ", ...";
        }
        warnings.push(format!(
            "{file}: all its sets are read, {sets}: --set NAME reads one"
        ));
    }
    let endless = parsed
        .lines
        .iter()
        .filter(|line| line.ttl.is_none())
        .count();
    if parsed.format == Format::Fail2ban && endless > 0 {
        warnings.push(format!(
            "{file}: {endless} bans are for good here, as `banned` does not say when they end: `get JAIL banip --with-time` and the database do"
        ));
    }
    warnings
}

/// Gives refused items the lines they come from.
pub fn place<'a>(refused: &mut [Refused], file: &str, line_of: impl Fn(usize) -> Option<&'a Line>) {
    for refused in refused {
        if let Some(line) = line_of(refused.index) {
            refused.index = line.line - 1;
            refused.message = format!("{file}:{}: {}", line.line, refused.message);
        }
    }
}

/// Warnings of the lines whose prefix is not what it says.
pub fn cleared(file: &str, lines: &[Line]) -> Vec<String> {
    let (mut warnings, mut more) = (Vec::new(), 0);
    for line in lines.iter().filter(|line| line.host_bits_cleared) {
        match warnings.len() < MAX_WARNINGS {
            true => warnings.push(format!(
                "{file}:{}: host bits are set, {} is taken",
                line.line, line.prefix
            )),
            false => more += 1,
        }
    }
    if more > 0 {
        warnings.push(format!("{file}: host bits are set in {more} more lines"));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listfile::{self, Format};

    #[test]
    fn bad_lines_are_named_with_their_numbers() {
        let parsed = listfile::parse("192.0.2.1\n# note\nbogus\n\n192.0.2.0/33\n", Format::Auto);
        let problem = unreadable("a.txt", &parsed);
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
        let lines = listfile::parse("192.0.2.1-192.0.2.4\n\n198.51.100.1\n", Format::Auto).lines;
        let mut refused = [(2, "192.0.2.4"), (3, "198.51.100.1")].map(|(index, prefix)| Refused {
            prefix: prefix.into(),
            index,
            code: Code::GuardRefused,
            message: format!("{prefix} is guarded"),
        });
        place(&mut refused, "-", |index| lines.get(index));
        assert_eq!(refused[0].message, "-:1: 192.0.2.4 is guarded");
        assert_eq!(refused[1].message, "-:3: 198.51.100.1 is guarded");
        assert_eq!(refused.map(|refused| refused.index), [0, 2]);
    }

    #[test]
    fn cleared_host_bits_are_warned_of_but_not_without_end() {
        let text: String = (0..25)
            .map(|n| format!("192.0.{n}.1/24\n192.0.{n}.0/25\n"))
            .collect();
        let warnings = cleared("f", &listfile::parse(&text, Format::Auto).lines);
        assert_eq!(warnings.len(), MAX_WARNINGS + 1);
        assert_eq!(warnings[1], "f:3: host bits are set, 192.0.1.0/24 is taken");
        assert_eq!(warnings[20], "f: host bits are set in 5 more lines");
    }
}
