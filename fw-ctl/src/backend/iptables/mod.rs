//! The mirror in iptables, of both variants: a chain `FWCTL` for each family, sets `fwctl-*`.
//!
//! - [`render`]: the chains as text (pure)
//! - [`sets`]: the sets as text (pure)
//! - [`halves`]: what `ipset` cannot hold as it is (pure)
//! - [`observe`]: reading what the tools print (pure)
//!
//! A rule that goes to a chain of ours is ours wherever it stands: it goes when the chain goes, and
//! when it is not where we put it.

mod halves;
mod observe;
mod render;
mod sets;

use std::{collections::BTreeMap, fs, sync::Arc, thread, time::Duration};

use fw_common::reason::Family;
use tracing::error;

use self::{
    halves::Halves,
    observe::{Chains, Header},
    sets::FAMILIES,
};
use super::{Mirror, Observed};
use crate::{
    host::{
        netfilter::generation,
        tool::{ToolError, feed, show},
    },
    plan::{
        mirror::{CheckedMirror, Element, SetChange, SetName},
        ruleset::Ruleset,
    },
    policy::time::Now,
};

/// Seconds to wait for the lock that programs of the legacy variant share.
const LOCK_SECS: &str = "5";

/// For how long the kernel may still hold on to a set after the last rule that asked it has gone.
const RELEASE: Duration = Duration::from_secs(1);
const RELEASE_STEPS: u32 = 20;

/// The kernel's side that `iptables` speaks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// nftables.
    Nft,
    /// The tables of before.
    Legacy,
}

impl Variant {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Nft, Self::Legacy];

    /// `iptables-nft-save` and the like.
    fn tool(self, family: Family, verb: &str) -> String {
        let variant = match self {
            Self::Nft => "nft",
            Self::Legacy => "legacy",
        };
        format!("{}-{variant}-{verb}", program(family))
    }

    /// What is ours in the table `filter`. Asking the legacy variant about a table that is not
    /// there would make it; asking the other of a kernel without nftables is an error.
    fn chains(self, family: Family) -> Result<Chains, ToolError> {
        let can_hold = match self {
            Self::Nft => !matches!(generation(), Ok(None)),
            Self::Legacy => has_legacy_filter(family),
        };
        if !can_hold {
            return Ok(Chains::default());
        }
        let saved = show(&self.tool(family, "save"), &["-t", "filter"])?;
        Ok(Chains::read(&saved))
    }

    /// Runs a restore: all of it or nothing happens.
    fn restore(self, family: Family, text: &str) -> Result<(), ToolError> {
        let tool = self.tool(family, "restore");
        feed(&tool, &["--noflush", "-w", LOCK_SECS], text).map(drop)
    }

    /// Whether a restore would be understood.
    fn test(self, family: Family, text: &str) -> Result<(), ToolError> {
        let tool = self.tool(family, "restore");
        feed(&tool, &["--test", "--noflush", "-w", LOCK_SECS], text).map(drop)
    }

    fn clear(self, family: Family) -> Result<(), ToolError> {
        let text = render::clear(&self.chains(family)?);
        match text.as_str() {
            "" => Ok(()),
            text => self.restore(family, text),
        }
    }
}

fn program(family: Family) -> &'static str {
    match family {
        Family::V6 => "ip6tables",
        _ => "iptables",
    }
}

fn has_legacy_filter(family: Family) -> bool {
    let file = match family {
        Family::V6 => "/proc/thread-self/net/ip6_tables_names",
        _ => "/proc/thread-self/net/ip_tables_names",
    };
    // A kernel without legacy tables has no such file.
    let names = fs::read_to_string(file).unwrap_or_default();
    names.lines().any(|name| name == "filter")
}

/// Our sets, also half-made ones.
fn headers() -> Result<Vec<Header>, ToolError> {
    show("ipset", &["list", "-t"]).map(|text| observe::headers(&text))
}

/// The chains as they were at a generation of nftables.
#[derive(Debug)]
struct Known {
    generation: u32,
    lines: Vec<String>,
    is_whole: bool,
}

/// The chains and sets of one network namespace.
#[derive(Debug)]
pub struct Iptables {
    variant: Variant,
    /// What the chains were made from last.
    ruleset: Option<Arc<Ruleset>>,
    halves: Halves,
    known: Option<Known>,
}

impl Iptables {
    /// Touches nothing yet.
    pub fn new(variant: Variant) -> Self {
        Self {
            variant,
            ruleset: None,
            halves: Halves::default(),
            known: None,
        }
    }

    /// The chains and jumps of both families. The rules of a large host take long to print, so
    /// they are not asked for again while nftables says that nothing has changed.
    fn lines(&mut self) -> Result<(Vec<String>, bool), ToolError> {
        let generation = match self.variant {
            Variant::Nft => generation().ok().flatten(),
            Variant::Legacy => None,
        };
        if let Some(known) = &self.known
            && generation == Some(known.generation)
        {
            return Ok((known.lines.clone(), known.is_whole));
        }
        let (mut lines, mut is_whole) = (Vec::new(), true);
        for family in FAMILIES {
            let chains = self.variant.chains(family)?;
            let ruleset = self.ruleset.as_deref();
            is_whole &= ruleset.is_none_or(|ruleset| render::stands(ruleset, family, &chains));
            lines.extend(chains.lines(program(family)));
        }
        self.known = generation.map(|generation| Known {
            generation,
            lines: lines.clone(),
            is_whole,
        });
        Ok((lines, is_whole))
    }

    fn put_sets(
        &mut self,
        changes: &BTreeMap<SetName, SetChange>,
        standing: &[Header],
        now: Now,
    ) -> Result<(), ToolError> {
        for (set, change) in changes {
            self.halves.learn(*set, change);
        }
        match sets::put(changes, standing, &self.halves, now) {
            nothing if nothing.is_empty() => Ok(()),
            text => feed("ipset", &["restore", "-exist"], &text).map(drop),
        }
    }

    /// Both families or neither.
    fn put_chains(&self, ruleset: &Ruleset) -> Result<(), ToolError> {
        let mut texts = Vec::new();
        for family in FAMILIES {
            let text = render::put(ruleset, family, &self.variant.chains(family)?);
            texts.push((family, text));
        }
        for (family, text) in &texts {
            self.variant.test(*family, text)?;
        }
        for (done, (family, text)) in texts.iter().enumerate() {
            if let Err(failed) = self.variant.restore(*family, text) {
                texts[..done]
                    .iter()
                    .for_each(|(family, _)| self.put_back(*family));
                return Err(failed);
            }
        }
        Ok(())
    }

    /// Gives a family the chains it had.
    fn put_back(&self, family: Family) {
        let put_back = || match &self.ruleset {
            None => self.variant.clear(family),
            Some(ruleset) => {
                let text = render::put(ruleset, family, &self.variant.chains(family)?);
                self.variant.restore(family, &text)
            }
        };
        if let Err(failed) = put_back() {
            let tool = program(family);
            error!(%failed, "{tool} has rules that the other family refused, and keeps them");
        }
    }
}

impl Mirror for Iptables {
    fn name(&self) -> &'static str {
        match self.variant {
            Variant::Nft => "iptables-nft",
            Variant::Legacy => "iptables-legacy",
        }
    }

    fn observe(&mut self) -> Result<Observed, ToolError> {
        let (lines, is_whole) = self.lines()?;
        let mut observed = Observed {
            lines,
            is_whole,
            ..Observed::default()
        };
        for header in headers()? {
            let Header {
                name,
                kind,
                options,
                count,
            } = header;
            if let Some(set) = sets::of(&name) {
                *observed.counts.entry(set).or_default() += count;
            }
            let line = format!("ipset create {name} {kind} {options}");
            observed.lines.push(line);
        }
        Ok(observed)
    }

    fn elements(&mut self, now: Now) -> Result<BTreeMap<SetName, Vec<Element>>, ToolError> {
        let standing = headers()?;
        let mut sets = BTreeMap::new();
        for set in SetName::ALL {
            let mut found = Vec::new();
            for family in FAMILIES {
                let name = sets::name(set, family);
                if standing.iter().any(|header| header.name == name) {
                    let saved = show("ipset", &["save", &name])?;
                    found.extend(observe::elements(&saved, now));
                }
            }
            sets.insert(set, self.halves.rejoin(set, found));
        }
        Ok(sets)
    }

    fn apply(&mut self, plan: &CheckedMirror, now: Now) -> Result<(), ToolError> {
        let plan = plan.plan();
        let is_replace = |change: &SetChange| matches!(change, SetChange::Replace(_));
        let mut standing = match plan.sets.values().any(is_replace) {
            true => headers()?,
            false => Vec::new(),
        };
        if plan.is_whole() && standing.iter().any(sets::is_spoilt) {
            self.clear()?;
            standing.clear();
        }
        self.put_sets(&plan.sets, &standing, now)?;
        if let Some(ruleset) = &plan.ruleset {
            match self.put_chains(ruleset) {
                // Somebody may have changed a chain since it was read.
                Err(ToolError::Failed { .. }) => self.put_chains(ruleset)?,
                put => put?,
            }
            self.ruleset = Some(Arc::clone(ruleset));
        }
        Ok(())
    }

    fn clear(&mut self) -> Result<(), ToolError> {
        *self = Self::new(self.variant);
        for family in FAMILIES {
            self.variant.clear(family)?;
        }
        clear_sets()
    }
}

/// Whether a chain of ours is there, in any variant.
///
/// # Errors
/// A program failed or took too long.
pub fn stands() -> Result<bool, ToolError> {
    for variant in Variant::ALL {
        for family in FAMILIES {
            match variant.chains(family) {
                Ok(chains) if chains.ours.is_empty() => {}
                Ok(_) => return Ok(true),
                Err(ToolError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(false)
}

/// Takes everything of ours out of both variants, whoever put it there. What is not installed has
/// put nothing.
///
/// # Errors
/// A program failed or took too long; a set is asked by a rule of somebody else.
pub fn clear_all() -> Result<(), ToolError> {
    Variant::ALL.into_iter().try_for_each(clear_chains)?;
    unless_missing(clear_sets())
}

/// Takes our chains out of one variant, and leaves the sets, which both ask.
///
/// # Errors
/// A program failed or took too long.
pub fn clear_chains(variant: Variant) -> Result<(), ToolError> {
    let clear = |family| unless_missing(variant.clear(family));
    FAMILIES.into_iter().try_for_each(clear)
}

fn unless_missing(cleared: Result<(), ToolError>) -> Result<(), ToolError> {
    match cleared {
        Err(ToolError::Missing { .. }) => Ok(()),
        cleared => cleared,
    }
}

/// Goes on with the others where one is asked by a rule of somebody else.
fn clear_sets() -> Result<(), ToolError> {
    let cleared = headers()?.into_iter().map(|header| destroy(&header.name));
    cleared.fold(Ok(()), Result::and)
}

/// Destroys a set that no rule of ours asks any more. The kernel lets go of it a little later.
fn destroy(name: &str) -> Result<(), ToolError> {
    for _ in 1..RELEASE_STEPS {
        match feed("ipset", &["destroy", name], "") {
            Err(ToolError::Failed { reason, .. }) if reason.contains("in use") => {
                thread::sleep(RELEASE / RELEASE_STEPS);
            }
            ended => return ended.map(drop),
        }
    }
    feed("ipset", &["destroy", name], "")
        .map(drop)
        .map_err(|error| match error {
            ToolError::Failed {
                tool,
                status,
                reason,
            } => ToolError::Failed {
                tool: format!("{tool} destroy {name}"),
                status,
                reason,
            },
            error => error,
        })
}

#[cfg(test)]
mod tests;
