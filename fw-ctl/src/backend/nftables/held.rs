//! What our table holds, and the commands that change it. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use fw_common::Prefix;

use super::{
    rules,
    sets::{SetId, is_over},
};
use crate::{
    plan::{
        mirror::{Element, MirrorPlan, SetChange, SetName},
        ruleset::Ruleset,
    },
    policy::time::{BootSecs, Now},
};

/// Within so many seconds of its end the kernel may or may not hold an element.
pub const SLACK_SECS: u32 = 2;

/// Networks of a set, with their ends.
type Networks = BTreeMap<Prefix, Option<BootSecs>>;

/// The table as we have made it. What has ended is in it until a later change.
#[derive(Default)]
pub struct Held {
    networks: BTreeMap<SetName, Networks>,
    /// Sets that are there; one that is empty stays until the table is made anew.
    sets: BTreeSet<SetId>,
    /// None in a fresh table.
    ruleset: Option<Arc<Ruleset>>,
}

/// A change as `nft` takes it.
pub struct Change {
    /// One a line.
    pub commands: Vec<String>,
    /// There are also other chains, rules or sets than before.
    pub shape: bool,
}

/// Commands after which our table is there, empty, whatever was there before.
pub fn fresh() -> Vec<String> {
    let mut commands = remove();
    commands.extend([
        "add table inet fwctl".to_owned(),
        "add chain inet fwctl fwctl".to_owned(),
        rules::base("input"),
        "add rule inet fwctl input jump fwctl".to_owned(),
    ]);
    commands
}

/// Commands after which our table is not there.
pub fn remove() -> Vec<String> {
    ["add table inet fwctl", "delete table inet fwctl"]
        .map(str::to_owned)
        .into()
}

impl Held {
    /// How many networks each set holds.
    pub fn counts(&self) -> BTreeMap<SetName, usize> {
        SetName::ALL
            .map(|name| (name, self.networks(name).len()))
            .into()
    }

    /// What a set holds.
    pub fn networks(&self, name: SetName) -> &Networks {
        static NONE: Networks = Networks::new();
        self.networks.get(&name).unwrap_or(&NONE)
    }

    /// Takes a plan in, and says what makes it true.
    pub fn change(&mut self, plan: &MirrorPlan, now: Now) -> Change {
        let before = self.sets.len();
        let mut commands = Vec::new();
        for (name, change) in &plan.sets {
            commands.extend(match change {
                SetChange::Replace(elements) => self.replace(*name, elements, now),
                SetChange::Edit(edits) => self.edit(*name, edits, now),
            });
        }
        let shape = plan.ruleset.is_some() || self.sets.len() > before;
        let after = plan.ruleset.as_ref().or(self.ruleset.as_ref()).cloned();
        if shape && let Some(after) = after {
            commands.extend(rules::change(self.ruleset.as_deref(), &after, &self.sets));
            self.ruleset = Some(after);
        }
        Change { commands, shape }
    }

    fn replace(&mut self, name: SetName, elements: &[Element], now: Now) -> Vec<String> {
        let mine = self.sets.iter().filter(|id| id.name == name);
        let mut commands: Vec<_> = mine.map(|id| id.flush()).collect();
        let networks: Networks = elements
            .iter()
            .filter(|element| !is_over(element.deadline, now))
            .map(|element| (element.prefix, element.deadline))
            .collect();
        commands.extend(self.put(name, &networks, now));
        self.networks.insert(name, networks);
        commands
    }

    fn edit(
        &mut self,
        name: SetName,
        edits: &BTreeMap<Prefix, Option<Element>>,
        now: Now,
    ) -> Vec<String> {
        let new: Networks = edits
            .iter()
            .filter_map(|(prefix, element)| Some((*prefix, (*element)?.deadline)))
            .filter(|(_, deadline)| !is_over(*deadline, now))
            .collect();
        let networks = self.networks.entry(name).or_default();
        let is_gone = |deadline: &Option<BootSecs>| {
            deadline.is_some_and(|end| end.0.saturating_add(SLACK_SECS) <= now.boot_secs().0)
        };
        networks.retain(|prefix, deadline| !edits.contains_key(prefix) && !is_gone(deadline));
        networks.extend(new.iter().map(|(prefix, deadline)| (*prefix, *deadline)));

        // An element keeps its end when it is put again: what is there is taken out first.
        let mut known: BTreeMap<SetId, Vec<Prefix>> = BTreeMap::new();
        for prefix in edits.keys() {
            known
                .entry(SetId::of(name, *prefix))
                .or_default()
                .push(*prefix);
        }
        let known = known.iter().filter(|(id, _)| self.sets.contains(id));
        let mut commands: Vec<_> = known.flat_map(|(id, prefixes)| id.take(prefixes)).collect();
        commands.extend(self.put(name, &new, now));
        commands
    }

    /// Commands that put networks, and make the sets that are not there yet.
    fn put(&mut self, name: SetName, networks: &Networks, now: Now) -> Vec<String> {
        let mut by_set: BTreeMap<SetId, Vec<(Prefix, Option<BootSecs>)>> = BTreeMap::new();
        for (prefix, deadline) in networks {
            let id = SetId::of(name, *prefix);
            by_set.entry(id).or_default().push((*prefix, *deadline));
        }
        let mut commands = Vec::new();
        for (id, elements) in by_set {
            if self.sets.insert(id) {
                commands.push(id.add());
            }
            commands.extend(id.put(&elements, now));
        }
        commands
    }
}

#[cfg(test)]
mod tests;
