//! The mirror in nftables.
//!
//! - [`held`]: what our table holds, and the commands that change it
//! - [`sets`], [`rules`]: the text of these commands
//! - [`observe`]: what `nft` lists
//!
//! One table, `inet fwctl`, for both families; each plan is one transaction of `nft -f`. Our chains
//! are asked just before those of `iptables-nft`: what we drop is gone, what we accept has passed
//! ours only. So a rule that accepts opens nothing that another table closes.

mod held;
mod observe;
mod rules;
mod sets;

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use self::{held::Held, observe::Networks};
use super::{Mirror, Observed};
use crate::{
    host::{
        clock,
        netfilter::generation,
        tool::{ToolError, feed, show},
    },
    plan::mirror::{CheckedMirror, Element, SetName},
    policy::time::Now,
};

const NFT: &str = "nft";

/// A listing of elements that takes longer may run for one part in so many of the time.
const QUICK: Duration = Duration::from_millis(100);
const SHARE: u32 = 20;

/// The table in the network namespace of the calling thread.
#[derive(Default)]
pub struct Nftables {
    /// What stands there, if we have made it.
    held: Option<Held>,
    /// Nobody changed a rule of this host while we changed ours last.
    alone: bool,
    known: Option<Known>,
    /// When the elements were listed last, and how long that took.
    counted: Option<(Instant, Duration)>,
}

/// What needs no look, as long as the rules of the host have this number: nobody has changed them.
struct Known {
    generation: u32,
    /// `None` when we have changed more than elements.
    lines: Option<Vec<String>>,
    /// `None` when they were not listed since.
    counts: Option<BTreeMap<SetName, usize>>,
}

impl Nftables {
    /// Nothing is known yet of what stands there.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is listed; `None` when it is not asked for. `nft` begins its listing anew at each change
    /// of any rule of the host: on a busy one a long listing would never end. So it may run for a
    /// part of the time only, and what it does not tell is taken to be as we put it.
    fn counts_there(&mut self) -> Option<BTreeMap<SetName, usize>> {
        let is_soon = |(at, took): (Instant, Duration)| took > QUICK && at.elapsed() < took * SHARE;
        if self.counted.is_some_and(is_soon) {
            return None;
        }
        let start = Instant::now();
        let now = clock::now().boot_secs();
        let networks = networks_there();
        self.counted = Some((start, start.elapsed()));
        Some(observe::counts(&networks.ok()?, self.held.as_ref(), now))
    }
}

impl Mirror for Nftables {
    fn name(&self) -> &'static str {
        "nftables"
    }

    fn observe(&mut self) -> Result<Observed, ToolError> {
        let generation = number();
        let known = self.known.take();
        let (lines, counts) = match known.filter(|known| Some(known.generation) == generation) {
            Some(known) => (known.lines, known.counts),
            None => (None, None),
        };
        let lines = lines.map_or_else(lines_there, Ok)?;
        let counts = counts.or_else(|| self.counts_there());
        self.known = generation.map(|generation| Known {
            generation,
            lines: Some(lines.clone()),
            counts: counts.clone(),
        });
        Ok(Observed {
            lines,
            is_whole: self.alone,
            counts: counts
                .unwrap_or_else(|| self.held.as_ref().map(Held::counts).unwrap_or_default()),
        })
    }

    fn elements(&mut self, now: Now) -> Result<BTreeMap<SetName, Vec<Element>>, ToolError> {
        let element = |(prefix, left): (_, Option<Duration>)| Element {
            prefix,
            deadline: left.map(|left| now.after(left)),
        };
        let sets = networks_there()?.into_iter();
        Ok(sets
            .map(|(set, networks)| (set, networks.into_iter().map(element).collect()))
            .collect())
    }

    fn apply(&mut self, plan: &CheckedMirror, now: Now) -> Result<(), ToolError> {
        let plan = plan.plan();
        let (held, known) = (self.held.take(), self.known.take());
        let (mut held, mut commands) = match held {
            _ if plan.is_whole() => (Held::default(), held::fresh()),
            Some(held) => (held, Vec::new()),
            None => {
                return Err(failed(
                    "what stands there is unknown, the plan must be whole",
                ));
            }
        };
        let change = held.change(plan, now);
        commands.extend(change.commands);
        let before = number();
        run(&commands)?;
        // What we made anew, or changed as the only ones since we saw it, needs no look.
        let steps = u32::from(!commands.is_empty());
        let saw = |known: &Known| before == Some(known.generation);
        let is_sure = plan.is_whole() || known.as_ref().is_some_and(saw);
        let lines = known.and_then(|known| known.lines);
        self.known = before
            .map(|before| before.wrapping_add(steps))
            .filter(|after| is_sure && number() == Some(*after))
            .map(|generation| Known {
                generation,
                lines: lines.filter(|_| !change.shape),
                counts: Some(held.counts()),
            });
        self.alone = self.known.is_some();
        self.held = Some(held);
        Ok(())
    }

    fn clear(&mut self) -> Result<(), ToolError> {
        *self = Self::default();
        clear()
    }
}

/// Takes our table away. None there is no error.
///
/// # Errors
/// `nft` is missing, failed or took too long.
pub fn clear() -> Result<(), ToolError> {
    match stands()? {
        true => run(&held::remove()),
        false => Ok(()),
    }
}

/// One transaction. No commands are none.
fn run(commands: &[String]) -> Result<(), ToolError> {
    match commands {
        [] => Ok(()),
        _ => feed(NFT, &["-f", "-"], &(commands.join("\n") + "\n")).map(drop),
    }
}

/// Our table without elements; nothing where it is not there.
fn lines_there() -> Result<Vec<String>, ToolError> {
    let text = list(&["-s", "-t"])?.unwrap_or_default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

/// The elements of our sets.
fn networks_there() -> Result<Networks, ToolError> {
    match list(&["-j"])? {
        Some(json) => observe::networks(&json).map_err(failed),
        None => Ok(Networks::new()),
    }
}

/// What `nft` prints of our table, if it is there.
fn list(options: &[&str]) -> Result<Option<String>, ToolError> {
    let arguments = [options, &["list", "table", "inet", "fwctl"]].concat();
    let is_there = stands()?;
    is_there.then(|| show(NFT, &arguments)).transpose()
}

fn failed(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ToolError {
    ToolError::Run {
        tool: NFT.to_owned(),
        source: io::Error::other(source),
    }
}

/// Whether our table is there. To list one that is not there would be an error like any other; and
/// `list tables` reads the elements of everybody's sets (nft 1.0.6: seven seconds for a million).
///
/// # Errors
/// `nft` is missing, failed or took too long.
pub fn stands() -> Result<bool, ToolError> {
    let ruleset = show(NFT, &["-t", "list", "ruleset", "inet"])?;
    Ok(ruleset.lines().any(|line| line == "table inet fwctl {"))
}

/// The number of the rules of the host; `None` when it cannot be told, so that we look.
fn number() -> Option<u32> {
    generation().ok().flatten()
}

#[cfg(test)]
mod tests;
