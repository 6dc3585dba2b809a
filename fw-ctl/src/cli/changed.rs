//! What a change did, as it is told.

use anyhow::Result;

use crate::{
    api::wire::{Changed, Code},
    cli::{
        Context,
        failure::refusals,
        output::{escape, say},
    },
};

impl Context {
    /// Tells what a change did and gives the exit code.
    pub fn changed(&self, changed: &Changed) -> Result<u8> {
        self.warn_of(changed);
        self.output.done(changed, |changed| self.summary(changed))?;
        Ok(exit(changed))
    }

    /// Tells what was warned of and what was left out.
    pub fn warn_of(&self, changed: &Changed) {
        for warning in &changed.warnings {
            self.output.warn(escape(warning));
        }
        if !changed.refused.is_empty() {
            let messages = changed.refused.iter().map(|refused| &*refused.message);
            say(format_args!("fw-ctl: left out:\n{}", refusals(messages)));
        }
    }

    /// The same, where it was only tried.
    pub fn would(&self, numbers: String) -> String {
        match self.global.dry_run {
            true => format!("dry run: {numbers}"),
            false => numbers,
        }
    }

    fn summary(&self, changed: &Changed) -> String {
        let refused = (changed.refused.len(), "refused");
        self.would(numbers(counts(changed).into_iter().chain([refused])))
    }
}

/// Partly done, or done.
pub fn exit(changed: &Changed) -> u8 {
    match changed.refused.is_empty() {
        true => 0,
        false => Code::Partly.exit(),
    }
}

/// How many entries were changed how.
pub fn counts(changed: &Changed) -> [(usize, &'static str); 4] {
    [
        (changed.added, "added"),
        (changed.updated, "updated"),
        (changed.removed, "removed"),
        (changed.unchanged, "unchanged"),
    ]
}

/// Numbers in one line, those that are not zero.
pub fn numbers(counts: impl IntoIterator<Item = (usize, &'static str)>) -> String {
    let parts: Vec<String> = counts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    match parts.is_empty() {
        true => "nothing to do".to_owned(),
        false => parts.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::Refused;

    #[test]
    fn only_what_happened_is_told() {
        assert_eq!(numbers(counts(&Changed::default())), "nothing to do");
        let changed = Changed {
            added: 2,
            unchanged: 1,
            ..Changed::default()
        };
        assert_eq!(numbers(counts(&changed)), "2 added, 1 unchanged");
        assert_eq!(exit(&changed), 0);
    }

    #[test]
    fn something_left_out_is_exit_6() {
        let refused = Refused {
            prefix: "192.0.2.1".into(),
            index: 0,
            code: Code::GuardRefused,
            message: "guarded".into(),
        };
        let changed = Changed {
            refused: vec![refused],
            ..Changed::default()
        };
        assert_eq!(exit(&changed), 6);
    }
}
