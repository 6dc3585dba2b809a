//! What time alone changes: hours come and go, rules and policies end, rates adapt, and somebody
//! may have changed what is ours.

use std::collections::BTreeMap;

use super::owner::Owner;
use crate::{
    detect::adaptive::Adapting,
    host::clock,
    policy::rule::{Effect, RuleId},
};

/// Beats between two looks at what others may have changed.
const LOOK: u32 = 2;

/// What is kept from one beat to the next.
#[derive(Default)]
pub struct Beat {
    count: u32,
    adapting: BTreeMap<RuleId, Adapting>,
    /// New connections that each limit has met.
    offered: BTreeMap<RuleId, u64>,
}

impl Owner {
    /// Once a second.
    pub(super) fn beat(&mut self) {
        let result = self.roll_back_if_due();
        self.note("rollback", result);
        self.count_second();
        self.end_rules();
        self.adapt();
        self.mirror_rules();
        self.beat.count = self.beat.count.wrapping_add(1);
        if self.beat.count.is_multiple_of(LOOK) {
            self.mirror.look();
            let there = self.store.is_there().map_err(Into::into);
            self.note("database", there);
            self.revoke_again();
        }
    }

    fn end_rules(&mut self) {
        let now = clock::now();
        let ends = self.policy.rules.next_ending();
        if ends.is_none_or(|end| end > now.boot_secs()) {
            return;
        }
        let mut next = self.policy.rules.clone();
        let gone = next.end(now);
        let detail = format!("{} rules ended", gone.len());
        // The change that waits for the mirror is another one.
        let undoable = self.undoable.take();
        let result = self.commit_rules(next, self.base, "expiry", &detail);
        self.undoable = undoable;
        self.note("rules", result);
    }

    /// Lets adaptive rates follow what is offered.
    fn adapt(&mut self) {
        let rules = self.policy.rules.iter();
        let limits: BTreeMap<RuleId, _> = rules
            .filter_map(|(id, rule)| match rule.effect {
                Effect::Limit(limit) => Some((id, (limit.rate, limit.adaptive?))),
                Effect::Port(_) => None,
            })
            .collect();
        self.beat.adapting.retain(|id, _| limits.contains_key(id));
        self.mirror.rates.retain(|id, _| limits.contains_key(id));
        if limits.is_empty() || self.protected().is_empty() {
            return;
        }
        let counts = match self.xdp.limit_counts() {
            Ok(counts) => counts,
            Err(error) => {
                tracing::warn!(%error, "cannot read what limits have met");
                return;
            }
        };
        for (id, (rate, bounds)) in limits {
            // Of what the program does not count nothing can be learnt.
            let Some(count) = counts.get(&id) else {
                self.beat.offered.remove(&id);
                continue;
            };
            let before = self.beat.offered.insert(id, count.offered);
            // The first count, or another slot in the kernel: nothing to compare with.
            let Some(offered) = before.and_then(|before| count.offered.checked_sub(before)) else {
                continue;
            };
            let adapting = self.beat.adapting.entry(id);
            let adapting = adapting.or_insert_with(|| Adapting::new(rate));
            if let Some(changed) = adapting.step(offered, bounds) {
                self.mirror.rates.insert(id, changed.to);
                let detail = format!("limit {id}: {}", changed.reason);
                self.tell(clock::now(), "adaptive", &detail);
            }
        }
    }
}
