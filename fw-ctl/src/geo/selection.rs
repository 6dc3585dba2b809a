//! What is selected: by the configuration, and by commands on top of it. Pure.

use std::collections::BTreeSet;

use super::code::Code;

/// What is blocked, and what alone is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Blocked.
    pub block: BTreeSet<Code>,
    /// If there are any, everything else is blocked.
    pub only: BTreeSet<Code>,
}

impl Selection {
    /// Codes of one command or file.
    pub const MAX: usize = 512;

    /// Whether nothing is selected.
    pub fn is_empty(&self) -> bool {
        self.block.is_empty() && self.only.is_empty()
    }
}

/// What commands said; the rest is the configuration's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Blocked, whatever the configuration says.
    pub block: BTreeSet<Code>,
    /// Not blocked by name, whatever the configuration says.
    pub unblock: BTreeSet<Code>,
    /// In the place of the configuration's.
    pub only: Option<BTreeSet<Code>>,
}

/// What one command says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// To be blocked.
    pub block: BTreeSet<Code>,
    /// To be blocked no more.
    pub unblock: BTreeSet<Code>,
    /// To be the only ones; empty to end that.
    pub only: Option<BTreeSet<Code>>,
}

impl Wish {
    /// What it names to act upon.
    pub fn named(&self) -> BTreeSet<Code> {
        let only = self.only.iter().flatten();
        self.block.iter().chain(only).copied().collect()
    }
}

impl Overrides {
    /// With the configuration below.
    pub fn over(&self, configured: &Selection) -> Selection {
        let block = configured.block.union(&self.block);
        Selection {
            block: block
                .filter(|code| !self.unblock.contains(code))
                .copied()
                .collect(),
            only: match &self.only {
                Some(only) => only.clone(),
                None => configured.only.clone(),
            },
        }
    }

    /// After one more command. What needs no word against the configuration is forgotten.
    #[must_use]
    pub fn then(&self, wish: &Wish, configured: &Selection) -> Self {
        let mut next = self.clone();
        for code in &wish.block {
            next.unblock.remove(code);
            next.block.insert(*code);
        }
        for code in &wish.unblock {
            next.block.remove(code);
            if configured.block.contains(code) {
                next.unblock.insert(*code);
            }
        }
        if let Some(only) = &wish.only {
            next.only = (*only != configured.only).then(|| only.clone());
        }
        next
    }

    /// What differs from the configuration, in words: `block KP`, `unblock IR`, `only DE AT`.
    pub fn words(&self, configured: &Selection) -> Vec<String> {
        let block = self.block.difference(&configured.block);
        let unblock = self.unblock.intersection(&configured.block);
        let mut words: Vec<String> = block.map(|code| format!("block {code}")).collect();
        words.extend(unblock.map(|code| format!("unblock {code}")));
        words.extend(self.only.as_ref().map(|only| match only.is_empty() {
            true => "only --off".to_owned(),
            false => format!("only {}", joined(only)),
        }));
        words
    }
}

/// `DE AT`
pub fn joined(codes: &BTreeSet<Code>) -> String {
    let texts: Vec<String> = codes.iter().map(ToString::to_string).collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> BTreeSet<Code> {
        let codes = text.split_whitespace().map(str::parse);
        codes.collect::<Result<_, _>>().expect(text)
    }

    fn configured() -> Selection {
        Selection {
            block: codes("KP IR"),
            only: codes("DE"),
        }
    }

    fn wish(block: &str, unblock: &str, only: Option<&str>) -> Wish {
        Wish {
            block: codes(block),
            unblock: codes(unblock),
            only: only.map(codes),
        }
    }

    #[test]
    fn commands_lie_over_the_configuration_and_leave_the_rest_of_it() {
        let configured = configured();
        let none = Overrides::default();
        assert_eq!(none.over(&configured), configured);
        let next = none.then(&wish("AS64500", "IR", None), &configured);
        let selection = next.over(&configured);
        assert_eq!(selection.block, codes("KP AS64500"));
        assert_eq!(selection.only, codes("DE"));
        assert_eq!(next.words(&configured), ["block AS64500", "unblock IR"]);

        // What the configuration says from now on counts, but for what was spoken of.
        let other = Selection {
            block: codes("IR CU"),
            only: codes("FR"),
        };
        assert_eq!(next.over(&other).block, codes("CU AS64500"));
        assert_eq!(next.over(&other).only, codes("FR"));
    }

    #[test]
    fn the_last_word_counts_and_what_is_as_configured_is_forgotten() {
        let configured = configured();
        let next = Overrides::default()
            .then(&wish("", "KP", Some("AT")), &configured)
            .then(&wish("KP", "", Some("")), &configured);
        assert_eq!(next.over(&configured).block, codes("KP IR"));
        assert_eq!(next.over(&configured).only, codes(""));
        assert_eq!(next.words(&configured), ["only --off"]);
        let next = next.then(&wish("", "XK", Some("DE")), &configured);
        assert_eq!(next.only, None);
        assert!(next.unblock.is_empty(), "it was not blocked");
    }
}
