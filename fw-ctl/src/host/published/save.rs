//! What `iptables-save` prints, of both variants and both families.

use std::net::IpAddr;

use fw_common::prefix::Prefix;

use super::{
    is_ours,
    matched::Matched,
    rules::{Action, Rule, Rules},
};

/// Targets that give a packet another destination.
const PUBLISHING: [&str; 3] = ["DNAT", "NETMAP", "REDIRECT"];

/// The rules of a saved table `nat`.
pub(super) fn rules(text: &str, own: &[IpAddr]) -> Rules {
    let mut rules = Rules {
        roots: vec!["PREROUTING".to_owned()],
        ..Rules::default()
    };
    for line in text.lines() {
        let words = words(line);
        if let [append, chain, options @ ..] = &words[..]
            && append == "-A"
            && let Some(rule) = rule(options, own)
        {
            rules.add(chain, rule);
        }
    }
    rules
}

/// The rule that these options make; none without a target. Options that say nothing of ports,
/// protocol, destination and interface are taken to match.
fn rule(options: &[String], own: &[IpAddr]) -> Option<Rule> {
    let mut matched = Matched::all();
    let mut action = None;
    let mut negated = false;
    let mut words = options.iter();
    while let Some(option) = words.next() {
        let set = match option.as_str() {
            "!" => {
                negated = true;
                continue;
            }
            "-j" | "-g" => {
                let target = words.next()?;
                action = Some(match PUBLISHING.contains(&target.as_str()) {
                    true => Action::Publish,
                    false => Action::Jump(target.clone()),
                });
                None
            }
            "-p" => words.next().map(|name| Matched::protocol(name)),
            "--dport" | "--dports" => words.next().and_then(|list| ports(list)),
            "-d" => words.next().and_then(|to| destination(to, own, negated)),
            "-i" => words.next().and_then(|from| interface(from, negated)),
            // Its text may look like an option.
            "--comment" => {
                words.next();
                None
            }
            _ => None,
        };
        if let Some(set) = set {
            matched = matched.and(&if negated { set.not() } else { set });
        }
        negated = false;
    }
    action.map(|action| Rule { matched, action })
}

/// `80`, `8000:8010`, `53,1000:1010`
fn ports(list: &str) -> Option<Matched> {
    list.split(',').try_fold(Matched::default(), |all, range| {
        let (first, last) = range.split_once(':').unwrap_or((range, range));
        Some(all.or(&Matched::range(first.parse().ok()?, last.parse().ok()?)))
    })
}

/// Nothing, when packets to us cannot have this destination. A negated one says little.
fn destination(text: &str, own: &[IpAddr], negated: bool) -> Option<Matched> {
    let (prefix, _) = Prefix::parse(text).ok()?;
    let foreign = !is_ours(own, prefix.address(), prefix.last());
    (foreign && !negated).then(Matched::default)
}

/// Nothing, when packets from outside cannot come in there.
fn interface(name: &str, negated: bool) -> Option<Matched> {
    (name == "lo" && !negated).then(Matched::default)
}

/// The words of a line. One in quotes may contain blanks, and `\` before a quote; it is free text,
/// so it is kept as a word, but empty.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let length = match rest.strip_prefix('"') {
            Some(text) => {
                words.push(String::new());
                let mut escaped = false;
                let end = text.find(|c| {
                    let ends = c == '"' && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                });
                end.map_or(rest.len(), |end| end + 2)
            }
            None => {
                let length = rest.find(' ').unwrap_or(rest.len());
                words.push(rest[..length].to_owned());
                length
            }
        };
        rest = rest[length..].trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [&str; 4] = ["127.0.0.1", "192.0.2.1", "::1", "2001:db8::1"];

    fn published(text: &str) -> Vec<String> {
        let own = OWN.map(|text| text.parse().expect("an address"));
        let ports = rules(text, &own).published().into_iter();
        ports.map(|ports| ports.to_string()).collect()
    }

    /// Printed by iptables-nft-save 1.8.9, for rules as Docker makes them and some by hand.
    const DOCKER: &str = include_str!("fixtures/docker.save");

    #[test]
    fn ports_of_containers_are_published_and_those_for_ourselves_alone_are_not() {
        assert_eq!(
            published(DOCKER),
            ["tcp/0-21", "tcp/8080", "udp/53", "udp/1000-1010"]
        );
    }

    #[test]
    fn a_rule_without_a_port_publishes_all_where_it_is_about_an_address_of_ours() {
        let rule = |to: &str| {
            format!("*nat\n-A PREROUTING -d {to} -p tcp -j DNAT --to-destination 10.0.0.9\n")
        };
        assert_eq!(published(&rule("192.0.2.1/32")), ["tcp/0-65535"]);
        assert_eq!(published(&rule("192.0.2.0/24")), ["tcp/0-65535"]);
        assert_eq!(published(&rule("2001:db8::1/128")), ["tcp/0-65535"]);
        assert_eq!(published(&rule("203.0.113.9/32")), [""; 0]);
        assert_eq!(published(&rule("127.0.0.0/8")), [""; 0]);
        assert_eq!(published(&rule("0.0.0.0/0")), ["tcp/0-65535"]);
    }

    #[test]
    fn what_matches_is_told_from_what_does_not() {
        for (options, expected) in [
            ("-p tcp -m tcp --dport 80 -j DNAT", &["tcp/80"][..]),
            (
                "-p 17 -m udp --dport 5000:5010 -j NETMAP",
                &["udp/5000-5010"],
            ),
            ("-j REDIRECT --to-ports 1", &["tcp/0-65535", "udp/0-65535"]),
            ("-p sctp -m sctp --dport 80 -j DNAT", &[]),
            ("! -p tcp -j DNAT", &["udp/0-65535"]),
            (
                "-p tcp -m multiport ! --dports 1:2000,3000:65535 -j REDIRECT",
                &["tcp/0", "tcp/2001-2999"],
            ),
            ("! -i lo -p tcp --dport 80 -j DNAT", &["tcp/80"]),
            ("! -d 192.0.2.1/32 -p tcp --dport 80 -j DNAT", &["tcp/80"]),
            ("-i lo -p tcp --dport 80 -j DNAT", &[]),
            (
                "-p tcp --dport 80 -m comment --comment -j -j DNAT",
                &["tcp/80"],
            ),
            (
                r#"-p tcp --dport 80 -m comment --comment "a \" -j" -j RETURN"#,
                &[],
            ),
            ("-p tcp --dport 80 -j RETURN", &[]),
            ("-p tcp --dport 80", &[]),
            ("-p tcp --dport 80 -j", &[]),
            ("-p tcp --dport x -j DNAT", &["tcp/0-65535"]),
        ] {
            assert_eq!(
                published(&format!("-A PREROUTING {options}")),
                expected,
                "{options}"
            );
            assert_eq!(
                published(&format!("-A OUTPUT {options}")),
                [""; 0],
                "{options}"
            );
        }
    }

    #[test]
    fn a_service_of_many_chains_publishes_its_own_port_only() {
        let text = "\
            -A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n\
            -A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS\n\
            -A KUBE-NODEPORTS -p tcp -m tcp --dport 30080 -j KUBE-EXT-A\n\
            -A KUBE-EXT-A -j KUBE-SVC-A\n\
            -A KUBE-SVC-A -m statistic --mode random --probability 0.5 -j KUBE-SEP-A\n\
            -A KUBE-SEP-A -p tcp -m tcp -j DNAT --to-destination 10.244.0.5:80\n";
        assert_eq!(published(text), ["tcp/30080"]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in r#"(-A |-j|-p|-d|--dports?| |"|\\|!|[0-9:,./]|\PC){0,40}"#) {
            published(&format!("-A PREROUTING {text} -j DNAT"));
        }
    }
}
