//! What `nft list set` and `nft list ruleset` print: sets of addresses, and rules that say what the
//! sets are for.

pub(super) mod json;
mod rule;
mod sets;

use self::{
    rule::{Rule, is_hook},
    sets::Sets,
};
use super::{Item, Parsed, ipset::word, time};
use crate::duration::Ttl;

/// The blocks of a text, and the sets in them.
pub(super) struct Ruleset {
    /// `FAMILY NAME` of the table at hand.
    table: String,
    block: Block,
    sets: Sets,
}

/// The innermost block that is open.
enum Block {
    /// A table, or none.
    Outer,
    Set,
    Elements,
    /// With so many braces open inside; `hooked` says that packets that come in meet it first.
    Chain {
        hooked: bool,
        open: usize,
    },
    /// A map or an object, which are of no interest.
    Other {
        open: usize,
    },
}

impl Ruleset {
    /// Before the first line. Of no wanted sets, all are.
    pub(super) fn new(wanted: &[String]) -> Self {
        Self {
            table: String::new(),
            block: Block::Outer,
            sets: Sets::new(wanted),
        }
    }

    /// Reads one trimmed line.
    pub(super) fn line(&mut self, number: usize, line: &str, parsed: &mut Parsed) {
        if line.is_empty() || line.starts_with('#') {
            return;
        }
        let (opened, closed) = braces(line);
        match &mut self.block {
            Block::Outer => self.head(number, line, parsed),
            Block::Set => self.set(number, line, parsed),
            Block::Elements => self.elements(number, line, parsed),
            Block::Chain { hooked, open } => {
                *hooked |= is_hook(line);
                match (*open + opened).checked_sub(closed) {
                    Some(left) => {
                        *open = left;
                        let rule = Rule::of(line);
                        self.sets
                            .used(&self.table, &rule, *hooked, number, line, parsed);
                    }
                    None => self.block = Block::Outer,
                }
            }
            Block::Other { open } => match (*open + opened).checked_sub(closed) {
                Some(left) => *open = left,
                None => self.block = Block::Outer,
            },
        }
    }

    /// Reads the head of a block, or a line of a table.
    fn head(&mut self, number: usize, line: &str, parsed: &mut Parsed) {
        let words: Vec<&str> = line.split_whitespace().take(4).collect();
        match *words {
            ["table", family, name, "{"] => self.table = format!("{family} {name}"),
            ["table", name, "{", ..] => name.clone_into(&mut self.table),
            ["set", name, "{", ..] => {
                self.sets.open(&self.table, name, number, parsed);
                self.block = Block::Set;
            }
            ["chain", _, "{", ..] => {
                let (hooked, open) = (false, 0);
                self.block = Block::Chain { hooked, open };
            }
            ["}", ..] => {}
            _ if braces(line).0 > braces(line).1 => self.block = Block::Other { open: 0 },
            ["comment" | "flags", ..] => {}
            _ => {
                let reason = "expected a table or a set, as `nft list` prints them";
                parsed.take(number, line, Err(reason.into()));
            }
        }
    }

    /// Reads a line of a set.
    fn set(&mut self, number: usize, line: &str, parsed: &mut Parsed) {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match first {
            "type" | "typeof" => self.sets.of_type(rest.trim(), number, line, parsed),
            "timeout" => match lasting(rest.trim()) {
                Ok(ttl) => self.sets.lasts(ttl),
                Err(reason) => parsed.take(number, line, Err(reason)),
            },
            "elements" => {
                self.block = Block::Elements;
                let inside = rest.split_once('{').map_or("", |(_, inside)| inside);
                self.elements(number, inside, parsed);
            }
            "}" => {
                self.sets.close(parsed);
                self.block = Block::Outer;
            }
            _ => {}
        }
    }

    /// Reads elements, up to the brace behind the last one.
    fn elements(&mut self, number: usize, mut text: &str, parsed: &mut Parsed) {
        loop {
            text = text.trim_start_matches(|c: char| c == ',' || c.is_whitespace());
            if text.is_empty() {
                return;
            }
            let mut quoted = false;
            let end = text.find(|c| {
                quoted ^= c == '"';
                !quoted && matches!(c, ',' | '}')
            });
            let (found, rest) = text.split_at(end.unwrap_or(text.len()));
            if !found.is_empty()
                && let Some(ttl) = self.sets.reads()
            {
                parsed.take(number, found.trim_end(), element(found, ttl).map(Some));
            }
            if let Some(behind) = rest.strip_prefix('}') {
                self.block = Block::Set;
                return match behind.trim() {
                    "" => {}
                    behind => self.set(number, behind, parsed),
                };
            }
            text = rest;
        }
    }

    /// Leaves out the sets that rules use for something else, at the end of so many lines.
    pub(super) fn end(mut self, lines: usize, parsed: &mut Parsed) {
        if !matches!(self.block, Block::Outer) {
            let reason = "the text breaks off inside of a block";
            parsed.take(lines.max(1), "", Err(reason.into()));
        }
        self.sets.close(parsed);
        self.sets.end(parsed);
        parsed.refuse_without_sets();
    }
}

/// Reads `ADDRESS [timeout T] [expires T] [comment "..."] [counter packets N bytes N]`.
fn element(mut text: &str, default: Option<Ttl>) -> Result<Item<'_>, String> {
    let address = word(&mut text)?.unwrap_or_default();
    let mut item = Item {
        address: address.into(),
        ttl: default,
        ..Item::default()
    };
    let mut expires = None;
    while let Some(option) = word(&mut text)? {
        let mut value = || word(&mut text)?.ok_or(format!("`{option}` has no value"));
        match option {
            "timeout" => item.ttl = Some(lasting(value()?)?),
            "expires" => expires = Some(lasting(value()?)?),
            "comment" => item.comment = value()?.into(),
            "counter" => {}
            "packets" | "bytes" => {
                value()?;
            }
            _ => return Err(format!("unknown option `{}`", option.escape_debug())),
        }
    }
    item.ttl = expires.or(item.ttl);
    Ok(item)
}

/// How long an element lives; nft's zero is for ever.
fn lasting(text: &str) -> Result<Ttl, String> {
    match (text, time::secs(text)) {
        ("never" | "0s", _) => Ok(Ttl::Never),
        (_, Some(secs)) => Ok(time::ttl(secs)),
        _ => Err("a time is written like `1h30m`".into()),
    }
}

/// How many braces a line opens and closes, outside of quotes.
fn braces(line: &str) -> (usize, usize) {
    let (mut quoted, mut opened, mut closed) = (false, 0, 0);
    for byte in line.bytes() {
        match byte {
            b'"' => quoted = !quoted,
            b'{' if !quoted => opened += 1,
            b'}' if !quoted => closed += 1,
            _ => {}
        }
    }
    (opened, closed)
}
