//! The sets of a ruleset: which are read, and which rules use for something else than dropping.

use std::{collections::HashMap, mem};

use super::rule::Rule;
use crate::{
    duration::Ttl,
    listfile::{Parsed, ipset::is_wanted},
};

/// Types, and what `typeof` may name, that are addresses and nothing else.
const TYPES: [&str; 6] = [
    "ipv4_addr",
    "ipv6_addr",
    "ip saddr",
    "ip daddr",
    "ip6 saddr",
    "ip6 daddr",
];

/// The sets of a text or document.
pub(super) struct Sets {
    /// Those that are to be read whatever rules say; all are if there are none.
    wanted: Vec<String>,
    sets: Vec<Set>,
    /// Where a set stands among them, by table and name.
    places: HashMap<(String, String), usize>,
    /// The last one is being read.
    open: bool,
}

struct Set {
    name: String,
    /// On which line it begins.
    line: usize,
    /// Its elements among all that were read.
    elements: std::ops::Range<usize>,
    /// How long elements live that do not say so.
    ttl: Option<Ttl>,
    /// Its elements are addresses, and somebody wants them.
    reads: bool,
    /// The line of the first rule that uses it for something else.
    misused: Option<usize>,
}

impl Sets {
    pub(super) fn new(wanted: &[String]) -> Self {
        Self {
            wanted: wanted.to_vec(),
            sets: Vec::new(),
            places: HashMap::new(),
            open: false,
        }
    }

    /// A set begins.
    pub(super) fn open(&mut self, table: &str, name: &str, line: usize, parsed: &Parsed) {
        let place = (table.to_owned(), name.to_owned());
        self.places.insert(place, self.sets.len());
        let start = parsed.lines.len();
        self.sets.push(Set {
            name: name.to_owned(),
            line,
            elements: start..start,
            ttl: None,
            reads: false,
            misused: None,
        });
        self.open = true;
    }

    /// The type of the set at hand.
    pub(super) fn of_type(&mut self, kind: &str, line: usize, raw: &str, parsed: &mut Parsed) {
        let Some(set) = self.sets.last_mut().filter(|_| self.open) else {
            return;
        };
        set.reads = is_wanted(&self.wanted, &set.name) && TYPES.contains(&kind);
        if set.reads {
            return parsed.sets.push(set.name.clone());
        }
        let name = set.name.escape_debug();
        let reason = format!("set {name} is no set of ipv4_addr or ipv6_addr");
        if self.wanted.is_empty() {
            parsed.leave_out(line, raw, reason);
        } else if is_wanted(&self.wanted, &set.name) {
            parsed.take(line, raw, Err(reason));
        }
    }

    /// What the set at hand says of elements that say nothing.
    pub(super) fn lasts(&mut self, ttl: Ttl) {
        if let Some(set) = self.sets.last_mut().filter(|_| self.open) {
            set.ttl = Some(ttl);
        }
    }

    /// Whether elements of the set at hand are to be read, and how long they live.
    pub(super) fn reads(&self) -> Option<Option<Ttl>> {
        let set = self.sets.last().filter(|set| self.open && set.reads)?;
        Some(set.ttl)
    }

    /// The set at hand ends.
    pub(super) fn close(&mut self, parsed: &Parsed) {
        if let Some(set) = self.sets.last_mut().filter(|_| mem::take(&mut self.open)) {
            set.elements.end = parsed.lines.len();
        }
    }

    /// A rule of a chain. What it drops by itself, without a set, is named.
    pub(super) fn used(
        &mut self,
        table: &str,
        rule: &Rule,
        hooked: bool,
        line: usize,
        raw: &str,
        parsed: &mut Parsed,
    ) {
        if rule.drops_by_itself && self.wanted.is_empty() {
            parsed.leave_out(line, raw, "of rules nothing is read: only sets are");
        }
        if rule.drops_a_set && hooked {
            return;
        }
        for name in &rule.sets {
            let place = (table.to_owned(), name.clone());
            if let Some(place) = self.places.get(&place) {
                self.sets[*place].misused.get_or_insert(line);
            }
        }
    }

    /// Takes back what stands in sets that rules use for something else, unless they were asked
    /// for by name.
    pub(super) fn end(self, parsed: &mut Parsed) {
        let misused = |set: &&Set| set.reads && set.misused.is_some() && self.wanted.is_empty();
        let misused: Vec<&Set> = self.sets.iter().filter(misused).collect();
        for set in &misused {
            let (name, rule) = (set.name.escape_debug(), set.misused.unwrap_or_default());
            let reason = format!(
                "the rule on line {rule} does more, or less, than drop who is in it: --set {name} imports it all the same"
            );
            parsed.leave_out(set.line, &format!("set {name}"), reason);
        }
        let (mut index, mut ranges) = (0, misused.iter().map(|set| &set.elements).peekable());
        parsed.lines.retain(|_| {
            let at = index;
            index += 1;
            while ranges.next_if(|range| range.end <= at).is_some() {}
            !ranges.peek().is_some_and(|range| range.contains(&at))
        });
        parsed
            .sets
            .retain(|name| !misused.iter().any(|set| set.name == *name));
    }
}
