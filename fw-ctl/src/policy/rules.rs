//! All rules, and what is made of them at a moment.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    refusal::Refusal,
    rule::{Effect, Origin, Rule, RuleId, Verdict},
    service::Service,
    time::{BootSecs, Now},
};

/// What every new connection meets, whatever rules there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// What becomes of a new connection that no rule names.
    pub default: Verdict,
    /// Whether packets that belong to no connection and can begin none are dropped (`INVALID` of
    /// conntrack). Asymmetric routing makes good packets look so.
    pub drop_invalid: bool,
}

impl Default for Base {
    fn default() -> Self {
        Self {
            default: Verdict::Accept,
            drop_invalid: true,
        }
    }
}

/// What the operator said of the base; the rest is the configuration's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BaseOverrides {
    /// Of [`Base::default`].
    pub default: Option<Verdict>,
    /// Of [`Base::drop_invalid`].
    pub drop_invalid: Option<bool>,
}

impl BaseOverrides {
    /// With the configuration below.
    pub fn over(self, configured: Base) -> Base {
        Base {
            default: self.default.unwrap_or(configured.default),
            drop_invalid: self.drop_invalid.unwrap_or(configured.drop_invalid),
        }
    }
}

/// The rules of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    rules: BTreeMap<RuleId, Rule>,
    /// Of the next rule.
    next: RuleId,
    /// The stateful base.
    pub base: Base,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            rules: BTreeMap::new(),
            next: RuleId(1),
            base: Base::default(),
        }
    }
}

/// What adding a rule came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is there now.
    New(RuleId),
    /// It was there, with another end or comment.
    Updated(RuleId),
    /// It was there.
    Known(RuleId),
}

impl Rules {
    /// More would make netfilter slow: it walks them one after the other.
    pub const MAX: usize = 1_000;
    /// Sources of one rule: each is a row.
    pub const MAX_SOURCES: usize = 256;
    /// Rows of all of them.
    const MAX_ROWS: usize = 4_096;

    /// All rules, in order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (RuleId, &Rule)> {
        self.rules.iter().map(|(id, rule)| (*id, rule))
    }

    /// Whether they drop nothing but what is invalid.
    pub fn is_idle(&self) -> bool {
        self.rules.is_empty() && self.base.default == Verdict::Accept
    }

    /// Whether each of them is among these others, and the default no stricter.
    pub fn ask_no_more_than(&self, others: &Self) -> bool {
        self.iter().all(|(id, rule)| others.get(id) == Some(rule))
            && self.base.default <= others.base.default
    }

    /// Whether a rule drops a service to everybody who is not named.
    pub fn closes(&self, service: &Service) -> bool {
        self.rules.values().any(|rule| {
            rule.effect == Effect::Port(Verdict::Drop)
                && rule.sources.is_empty()
                && rule.service == *service
        })
    }

    /// A rule.
    pub fn get(&self, id: RuleId) -> Option<&Rule> {
        self.rules.get(&id)
    }

    /// Number of the next rule.
    pub fn next_id(&self) -> RuleId {
        self.next
    }

    /// Rules as the store knows them.
    pub fn restore(rules: BTreeMap<RuleId, Rule>, next: RuleId) -> Self {
        let last = rules.keys().last().map_or(0, |id| id.0);
        Self {
            rules,
            next: RuleId(next.0.max(last.saturating_add(1))),
            base: Base::default(),
        }
    }

    /// Adds a rule. One that says the same of the same is not added twice: it takes on the later
    /// end and the new comment.
    ///
    /// # Errors
    /// A rule says the opposite of the same, or there are too many.
    pub fn add(&mut self, rule: Rule) -> Result<Added, Refusal> {
        let twin = self
            .rules
            .iter_mut()
            .find(|(_, known)| known.is_about_the_same(&rule));
        if let Some((id, known)) = twin {
            if !known.says_the_same(&rule) {
                return Err(Refusal::Contradicts {
                    service: rule.service.to_string(),
                    rule: *id,
                });
            }
            // No end is the latest; a rule of the configuration is the file's to change.
            let later = match (known.deadline, rule.deadline) {
                (Some(known), Some(new)) => Some(known.max(new)),
                _ => None,
            };
            let comment = match rule.comment.as_str() {
                "" => known.comment.clone(),
                _ => rule.comment,
            };
            if known.origin != rule.origin || (later, &comment) == (known.deadline, &known.comment)
            {
                return Ok(Added::Known(*id));
            }
            (known.deadline, known.comment) = (later, comment);
            return Ok(Added::Updated(*id));
        }
        let rows = |rule: &Rule| rule.sources.len().max(1);
        let all: usize = self.rules.values().map(rows).sum();
        if self.rules.len() >= Self::MAX
            || rule.sources.len() > Self::MAX_SOURCES
            || all + rows(&rule) > Self::MAX_ROWS
        {
            return Err(Refusal::TooManyRules);
        }
        let id = self.next;
        self.next = RuleId(id.0 + 1);
        self.rules.insert(id, rule);
        Ok(Added::New(id))
    }

    /// Removes a rule.
    pub fn remove(&mut self, id: RuleId) -> Option<Rule> {
        self.rules.remove(&id)
    }

    /// Gives one origin exactly these rules. Those that stay keep their numbers.
    ///
    /// # Errors
    /// As [`Rules::add`].
    pub fn replace(&mut self, origin: Origin, wanted: Vec<Rule>) -> Result<(), Refusal> {
        self.rules.retain(|_, known| {
            known.origin != origin
                || wanted
                    .iter()
                    .any(|rule| rule.is_about_the_same(known) && rule.says_the_same(known))
        });
        for rule in wanted {
            let (deadline, comment) = (rule.deadline, rule.comment.clone());
            if let Added::Known(id) | Added::Updated(id) = self.add(rule)?
                && let Some(known) = self.rules.get_mut(&id)
                && known.origin == origin
            {
                (known.deadline, known.comment) = (deadline, comment);
            }
        }
        Ok(())
    }

    /// Gives one origin back the rules it had, under the numbers they had. Who else says the
    /// opposite of one by now keeps his.
    pub fn put_back(&mut self, origin: Origin, rules: BTreeMap<RuleId, Rule>) {
        self.rules.retain(|_, known| known.origin != origin);
        for (id, rule) in rules {
            let is_contradicted = self
                .rules
                .values()
                .any(|known| known.is_about_the_same(&rule));
            if !is_contradicted {
                self.rules.insert(id, rule);
            }
        }
    }

    /// When the next rule ends.
    pub fn next_ending(&self) -> Option<BootSecs> {
        self.rules.values().filter_map(|rule| rule.deadline).min()
    }

    /// Removes what has ended.
    pub fn end(&mut self, now: Now) -> Vec<RuleId> {
        let ended = |rule: &Rule| rule.deadline.is_some_and(|end| end <= now.boot_secs());
        let gone: Vec<RuleId> = self
            .iter()
            .filter(|(_, rule)| ended(rule))
            .map(|(id, _)| id)
            .collect();
        self.rules.retain(|_, rule| !ended(rule));
        gone
    }
}

impl Rule {
    /// Whether its hours are on; without hours they always are.
    pub fn is_on(&self, at: Timestamp) -> bool {
        self.hours.as_ref().is_none_or(|hours| hours.is_on(at))
    }

    /// What becomes of what it matches; `None` when it says nothing now.
    pub fn verdict(&self, at: Timestamp) -> Option<Verdict> {
        match (self.effect, self.is_on(at)) {
            (Effect::Limit(_), _) | (Effect::Port(Verdict::Drop), false) => None,
            (Effect::Port(verdict), true) => Some(verdict),
            (Effect::Port(Verdict::Accept), false) => Some(Verdict::Drop),
        }
    }

    /// Whether both match the same, and one could contradict the other.
    fn is_about_the_same(&self, other: &Self) -> bool {
        let limited_by = |rule: &Self| match rule.effect {
            Effect::Limit(limit) => Some(limit.per),
            Effect::Port(_) => None,
        };
        (&self.service, &self.sources, limited_by(self))
            == (&other.service, &other.sources, limited_by(other))
    }

    /// Whether both do the same at the same hours.
    fn says_the_same(&self, other: &Self) -> bool {
        (self.effect, &self.hours) == (other.effect, &other.hours)
    }
}

#[cfg(test)]
mod tests;
