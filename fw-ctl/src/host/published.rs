//! Ports that address translation sends elsewhere: containers' and hand-made ones.
//!
//! No socket of this network namespace listens there, and still they are served. They stand in
//! nftables, where the `iptables` of today also writes, or in the tables of its older variant.

mod matched;
mod nft;
mod rules;
mod save;

use std::{
    fs, io,
    net::IpAddr,
    time::{Duration, Instant},
};

use super::{
    OpenPorts, describe,
    netfilter::LEGACY,
    nfnetlink::generation,
    tool::{self, ToolError},
};

const NFT: [&str; 2] = ["iptables-nft-save", "ip6tables-nft-save"];

/// How long to trust what shows no change: the rules of legacy iptables, and a tool that failed.
const TRUST: Duration = Duration::from_secs(30);

/// The tools may run for one part in so many of the time.
const SHARE: u32 = 100;

/// The ports published in one network namespace.
#[derive(Default)]
pub struct Published {
    signs: Signs,
    /// When the tools were asked last, and how long they took.
    asked: Option<(Instant, Duration)>,
    open: OpenPorts,
}

/// What shows without running a tool that the answer may be another.
#[derive(Default, PartialEq, Eq)]
struct Signs {
    generation: Option<u32>,
    /// Which of [`LEGACY`] are in use.
    legacy: [bool; 2],
    own: Vec<IpAddr>,
    problems: Vec<String>,
}

impl Published {
    /// The ports at which packets to one of the `own` addresses are sent on. Blocks while a tool
    /// runs, which it does only when the rules may have changed; this is told by a question to the
    /// kernel, but for legacy iptables. Tools that are not installed have made no rules. When one
    /// fails, the ports found before are kept.
    pub fn look(&mut self, own: &[IpAddr]) -> &OpenPorts {
        let signs = Signs::read(own);
        let (age, rest) = match self.asked {
            Some((at, took)) => (at.elapsed(), took * SHARE),
            None => (Duration::MAX, Duration::ZERO),
        };
        let in_doubt = signs.legacy.contains(&true) || !self.open.problems.is_empty();
        let stale = signs != self.signs || in_doubt && age >= TRUST;
        if self.asked.is_none() || stale && age >= rest {
            let start = Instant::now();
            let mut open = signs.ask();
            if !open.problems.is_empty() {
                open.ports.merge(&self.open.ports);
            }
            self.open = open;
            self.signs = signs;
            self.asked = Some((start, start.elapsed()));
        }
        &self.open
    }
}

impl Signs {
    fn read(own: &[IpAddr]) -> Self {
        let mut problems = Vec::new();
        let generation = generation().unwrap_or_else(|error| {
            problems.push(describe(&error));
            None
        });
        let legacy = LEGACY.map(|(file, _)| match fs::read_to_string(file) {
            Ok(names) => names.lines().any(|name| name == "nat"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => {
                problems.push(format!("cannot read {file}: {error}"));
                false
            }
        });
        Self {
            generation,
            legacy,
            own: own.to_vec(),
            problems,
        }
    }

    /// Has the tools show the rules.
    fn ask(&self) -> OpenPorts {
        let mut open = OpenPorts {
            problems: self.problems.clone(),
            ..OpenPorts::default()
        };
        let mut saves = Vec::new();
        if self.generation.is_some() {
            match nft::rules(&self.own) {
                Ok(Some(nft)) => {
                    open.ports.extend(nft.rules.published());
                    // It shows what iptables wrote, but not the targets.
                    if nft.has_iptables {
                        saves.extend(NFT);
                    }
                }
                Ok(None) => saves.extend(NFT),
                Err(problem) => open.problems.push(problem),
            }
        }
        let legacy = LEGACY.iter().zip(self.legacy).filter(|(_, used)| *used);
        saves.extend(legacy.map(|((_, tool), _)| *tool));
        for tool in saves {
            match shown(tool, &["-t", "nat"]) {
                Ok(Some(text)) => open.ports.extend(save::rules(&text, &self.own).published()),
                Ok(None) => (),
                Err(problem) => open.problems.push(problem),
            }
        }
        open
    }
}

/// What a program prints; `None` when it is not installed.
///
/// # Errors
/// A sentence.
fn shown(program: &str, arguments: &[&str]) -> Result<Option<String>, String> {
    match tool::show(program, arguments) {
        Ok(text) => Ok(Some(text)),
        Err(ToolError::Missing { .. }) => Ok(None),
        Err(error) => Err(describe(&error)),
    }
}

/// Whether a packet from outside to an address of `first..=last` can be one to us.
fn is_ours(own: &[IpAddr], first: IpAddr, last: IpAddr) -> bool {
    own.iter()
        .any(|address| !address.is_loopback() && (first..=last).contains(address))
}
