//! What `ipset save` prints: `create NAME TYPE [OPTION]...` and `add NAME ENTRY [OPTION]...`.

use std::collections::HashMap;

use super::{Item, Parsed};
use crate::duration::Ttl;

/// Types whose entries are an address or a prefix and nothing else.
const TYPES: [&str; 3] = ["hash:ip", "hash:net", "bitmap:ip"];

/// The sets that a file has created so far.
pub(super) struct Sets {
    /// Those that are to be read; empty for all.
    wanted: Vec<String>,
    sets: HashMap<String, Set>,
}

/// What its entries do not say themselves.
struct Set {
    /// How long they live.
    ttl: Option<Ttl>,
    /// The length of the prefixes that addresses stand for.
    length: Option<String>,
    /// It is not wanted, or of a type that is not read.
    skipped: bool,
}

impl Sets {
    /// Before the first line.
    pub(super) fn new(wanted: &[String]) -> Self {
        Self {
            wanted: wanted.to_vec(),
            sets: HashMap::new(),
        }
    }

    /// Reads one trimmed line.
    pub(super) fn line(&mut self, number: usize, line: &str, parsed: &mut Parsed) {
        let mut rest = line;
        let read = match word(&mut rest) {
            Ok(None) => return,
            Ok(Some(word)) if word.starts_with('#') => return,
            Ok(Some("add")) => self.add(rest),
            Ok(Some("create")) => match self.create(rest) {
                Ok(Created::Read(name)) => return parsed.sets.push(name),
                Ok(Created::Skipped) => return,
                Ok(Created::Unreadable(reason)) if self.wanted.is_empty() => {
                    return parsed.leave_out(number, line, reason);
                }
                Ok(Created::Unreadable(reason)) | Err(reason) => Err(reason),
            },
            Ok(Some(_)) => Err("only `create` and `add` lines are read".into()),
            Err(reason) => Err(reason),
        };
        parsed.take(number, line, read);
    }

    fn create(&mut self, mut line: &str) -> Result<Created, String> {
        let name = word(&mut line)?.ok_or("a `create` line has a set and a type")?;
        let kind = word(&mut line)?.ok_or("a `create` line has a set and a type")?;
        let mut set = Set {
            ttl: None,
            length: None,
            skipped: !is_wanted(&self.wanted, name),
        };
        let mut masked = false;
        while let Some(option) = word(&mut line)? {
            let mut value = || word(&mut line)?.ok_or(format!("`{option}` has no value"));
            match option {
                "timeout" => set.ttl = Some(timeout(value()?)?),
                "netmask" => set.length = Some(value()?.to_owned()),
                "bitmask" => masked = true,
                _ => {}
            }
        }
        let created = if set.skipped {
            Created::Skipped
        } else if TYPES.contains(&kind) && !masked {
            Created::Read(name.to_owned())
        } else {
            set.skipped = true;
            let kind = if masked { "set with a bitmask" } else { kind };
            let (name, kind) = (name.escape_debug(), kind.escape_debug());
            let known = TYPES.join(", ");
            Created::Unreadable(format!("set {name} is a {kind}: only {known} are read"))
        };
        self.sets.insert(name.to_owned(), set);
        Ok(created)
    }

    fn add<'a>(&self, mut line: &'a str) -> Result<Option<Item<'a>>, String> {
        const PARTS: &str = "an `add` line has a set and an entry";
        let (name, address) = (word(&mut line)?.ok_or(PARTS)?, word(&mut line)?);
        let address = address.ok_or(PARTS)?;
        let set = self.sets.get(name);
        let skipped = match set {
            Some(set) => set.skipped,
            None => !is_wanted(&self.wanted, name),
        };
        if skipped {
            return Ok(None);
        }
        if address.contains(',') {
            let reason = "the entry has more than an address: ports and interfaces are not read";
            return Err(reason.into());
        }
        let mut item = Item {
            address: address.into(),
            ttl: set.and_then(|set| set.ttl),
            ..Item::default()
        };
        if let Some(length) = set.and_then(|set| set.length.as_ref()) {
            item.address = format!("{address}/{length}").into();
        }
        options(&mut item, line)?;
        Ok(Some(item))
    }
}

/// What a `create` line comes to.
enum Created {
    /// A set of this name, whose entries are read.
    Read(String),
    /// A set that is not wanted.
    Skipped,
    /// A set whose entries are no prefixes, and why.
    Unreadable(String),
}

/// Reads what stands behind an entry.
fn options<'a>(item: &mut Item<'a>, mut line: &'a str) -> Result<(), String> {
    while let Some(option) = word(&mut line)? {
        let mut value = || word(&mut line)?.ok_or(format!("`{option}` has no value"));
        match option {
            "timeout" => item.ttl = Some(timeout(value()?)?),
            "comment" => item.comment = value()?.into(),
            "packets" | "bytes" | "skbmark" | "skbprio" | "skbqueue" => {
                value()?;
            }
            "-exist" => (),
            "nomatch" => {
                return Err(
                    "`nomatch` is an exception to the set: allow the prefix instead".into(),
                );
            }
            _ => return Err(format!("unknown option `{}`", option.escape_debug())),
        }
    }
    Ok(())
}

/// Whether a set of this name is to be read.
pub(super) fn is_wanted(wanted: &[String], name: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| wanted == name)
}

/// Seconds; ipset's zero is for ever.
fn timeout(text: &str) -> Result<Ttl, String> {
    match text.parse() {
        Ok(0) => Ok(Ttl::Never),
        Ok(secs) => Ok(Ttl::from_secs(Some(secs))),
        Err(_) => Err("`timeout` is a number of seconds".into()),
    }
}

/// Takes the next word off `line`; quotes hold words together, and there is no escape in them.
pub(super) fn word<'a>(line: &mut &'a str) -> Result<Option<&'a str>, String> {
    let text = line.trim_start();
    let (word, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').ok_or("a quote is not closed")?,
        None => text.split_at(text.find(char::is_whitespace).unwrap_or(text.len())),
    };
    *line = rest;
    Ok((!text.is_empty()).then_some(word))
}
