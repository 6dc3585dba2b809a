//! What `iptables-save` and `ip6tables-save` print, or `iptables -S`: the rules of `INPUT`, in the
//! order in which a packet meets them, that ask for a source and for nothing else.
//!
//! Here an allow beats every block. So what the first rule that fits decides there can be said here
//! only as long as nothing is accepted behind a drop of the same source, and nothing dropped behind
//! a rule that lets a part of the same source pass. What cannot be said is left out, never widened.

mod rule;
mod sources;

use std::collections::HashMap;

use fw_common::Prefix;

use self::{
    rule::{Asks, Rule, Target},
    sources::Sources,
};
use super::{Item, Parsed, parsed::MAX_ERRORS};
use crate::policy::entry::Action;

/// The table that is read.
const TABLE: &str = "filter";
/// The chain in which a packet begins.
const INPUT: &str = "INPUT";

const NOT_REACHED: &str = "not every packet to this host meets this rule";
const NARROW: &str = "the rule asks for more than a source";
const EVERYBODY: &str = "drops everybody that no rule before it accepts: see `fw-ctl default drop`";
const SHADOWED: &str = "a rule before it lets a part of these sources pass";
const ACCEPTS: &str = "accepts from everybody; here blocks are asked before it";
const ELSEWHERE: &str = "these sources go on in a chain of their own";
const BEHIND_A_DROP: &str =
    "a rule before it drops a part of these sources, and an allow would let them pass";

/// The rules of the table at hand.
#[derive(Default)]
pub(super) struct Rules {
    /// Before a `*` line, as in `iptables -S`, it is the one that is read.
    other: Option<String>,
    chains: HashMap<String, Vec<Rule>>,
    held: usize,
}

impl Rules {
    /// Reads one trimmed line.
    pub(super) fn line(&mut self, number: usize, line: &str, parsed: &mut Parsed) {
        let command = match line.split_once(']') {
            // Packets and bytes, of `-c`.
            Some((counters, rest)) if counters.starts_with('[') => rest.trim_start(),
            _ => line,
        };
        let first = command.split_whitespace().next().unwrap_or_default();
        match first {
            "" => {}
            "COMMIT" => self.end(parsed),
            "-P" | "-N" => {}
            _ if first.starts_with(['#', ':']) => {}
            _ if first.starts_with('*') => {
                self.end(parsed);
                self.other = (first[1..] != *TABLE).then(|| first[1..].to_owned());
            }
            "-A" => match Rule::of(command, number, self.held < MAX_ERRORS) {
                Ok((chain, rule)) => self.keep(chain, rule, command, parsed),
                Err(reason) => parsed.take(number, line, Err(reason)),
            },
            _ => {
                let reason = "expected a rule, `-A CHAIN ...`, as iptables-save prints it";
                parsed.take(number, line, Err(reason.into()));
            }
        }
    }

    fn keep(&mut self, chain: String, rule: Rule, command: &str, parsed: &mut Parsed) {
        if let Some(table) = &self.other {
            if rule.is_drop_of_sources() {
                let table = table.escape_debug();
                let reason = format!("of table {table} nothing is read");
                parsed.leave_out(rule.line, command, reason);
            }
            return;
        }
        self.held += 1;
        self.chains.entry(chain).or_default().push(rule);
    }

    /// Rules that wait for the end of their table.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// The table ends: its rules are gone through as a packet would.
    pub(super) fn end(&mut self, parsed: &mut Parsed) {
        let chains = std::mem::take(&mut self.chains);
        let kinds =
            |(name, rules): (&String, &Vec<Rule>)| (name.clone(), drops_all(rules, &chains));
        let mut walk = Walk {
            drops_all: chains.iter().map(kinds).collect(),
            chains,
            dropped: Sources::default(),
            passed: Sources::default(),
            parsed,
        };
        self.held = 0;
        walk.from(INPUT);
        for rule in walk.chains.into_values().flatten() {
            if rule.is_drop_of_sources() {
                parsed.leave_out_rule(&rule, NOT_REACHED);
            }
        }
    }
}

/// What rules have come to so far.
struct Walk<'a> {
    /// Those that have not been met.
    chains: HashMap<String, Vec<Rule>>,
    /// All chains, and whether no packet leaves them.
    drops_all: HashMap<String, bool>,
    /// Sources that a rule drops.
    dropped: Sources,
    /// Sources of which a rule lets a part pass.
    passed: Sources,
    parsed: &'a mut Parsed,
}

/// How a packet goes on behind a rule.
enum Next {
    /// To the next rule.
    Rule,
    /// To the first rule of a chain; whether it comes back.
    Chain(String, bool),
    /// Back to where it came from.
    Back,
    /// It has met its last rule.
    Nowhere,
}

impl Walk<'_> {
    /// Goes through a chain, and all that every packet meets from there.
    fn from(&mut self, chain: &str) {
        let taken = self.chains.remove(chain).unwrap_or_default();
        let mut stack = vec![taken.into_iter()];
        while let Some(rules) = stack.last_mut() {
            let next = match rules.next() {
                Some(rule) => self.meet(rule),
                None => Next::Back,
            };
            match next {
                Next::Rule => {}
                Next::Chain(chain, returns) => {
                    let chain = self.chains.remove(&chain).unwrap_or_default();
                    if !returns {
                        self.put_back(stack.pop());
                    }
                    stack.push(chain.into_iter());
                }
                Next::Back => self.put_back(stack.pop()),
                Next::Nowhere => {
                    while let Some(rules) = stack.pop() {
                        self.put_back(Some(rules));
                    }
                }
            }
        }
    }

    /// What of a chain no packet meets.
    fn put_back(&mut self, rules: Option<std::vec::IntoIter<Rule>>) {
        for rule in rules.into_iter().flatten() {
            self.chains.entry(String::new()).or_default().push(rule);
        }
    }

    fn meet(&mut self, rule: Rule) -> Next {
        match (&rule.asks, &rule.target) {
            (Asks::Source(source), Target::Drop) => self.drops(*source, &rule),
            (Asks::Source(source), Target::Accept) => self.accepts(*source, &rule),
            (Asks::Source(source) | Asks::More(Some(source)), Target::Return) => {
                self.passed.insert(*source);
            }
            (Asks::More(Some(source)), Target::Accept) => {
                self.passed.insert(*source);
                self.parsed.leave_out_rule(&rule, NARROW);
            }
            (Asks::More(None), Target::Accept) if rule.usual => {}
            (Asks::More(None), Target::Accept) => self.parsed.leave_out_rule(&rule, ACCEPTS),
            (Asks::More(_), Target::Drop) => self.parsed.leave_out_rule(&rule, NARROW),
            (Asks::Nothing, Target::Drop) => {
                self.parsed.leave_out_rule(&rule, EVERYBODY);
                return Next::Nowhere;
            }
            (Asks::Nothing, Target::Accept) => return Next::Nowhere,
            (Asks::Nothing, Target::Return) => return Next::Back,
            (Asks::Nothing, Target::Chain { name, returns }) => {
                return Next::Chain(name.clone(), *returns);
            }
            (asks, Target::Chain { name, .. }) => match (asks, self.drops_all.get(name)) {
                (Asks::Source(source), Some(true)) => self.drops(*source, &rule),
                (Asks::Source(source) | Asks::More(Some(source)), Some(_)) => {
                    self.passed.insert(*source);
                    self.parsed.leave_out_rule(&rule, ELSEWHERE);
                }
                _ => {}
            },
            (Asks::More(None), Target::Return) => {}
        }
        Next::Rule
    }

    fn drops(&mut self, source: Prefix, rule: &Rule) {
        match self.passed.overlap(&source) {
            true => self.parsed.leave_out_rule(rule, SHADOWED),
            false => {
                self.dropped.insert(source);
                self.parsed.take_rule(rule, source, Action::Block);
            }
        }
    }

    fn accepts(&mut self, source: Prefix, rule: &Rule) {
        match self.dropped.overlap(&source) {
            true => {
                self.passed.insert(source);
                self.parsed.leave_out_rule(rule, BEHIND_A_DROP);
            }
            false => self.parsed.take_rule(rule, source, Action::Allow),
        }
    }
}

/// Whether a chain drops whatever comes: behind rules that only log, as their targets are no chains.
fn drops_all(rules: &[Rule], chains: &HashMap<String, Vec<Rule>>) -> bool {
    let decides = |rule: &&Rule| match &rule.target {
        Target::Chain { name, .. } => chains.contains_key(name),
        _ => true,
    };
    let first = rules.iter().find(decides);
    first.is_some_and(|rule| rule.asks == Asks::Nothing && rule.target == Target::Drop)
}

impl Parsed {
    fn leave_out_rule(&mut self, rule: &Rule, reason: &str) {
        self.leave_out(rule.line, &rule.text, reason);
    }

    fn take_rule(&mut self, rule: &Rule, source: Prefix, action: Action) {
        let item = Item {
            action: Some(action),
            ..Item::default()
        };
        self.keep(rule.line, (source, false), &item, rule.comment.clone());
    }
}
