//! What a program returns and answers.

use anyhow::{Context as _, Result, bail};
use fw_common::{abi::Probe, reason::Outcome};

/// What a program does with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `XDP_DROP`
    Drop,
    /// `XDP_PASS`
    Pass,
}

impl Action {
    /// Nothing else may ever be returned.
    pub(super) fn from_number(number: u32) -> Result<Self> {
        match number {
            1 => Ok(Self::Drop),
            2 => Ok(Self::Pass),
            _ => bail!("the program returned {number}, where 0 is XDP_ABORTED"),
        }
    }
}

/// What a program decided about a frame it was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What it does.
    pub action: Action,
    /// Why.
    pub outcome: Outcome,
    /// What it answered besides: list, deadline and prefix length of the entry that decided, zero
    /// without one.
    pub entry: (u16, u32, u8),
    /// Number of the rule that decided; 0 without one.
    pub rule: u32,
}

const SIZE: usize = size_of::<Probe>();

/// The bytes of a [`Probe`] going in.
pub(super) fn question() -> [u8; SIZE] {
    let mut bytes = [0; SIZE];
    bytes[..4].copy_from_slice(&Probe::QUESTION.to_ne_bytes());
    bytes
}

impl Answer {
    /// From the bytes of a [`Probe`] coming out, in front of the frame.
    pub(super) fn read(returned: u32, output: &[u8]) -> Result<Self> {
        let bytes: &[u8; SIZE] = output.first_chunk().context("no metadata came back")?;
        let [
            m0,
            m1,
            m2,
            m3,
            reason,
            family,
            l0,
            l1,
            d0,
            d1,
            d2,
            d3,
            observed,
            length,
            _,
            _,
            r0,
            r1,
            r2,
            r3,
        ] = *bytes;
        let probe = Probe {
            magic: u32::from_ne_bytes([m0, m1, m2, m3]),
            reason,
            family,
            list: u16::from_ne_bytes([l0, l1]),
            deadline: u32::from_ne_bytes([d0, d1, d2, d3]),
            observed,
            length,
            reserved: 0,
            rule: u32::from_ne_bytes([r0, r1, r2, r3]),
        };
        Ok(Self {
            action: Action::from_number(returned)?,
            outcome: probe.outcome().context("the program gave no answer")?,
            entry: (probe.list, probe.deadline, probe.length),
            rule: probe.rule,
        })
    }
}
