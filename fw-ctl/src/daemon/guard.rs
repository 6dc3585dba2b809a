//! Whom the operator guards.

use std::collections::BTreeSet;

use fw_common::Prefix;

use super::{edit::read_prefix, owner::Owner, problem::Failure};
use crate::{
    api::wire::{self, Changed, Code},
    policy::{
        entry::Action,
        guard::{GuardSource, MAX_NAMED},
    },
};

impl Owner {
    /// `POST /guard`
    ///
    /// # Errors
    /// What is no prefix.
    pub fn guard_add(&mut self, put: &wire::GuardPut, by: &str) -> Result<Changed, Failure> {
        let mut changed = Changed::default();
        let mut added: BTreeSet<Prefix> = self.policy.guard.of(GuardSource::Added).collect();
        for text in &put.prefixes {
            let (prefix, warning) = read_prefix(text)?;
            changed.warnings.extend(warning);
            if !added.insert(prefix) {
                changed.unchanged += 1;
            } else {
                changed.added += 1;
                let blocks = self.policy.table(Action::Block);
                let idle = blocks.within(prefix.address()..=prefix.last());
                let idle = idle
                    .filter(|(place, _)| prefix.covers(&place.prefix))
                    .count();
                if idle > 0 {
                    let text =
                        format!("{idle} blocks have no effect any more: {prefix} is guarded");
                    changed.warnings.push(text);
                }
            }
        }
        let named = added.len() + self.policy.guard.of(GuardSource::Configured).count();
        if named > MAX_NAMED {
            return Err(Failure::new(
                Code::Full,
                format!(
                    "at most {MAX_NAMED} prefixes can be guarded by name, these would be {named}"
                ),
            )
            .with_hint("nothing was changed; a wider prefix guards all that is below it"));
        }
        let before = self.policy.guard.clone();
        self.guard_added(added, by)?;
        self.pardon_guarded(&before);
        changed.warnings.extend(self.goes_back());
        Ok(changed)
    }

    /// `DELETE /guard/{prefix}`
    ///
    /// # Errors
    /// One that the operator did not add.
    pub fn guard_remove(&mut self, prefix: &str, by: &str) -> Result<Changed, Failure> {
        let (prefix, warning) = read_prefix(prefix)?;
        let mut added: Vec<Prefix> = self.policy.guard.of(GuardSource::Added).collect();
        let before = added.len();
        added.retain(|guarded| *guarded != prefix);
        let others: Vec<_> = self
            .policy
            .guard
            .iter()
            .filter(|(guarded, _)| *guarded == prefix)
            .flat_map(|(_, sources)| sources.iter().map(|source| source.name()))
            .filter(|name| *name != GuardSource::Added.name())
            .collect();
        if before == added.len() && !others.is_empty() {
            return Err(Failure::new(
                Code::GuardRefused,
                format!(
                    "{prefix} is guarded as {}, not by `guard add`",
                    others.join(", ")
                ),
            ));
        }
        let removed = before - added.len();
        self.guard_added(added, by)?;
        let mut changed = Changed {
            removed,
            unchanged: usize::from(removed == 0),
            ..Changed::default()
        };
        changed.warnings.extend(warning);
        if removed > 0 && !others.is_empty() {
            changed
                .warnings
                .push(format!("{prefix} stays guarded as {}", others.join(", ")));
        }
        Ok(changed)
    }
}
