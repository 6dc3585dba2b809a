//! `ipset` takes no network of length 0: it stands as its two halves. So that a half that is also
//! listed by itself has the later end, and stays when the other goes, the backend remembers what
//! it was told of lengths 0 and 1.

use std::collections::BTreeMap;

use fw_common::Prefix;

use crate::{
    plan::mirror::{Element, SetChange, SetName},
    policy::time::BootSecs,
};

/// What the sets should hold of lengths 0 and 1.
#[derive(Debug, Default)]
pub struct Halves(BTreeMap<(SetName, Prefix), Option<BootSecs>>);

/// Whether it is of length 0 or 1.
pub fn is_wide(prefix: &Prefix) -> bool {
    prefix.length() <= 1
}

/// The halves of both families.
fn halves() -> impl Iterator<Item = Prefix> {
    ["0.0.0.0/1", "128.0.0.0/1", "::/1", "8000::/1"]
        .into_iter()
        .filter_map(|half| half.parse().ok())
}

/// No end is the latest.
fn later(one: Option<BootSecs>, other: Option<BootSecs>) -> Option<BootSecs> {
    one.zip(other).map(|(one, other)| one.max(other))
}

impl Halves {
    /// Learns what changes.
    pub fn learn(&mut self, set: SetName, change: &SetChange) {
        match change {
            SetChange::Replace(elements) => {
                self.0.retain(|(known, _), _| *known != set);
                let wide = elements.iter().filter(|held| is_wide(&held.prefix));
                let wide = wide.map(|held| ((set, held.prefix), held.deadline));
                self.0.extend(wide);
            }
            SetChange::Edit(edits) => {
                for (prefix, held) in edits.iter().filter(|(prefix, _)| is_wide(prefix)) {
                    match held {
                        Some(held) => self.0.insert((set, *prefix), held.deadline),
                        None => self.0.remove(&(set, *prefix)),
                    };
                }
            }
        }
    }

    /// Each half, and how it stands in the set if it does.
    pub fn of(&self, set: SetName) -> impl Iterator<Item = (Prefix, Option<Element>)> {
        halves().map(move |prefix| {
            let covers = |(wide, _): &(Prefix, _)| wide.covers(&prefix);
            let deadlines = self.known(set).filter(covers).map(|(_, end)| end);
            let deadline = deadlines.reduce(later);
            (
                prefix,
                deadline.map(|deadline| Element { prefix, deadline }),
            )
        })
    }

    /// What a set holds as the policy has it, from what was found in it.
    pub fn rejoin(&self, set: SetName, found: Vec<Element>) -> Vec<Element> {
        let (present, mut rest): (Vec<Element>, Vec<Element>) =
            found.into_iter().partition(|held| is_wide(&held.prefix));
        let stands = |wide: &Prefix| {
            let mut needed = halves().filter(|half| wide.covers(half));
            needed.all(|half| present.iter().any(|held| held.prefix == half))
        };
        let known: Vec<Element> = self
            .known(set)
            .filter(|(prefix, _)| stands(prefix))
            .map(|(prefix, deadline)| Element { prefix, deadline })
            .collect();
        let is_foreign =
            |held: &Element| !known.iter().any(|wide| wide.prefix.covers(&held.prefix));
        rest.extend(present.iter().filter(|held| is_foreign(held)));
        rest.extend(known);
        rest.sort_unstable();
        rest
    }

    fn known(&self, set: SetName) -> impl Iterator<Item = (Prefix, Option<BootSecs>)> {
        let of_set = self.0.iter().filter(move |((of, _), _)| *of == set);
        of_set.map(|((_, prefix), deadline)| (*prefix, *deadline))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(prefix: &str, deadline: Option<u32>) -> Element {
        Element {
            prefix: prefix.parse().expect("a prefix"),
            deadline: deadline.map(BootSecs),
        }
    }

    fn standing(halves: &Halves) -> Vec<Element> {
        halves
            .of(SetName::Block)
            .filter_map(|half| half.1)
            .collect()
    }

    #[test]
    fn a_half_that_is_listed_too_has_the_later_end_and_stays_when_the_whole_goes() {
        let mut halves = Halves::default();
        let all = element("0.0.0.0/0", Some(50));
        let half = element("128.0.0.0/1", Some(90));
        halves.learn(SetName::Block, &SetChange::Replace(vec![all, half]));
        assert_eq!(standing(&halves), [element("0.0.0.0/1", Some(50)), half]);
        let longer = element("0.0.0.0/0", None);
        let edit = BTreeMap::from([(longer.prefix, Some(longer))]);
        halves.learn(SetName::Block, &SetChange::Edit(edit));
        assert_eq!(
            standing(&halves),
            [element("0.0.0.0/1", None), element("128.0.0.0/1", None)]
        );
        let gone = BTreeMap::from([(all.prefix, None)]);
        halves.learn(SetName::Block, &SetChange::Edit(gone));
        assert_eq!(standing(&halves), [half]);
        assert_eq!(
            halves.of(SetName::Allow).filter_map(|half| half.1).count(),
            0
        );
    }

    #[test]
    fn what_is_found_is_told_as_it_was_given() {
        let mut halves = Halves::default();
        let all = element("::/0", Some(50));
        let half = element("8000::/1", Some(90));
        let net = element("2001:db8::/32", None);
        halves.learn(SetName::Block, &SetChange::Replace(vec![all, half, net]));
        let lower = element("::/1", Some(50));
        let by_hand = element("0.0.0.0/1", None);
        let found = vec![half, net, lower, by_hand];
        let mut expected = vec![by_hand, all, half, net];
        expected.sort_unstable();
        assert_eq!(halves.rejoin(SetName::Block, found), expected);
        // Someone took the lower half out.
        assert_eq!(halves.rejoin(SetName::Block, vec![half]), [half]);
    }
}
