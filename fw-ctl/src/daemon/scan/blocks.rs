//! The list `auto`: what the offenders make of it, and what the kernel has written by itself.

use std::collections::BTreeSet;

use fw_common::{Prefix, abi};

use super::{
    super::{
        owner::{Owner, wire_time},
        problem::{Failure, kernel},
    },
    BLOCKS,
};
use crate::{
    api::wire::{self, Changed, Event},
    backend::xdp::scan::Crossings,
    detect::{
        blocks::Blocks,
        rollup::Protected,
        sentence::{Crossing, Evidence},
        settings::Mode,
    },
    host::clock,
    policy::{
        change::{Change, Draft, Edit},
        entry::{Action, ListId, Place},
        guard::Guard,
        time::{BootSecs, Now},
    },
};

impl Owner {
    /// At the start, before the kernel is made equal to the policy: what the program has blocked
    /// since the last daemon ended is not taken away.
    ///
    /// # Errors
    /// The kernel's tables cannot be read, or the database not be written.
    pub(in super::super) fn restore_blocks(
        &mut self,
        crossings: &mut Crossings,
    ) -> Result<(), Failure> {
        let now = clock::now();
        self.mark_blocks();
        self.hear_backlog(crossings, now);
        self.adopt_blocks(now)?;
        let (blocks, draft) = self.derive_blocks(now)?;
        self.policy.apply(&draft);
        let change = self.store.begin()?;
        change.write(&draft, &self.policy, now)?;
        change.write_offenders(self.scan.offenders.unsaved(), now)?;
        change.commit()?;
        self.scan.offenders.saved();
        self.scan.blocks = blocks;
        Ok(())
    }

    /// Takes blocks into account that the kernel wrote and nobody heard of, and names them.
    ///
    /// # Errors
    /// The kernel's tables cannot be read.
    pub(in super::super) fn adopt_blocks(&mut self, now: Now) -> Result<Vec<Prefix>, Failure> {
        let mut adopted = Vec::new();
        let held = self.xdp.tables.dump(Action::Block);
        let held = held.map_err(|error| kernel("cannot read the tables", &error))?;
        for (prefix, entry) in held {
            if entry.list != abi::AUTO_LIST || entry.deadline <= now.boot_secs().0 {
                continue;
            }
            // Of the list itself, or with the end of a network of it.
            let end = Some(BootSecs(entry.deadline));
            let mut covering = self.policy.table(Action::Block).covering(prefix);
            let known = covering.any(|(place, entry)| {
                place.list == ListId::AUTO && (place.prefix == prefix || entry.deadline() == end)
            });
            if known {
                continue;
            }
            let crossing = Crossing {
                source: prefix,
                at: now.boot_secs(),
                distinct_ports: self.scan.settings.ports,
                distinct_hosts: 1,
                ports: Vec::new(),
                block: Some(BootSecs(entry.deadline)),
            };
            let settings = &self.scan.settings;
            (self.scan.offenders).judge(&crossing, Evidence::Unproven, settings, now, 0);
            adopted.push(prefix);
        }
        Ok(adopted)
    }

    /// Makes the list `auto` what the offenders make of it, and keeps both.
    ///
    /// # Errors
    /// What refused; the list is as it was.
    pub(in super::super) fn renew_blocks(&mut self, now: Now) -> Result<(), Failure> {
        self.renew_blocks_over(&[], now)
    }

    /// As [`Owner::renew_blocks`], and compares these rows of the kernel with the list, though it
    /// does not change there: the program has written them itself, and what the list does not name
    /// goes (a network is blocked as one, or the source is protected); or they were marked.
    ///
    /// # Errors
    /// As [`Owner::renew_blocks`].
    pub(in super::super) fn renew_blocks_over(
        &mut self,
        rows: &[Prefix],
        now: Now,
    ) -> Result<(), Failure> {
        let (blocks, mut draft) = self.derive_blocks(now)?;
        let mut edited: BTreeSet<Prefix> =
            draft.edits.iter().map(|edit| edit.place.prefix).collect();
        for prefix in rows {
            let place = Place {
                prefix: *prefix,
                list: ListId::AUTO,
            };
            let listed = self.policy.table(Action::Block).get(place).cloned();
            if edited.insert(*prefix) {
                draft.edits.push(Edit {
                    action: Action::Block,
                    place,
                    before: listed.clone(),
                    after: listed,
                });
            }
        }
        self.commit(&draft, now, "scan")?;
        self.save_offenders(now)?;
        let before = std::mem::replace(&mut self.scan.blocks, blocks);
        self.tell_networks(&before, now);
        Ok(())
    }

    fn derive_blocks(&self, now: Now) -> Result<(Blocks, Draft), Failure> {
        let protected = self.protected_from_blocks();
        let blocks = (self.scan.offenders).blocks(&self.scan.settings, &protected, now);
        let draft = self
            .policy
            .prepare(Change::Detected(blocks.items.clone()), now)?;
        Ok((blocks, draft))
    }

    /// Whether nothing of a source may be blocked.
    pub(super) fn is_protected(&self, source: Prefix) -> bool {
        let mut guarded = self.policy.guard.iter();
        let mut allowed = self.policy.table(Action::Allow).covering(source);
        allowed.next().is_some() || guarded.any(|(prefix, _)| prefix.covers(&source))
    }

    /// Who is guarded or allowed.
    fn protected_from_blocks(&self) -> Protected {
        let allowed = self.policy.table(Action::Allow).iter();
        let guarded = self.policy.guard.iter().map(|(prefix, _)| prefix);
        allowed
            .map(|(place, _)| place.prefix)
            .chain(guarded)
            .collect()
    }

    /// What a commit did not take along, because no entry changed.
    pub(in super::super) fn save_offenders(&mut self, now: Now) -> Result<(), Failure> {
        if self.scan.offenders.unsaved().next().is_some() {
            let change = self.store.begin()?;
            change.write_offenders(self.scan.offenders.unsaved(), now)?;
            change.commit()?;
            self.scan.offenders.saved();
        }
        Ok(())
    }

    /// Networks that are blocked as one from now on, and those that are no more.
    fn tell_networks(&mut self, before: &Blocks, now: Now) {
        let (old, new) = (&before.roll_ups, &self.scan.blocks.roll_ups);
        let mut events = Vec::new();
        for roll_up in new {
            if !old.iter().any(|other| other.network == roll_up.network) {
                events.push(Event::RollUp(wire::RollUp {
                    schema: 1,
                    time: wire_time(now.wall),
                    prefix: roll_up.network.to_string(),
                    sources: roll_up.sources,
                    ttl_s: now.left(roll_up.until),
                    blocked_until: wire_time(now.wall_of(roll_up.until)),
                }));
            }
        }
        for roll_up in old {
            let network = roll_up.network;
            if !new.iter().any(|other| other.network == network) {
                let items = self.scan.blocks.items.iter();
                events.push(Event::Unroll(wire::Unroll {
                    schema: 1,
                    time: wire_time(now.wall),
                    prefix: network.to_string(),
                    sources: items.filter(|item| network.covers(&item.prefix)).count(),
                }));
            }
        }
        self.tell_scans(events);
    }

    /// Writes events into the security log and tells listeners.
    pub(in super::super) fn tell_scans(&mut self, events: Vec<Event>) {
        let lost = (self.scan.unlogged > 0).then(|| Event::Lost {
            time: wire_time(clock::now().wall),
            count: Some(self.scan.unlogged),
        });
        let lines: Vec<Event> = lost.into_iter().chain(events.iter().cloned()).collect();
        let result = self.scan.log.append(&lines);
        match result {
            Ok(()) => self.scan.unlogged = 0,
            Err(_) => self.scan.unlogged += events.len() as u64,
        }
        self.note("security log", result.map_err(Failure::from));
        self.broadcast.tell_all(events);
    }

    /// Frees sources whom somebody has allowed, guarded or unblocked.
    ///
    /// # Errors
    /// What refused; they are freed with the next change.
    pub(in super::super) fn pardon(
        &mut self,
        prefixes: &[Prefix],
        now: Now,
    ) -> Result<(), Failure> {
        for prefix in prefixes {
            self.scan.offenders.pardon(*prefix, now);
        }
        match self.scan.blocks.items.is_empty() {
            true => self.save_offenders(now),
            false => self.renew_blocks(now),
        }
    }

    /// What an accepted change of an operator means for the detector.
    pub(in super::super) fn pardon_after(&mut self, draft: &Draft, now: Now) {
        let pardons = |edit: &Edit| match (edit.action, &edit.after) {
            (Action::Allow, Some(_)) => Some(edit.place.prefix),
            (Action::Block, None) if edit.place.list == ListId::AUTO => {
                Some(self.scan.blocks.meant_by(edit.place.prefix))
            }
            _ => None,
        };
        let prefixes: Vec<Prefix> = draft.edits.iter().filter_map(pardons).collect();
        if !prefixes.is_empty() {
            let result = self.pardon(&prefixes, now);
            self.note(BLOCKS, result);
        }
    }

    /// Frees the source that an address belongs to, or the network it was blocked with, when it is
    /// not blocked by itself.
    ///
    /// # Errors
    /// What refused; it is freed with the next change.
    pub(in super::super) fn free_source(
        &mut self,
        prefix: Prefix,
        now: Now,
    ) -> Result<Option<Changed>, Failure> {
        let covering = self.policy.table(Action::Block).covering(prefix);
        let mut auto = covering.filter(|(place, _)| place.list == ListId::AUTO);
        let Some(covering) = auto.next().map(|(place, _)| place.prefix) else {
            return Ok(None);
        };
        drop(auto);
        let blocked = self.scan.blocks.meant_by(covering);
        self.pardon(&[blocked], now)?;
        Ok(Some(Changed {
            removed: 1,
            warnings: vec![format!(
                "{prefix} was blocked with {blocked}, all of which is free now"
            )],
            ..Changed::default()
        }))
    }

    /// What a change of the guard means for the detector.
    pub(in super::super) fn pardon_guarded(&mut self, before: &Guard) {
        let known: BTreeSet<Prefix> = before.iter().map(|(prefix, _)| prefix).collect();
        let guarded = self.policy.guard.iter().map(|(prefix, _)| prefix);
        let new: Vec<Prefix> = guarded.filter(|prefix| !known.contains(prefix)).collect();
        let result = self.pardon(&new, clock::now());
        self.note(BLOCKS, result);
    }

    /// Sources that are blocked, and may be forged, as far as that can be found out.
    pub(in super::super) fn unproven(&self) -> Vec<Prefix> {
        let unproven = self.scan.offenders.unproven(clock::now());
        unproven
            .filter(|source| !self.scan.suspects.contains(source))
            .collect()
    }

    /// Says whether the entries of the detector's list are enforced.
    pub(in super::super) fn mark_blocks(&mut self) {
        let observed = self.scan.settings.mode != Mode::Enforce;
        self.policy.observe(observed.then_some(ListId::AUTO));
    }

    /// The prefixes of the detector's list.
    pub(super) fn listed(&self) -> Vec<Prefix> {
        let blocks = self.policy.table(Action::Block).of_list(ListId::AUTO);
        blocks.map(|(place, _)| place.prefix).collect()
    }
}
