//! A net under the operator: a policy that is applied as a whole, and goes back by itself unless it
//! is confirmed in time.

use std::{collections::BTreeMap, time::Duration};

use super::{
    owner::{Owner, wire_time},
    problem::{Failure, bad_input},
    sentinel::Sentinel,
    whole::{Save, Wanted, WantedRules},
};
use crate::{
    api::wire::{self, Applied, Code, Pending},
    host::clock,
    policy::{
        entry::{Action, Entry},
        time::{BootSecs, WallSecs},
    },
    store::{Checkpoint, Due},
};

/// The longest that a policy may wait to be confirmed: a day.
const MAX_CONFIRM_SECS: u32 = 86_400;

impl Owner {
    /// `POST /apply`
    ///
    /// # Errors
    /// What is wrong with the policy, or who refuses it; nothing was changed.
    pub fn apply(&mut self, apply: &wire::Apply, by: &str) -> Result<Applied, Failure> {
        let now = clock::now();
        if let Some(secs) = apply.confirm_s
            && !(1..=MAX_CONFIRM_SECS).contains(&secs)
        {
            let message = format!("confirm_s: {secs} is not from 1 to {MAX_CONFIRM_SECS} seconds");
            return Err(bad_input(message));
        }
        let mut warnings = Vec::new();
        let wanted = self.read_policy(&apply.policy, now, &mut warnings)?;
        let weighed = self.weigh(wanted, now)?;
        if let Some((_, _, first)) = weighed.draft.refused.first() {
            return Err(first.into());
        }
        let layers = self.layers(&weighed);
        let default = weighed.rules.base.default;
        let names_guard = weighed
            .guard
            .as_ref()
            .is_some_and(|named| !named.is_empty());
        // A new time limit counts, also for what is in force already.
        let is_news =
            !self.changes_nothing(&weighed) || apply.confirm_s.is_some() && self.due.is_some();
        if !apply.dry_run && is_news {
            if self.due == Some(Due::Asked) {
                let text =
                    "an earlier policy was never confirmed: both go back, to what was before it";
                warnings.push(text.to_owned());
            }
            let before = self.store.due()?.and_then(Due::second);
            let asked = apply.confirm_s.map(|secs| Duration::from_secs(secs.into()));
            let due = asked.map(|secs| now.after(secs)).or(before);
            if asked.is_none() && before.is_some() {
                let text =
                    "an earlier policy still waits to be confirmed: this one goes back with it";
                warnings.push(text.to_owned());
            }
            let detail = match due {
                Some(_) => "policy applied, to be confirmed",
                None => "policy applied",
            };
            // Whoever is to roll back is there before there is anything to roll back.
            let sentinel = due.map(|due| self.sentinel(due)).transpose()?;
            let done = self.put_in_force(weighed, Save::Before(due), now, by, detail);
            let unused = match done {
                Ok(()) => std::mem::replace(&mut self.sentinel, sentinel),
                Err(_) => sentinel,
            };
            if let Some(unused) = unused {
                unused.end();
            }
            done?;
            self.due = self.store.due()?;
        }
        if !names_guard {
            warnings.extend(self.nobody_guarded(default));
        }
        Ok(Applied {
            layers,
            pending: self.pending()?,
            warnings,
        })
    }

    /// `POST /confirm`
    ///
    /// # Errors
    /// It was rolled back already.
    pub fn confirm(&mut self, by: &str) -> Result<Applied, Failure> {
        let now = clock::now();
        if self.store.due()?.is_none() {
            return match self.store.rolled_back()? {
                Some(at) => Err(Failure::new(
                    Code::NotConfirmed,
                    format!("not confirmed in time: rolled back at {}", wire_time(at)),
                )
                .with_hint("apply it again")),
                None => Ok(told("nothing waits to be confirmed")),
            };
        }
        let change = self.store.begin()?;
        change.forget()?;
        change.record(now, by, "policy confirmed")?;
        change.commit()?;
        self.watch_due()?;
        self.tell(now, by, "policy confirmed");
        Ok(Applied::default())
    }

    /// `POST /rollback`: back to the last confirmed policy.
    ///
    /// # Errors
    /// The store's or the kernel's; what was in force still is.
    pub fn roll_back(&mut self, by: &str) -> Result<Applied, Failure> {
        self.go_back(Save::Restore, by)
    }

    fn go_back(&mut self, save: Save, by: &str) -> Result<Applied, Failure> {
        let now = clock::now();
        if self.store.due()?.is_none() {
            return Ok(told(
                "nothing to roll back: the policy in force is confirmed",
            ));
        }
        let Checkpoint {
            entries,
            rules,
            guard,
            base,
        } = self.store.checkpoint()?;
        let mut wanted = Wanted {
            entries: BTreeMap::from([(Action::Allow, Vec::new()), (Action::Block, Vec::new())]),
            rules: WantedRules::Back(rules),
            guard: Some(guard),
            base,
        };
        let mut created: BTreeMap<_, WallSecs> = BTreeMap::new();
        for (action, item, since) in entries {
            created.insert((action, item.prefix), since);
            wanted.entries.entry(action).or_default().push(item);
        }
        let mut weighed = self.weigh(wanted, now)?;
        for edit in &mut weighed.draft.edits {
            let since = created.get(&(edit.action, edit.place.prefix));
            if let (Some(after), Some(since)) = (&mut edit.after, since) {
                *after = Entry::new(after.comment.clone(), *since, after.deadline());
            }
        }
        // Who is guarded since then is not blocked again.
        let refused = weighed.draft.refused.iter();
        let warnings = refused.map(|(_, _, refusal)| refusal.to_string()).collect();
        let layers = self.layers(&weighed);
        self.put_in_force(weighed, save, now, by, "policy rolled back")?;
        self.watch_due()?;
        if self.due.is_some() {
            let message = "the policy is rolled back, but the database could not be written";
            return Err(Failure::new(Code::Store, message)
                .with_hint("make room in the state directory; it is tried again"));
        }
        Ok(Applied {
            layers,
            pending: None,
            warnings,
        })
    }

    /// Rolls back what was not confirmed in time.
    ///
    /// # Errors
    /// As [`Owner::roll_back`].
    pub(super) fn roll_back_if_due(&mut self) -> Result<(), Failure> {
        let is_due = match self.due {
            Some(Due::Now) => true,
            Some(Due::At(second)) => second <= clock::now().boot_secs(),
            Some(Due::Asked) | None => false,
        };
        match is_due {
            true => self
                .go_back(Save::RolledBack, "not confirmed in time")
                .map(drop),
            false => Ok(()),
        }
    }

    /// Rolls back what nobody can confirm any more, because the daemon ends. Says whether it did;
    /// if it could not, the sentinel is still there.
    pub(super) fn roll_back_at_the_end(&mut self) -> bool {
        if !matches!(self.due, Some(Due::At(_))) {
            return false;
        }
        let result = self.go_back(Save::RolledBack, "the daemon ends").map(drop);
        let done = result.is_ok();
        self.note("rollback", result);
        done
    }

    /// Looks what waits to be confirmed, and sees to it that somebody rolls it back when its time
    /// comes. When it has come, whoever asks does it himself.
    ///
    /// # Errors
    /// The store's, or the sentinel cannot be started.
    pub(super) fn watch_due(&mut self) -> Result<(), Failure> {
        self.due = self.store.due()?;
        match self.due {
            Some(Due::At(second)) => {
                if self.sentinel.is_none() && second > clock::now().boot_secs() {
                    self.sentinel = Some(self.sentinel(second)?);
                }
            }
            Some(Due::Now | Due::Asked) | None => {
                if let Some(sentinel) = self.sentinel.take() {
                    sentinel.end();
                }
            }
        }
        Ok(())
    }

    fn sentinel(&self, due: BootSecs) -> Result<Sentinel, Failure> {
        Sentinel::start(&self.options, due).map_err(|error| {
            let what = "cannot start the process that rolls back if this one dies";
            Failure::new(Code::Internal, format!("{what}: {error}"))
        })
    }

    /// What the operator changes meanwhile goes back too.
    pub(super) fn goes_back(&self) -> Option<String> {
        let when = match self.due? {
            Due::At(second) => format!("at {}", wire_time(clock::now().wall_of(second))),
            Due::Now | Due::Asked => "with `fw-ctl rollback`".to_owned(),
        };
        Some(format!(
            "the policy is not confirmed: this goes back with it {when}, unless `fw-ctl confirm` is run before"
        ))
    }

    /// What waits to be confirmed.
    ///
    /// # Errors
    /// The store's.
    pub(super) fn pending(&self) -> Result<Option<Pending>, Failure> {
        let now = clock::now();
        Ok(self.store.due()?.map(|due| Pending {
            until: due.second().map(|second| wire_time(now.wall_of(second))),
            left_s: due.second().map(|second| now.left(second)),
        }))
    }
}

fn told(text: &str) -> Applied {
    Applied {
        warnings: vec![text.to_owned()],
        ..Applied::default()
    }
}
