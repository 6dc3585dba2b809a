//! What a change of some prefixes changes below them.

use std::{iter::Peekable, vec};

use fw_common::Prefix;

use super::{Effective, Sweep};

/// Walks over prefixes and over what the kernel should hold of them and below them.
pub(super) struct Below<'a> {
    sweep: Sweep<'a>,
    prefixes: Peekable<vec::IntoIter<Prefix>>,
    /// What is below this one comes next.
    root: Option<Prefix>,
    /// The next of the prefixes, if it is the root or below it.
    asked: Option<Prefix>,
}

impl<'a> Below<'a> {
    /// The prefixes ascend.
    pub(super) fn new(sweep: Sweep<'a>, prefixes: Vec<Prefix>) -> Self {
        Self {
            sweep,
            prefixes: prefixes.into_iter().peekable(),
            root: None,
            asked: None,
        }
    }
}

impl Iterator for Below<'_> {
    type Item = (Prefix, Option<Effective>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(root) = self.root else {
                self.root = Some(self.prefixes.next()?);
                self.asked = self.root;
                self.root.inspect(|root| self.sweep.seek(*root));
                continue;
            };
            let held = self.sweep.peek().filter(|held| root.covers(held));
            let row = match (self.asked, held) {
                (None, None) => {
                    self.root = None;
                    continue;
                }
                (Some(asked), held) if held.is_none_or(|held| asked < held) => (asked, None),
                _ => self.sweep.next().map(|(prefix, row)| (prefix, Some(row)))?,
            };
            if self.asked == Some(row.0) {
                self.asked = self.prefixes.next_if(|prefix| root.covers(prefix));
            }
            return Some(row);
        }
    }
}
