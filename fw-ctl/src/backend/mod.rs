//! What is true: the only code that changes it.
//!
//! - [`xdp`]: the kernel's tables, program and links
//! - [`iptables`], [`nftables`]: the mirror in netfilter, behind [`Mirror`]

pub mod iptables;
pub mod nftables;
pub mod xdp;

use std::collections::BTreeMap;

use crate::{
    host::tool::ToolError,
    plan::mirror::{CheckedMirror, Element, SetName},
    policy::time::Now,
};

/// A layer in netfilter that holds the policy too. Calls block while programs run, each for a
/// bounded time.
pub trait Mirror: Send {
    /// As printed: `iptables-nft`, `iptables-legacy` or `nftables`.
    fn name(&self) -> &'static str;

    /// What stands there of ours.
    ///
    /// # Errors
    /// A program is missing, failed or took too long.
    fn observe(&mut self) -> Result<Observed, ToolError>;

    /// What the sets hold.
    ///
    /// # Errors
    /// As [`Mirror::observe`].
    fn elements(&mut self, now: Now) -> Result<BTreeMap<SetName, Vec<Element>>, ToolError>;

    /// Makes a plan true. The first plan, and the first after a failure, must be whole
    /// ([`crate::plan::mirror::MirrorPlan::is_whole`]).
    ///
    /// # Errors
    /// As [`Mirror::observe`]; each table is as it was or as planned, never between.
    fn apply(&mut self, plan: &CheckedMirror, now: Now) -> Result<(), ToolError>;

    /// Takes everything of ours away. Nothing there is no error.
    ///
    /// # Errors
    /// As [`Mirror::observe`].
    fn clear(&mut self) -> Result<(), ToolError>;
}

/// What stands in netfilter of ours, comparable as long as nobody touches it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Jumps with their place, rules, and sets without their elements, as the tools print them,
    /// without counters.
    pub lines: Vec<String>,
    /// Whether the lines can be what was applied last: nobody was faster than this look.
    pub is_whole: bool,
    /// Elements of each set, those of IPv4 and IPv6 together. What has ended may still be counted.
    pub counts: BTreeMap<SetName, usize>,
}
