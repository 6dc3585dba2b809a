//! One rule: whom it asks for, and what becomes of him.

use std::borrow::Cow;

use fw_common::Prefix;

use crate::{
    listfile::{parsed::comment, shortened},
    policy::entry::Comment,
};

/// A rule, as far as it matters.
pub(super) struct Rule {
    /// On which line.
    pub(super) line: usize,
    pub(super) asks: Asks,
    pub(super) target: Target,
    pub(super) comment: Comment,
    /// It is about the loopback interface, or about connections that are established: as in almost
    /// every ruleset.
    pub(super) usual: bool,
    /// Shortened, to be named by; empty beyond as many as are named.
    pub(super) text: String,
}

/// What a packet has to be like.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// Nothing: every packet fits.
    Nothing,
    /// Its source, and nothing else.
    Source(Prefix),
    /// More, perhaps of this source.
    More(Option<Prefix>),
}

/// What becomes of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Drop,
    Accept,
    Return,
    /// It goes on in a chain, and comes back behind the rule or not. Whatever is no chain of the
    /// file, such as `LOG`, is one without rules.
    Chain {
        name: String,
        returns: bool,
    },
}

impl Rule {
    /// Of `-A CHAIN ...`; the chain comes first.
    ///
    /// # Errors
    /// It is not written as iptables writes it.
    pub(super) fn of(command: &str, line: usize, named: bool) -> Result<(String, Self), String> {
        let mut words = Words(command);
        let mut next = || words.next().ok_or("the rule breaks off")?;
        next()?;
        let chain = next()?.into_owned();
        let (mut source, mut more, mut target) = (None, false, None);
        let (mut note, mut negated, mut usual) = (Comment::default(), false, false);
        while let Some(option) = words.next().transpose()? {
            let missing = || format!("`{option}` has no value");
            let mut value = || words.next().ok_or_else(missing)?.map_err(str::to_owned);
            more |= negated;
            match &*option {
                "!" => {
                    negated = true;
                    continue;
                }
                "-s" => match Prefix::parse(&value()?) {
                    Ok((prefix, false)) if !negated => source = Some(prefix),
                    // All but these, or a mask with gaps.
                    _ => more = true,
                },
                "-m" => more |= value()? != "comment",
                "--comment" => note = comment(&value()?)?,
                "--reject-with" => drop(value()?),
                "-j" | "-g" => {
                    let returns = option == "-j";
                    target = Some(Target::of(value()?, returns));
                }
                "-i" => (more, usual) = (true, value()? == "lo" && !negated),
                "--state" | "--ctstate" => {
                    (more, usual) = (true, !value()?.contains("NEW") && !negated);
                }
                // What a target takes, such as a log's prefix, asks for nothing.
                _ if matches!(target, Some(Target::Chain { .. })) => {}
                _ => more = true,
            }
            negated = false;
        }
        let asks = match (more, source) {
            (true, source) => Asks::More(source),
            (false, Some(source)) => Asks::Source(source),
            (false, None) => Asks::Nothing,
        };
        let rule = Self {
            line,
            asks,
            // Without a target packets are counted.
            target: target.unwrap_or_else(|| Target::of("".into(), true)),
            comment: note,
            usual,
            text: if named {
                shortened(command)
            } else {
                String::new()
            },
        };
        Ok((chain, rule))
    }

    /// Whether leaving it away lets pass who is dropped now.
    pub(super) fn is_drop_of_sources(&self) -> bool {
        self.target == Target::Drop && !matches!(self.asks, Asks::Nothing | Asks::More(None))
    }
}

impl Target {
    fn of(name: Cow<'_, str>, returns: bool) -> Self {
        match &*name {
            "DROP" | "REJECT" => Self::Drop,
            "ACCEPT" => Self::Accept,
            "RETURN" => Self::Return,
            _ => Self::Chain {
                name: name.into_owned(),
                returns,
            },
        }
    }
}

/// The words of a rule; quotes hold them together, and a backslash says that what follows is meant.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = Result<Cow<'a, str>, &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_start();
        let Some(quoted) = text.strip_prefix('"') else {
            let (word, rest) = text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()));
            self.0 = rest;
            return (!word.is_empty()).then_some(Ok(word.into()));
        };
        let (mut word, mut escaped) = (String::new(), false);
        for (place, c) in quoted.char_indices() {
            match c {
                _ if escaped => {
                    word.push(c);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.0 = &quoted[place + 1..];
                    return Some(Ok(word.into()));
                }
                c => word.push(c),
            }
        }
        self.0 = "";
        Some(Err("a quote is not closed"))
    }
}
