//! The list formats that are read: what people, feeds and other tools keep prefixes in. And those
//! that are written.
//!
//! Pure: text in, in pieces of any size, lines and errors out, each with its line number, so that
//! the caller decides whether one bad line spoils the file. Time is an argument.
//!
//! - [`reader`]: pieces into lines
//! - [`text`], [`ipset`], [`nft`], [`iptables`], [`fail2ban`]: line by line
//! - [`document`]: what is one piece: [`json`], [`nft::json`], [`crowdsec`], [`fail2ban`]
//! - [`parsed`]: what a file comes to
//! - [`write`](mod@write): what other tools read

mod address;
mod crowdsec;
mod document;
pub mod fail2ban;
mod ipset;
mod iptables;
mod json;
mod nft;
mod parsed;
mod reader;
mod text;
mod time;
pub mod write;

use std::{borrow::Cow, fmt, str::FromStr};

use jiff::{Timestamp, Zoned};

pub use self::{
    address::{AddressError, addresses},
    parsed::{Line, LineError, Parsed},
    reader::{Reader, parse},
    text::row,
};
use crate::{duration::Ttl, policy::entry::Action};

/// Longest line of a line-by-line format, in bytes. JSON documents have no lines to limit.
const MAX_LINE_BYTES: usize = 4096;

/// How a file is to be read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// How it is laid out.
    pub format: Format,
    /// Of a file with sets, those with these names; all of them if there are none.
    pub sets: Vec<String>,
    /// Prefixes beyond which no more is kept than that there are so many.
    pub most: Option<usize>,
    /// The moment from which ends are counted, in the zone in which the tools of this machine print
    /// theirs.
    pub now: Zoned,
}

/// At the beginning of 1970, for tests that need no clock.
#[cfg(test)]
impl From<Format> for Reading {
    fn from(format: Format) -> Self {
        Self {
            format,
            ..Self::default()
        }
    }
}

/// How a file is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Told apart by the first line that says something; lines with and without commas may mix.
    #[default]
    Auto,
    /// One prefix a line, `prefix # note`; FireHOL netsets are this.
    Cidr,
    /// `prefix,ttl,comment`, a header line tolerated.
    Csv,
    /// The tutorial's `allowlist.json`, an array of prefixes, or our own export.
    Json,
    /// What `ipset save` prints.
    Ipset,
    /// What `nft list set` or `nft list ruleset` prints, or with `-j`.
    Nft,
    /// What `iptables-save` or `ip6tables-save` prints.
    Iptables,
    /// What `fail2ban-client banned` or `get JAIL banip --with-time` prints, or its database.
    Fail2ban,
    /// What `cscli decisions list -o json` prints.
    Crowdsec,
    /// Spamhaus DROP: `prefix ; SBL...`, or its JSON lines.
    Spamhaus,
}

impl Format {
    /// All of them, the default first.
    pub const ALL: [Self; 10] = [
        Self::Auto,
        Self::Cidr,
        Self::Csv,
        Self::Json,
        Self::Ipset,
        Self::Nft,
        Self::Iptables,
        Self::Fail2ban,
        Self::Crowdsec,
        Self::Spamhaus,
    ];

    /// As typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Cidr => "cidr",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ipset => "ipset",
            Self::Nft => "nft",
            Self::Iptables => "iptables",
            Self::Fail2ban => "fail2ban",
            Self::Crowdsec => "crowdsec",
            Self::Spamhaus => "spamhaus",
        }
    }

    /// Where such a file comes from, for whoever has to choose.
    pub const fn origin(self) -> &'static str {
        match self {
            Self::Auto => "whatever the file looks like",
            Self::Cidr => "a prefix or range a line, `# note`; FireHOL netsets",
            Self::Csv => "`prefix,ttl,comment`, as export writes it",
            Self::Json => "the tutorial's allowlist.json, an array, or export --format json",
            Self::Ipset => "ipset save",
            Self::Nft => "nft list set, nft list ruleset, also with -j",
            Self::Iptables => "iptables-save, ip6tables-save, iptables -S: drops by source alone",
            Self::Fail2ban => "its database; fail2ban-client banned, or get JAIL banip --with-time",
            Self::Crowdsec => "cscli decisions list -o json: bans",
            Self::Spamhaus => "DROP, as text or JSON lines",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that is no format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a list format is one of auto, cidr, csv, json, ipset, nft, iptables, fail2ban, crowdsec, spamhaus"
)]
pub struct FormatError;

impl FromStr for Format {
    type Err = FormatError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|format| format.name() == text).ok_or(FormatError)
    }
}

/// What one line asks for, before addresses and comment are looked at.
#[derive(Default)]
struct Item<'a> {
    /// Host, prefix or range.
    address: Cow<'a, str>,
    ttl: Option<Ttl>,
    comment: Cow<'a, str>,
    action: Option<Action>,
    created: Option<Timestamp>,
}

/// The beginning of a line, fit for a terminal.
fn shortened(line: &str) -> String {
    const CHARS: usize = 60;
    let mut text = String::new();
    for c in line.chars().take(CHARS) {
        match c {
            '"' | '\'' => text.push(c),
            c => text.extend(c.escape_debug()),
        }
    }
    if line.chars().nth(CHARS).is_some() {
        text.push_str("...");
    }
    text
}

#[cfg(test)]
mod tests;
