//! Which policy somebody has seen: a number that grows with every change that somebody asked for. What
//! ends by itself, and what the detector blocks, is no other policy.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{owner::Owner, problem::Failure};
use crate::api::wire::Code;

/// The number; every clone is the same one.
#[derive(Clone, Debug)]
pub struct Revision {
    /// Tells the numbers of two starts apart.
    epoch: u64,
    number: Arc<AtomicU64>,
}

impl Revision {
    /// The first of this start.
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            number: Arc::default(),
        }
    }

    /// As an entity tag (RFC 9110, 8.8.3).
    pub fn tag(&self) -> String {
        format!("\"{:x}-{}\"", self.epoch, self.number.load(Relaxed))
    }

    fn next(&self) {
        self.number.fetch_add(1, Relaxed);
    }
}

/// What a change was made for (RFC 9110, 13.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IfMatch {
    /// Whatever policy is in force.
    #[default]
    Any,
    /// One of these tags, with their quotes.
    OneOf(Vec<String>),
}

impl IfMatch {
    /// As it stands in a header.
    pub fn parse(text: &str) -> Self {
        match text.trim() {
            "*" => Self::Any,
            tags => Self::OneOf(tags.split(',').map(|tag| tag.trim().to_owned()).collect()),
        }
    }

    fn holds(&self, tag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|one| one == tag),
        }
    }
}

impl Owner {
    /// Refuses a change that was made for another policy.
    ///
    /// # Errors
    /// It was.
    pub fn expect(&self, seen: &IfMatch) -> Result<(), Failure> {
        let tag = self.revision.tag();
        match seen.holds(&tag) {
            true => Ok(()),
            false => Err(Failure::new(
                Code::Stale,
                format!("the policy is another one by now, its tag is {tag}"),
            )
            .with_hint("read it again, and see whether the change still makes sense")),
        }
    }

    /// Somebody changed the policy.
    pub(super) fn revised(&self) {
        self.revision.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_tag_that_is_in_force_matches_or_any() {
        let revision = Revision::new(0xab);
        let tag = revision.tag();
        assert_eq!(tag, "\"ab-0\"");
        for text in ["*", " * ", "\"ab-0\"", "\"x\", \"ab-0\"", "\"ab-0\",\"x\""] {
            assert!(IfMatch::parse(text).holds(&tag), "{text}");
        }
        for text in [
            "",
            "ab-0",
            "W/\"ab-0\"",
            "\"ab-1\"",
            "\"cd-0\"",
            "\"ab-0",
            "\"*\"",
        ] {
            assert!(!IfMatch::parse(text).holds(&tag), "{text}");
        }
        revision.clone().next();
        assert!(!IfMatch::parse(&tag).holds(&revision.tag()));
    }
}
