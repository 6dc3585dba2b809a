//! Entries, and the lists that own them.

use std::{fmt, num::NonZeroU32, str::FromStr, sync::Arc};

use fw_common::{Prefix, abi};

use super::time::{BootSecs, WallSecs};

/// What an entry does to packets from its prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// They pass, whatever blocks them.
    Allow,
    /// They are dropped.
    Block,
}

impl Action {
    /// Both, in the order they are decided.
    pub const ALL: [Self; 2] = [Self::Allow, Self::Block];

    /// The opposite.
    pub const fn other(self) -> Self {
        match self {
            Self::Allow => Self::Block,
            Self::Block => Self::Allow,
        }
    }

    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Block => "block",
        }
    }
}

/// A text that is no action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("action {0:?} is neither block nor allow")]
pub struct ActionError(String);

impl FromStr for Action {
    type Err = ActionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let action = Self::ALL.into_iter().find(|action| action.name() == text);
        action.ok_or_else(|| ActionError(text.to_owned()))
    }
}

/// Number of a list in the kernel's entries; it stays with the list's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListId(pub u16);

impl ListId {
    /// Of the detector's list: the kernel program writes it into its own entries.
    pub const AUTO: Self = Self(abi::AUTO_LIST);
}

/// Name of a list: 1 to 64 of `a-z A-Z 0-9 . _ : -`, not starting with a sign, and none of
/// the words that `fw-ctl list` takes for something else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListName(Arc<str>);

impl ListName {
    /// The operator's list.
    pub const LOCAL: &'static str = "local";

    /// The operator's list.
    pub fn local() -> Self {
        Self(Self::LOCAL.into())
    }

    /// The detector's list.
    pub const AUTO: &'static str = "auto";

    /// The detector's list.
    pub fn auto() -> Self {
        Self(Self::AUTO.into())
    }

    /// Lists of countries and autonomous systems begin so.
    const GEO: &'static str = "geo:";

    /// The list of a country or an autonomous system.
    pub fn geo(code: impl fmt::Display) -> Self {
        Self(format!("{}{code}", Self::GEO).into())
    }

    /// What is in none of the countries that alone shall pass.
    pub fn geo_only() -> Self {
        Self::geo("only")
    }

    /// Whether it is one of countries.
    pub fn is_geo(&self) -> bool {
        self.0.starts_with(Self::GEO)
    }

    /// What `fw-ctl list` shows under these names is no list.
    const RESERVED: [&'static str; 4] = ["allows", "blocks", "guard", "rules"];

    /// As typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A text that is no list name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a list name has 1 to 64 letters, digits or `._:-`, starts with a letter or digit, and is none of allows, blocks, guard, rules"
)]
pub struct ListNameError;

impl FromStr for ListName {
    type Err = ListNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let good = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
        let first = text.starts_with(|c: char| c.is_ascii_alphanumeric());
        let reserved = Self::RESERVED.contains(&text);
        if first && text.len() <= 64 && text.chars().all(good) && !reserved {
            Ok(Self(text.into()))
        } else {
            Err(ListNameError)
        }
    }
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an operator noted about an entry: at most 255 bytes of printable text, one line.
/// One word, as most entries have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comment(Option<Arc<Box<str>>>);

/// A text that is no comment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommentError {
    /// Longer than [`Comment::MAX_BYTES`].
    #[error("a comment has at most {max} bytes, this one has {0}", max = Comment::MAX_BYTES)]
    TooLong(usize),
    /// A line break, an escape or another control character: it would forge log lines or rules.
    #[error("a comment is one line of printable text, character {0} is {1:?}")]
    Control(usize, char),
}

impl Comment {
    /// As the tutorial's allowlist has it.
    pub const MAX_BYTES: usize = 255;

    /// The text; empty without a comment.
    pub fn as_str(&self) -> &str {
        self.0.as_deref().map_or("", |text| text)
    }
}

impl FromStr for Comment {
    type Err = CommentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX_BYTES {
            return Err(CommentError::TooLong(text.len()));
        }
        // Bidirectional controls would let a comment rewrite the row it is printed in.
        let forges = |c: char| {
            c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        if let Some((position, c)) = text.chars().enumerate().find(|(_, c)| forges(*c)) {
            return Err(CommentError::Control(position + 1, c));
        }
        Ok(Self((!text.is_empty()).then(|| Arc::new(text.into()))))
    }
}

/// What a list says of a prefix. Two words, as there may be a million.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The operator's or the importer's note.
    pub comment: Comment,
    /// Seconds since 1970, up to the year 2106; never 0, so that no entry takes no room of its own.
    created: NonZeroU32,
    /// A second of boot time, or [`abi::NEVER`].
    deadline: u32,
}

impl Entry {
    /// What was first added at `created` and ends at `deadline`; `None` for never.
    pub fn new(comment: Comment, created: WallSecs, deadline: Option<BootSecs>) -> Self {
        let secs = u32::try_from(created.0.max(1)).unwrap_or(u32::MAX);
        Self {
            comment,
            created: NonZeroU32::new(secs).unwrap_or(NonZeroU32::MIN),
            deadline: deadline.map_or(abi::NEVER, |deadline| deadline.0),
        }
    }

    /// When it was first added.
    pub fn created(&self) -> WallSecs {
        WallSecs(self.created.get().into())
    }

    /// When it ends; `None` for never.
    pub fn deadline(&self) -> Option<BootSecs> {
        (self.deadline != abi::NEVER).then_some(BootSecs(self.deadline))
    }
}

/// Where an entry stands: a prefix may stand in several lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The network.
    pub prefix: Prefix,
    /// The list.
    pub list: ListId,
}

/// An entry as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The network.
    pub prefix: Prefix,
    /// When it shall end; `None` for never.
    pub deadline: Option<BootSecs>,
    /// Its note.
    pub comment: Comment,
    /// When it was added where it comes from; `None` for now.
    pub created: Option<WallSecs>,
}
