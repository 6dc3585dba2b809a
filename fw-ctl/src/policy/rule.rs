//! Rules: what needs ports, state, rates or hours.
//!
//! They are about new connections only: what is established goes on. Who is guarded or allowed
//! meets none of them, and who is blocked does not come so far. Limits are asked first: what
//! exceeds one is dropped, what stays within goes on to the rules that accept or drop. Of these the
//! narrowest that matches decides: the longer source prefix, then the fewer ports, then `accept`.

pub mod text;

use std::{fmt, str::FromStr};

use fw_common::Prefix;

use super::{
    entry::Comment,
    hours::Hours,
    rate::Limit,
    service::Service,
    time::{BootSecs, WallSecs},
};

/// Number of a rule; never given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// It passes this firewall.
    Accept,
    /// It is dropped.
    Drop,
}

impl Verdict {
    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
        }
    }
}

impl FromStr for Verdict {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Accept, Self::Drop]
            .into_iter()
            .find(|verdict| verdict.name() == text)
            .ok_or_else(|| format!("{text:?} is neither accept nor drop"))
    }
}

/// What a rule does with what it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Accepts or drops. With hours: `accept` drops outside of them, `drop` does nothing then.
    Port(Verdict),
    /// Drops what is too much. With hours: only within them.
    Limit(Limit),
}

impl Effect {
    /// As printed: `accept`, `drop` or `limit`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Port(Verdict::Accept) => "accept",
            Self::Port(Verdict::Drop) => "drop",
            Self::Limit(_) => "limit",
        }
    }
}

/// Who keeps a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// The operator, by command, REST or policy file.
    Local,
    /// The configuration file; a command cannot remove it.
    Configuration,
}

impl Origin {
    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Configuration => "configuration",
        }
    }
}

/// A rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Protocol and ports.
    pub service: Service,
    /// Whose connections; empty for everybody's. Sorted, without repetition.
    pub sources: Vec<Prefix>,
    /// What it does with them.
    pub effect: Effect,
    /// When; always without.
    pub hours: Option<Hours>,
    /// The operator's note.
    pub comment: Comment,
    /// When it was added.
    pub created: WallSecs,
    /// When it ends; `None` for never.
    pub deadline: Option<BootSecs>,
    /// Who keeps it.
    pub origin: Origin,
}
