//! What the kernel reports, and what it comes to.

use std::{str::FromStr, time::Duration};

use fw_common::Prefix;

use crate::policy::time::BootSecs;

/// Whether a source's address can have been forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It can.
    Unproven,
    /// It cannot: a handshake with it was completed.
    Proven,
}

impl Evidence {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Unproven, Self::Proven];

    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unproven => "unproven",
            Self::Proven => "proven",
        }
    }
}

/// A text that is no evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("evidence {0:?} is neither proven nor unproven")]
pub struct EvidenceError(String);

impl FromStr for Evidence {
    type Err = EvidenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let evidence = Self::ALL.into_iter().find(|class| class.name() == text);
        evidence.ok_or_else(|| EvidenceError(text.to_owned()))
    }
}

/// A source crossed a threshold, as the kernel reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crossing {
    /// Who: a host, or of IPv6 the network that makes one source.
    pub source: Prefix,
    /// When.
    pub at: BootSecs,
    /// Ports that were counted.
    pub distinct_ports: u32,
    /// Destinations that were counted.
    pub distinct_hosts: u32,
    /// The last ports, the crossing one last; none if the report was lost.
    pub ports: Vec<u16>,
    /// When the block ends that the kernel has written; `None` if there was no room for one.
    pub block: Option<BootSecs>,
}

impl Crossing {
    /// Ports that a description names.
    const MAX_PORTS: usize = 6;

    /// `10 ports (21, 22, 23, 25, 110, 143)`, `1 port (22) on 12 hosts`
    pub fn seen(&self) -> String {
        let some = |count: u32, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        let skip = self.ports.len().saturating_sub(Self::MAX_PORTS);
        let last = self.ports.iter().skip(skip).map(u16::to_string);
        let last: Vec<String> = last.collect();
        let ports = some(self.distinct_ports, "port");
        let mut text = match last.is_empty() {
            true => ports,
            false => format!("{ports} ({})", last.join(", ")),
        };
        if self.distinct_hosts > 1 {
            text.push_str(" on ");
            text.push_str(&some(self.distinct_hosts, "host"));
        }
        text
    }
}

/// What is done about a crossing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// The source is blocked.
    Block,
    /// It would be: observe mode.
    Observe,
    /// It would be, but there is no room for more blocks.
    Capped,
}

impl Response {
    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Observe => "observe",
            Self::Capped => "capped",
        }
    }
}

/// What a crossing came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// The how-manieth offence it is.
    pub offence: u32,
    /// Whether the source may be forged.
    pub evidence: Evidence,
    /// What is done.
    pub response: Response,
    /// How long the block lasts, or would.
    pub ttl: Duration,
    /// When it ends; `None` if there is none.
    pub until: Option<BootSecs>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(distinct_ports: u32, distinct_hosts: u32, ports: &[u16]) -> String {
        let crossing = Crossing {
            source: "192.0.2.7".parse().expect("a prefix"),
            at: BootSecs(0),
            distinct_ports,
            distinct_hosts,
            ports: ports.to_vec(),
            block: None,
        };
        crossing.seen()
    }

    #[test]
    fn a_description_counts_and_names_the_last() {
        assert_eq!(seen(2, 1, &[22, 23]), "2 ports (22, 23)");
        assert_eq!(seen(1, 12, &[22]), "1 port (22) on 12 hosts");
        assert_eq!(
            seen(9, 1, &[1, 2, 3, 4, 5, 6, 7]),
            "9 ports (2, 3, 4, 5, 6, 7)"
        );
    }

    #[test]
    fn evidence_is_read_as_it_is_printed() {
        for evidence in Evidence::ALL {
            assert_eq!(evidence.name().parse(), Ok(evidence));
        }
        let error = EvidenceError("maybe".to_owned());
        assert_eq!("maybe".parse::<Evidence>(), Err(error));
    }
}
