//! Policies as they are asked for: read, and weighed against what is in force.

use std::collections::{BTreeMap, BTreeSet};

use fw_common::Prefix;

use super::Weighed;
use crate::{
    api::wire::{LayerChange, PolicyText},
    daemon::{
        edit::{read_items, read_prefix},
        owner::Owner,
        problem::{Failure, bad_input},
        rules::{merged, read_rule},
    },
    policy::{
        change::{Change, Draft},
        entry::{Action, Item, ListName},
        guard::{GuardSource, MAX_NAMED},
        rule::{Origin, Rule, RuleId},
        rules::{BaseOverrides, Rules},
        time::Now,
    },
};

/// A policy that was read; what is not in it stays as it is.
pub(in crate::daemon) struct Wanted {
    pub(in crate::daemon) entries: BTreeMap<Action, Vec<Item>>,
    pub(in crate::daemon) rules: WantedRules,
    pub(in crate::daemon) guard: Option<Vec<Prefix>>,
    pub(in crate::daemon) base: BaseOverrides,
}

/// Rules of origin `local`.
pub(in crate::daemon) enum WantedRules {
    /// They stay.
    Same,
    /// From a file.
    New(Vec<Rule>),
    /// Those there were, with their numbers.
    Back(BTreeMap<RuleId, Rule>),
}

impl Owner {
    /// Reads a policy.
    ///
    /// # Errors
    /// The first part that makes no sense.
    pub(in crate::daemon) fn read_policy(
        &self,
        text: &PolicyText,
        now: Now,
        warnings: &mut Vec<String>,
    ) -> Result<Wanted, Failure> {
        let count = |named: usize, most: usize, what: &str| match named > most {
            true => Err(bad_input(format!(
                "{named} {what} are too many: at most {most}"
            ))),
            false => Ok(()),
        };
        count(text.rules.as_ref().map_or(0, Vec::len), Rules::MAX, "rules")?;
        let configured = self.policy.guard.of(GuardSource::Configured).count();
        let named = text.guard.as_ref().map_or(0, Vec::len);
        count(named, MAX_NAMED - configured, "guarded prefixes")?;
        let mut entries = BTreeMap::new();
        for (action, items) in [(Action::Allow, &text.allows), (Action::Block, &text.blocks)] {
            if let Some(items) = items {
                let (read, refused) = read_items(items, now, warnings);
                if let Some(first) = refused.into_iter().next() {
                    return Err(Failure::new(first.code, first.message));
                }
                entries.insert(action, read);
            }
        }
        let mut rules = Vec::new();
        for put in text.rules.iter().flatten() {
            let (rule, told) = read_rule(put, Origin::Local, now)
                .map_err(|failure| failure.prefixed(&format!("rule {}: ", put.service)))?;
            warnings.extend(told);
            rules.push(rule);
        }
        let mut guard = Vec::new();
        for text in text.guard.iter().flatten() {
            let (prefix, told) = read_prefix(text)?;
            warnings.extend(told);
            guard.push(prefix);
        }
        guard.sort_unstable();
        guard.dedup();
        Ok(Wanted {
            entries,
            rules: match text.rules {
                Some(_) => WantedRules::New(rules),
                None => WantedRules::Same,
            },
            guard: text.guard.as_ref().map(|_| guard),
            base: merged(self.base, text.default.as_deref(), text.drop_invalid)?,
        })
    }

    /// Weighs it against the guard that it brings, without making anything true.
    ///
    /// # Errors
    /// What refuses it as a whole.
    pub(in crate::daemon) fn weigh(
        &mut self,
        wanted: Wanted,
        now: Now,
    ) -> Result<Weighed, Failure> {
        let guard = self.policy.guard.clone();
        if let Some(prefixes) = &wanted.guard {
            let prefixes = prefixes.iter().copied();
            self.policy.guard.set(GuardSource::Added, prefixes);
        }
        let weighed = self.weigh_rest(wanted, now);
        self.policy.guard = guard;
        weighed
    }

    fn weigh_rest(&self, wanted: Wanted, now: Now) -> Result<Weighed, Failure> {
        let mut draft = Draft::default();
        for (action, items) in wanted.entries {
            let list = ListName::local();
            let change = Change::Replace {
                action,
                list,
                items,
            };
            draft = draft.and(self.policy.prepare(change, now)?);
        }
        let mut rules = self.policy.rules.clone();
        rules.base = wanted.base.over(self.config.mirror.base);
        match wanted.rules {
            WantedRules::Same => {}
            WantedRules::New(wanted) => rules.replace(Origin::Local, wanted)?,
            WantedRules::Back(before) => rules.put_back(Origin::Local, before),
        }
        Ok(Weighed {
            draft,
            rules,
            guard: wanted.guard,
            base: wanted.base,
        })
    }

    /// Whether everything is as it is wished to be.
    pub(in crate::daemon) fn changes_nothing(&self, weighed: &Weighed) -> bool {
        let guarded: BTreeSet<Prefix> = self.policy.guard.of(GuardSource::Added).collect();
        let is_same = |wanted: &Vec<Prefix>| wanted.iter().copied().eq(guarded.iter().copied());
        weighed.draft.is_empty()
            && weighed.rules == self.policy.rules
            && weighed.base == self.base
            && weighed.guard.as_ref().is_none_or(is_same)
    }

    /// What each layer would change.
    pub(in crate::daemon) fn layers(&self, weighed: &Weighed) -> Vec<LayerChange> {
        let edits = weighed.draft.edits.iter().filter_map(|edit| {
            let sign = match (&edit.before, &edit.after) {
                (_, Some(_)) => '+',
                (Some(_), None) => '-',
                (None, None) => return None,
            };
            Some(format!(
                "{sign} {} {}",
                edit.action.name(),
                edit.place.prefix
            ))
        });
        let mut lists: Vec<String> = edits.collect();
        if let Some(wanted) = &weighed.guard {
            let wanted: BTreeSet<Prefix> = wanted.iter().copied().collect();
            let held: BTreeSet<Prefix> = self.policy.guard.of(GuardSource::Added).collect();
            let new = wanted.difference(&held).map(|prefix| ('+', prefix));
            let gone = held.difference(&wanted).map(|prefix| ('-', prefix));
            lists.extend(
                new.chain(gone)
                    .map(|(sign, prefix)| format!("{sign} guard {prefix}")),
            );
        }
        let (old, new) = (self.ruleset(), self.ruleset_of(&weighed.rules));
        let layer = |name: &str, rules: Vec<String>| {
            LayerChange::new(name, [lists.as_slice(), &rules].concat())
        };
        let pushed = differing(&old.pushdown().lines(), &new.pushdown().lines());
        let xdp = layer("xdp", pushed);
        let mirror = self.mirror.is_on();
        let mirror = mirror.then(|| layer(self.mirror.name, differing(&old.lines(), &new.lines())));
        [xdp].into_iter().chain(mirror).collect()
    }
}

/// Lines that are new, and those that are gone.
fn differing(before: &[String], after: &[String]) -> Vec<String> {
    let gone = before.iter().filter(|line| !after.contains(line));
    let new = after.iter().filter(|line| !before.contains(line));
    gone.map(|line| format!("- {line}"))
        .chain(new.map(|line| format!("+ {line}")))
        .collect()
}
