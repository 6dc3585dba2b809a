//! Rules of address translation, whoever wrote them.

use std::collections::BTreeMap;

use super::matched::Matched;

/// Chains of rules.
#[derive(Default)]
pub(super) struct Rules {
    /// Chains that packets from outside come to first.
    pub(super) roots: Vec<String>,
    /// Rules by the name of their chain.
    pub(super) chains: BTreeMap<String, Vec<Rule>>,
}

/// Packets, and what becomes of them.
pub(super) struct Rule {
    pub(super) matched: Matched,
    pub(super) action: Action,
}

/// What becomes of a packet.
#[derive(Clone)]
pub(super) enum Action {
    /// It gets another destination.
    Publish,
    /// It goes through another chain. Verdicts are chains that are not there.
    Jump(String),
}

impl Rules {
    pub(super) fn add(&mut self, chain: &str, rule: Rule) {
        self.chains.entry(chain.to_owned()).or_default().push(rule);
    }

    /// Ports of the packets that get another destination. That an earlier rule may have taken a
    /// packet away is left out of account: rather too many ports than one too few.
    pub(super) fn published(&self) -> Matched {
        let mut published = Vec::new();
        // What has come to each chain so far; it only grows, so that a circle comes to its end.
        let mut reached: BTreeMap<&str, Matched> = BTreeMap::new();
        let mut ways: Vec<_> = self
            .roots
            .iter()
            .map(|root| (root.as_str(), Matched::all()))
            .collect();
        while let Some((chain, packets)) = ways.pop() {
            let known = reached.entry(chain).or_default();
            let all = known.or(&packets);
            if all == *known {
                continue;
            }
            *known = all;
            for rule in self.chains.get(chain).into_iter().flatten() {
                let packets = packets.and(&rule.matched);
                match &rule.action {
                    _ if packets.is_empty() => (),
                    Action::Publish => published.extend(packets),
                    Action::Jump(to) => ways.push((to, packets)),
                }
            }
        }
        published.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ruleset(rules: &[(&str, Matched, Action)]) -> Rules {
        let mut all = Rules {
            roots: vec!["root".to_owned()],
            ..Rules::default()
        };
        for (chain, matched, action) in rules {
            let (matched, action) = (matched.clone(), action.clone());
            all.add(chain, Rule { matched, action });
        }
        all
    }

    fn jump(to: &str) -> Action {
        Action::Jump(to.to_owned())
    }

    #[test]
    fn a_packet_carries_through_the_chains_what_it_has_matched() {
        let rules = ruleset(&[
            ("root", Matched::protocol("tcp"), jump("tcp")),
            ("tcp", Matched::range(80, 90), jump("web")),
            ("tcp", Matched::range(53, 53), jump("accept")),
            ("root", Matched::range(85, 99), jump("web")),
            ("web", Matched::protocol("tcp"), Action::Publish),
            ("orphan", Matched::all(), Action::Publish),
        ]);
        let expected = Matched::protocol("tcp").and(&Matched::range(80, 99));
        assert_eq!(rules.published(), expected);
    }

    #[test]
    fn a_circle_of_chains_comes_to_its_end() {
        let rules = ruleset(&[
            ("root", Matched::range(1, 5), jump("a")),
            ("a", Matched::all(), jump("b")),
            ("b", Matched::range(2, 9), jump("a")),
            ("b", Matched::protocol("udp"), Action::Publish),
        ]);
        let expected = Matched::protocol("udp").and(&Matched::range(1, 5));
        assert_eq!(rules.published(), expected);
    }
}
