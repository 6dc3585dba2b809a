//! The owner of the policy: every change goes through [`Owner::commit`], in the order store,
//! kernel, and back out of both when one refuses.
//!
//! - [`entries`]: what a change of entries comes to
//! - [`keep`]: in both, or in neither
//! - [`tell`]: what listeners and the log hear of it

mod entries;
mod keep;
mod tell;

use std::{collections::BTreeMap, io, time::Duration};

use fw_common::{Prefix, abi};
use tokio::time::Instant;

use self::{
    keep::{Order, Refused},
    tell::summary,
};
use super::{
    Options,
    beat::Beat,
    broadcast::Broadcast,
    feeds::{Added, Feeds},
    geo::Countries,
    meters::Meters,
    mirror::Mirror,
    problem::{Failure, kernel},
    revision::Revision,
    sampling::Sampling,
    scan::Detector,
    sentinel::Sentinel,
    stats::Stats,
    tokens::Tokens,
    whole::Undo,
};
use crate::{
    api::{server::tcp::Entrances, wire},
    backend::xdp::{Xdp, trim_memory},
    config::Config,
    detect::{offenders::Record, ports::PortSet},
    host::{clock, links::Link},
    plan::{self, CheckedPlan, Op, Plan, mirror::MirrorPlan},
    policy::{
        Policy,
        change::{Draft, Edit},
        entry::{Action, ListId},
        guard::GuardSource,
        rules::BaseOverrides,
        time::{Now, WallSecs},
    },
    store::{self, Due, Store, StoreError},
};

/// Edits from which on a change leaves memory behind that is worth giving back, and takes so long
/// that the kernel does not wait for the store.
const LARGE: usize = 10_000;

/// How soon a failed removal of what has ended is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// What the one task of the daemon owns.
pub struct Owner {
    pub(super) policy: Policy,
    pub(super) store: Store,
    pub(super) xdp: Xdp,
    pub(super) config: Config,
    /// Where the configuration came from, to be read again.
    pub(super) options: Options,
    /// Interfaces to protect, and why one is not attached.
    pub(super) interfaces: BTreeMap<String, Option<String>>,
    /// Interfaces that are there.
    pub(super) links: Vec<Link>,
    pub(super) started: WallSecs,
    /// What is wrong, by subject; empty when all is well.
    pub(super) alarms: BTreeMap<&'static str, String>,
    /// What happens, for whoever listens.
    pub(super) broadcast: Broadcast,
    /// Which policy is in force.
    pub(super) revision: Revision,
    /// Who may use the API over TCP.
    pub(super) tokens: Tokens,
    /// Lists that are kept from elsewhere.
    pub(super) feeds: Feeds,
    /// Those of them that were added by command.
    pub(super) feeds_added: Vec<Added>,
    /// What greets connections over TCP.
    pub(super) entrances: Entrances,
    pub(super) scan: Detector,
    /// Countries and autonomous systems.
    pub(super) countries: Countries,
    /// The same policy in netfilter.
    pub(super) mirror: Mirror,
    /// What the operator said of the stateful base.
    pub(super) base: BaseOverrides,
    /// What takes the last change of rules back, until the mirror has taken it.
    pub(super) undoable: Option<Undo>,
    /// What time alone changes.
    pub(super) beat: Beat,
    /// Ports that address translation sends elsewhere.
    pub(super) published: PortSet,
    /// When an unconfirmed policy goes back.
    pub(super) due: Option<Due>,
    /// Who sees to that if this process dies.
    pub(super) sentinel: Option<Sentinel>,
    pub(super) sampling: Sampling,
    /// What is dropped now.
    pub(super) stats: Stats,
    /// What only grows.
    pub(super) meters: Meters,
    /// After a failure to remove what has ended.
    pub(super) expire_not_before: Option<Instant>,
    /// A large change left memory behind.
    pub(super) untidy: bool,
    /// Set when the daemon shall end.
    pub(super) stop: bool,
    /// Set when nothing of ours shall be left behind then.
    pub(super) remove_pins: bool,
}

impl Owner {
    /// Makes the kernel's tables equal to the policy, whatever they hold.
    ///
    /// # Errors
    /// A plan that would lock somebody out, or the kernel's refusal.
    pub fn synchronise(&mut self) -> Result<usize, Failure> {
        let plan = self.plan_all()?;
        let operations = plan.len();
        let checked = plan.check(&self.policy.guard, self.xdp.tables.guarded())?;
        self.xdp.tables.apply(&checked)?;
        Ok(operations)
    }

    /// All that the kernel's tables differ in.
    pub(super) fn plan_all(&mut self) -> Result<Plan, Failure> {
        let mut plan = Plan {
            guard: self.guard_ops(),
            ..Plan::default()
        };
        for action in Action::ALL {
            let observed = self.xdp.tables.dump(action).map_err(unreadable)?;
            *plan.of(action) =
                plan::diff(plan::join(self.policy.table(action).effective(), observed));
        }
        Ok(plan)
    }

    /// Lets the program forget where something was listed.
    ///
    /// # Errors
    /// The kernel's tables cannot be read.
    pub(super) fn tidy_near(&mut self) -> Result<(), Failure> {
        self.xdp.tables.tidy_near().map_err(unreadable)
    }

    /// Makes a draft true everywhere, or nowhere.
    ///
    /// # Errors
    /// What refused; the policy is as it was.
    pub fn commit(&mut self, draft: &Draft, now: Now, by: &str) -> Result<(), Failure> {
        match draft.is_empty() {
            true => Ok(()),
            false => self.commit_with(draft, now, by, |_| Ok(())),
        }
    }

    /// As [`Owner::commit`], with something that is written down with it, or not at all.
    ///
    /// # Errors
    /// As [`Owner::commit`].
    pub(super) fn commit_with(
        &mut self,
        draft: &Draft,
        now: Now,
        by: &str,
        also: impl FnOnce(&store::Change<'_>) -> Result<(), StoreError> + Send,
    ) -> Result<(), Failure> {
        self.policy.apply(draft);
        let result = self.push(draft, now, by, also);
        if let Err(failure) = &result {
            self.policy.revert(draft);
            tracing::warn!(by, error = %failure, "change refused");
        }
        self.untidy |= draft.edits.len() > LARGE;
        result
    }

    fn push(
        &mut self,
        draft: &Draft,
        now: Now,
        by: &str,
        also: impl FnOnce(&store::Change<'_>) -> Result<(), StoreError> + Send,
    ) -> Result<(), Failure> {
        let (plan, mirror) = self.plan_entries(draft, now)?;
        let checked = plan.check(&self.policy.guard, self.xdp.tables.guarded())?;
        // What a crossing changes is written as one: a block, and whose.
        let offenders: Vec<(Prefix, Option<Record>)> = self
            .scan
            .offenders
            .unsaved()
            .map(|(source, record)| (source, record.cloned()))
            .collect();
        self.keep(&checked, now, by, &summary(draft), |change, policy| {
            also(change)?;
            change.write(draft, policy, now)?;
            let offenders = offenders.iter();
            change.write_offenders(
                offenders.map(|(source, record)| (*source, record.as_ref())),
                now,
            )
        })?;
        self.scan.offenders.saved();
        self.mirror_change(mirror);
        self.tell_entries(draft, now, by);
        Ok(())
    }

    /// Writes to the store and to the kernel, or to neither. The policy is as it shall be already.
    pub(super) fn keep(
        &mut self,
        plan: &CheckedPlan,
        now: Now,
        by: &str,
        detail: &str,
        write: impl FnOnce(&store::Change<'_>, &Policy) -> Result<(), StoreError> + Send,
    ) -> Result<(), Failure> {
        let order = match plan.plan().len() > LARGE {
            true => Order::Together,
            false => Order::StoreFirst,
        };
        let (store, policy, tables) = (&mut self.store, &self.policy, &mut self.xdp.tables);
        let write = |change: &store::Change<'_>| {
            write(change, policy)?;
            change.record(now, by, detail)
        };
        let start = Instant::now();
        match keep::in_both(store, write, || tables.apply(plan), order) {
            Ok(()) => self.meters.applied(start.elapsed()),
            Err(Refused::Kernel(error)) => return Err(error.into()),
            Err(Refused::Store { error, is_applied }) => {
                if is_applied {
                    tables.revert(plan)?;
                }
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Replaces what the operator guards.
    ///
    /// # Errors
    /// What refused; the guard is as it was.
    pub fn guard_added(
        &mut self,
        prefixes: impl IntoIterator<Item = Prefix>,
        by: &str,
    ) -> Result<(), Failure> {
        let before = self.policy.guard.clone();
        if !self.policy.guard.set(GuardSource::Added, prefixes) {
            return Ok(());
        }
        let result = self.push_added(by);
        if result.is_err() {
            self.policy.guard = before;
        }
        result
    }

    fn push_added(&mut self, by: &str) -> Result<(), Failure> {
        let now = clock::now();
        let checked = self.plan_guard()?;
        let added: Vec<Prefix> = self.policy.guard.of(GuardSource::Added).collect();
        let detail = format!("guard: {} added prefixes", added.len());
        self.keep(&checked, now, by, &detail, |change, _| {
            change.write_guard(&added)
        })?;
        self.revised();
        self.tell(now, by, &detail);
        self.mirror_change(MirrorPlan::of_guard(&checked.plan().guard));
        Ok(())
    }

    /// Makes the kernel's guard equal to the policy's. If it cannot, the policy's stands: no block
    /// is applied until the kernel has it (`Plan::check`).
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(super) fn push_guard(&mut self) -> Result<(), Failure> {
        let checked = self.plan_guard()?;
        self.mirror_change(MirrorPlan::of_guard(&checked.plan().guard));
        Ok(self.xdp.tables.apply(&checked)?)
    }

    pub(super) fn guard_ops(&self) -> Vec<Op<u32>> {
        plan::diff_guard(&self.policy.guard, self.xdp.tables.guarded())
    }

    fn plan_guard(&self) -> Result<CheckedPlan, Failure> {
        let plan = Plan {
            guard: self.guard_ops(),
            ..Plan::default()
        };
        Ok(plan.check(&self.policy.guard, self.xdp.tables.guarded())?)
    }

    /// Gives memory back, once what a large change was made of is gone.
    pub(super) fn tidy(&mut self) {
        trim_memory();
        self.untidy = false;
    }

    /// Removes what has ended. The kernel has not counted it since its second came.
    pub fn expire(&mut self) {
        let now = clock::now();
        let draft = self.policy.ended(now);
        let result = self.commit(&draft, now, "expiry");
        self.expire_not_before = result.is_err().then(|| Instant::now() + RETRY);
        let ended = |edit: &Edit| edit.place.list == ListId::AUTO;
        let result = match result.is_ok() && draft.edits.iter().any(ended) {
            // A network that was blocked as one may leave sources behind.
            true => self.renew_blocks(now),
            false => result,
        };
        self.note("expiry", result);
    }

    /// Writes the runtime switches.
    pub(super) fn configure(&mut self) -> Result<(), Failure> {
        /// A screen of drops a second; a flood must not become a flood of events.
        const SAMPLES_PER_SEC: u32 = 100;
        let config = abi::Config {
            observe: u32::from(self.config.observe),
            sample_until: self.sample_until(),
            samples_per_sec: SAMPLES_PER_SEC,
            ..self.scan.switches()
        };
        self.xdp
            .set_config(config)
            .map_err(|error| unreadable(io::Error::other(error)))
    }
}

/// A wall time on the wire; times beyond what RFC 3339 can write are the last it can.
pub(super) fn wire_time(wall: WallSecs) -> jiff::Timestamp {
    jiff::Timestamp::from_second(wall.0).unwrap_or(jiff::Timestamp::MAX)
}

/// Counts of a draft.
pub(super) fn counts(draft: &Draft) -> wire::Changed {
    let mut changed = wire::Changed {
        unchanged: draft.unchanged,
        warnings: draft.warnings.clone(),
        ..wire::Changed::default()
    };
    for edit in &draft.edits {
        match (&edit.before, &edit.after) {
            (None, Some(_)) => changed.added += 1,
            (Some(_), Some(_)) => changed.updated += 1,
            (_, None) => changed.removed += 1,
        }
    }
    changed
}

fn unreadable(source: io::Error) -> Failure {
    kernel("cannot read or write a table in the kernel", &source)
}
