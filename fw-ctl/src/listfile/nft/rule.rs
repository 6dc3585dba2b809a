//! What rules use sets for.

use crate::listfile::ipset::word;

/// What one rule does with sources.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rule {
    /// The sets it names.
    pub(super) sets: Vec<String>,
    /// It drops who is in its set, whatever the packet is.
    pub(super) drops_a_set: bool,
    /// It drops sources that it names itself.
    pub(super) drops_by_itself: bool,
}

/// Where packets that come in are met.
pub(super) const HOOKS: [&str; 3] = ["input", "prerouting", "ingress"];

/// What may stand between a match and a verdict and asks nothing of the packet.
const HARMLESS: [&str; 15] = [
    "counter", "packets", "bytes", "log", "prefix", "level", "group", "emerg", "alert", "crit",
    "err", "warn", "notice", "info", "debug",
];

impl Rule {
    /// Of a line in a chain.
    pub(super) fn of(line: &str) -> Self {
        let (mut rest, mut words) = (line, Vec::new());
        while let Ok(Some(word)) = word(&mut rest) {
            match word {
                "comment" => break,
                word => words.push(word),
            }
        }
        let sets = words.iter().filter_map(|word| word.strip_prefix('@'));
        let sets: Vec<String> = sets.map(str::to_owned).collect();
        let by_source = words.contains(&"saddr");
        let verdict = words
            .iter()
            .position(|word| matches!(*word, "drop" | "reject"));
        let drops_a_set = match (&*words, verdict) {
            (["ip" | "ip6", "saddr", set, ..], Some(verdict)) => {
                set.starts_with('@') && sets.len() == 1 && is_harmless(&words[3..verdict])
            }
            _ => false,
        };
        Self {
            drops_a_set,
            drops_by_itself: by_source && sets.is_empty() && verdict.is_some(),
            sets,
        }
    }
}

/// Whether nothing is asked. The text of a log prefix is one word, whatever it is.
fn is_harmless(words: &[&str]) -> bool {
    let known = |word: &&str| HARMLESS.contains(word) || word.bytes().all(|b| b.is_ascii_digit());
    let before = |index: usize| index.checked_sub(1).and_then(|index| words.get(index));
    let mut words = words.iter().enumerate();
    words.all(|(index, word)| known(word) || before(index) == Some(&"prefix"))
}

/// Whether a line of a chain says that packets that come in meet it.
pub(super) fn is_hook(line: &str) -> bool {
    let named = |hook| line.contains(&format!(" hook {hook} "));
    line.starts_with("type ") && HOOKS.into_iter().any(named)
}
