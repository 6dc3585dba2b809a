//! What was worked out is put in force: lists and what was said of them, in one change.

use std::collections::BTreeMap;

use super::{SUBJECT, work::Worked};
use crate::{
    api::wire::Changed,
    daemon::{
        owner::{Owner, counts},
        problem::Failure,
    },
    geo::selection::Overrides,
    host::clock,
    policy::{
        change::{Change, Draft},
        entry::{Action, ListName},
        table::Count,
        time::Now,
    },
};

impl Owner {
    /// Makes the lists of countries what was worked out, for all packets at one moment.
    ///
    /// # Errors
    /// There is no room, or the store or the kernel refused; everything is as it was.
    pub fn put_countries(
        &mut self,
        worked: Worked,
        dry_run: bool,
        by: &str,
    ) -> Result<Changed, Failure> {
        let now = clock::now();
        let Worked {
            files,
            databases,
            selection,
            overrides,
            wanted,
            problems,
            warnings,
            ..
        } = worked;
        let draft = self.policy.prepare(Change::Countries(wanted), now)?;
        let mut changed = counts(&draft);
        changed.warnings.extend(warnings);
        let is_said_already = overrides == self.countries.overrides;
        if !(draft.is_empty() && is_said_already) {
            self.policy.apply(&draft);
            let pushed = self.push_countries(&draft, &overrides, dry_run, now, by);
            if dry_run || pushed.is_err() {
                self.policy.revert(&draft);
            }
            self.untidy = true;
            pushed?;
        }
        if dry_run {
            return Ok(changed);
        }
        self.countries.overrides = overrides;
        self.countries.files = files;
        self.countries.databases = databases;
        self.countries.done = Some(selection);
        self.countries.not_before = None;
        if !(draft.is_empty() && is_said_already) {
            self.revised();
        }
        let problem = (!problems.is_empty()).then(|| format!("{SUBJECT}: {}", problems.join("; ")));
        if let Some(problem) = &problem {
            tracing::error!(subject = SUBJECT, "{problem}");
        }
        self.alarm(SUBJECT, problem);
        Ok(changed)
    }

    /// Writes it everywhere, or nowhere. The draft is true in the policy already.
    fn push_countries(
        &mut self,
        draft: &Draft,
        overrides: &Overrides,
        dry_run: bool,
        now: Now,
        by: &str,
    ) -> Result<(), Failure> {
        let (plan, mirror) = self.plan_entries(draft, now)?;
        // In pieces, what the old list and the new one both block would pass in between.
        self.xdp.tables.has_room(&plan)?;
        let checked = plan.check(&self.policy.guard, self.xdp.tables.guarded())?;
        if dry_run {
            return Ok(());
        }
        let detail = format!("countries: {} entries changed", draft.edits.len());
        self.keep(&checked, now, by, &detail, |change, policy| {
            change.write(draft, policy, now)?;
            change.write_geo(overrides)
        })?;
        self.mirror_change(mirror);
        self.tell_entries(draft, now, by);
        Ok(())
    }

    /// How many prefixes the lists of countries have.
    pub(super) fn counts_of_countries(&self) -> BTreeMap<ListName, Count> {
        let lists = self.policy.lists().filter(|(name, _)| name.is_geo());
        let counts = lists.map(|(name, id)| {
            let count = self.policy.table(Action::Block).count(id);
            (name.clone(), count)
        });
        counts.filter(|(_, count)| count.all() > 0).collect()
    }
}
