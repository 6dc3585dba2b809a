//! Rules, or a whole policy: put in force everywhere, or nowhere.
//!
//! - [`wanted`]: how they get here

mod wanted;

use std::sync::Arc;

use fw_common::Prefix;

use super::{
    owner::Owner,
    problem::{Failure, kernel},
};
use crate::{
    api::wire::Code,
    backend::xdp::rules::RulesError,
    host::clock,
    plan::mirror::MirrorPlan,
    policy::{
        change::Draft,
        guard::GuardSource,
        rule::Verdict,
        rules::{BaseOverrides, Rules},
        time::{BootSecs, Now},
    },
};

pub(super) use wanted::{Wanted, WantedRules};

/// What a wish comes to.
pub(super) struct Weighed {
    pub(super) draft: Draft,
    pub(super) rules: Rules,
    /// What `guard add` said from now on, if that changes.
    pub(super) guard: Option<Vec<Prefix>>,
    pub(super) base: BaseOverrides,
}

/// What becomes of the policy that a rollback goes back to.
#[derive(Clone, Copy)]
pub(super) enum Save {
    /// It stays as it is.
    Leave,
    /// If there is none, what was in force becomes it; it comes back in this second.
    Before(Option<BootSecs>),
    /// It comes back in this second.
    Due(Option<BootSecs>),
    /// It is in force again.
    Restore,
    /// The same, because nobody confirmed.
    RolledBack,
}

impl Save {
    const fn goes_back(self) -> bool {
        matches!(self, Self::Restore | Self::RolledBack)
    }
}

/// What takes the last change back.
pub struct Undo {
    weighed: Weighed,
    save: Save,
}

impl Owner {
    /// Makes it true in the store, in the kernel and in what the mirror is sent; the mirror's answer
    /// comes later, and may take it back ([`Owner::undo`]).
    ///
    /// # Errors
    /// What refused; everything is as it was.
    pub(super) fn put_in_force(
        &mut self,
        weighed: Weighed,
        save: Save,
        now: Now,
        by: &str,
        detail: &str,
    ) -> Result<(), Failure> {
        if !save.goes_back() {
            self.needs_mirror(&weighed.rules)?;
        }
        let guard = self.policy.guard.clone();
        let undo = Undo {
            save: self.inverse(save)?,
            weighed: Weighed {
                draft: weighed.draft.inverse(),
                guard: weighed
                    .guard
                    .as_ref()
                    .map(|_| guard.of(GuardSource::Added).collect()),
                rules: std::mem::replace(&mut self.policy.rules, weighed.rules),
                base: std::mem::replace(&mut self.base, weighed.base),
            },
        };
        if let Some(prefixes) = &weighed.guard {
            let prefixes = prefixes.iter().copied();
            self.policy.guard.set(GuardSource::Added, prefixes);
        }
        self.policy.apply(&weighed.draft);
        let result = self.push_whole(
            &weighed.draft,
            weighed.guard.as_deref(),
            save,
            (now, by, detail),
        );
        match &result {
            Ok(()) => {
                self.revised();
                self.tell(now, by, detail);
                if !weighed.draft.is_empty() {
                    self.tell_entries(&weighed.draft, now, by);
                }
                self.pardon_after(&weighed.draft, now);
                self.pardon_guarded(&guard);
                self.undoable = Some(undo);
            }
            Err(failure) => {
                self.policy.revert(&weighed.draft);
                self.policy.guard = guard;
                (self.policy.rules, self.base) = (undo.weighed.rules, undo.weighed.base);
                tracing::warn!(by, error = %failure, "policy refused");
            }
        }
        result
    }

    fn inverse(&self, save: Save) -> Result<Save, Failure> {
        Ok(match (save, self.store.due()?) {
            (Save::Before(_), None) => Save::Restore,
            (Save::Before(_), Some(due)) => Save::Due(due.second()),
            _ => Save::Leave,
        })
    }

    fn push_whole(
        &mut self,
        draft: &Draft,
        guard: Option<&[Prefix]>,
        save: Save,
        (now, by, detail): (Now, &str, &str),
    ) -> Result<(), Failure> {
        let (mut plan, mirror) = self.plan_entries(draft, now)?;
        plan.guard = self.guard_ops();
        let mirror = mirror.and(MirrorPlan::of_guard(&plan.guard));
        let checked = plan.check(&self.policy.guard, self.xdp.tables.guarded())?;
        let saved = self.store.due()?.is_some();
        let (rules, base) = (self.policy.rules.clone(), self.base);
        let kept = self.keep(&checked, now, by, detail, |change, policy| {
            match save {
                Save::Leave => {}
                Save::Before(due) => {
                    if !saved {
                        change.save()?;
                    }
                    change.write_due(due)?;
                    change.write_rolled_back(None)?;
                }
                Save::Due(due) => change.write_due(due)?,
                Save::Restore => return change.restore(policy, now),
                Save::RolledBack => {
                    change.write_rolled_back(Some(now.wall))?;
                    return change.restore(policy, now);
                }
            }
            change.write(draft, policy, now)?;
            if let Some(guard) = guard {
                change.write_guard(guard)?;
            }
            change.write_rules(&rules, now)?;
            change.write_base(base)
        });
        match kept {
            // A net that holds only while there is room on the disk is none: the store follows when
            // it can, and until then the policy counts as not rolled back.
            Err(failure) if save.goes_back() && failure.is_of_the_store() => {
                tracing::error!(error = %failure, "rolled back, but the store does not know");
                self.xdp.tables.apply(&checked)?;
            }
            kept => kept?,
        }
        self.mirror_change(mirror);
        self.mirror_rules();
        Ok(())
    }

    /// Takes back the last change, because the mirror refused it.
    ///
    /// # Errors
    /// The store's or the kernel's.
    pub(super) fn undo(&mut self) -> Result<(), Failure> {
        let Some(Undo { weighed, save }) = self.undoable.take() else {
            return Ok(());
        };
        let now = clock::now();
        let detail = "the last change is taken back";
        let result = self.put_in_force(weighed, save, now, "mirror", detail);
        self.undoable = None;
        // After a failure the mirror takes everything.
        self.mirror_all();
        result.and(self.watch_due())
    }

    /// More rules that nobody keeps would be a lie; fewer are always welcome.
    fn needs_mirror(&self, rules: &Rules) -> Result<(), Failure> {
        if self.mirror.is_on() || rules.ask_no_more_than(&self.policy.rules) {
            return Ok(());
        }
        let message = format!(
            "rules live in netfilter, and none of it is used here: {}",
            self.mirror.why
        );
        Err(Failure::new(Code::Kernel, message).with_hint("`fw-ctl doctor` says what is missing"))
    }

    /// Sends the rules of this moment to every layer, if they are others than before.
    pub(super) fn mirror_rules(&mut self) {
        let ruleset = self.ruleset();
        if self.mirror.ruleset.as_deref() == Some(&ruleset) {
            return;
        }
        let ruleset = Arc::new(ruleset);
        self.mirror.ruleset = Some(Arc::clone(&ruleset));
        self.push_down();
        self.mirror_change(MirrorPlan {
            ruleset: Some(ruleset),
            ..MirrorPlan::default()
        });
    }

    /// Tells the kernel program what it can decide of the rules. What it cannot take, the mirror
    /// has.
    pub(super) fn push_down(&mut self) {
        let Some(ruleset) = &self.mirror.ruleset else {
            return;
        };
        let pushed = self.xdp.set_rules(&ruleset.pushdown(), &self.published);
        let result = match pushed {
            // The mirror has them all.
            Err(error @ RulesError::TooMuch(_)) => {
                tracing::warn!(%error, "XDP decides no rules");
                Ok(())
            }
            pushed => pushed.map_err(|error| kernel("cannot write the rules for XDP", &error)),
        };
        self.note("rules", result);
    }

    /// Whoever is not guarded depends on rules from now on.
    pub(super) fn nobody_guarded(&self, default: Verdict) -> Option<String> {
        let named = [GuardSource::Configured, GuardSource::Added];
        let guards = |source: &GuardSource| self.policy.guard.of(*source).next().is_some();
        let drops = default == Verdict::Drop;
        (drops && !named.iter().any(guards)).then(|| {
            "the default is drop, and nobody is guarded by name: an SSH session is only as long as it lives; `fw-ctl guard add` your own address"
                .to_owned()
        })
    }
}
