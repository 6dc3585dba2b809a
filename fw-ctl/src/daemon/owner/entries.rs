//! What a change of entries comes to in the kernel and in the mirror.

use std::collections::BTreeSet;

use fw_common::{Prefix, abi};

use super::{super::problem::Failure, Owner, unreadable};
use crate::{
    plan::{self, Plan, mirror::MirrorPlan},
    policy::{
        change::{Draft, Edit},
        entry::{Action, Entry, ListId},
        time::{BootSecs, Now},
    },
};

impl Owner {
    /// What a draft that is true in the policy changes in the kernel's tables and in the mirror.
    pub(in crate::daemon) fn plan_entries(
        &self,
        draft: &Draft,
        now: Now,
    ) -> Result<(Plan, MirrorPlan), Failure> {
        let (mut plan, mut mirror) = (Plan::default(), MirrorPlan::default());
        let ended = ended_crossings(draft, now);
        for action in Action::ALL {
            let mut mirrored = Vec::new();
            for (prefix, effective) in self.policy.touched(draft, action) {
                let observed = self.xdp.tables.get(action, prefix).map_err(unreadable)?;
                if ended.contains(&prefix) && self.is_renewed(prefix, observed, now) {
                    continue;
                }
                plan.of(action)
                    .extend(plan::op(prefix, effective, observed));
                if self.mirror.is_on() {
                    // Also where the program has written the same already.
                    mirrored.push((prefix, effective));
                }
            }
            mirror = mirror.and(MirrorPlan::of(action, mirrored));
        }
        Ok((plan, mirror))
    }

    /// Whether the program has written a block anew: the report is on its way. A row that has its
    /// end from what covers it was written here.
    fn is_renewed(&self, prefix: Prefix, observed: Option<abi::Entry>, now: Now) -> bool {
        let alive =
            |row: &abi::Entry| row.list == ListId::AUTO.0 && row.deadline > now.boot_secs().0;
        observed.filter(alive).is_some_and(|row| {
            let end = Some(BootSecs(row.deadline));
            let mut covering = self.policy.table(Action::Block).covering(prefix);
            !covering.any(|(place, entry)| place.list == ListId::AUTO && entry.deadline() == end)
        })
    }
}

/// Automatic blocks that the draft removes because they have ended.
fn ended_crossings(draft: &Draft, now: Now) -> BTreeSet<Prefix> {
    let has_ended = |edit: &&Edit| {
        let before = edit.before.as_ref().and_then(Entry::deadline);
        edit.place.list == ListId::AUTO
            && edit.after.is_none()
            && before.is_some_and(|deadline| deadline <= now.boot_secs())
    };
    let ended = draft.edits.iter().filter(has_ended);
    ended.map(|edit| edit.place.prefix).collect()
}
