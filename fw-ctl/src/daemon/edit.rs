//! Changes as they come over the socket: judged, committed.

mod requested;

use std::collections::BTreeSet;

pub use self::requested::Requested;
pub(super) use self::requested::read_prefix;

use super::{
    owner::{Owner, counts},
    problem::{Failure, bad_input},
};
use crate::{
    api::wire::{self, BatchOf, Changed, Code, PutOf, Refused, ReplaceOf},
    host::clock,
    policy::{
        change::{Change, Draft},
        entry::{Action, ActionError, Item, ListName},
        time::Now,
    },
};

/// Requests with more refused items than this name the first ones only.
const MAX_REFUSED: usize = 1000;

/// How a change is to be carried out.
#[derive(Clone, Copy, Debug, Default)]
struct How {
    keep_going: bool,
    dry_run: bool,
}

impl Owner {
    /// `POST /blocks`, `POST /allows`
    ///
    /// # Errors
    /// The first refusal, unless `keep_going`.
    pub fn put(
        &mut self,
        action: Action,
        put: PutOf<Requested>,
        by: &str,
    ) -> Result<Changed, Failure> {
        let how = How {
            keep_going: put.keep_going,
            dry_run: put.dry_run,
        };
        let list = match &put.list {
            Some(name) => list_name(name)?,
            None => ListName::local(),
        };
        let strict = put.strict;
        let kept_from = self.kept_from(&list);
        let changed = self.change(put.items, how, by, |items| Change::Put {
            action,
            list,
            items,
            strict,
        });
        warned(changed, kept_from)
    }

    /// `PUT /lists/{name}`
    ///
    /// # Errors
    /// The first refusal, unless `keep_going`.
    pub fn replace(
        &mut self,
        name: &str,
        replace: ReplaceOf<Requested>,
        by: &str,
    ) -> Result<Changed, Failure> {
        let how = How {
            keep_going: replace.keep_going,
            dry_run: replace.dry_run,
        };
        let list = list_name(name)?;
        let action = replace
            .action
            .parse()
            .map_err(|error: ActionError| bad_input(error.to_string()))?;
        let kept_from = self.kept_from(&list);
        let changed = self.change(replace.items, how, by, |items| Change::Replace {
            action,
            list,
            items,
        });
        warned(changed, kept_from)
    }

    /// `DELETE /blocks/{prefix}`, `DELETE /allows/{prefix}`
    ///
    /// # Errors
    /// What is no prefix; one that is not there is no error.
    pub fn remove(&mut self, action: Action, prefix: &str, by: &str) -> Result<Changed, Failure> {
        let now = clock::now();
        let (prefix, warning) = read_prefix(prefix)?;
        let change = Change::Remove {
            action,
            prefixes: vec![prefix],
        };
        let mut draft = self.policy.prepare(change, now)?;
        draft.warnings.extend(warning);
        draft.warnings.extend(self.comes_back(&draft));
        if action == Action::Block
            && draft.edits.is_empty()
            && let Some(changed) = self.free_source(prefix, now)?
        {
            return Ok(changed);
        }
        self.finish(draft, How::default(), now, by)
    }

    /// `POST /batch`
    ///
    /// # Errors
    /// The first refusal: all or nothing.
    pub fn batch(&mut self, batch: BatchOf<Requested>, by: &str) -> Result<Changed, Failure> {
        let now = clock::now();
        let how = How {
            dry_run: batch.dry_run,
            ..How::default()
        };
        let (mut all, mut refused, mut total) = (Draft::default(), Vec::new(), 0);
        for (action, puts, removals) in [
            (Action::Allow, batch.allow, &batch.unallow),
            (Action::Block, batch.block, &batch.unblock),
        ] {
            let mut prefixes = BTreeSet::new();
            for text in removals {
                let (prefix, warning) = read_prefix(text)?;
                all.warnings.extend(warning);
                prefixes.insert(prefix);
            }
            let Requested {
                items,
                refused: unread,
                warnings,
                total: asked,
            } = puts.check()?;
            all.warnings.extend(warnings);
            if let Some(item) = items.iter().find(|item| prefixes.contains(&item.prefix)) {
                return Err(bad_input(format!(
                    "{} is to be added and removed in one batch",
                    item.prefix
                )));
            }
            let removal = Change::Remove {
                action,
                prefixes: prefixes.into_iter().collect(),
            };
            let put = Change::Put {
                action,
                list: ListName::local(),
                items,
                strict: false,
            };
            let removed = self.policy.prepare(removal, now)?;
            all.warnings.extend(self.comes_back(&removed));
            all = all.and(removed);
            let draft = self.policy.prepare(put, now)?;
            refused.extend(all_refused(unread, &draft));
            total += asked;
            all = all.and(draft);
        }
        refuse(refused, total)?;
        self.finish(all, how, now, by)
    }

    /// `DELETE /lists/{name}`
    ///
    /// # Errors
    /// No such list.
    pub fn flush(&mut self, name: &str, by: &str) -> Result<Changed, Failure> {
        let now = clock::now();
        let list = list_name(name)?;
        let kept_from = self.kept_from(&list);
        let draft = self.policy.prepare(Change::Flush { list }, now)?;
        warned(self.finish(draft, How::default(), now, by), kept_from)
    }

    /// A warning, if something is removed from a list that is kept from elsewhere.
    fn comes_back(&self, draft: &Draft) -> Option<String> {
        let mut lists = draft.edits.iter().map(|edit| edit.place.list);
        let list = lists.find_map(|id| {
            let name = self.policy.list_name(id)?;
            self.feeds.source_of(name).map(|_| name)
        })?;
        Some(format!(
            "list {list} is kept from elsewhere and has it again after the next look: `fw-ctl allow` beats every list"
        ))
    }

    /// A warning, if the list is one that is kept from elsewhere.
    fn kept_from(&self, list: &ListName) -> Option<String> {
        let source = self.feeds.source_of(list)?;
        Some(format!(
            "list {list} is kept from {source}: the next look at it undoes this"
        ))
    }

    fn change(
        &mut self,
        requested: Requested,
        how: How,
        by: &str,
        change: impl FnOnce(Vec<Item>) -> Change,
    ) -> Result<Changed, Failure> {
        let now = clock::now();
        let Requested {
            items,
            refused,
            mut warnings,
            total,
        } = requested.check()?;
        let mut draft = self.policy.prepare(change(items), now)?;
        let mut refused = all_refused(refused, &draft);
        if !how.keep_going {
            refuse(std::mem::take(&mut refused), total)?;
        }
        warnings.append(&mut draft.warnings);
        draft.warnings = warnings;
        let mut changed = self.finish(draft, how, now, by)?;
        changed.refused = refused;
        Ok(changed)
    }

    fn finish(&mut self, draft: Draft, how: How, now: Now, by: &str) -> Result<Changed, Failure> {
        let mut changed = counts(&draft);
        if !how.dry_run {
            self.commit(&draft, now, by)?;
            if !draft.is_empty() {
                self.revised();
            }
            self.pardon_after(&draft, now);
        }
        let local = self.policy.list_id(&ListName::local());
        if draft
            .edits
            .iter()
            .any(|edit| Some(edit.place.list) == local)
        {
            changed.warnings.extend(self.goes_back());
        }
        if self.protected().is_empty() {
            changed
                .warnings
                .push("no interface is protected, nothing is dropped".to_owned());
        }
        Ok(changed)
    }
}

/// Items, those that make no sense, and what the user should know.
pub(super) fn read_items(
    items: &[wire::PutItem],
    now: Now,
    warnings: &mut Vec<String>,
) -> (Vec<Item>, Vec<Refused>) {
    let mut requested = Requested::of(items, now);
    warnings.append(&mut requested.warnings);
    (requested.items, requested.refused)
}

/// What makes no sense and what the draft refuses, by position among all that was asked for.
fn all_refused(mut unread: Vec<Refused>, draft: &Draft) -> Vec<Refused> {
    let position = Requested::positions(&unread);
    unread.extend(refusals(draft).into_iter().map(|refused| Refused {
        index: position(refused.index),
        ..refused
    }));
    unread.sort_by_key(|refused| refused.index);
    unread
}

/// What a draft refuses, by position among its items.
pub(super) fn refusals(draft: &Draft) -> Vec<Refused> {
    let refused = draft.refused.iter().map(|(index, prefix, refusal)| {
        let failure = Failure::from(refusal);
        Refused {
            prefix: prefix.to_string(),
            index: *index,
            code: failure.code,
            message: failure.message,
        }
    });
    refused.collect()
}

fn warned(changed: Result<Changed, Failure>, warning: Option<String>) -> Result<Changed, Failure> {
    let mut changed = changed?;
    changed.warnings.extend(warning);
    Ok(changed)
}

fn list_name(text: &str) -> Result<ListName, Failure> {
    text.parse().map_err(|error| {
        let shown: String = text.chars().take(64).collect();
        bad_input(format!("{shown:?}: {error}"))
    })
}

/// All or nothing: a single refused item refuses the change.
fn refuse(mut refused: Vec<Refused>, requested: usize) -> Result<(), Failure> {
    let Some(first) = refused.first() else {
        return Ok(());
    };
    let message = match requested {
        1 => first.message.clone(),
        _ => format!(
            "{} of {requested} prefixes are refused, nothing was changed",
            refused.len()
        ),
    };
    let mut failure = Failure::new(first.code, message);
    if first.code == Code::GuardRefused {
        failure = failure.with_hint("`fw-ctl guard list` shows who can never be dropped, and why");
    }
    refused.truncate(MAX_REFUSED);
    failure.refused = refused;
    Err(failure)
}
