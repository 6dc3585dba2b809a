//! How many blocks the kernel may write by itself. A forged packet costs nothing, so what it can
//! bring about is bounded: so many blocks in any minute, and so many at a time.
//!
//! The kernel counts what it has taken, and compares the count with what it is granted. Both only
//! grow, so that neither waits for the other.

use std::collections::VecDeque;

use super::settings::Settings;
use crate::policy::time::{BootSecs, Now};

/// Blocks in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InForce {
    /// All of them.
    pub total: u64,
    /// Those whose source may be forged.
    pub unproven: u64,
}

/// What the kernel counted, since its maps were made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Blocks written.
    pub blocks: u64,
    /// Reports that were lost: each may have been of a block that nobody heard of.
    pub lost: u64,
}

/// The account.
#[derive(Debug, Default)]
pub struct Grants {
    granted: u64,
    /// Blocks at the last look.
    taken: u64,
    /// Reports lost at the last look; `None` before the first.
    lost: Option<u64>,
    /// Granted, and not heard of yet.
    promised: u64,
    minute: Counts,
    /// Blocks that may be in force without our knowledge.
    unknown: Counts,
}

impl Grants {
    /// Goes on where a former daemon stopped: `granted` is what the kernel still holds. Nobody
    /// knows when the blocks were taken, so the minute begins with all that can be missing in it.
    pub fn resume(taken: u64, granted: u64, settings: &Settings, now: Now) -> Self {
        let mut grants = Self {
            granted,
            taken: taken.min(granted),
            ..Self::default()
        };
        if granted > 0 {
            let left = granted - grants.taken;
            let used = u64::from(settings.unproven_per_minute).saturating_sub(left);
            grants.minute.add(used, now.boot_secs());
            grants.promised = left;
        }
        grants
    }

    /// How many blocks the kernel may have written in all. `taken` is read before the reports are,
    /// so that whatever it counts has been heard or was lost.
    pub fn refill(&mut self, taken: Taken, own: InForce, settings: &Settings, now: Now) -> u64 {
        // The kernel counts first and looks then: for a moment its count is beyond what it took.
        let blocks = taken.blocks.min(self.granted);
        let lost = taken.lost.saturating_sub(self.lost.unwrap_or(taken.lost));
        let second = now.boot_secs();
        self.minute.add(blocks.saturating_sub(self.taken), second);
        self.unknown.add(lost, second);
        self.taken = blocks;
        self.lost = Some(taken.lost);
        let minute = self.minute.within(60, second);
        let unknown = self.unknown.within(settings.ttl.as_secs(), second);
        let left = |most: u32, used: u64| u64::from(most).saturating_sub(used);
        let room = left(settings.unproven_per_minute, minute)
            .min(left(settings.max_unproven, own.unproven + unknown))
            .min(left(settings.max_blocks, own.total + unknown));
        self.granted = blocks + room;
        self.promised = room;
        self.granted
    }

    /// A block that the kernel wrote has been heard of.
    pub fn heard(&mut self) {
        self.promised = self.promised.saturating_sub(1);
    }

    /// Blocks that the kernel may have written, or may yet write, beyond those heard of.
    pub fn promised(&self) -> u64 {
        self.promised
    }
}

/// Events by the second they were seen in.
#[derive(Debug, Default)]
struct Counts(VecDeque<(BootSecs, u64)>);

impl Counts {
    fn add(&mut self, count: u64, second: BootSecs) {
        match self.0.back_mut() {
            _ if count == 0 => {}
            Some((last, counted)) if *last == second => *counted += count,
            _ => self.0.push_back((second, count)),
        }
    }

    /// How many in the last so many seconds; older ones are let go. A second that has only begun
    /// counts for a whole one.
    fn within(&mut self, secs: u64, now: BootSecs) -> u64 {
        let over = |second: BootSecs| u64::from(now.0.saturating_sub(second.0)) > secs;
        while self.0.front().is_some_and(|(second, _)| over(*second)) {
            self.0.pop_front();
        }
        self.0.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests;
