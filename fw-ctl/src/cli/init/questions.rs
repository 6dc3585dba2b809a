//! What is asked, and what an answer means. Pure.

use fw_common::Prefix;

use super::host::Host;
use crate::config::Backend;

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Interfaces to protect.
    pub interfaces: Vec<String>,
    /// Who can never be dropped beside those that are found.
    pub management: Vec<Prefix>,
    /// Whether scanners are blocked, once the trial is over.
    pub enforce: bool,
    /// Where the mirror is.
    pub mirror: Backend,
    /// Countries.
    pub countries: Countries,
}

/// Which countries pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Countries {
    /// All.
    #[default]
    All,
    /// All but these.
    But(Vec<String>),
    /// Only these.
    Only(Vec<String>),
}

/// A question.
pub struct Question {
    /// What it is about.
    pub explained: &'static str,
    /// What this host has of it.
    pub found: fn(&Host) -> Option<String>,
    /// The question itself.
    pub asked: &'static str,
    /// What Enter means.
    pub proposed: fn(&Host) -> String,
    /// Takes an answer, or says what is wrong with it.
    pub take: fn(&str, &Host, &mut Answers) -> Result<(), String>,
}

/// All of them.
pub const QUESTIONS: [Question; 5] = [
    Question {
        explained: "1. INTERFACE. Packets that come in there are looked at before Linux spends anything\n\
                    on them. Choose the one towards the Internet; several are written eth0,eth1.",
        found: |host| {
            let shown = host.interfaces.iter().map(|link| match link.up {
                true => link.name.clone(),
                false => format!("{} (down)", link.name),
            });
            let shown: Vec<String> = shown.collect();
            Some(format!("   This host has {}.", shown.join(", ")))
        },
        asked: "Which interface?",
        proposed: |host| {
            let first = host.interfaces.first();
            first.map(|link| link.name.clone()).unwrap_or_default()
        },
        take: interfaces,
    },
    Question {
        explained: "2. MANAGEMENT. Who must always get in: your office, a bastion host, a VPN. No block,\n\
                    list, country or scan ever cuts them. This host's own addresses, its gateways\n\
                    and resolvers, and whoever is logged in by SSH are guarded without being named.",
        found: |host| match host.peers.as_slice() {
            [] => None,
            peers => Some(format!("   Logged in now: {}.", peers.join(", "))),
        },
        asked: "Which addresses or networks, or none?",
        proposed: |host| match host.peers.as_slice() {
            [] => "none".to_owned(),
            peers => peers.join(","),
        },
        take: management,
    },
    Question {
        explained: "3. SCANNERS. observe reports who scans ports, and drops nothing of it: a good way to\n\
                    begin. enforce blocks them, ten minutes at first. What you block yourself is\n\
                    dropped in both. Whatever you say, the trial that follows drops nothing.",
        found: |_| None,
        asked: "observe or enforce?",
        proposed: |_| "observe".to_owned(),
        take: |answer, _, answers| {
            answers.enforce = match answer {
                "observe" => false,
                "enforce" => true,
                _ => return Err(format!("{answer:?} is neither observe nor enforce")),
            };
            Ok(())
        },
    },
    Question {
        explained: "4. MIRROR. The same policy is kept in netfilter, which knows connections: for rules by\n\
                    port, rate limits and hours. auto follows what this host uses. none does without,\n\
                    and without rules.",
        found: |host| {
            let (name, why) = &host.mirror;
            Some(format!("   auto would be {name}: {why}."))
        },
        asked: "auto, iptables, nftables or none?",
        proposed: |_| "auto".to_owned(),
        take: |answer, _, answers| {
            answers.mirror = answer.parse()?;
            Ok(())
        },
    },
    Question {
        explained: "5. COUNTRIES. Whole countries can be kept out (block KP,IR), or all but some (only\n\
                    DE,AT), by two-letter codes (ISO 3166). Needs a database of addresses, such as\n\
                    GeoLite2-Country.mmdb.",
        found: |host| {
            let shown = host.databases.iter().map(|path| path.display().to_string());
            let shown: Vec<String> = shown.collect();
            Some(match shown.as_slice() {
                [] => "   None was found in /var/lib/GeoIP or /usr/share/GeoIP: answer all, and see\n   \
                       `fw-ctl geo --help` later."
                    .to_owned(),
                shown => format!("   Found: {}.", shown.join(", ")),
            })
        },
        asked: "all, block ... or only ...?",
        proposed: |_| "all".to_owned(),
        take: countries,
    },
];

/// Words between commas or blanks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', ' ']).filter(|word| !word.is_empty())
}

fn interfaces(answer: &str, host: &Host, answers: &mut Answers) -> Result<(), String> {
    let named: Vec<String> = words(answer).map(str::to_owned).collect();
    if named.is_empty() {
        return Err("an interface is needed".to_owned());
    }
    for name in &named {
        if !host.interfaces.iter().any(|link| link.name == *name) {
            return Err(format!("there is no interface {name:?} here"));
        }
    }
    answers.interfaces = named;
    Ok(())
}

fn management(answer: &str, host: &Host, answers: &mut Answers) -> Result<(), String> {
    /// Wider than any network of somebody's own.
    const WIDEST: u8 = 8;
    let mut named = Vec::new();
    if answer != "none" {
        for word in words(answer) {
            let (prefix, _) = Prefix::parse(word).map_err(|error| format!("{word:?}: {error}"))?;
            if prefix.length() < WIDEST {
                let text = "nobody of it could ever be blocked, so it is not wider than";
                return Err(format!("{prefix}: {text} /{WIDEST}"));
            }
            named.push(prefix);
        }
    }
    // They are guarded as long as they are logged in, and not the next time.
    let left_out = host.peers.iter().find(|peer| {
        let peer = peer.parse();
        !named.is_empty()
            && peer.is_ok_and(|peer| !named.iter().any(|prefix| prefix.contains(peer)))
    });
    match left_out {
        Some(peer) => Err(format!(
            "{peer} is logged in now and not among them: name it, too, or answer none"
        )),
        None => {
            answers.management = named;
            Ok(())
        }
    }
}

fn countries(answer: &str, host: &Host, answers: &mut Answers) -> Result<(), String> {
    if answer == "all" {
        answers.countries = Countries::All;
        return Ok(());
    }
    let mut words = words(answer);
    let how = words.next();
    let codes: Vec<String> = words.map(str::to_uppercase).collect();
    let is_code = |code: &String| code.len() == 2 && code.bytes().all(|c| c.is_ascii_uppercase());
    if let Some(code) = codes.iter().find(|code| !is_code(code)) {
        return Err(format!(
            "{code:?} is no country: they have two letters, such as DE"
        ));
    }
    answers.countries = match how {
        Some("block" | "only") if codes.is_empty() => {
            return Err("name at least one country, such as DE".to_owned());
        }
        Some("block" | "only") if host.databases.is_empty() => {
            return Err("there is no database to look them up in: answer all".to_owned());
        }
        Some("block") => Countries::But(codes),
        Some("only") => Countries::Only(codes),
        _ => return Err("that is none of: all, block KP,IR, only DE,AT".to_owned()),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::links::Link;

    fn host() -> Host {
        let link = |name: &str, up| Link {
            index: 2,
            name: name.into(),
            mtu: 1500,
            up,
            kind: None,
            address: Vec::new(),
            xdp: None,
            parent: None,
        };
        Host {
            interfaces: vec![link("eth0", true), link("eth1", false)],
            peers: vec!["198.51.100.7".into()],
            mirror: ("nftables".into(), "nothing else is here".into()),
            databases: vec!["/var/lib/GeoIP/c.mmdb".into()],
        }
    }

    /// What becomes of an answer to a question.
    fn answered(number: usize, answer: &str) -> Result<Answers, String> {
        let mut answers = Answers::default();
        (QUESTIONS[number - 1].take)(answer, &host(), &mut answers)?;
        Ok(answers)
    }

    #[test]
    fn what_is_proposed_is_a_good_answer() {
        for (number, question) in (1..).zip(&QUESTIONS) {
            answered(number, &(question.proposed)(&host())).expect(question.asked);
        }
    }

    #[test]
    fn good_answers_are_taken_as_they_are_meant() {
        let prefix = |text: &str| text.parse().expect("a prefix");
        assert_eq!(
            answered(1, "eth0, eth1").map(|a| a.interfaces),
            Ok(vec!["eth0".into(), "eth1".into()])
        );
        assert_eq!(
            answered(2, "198.51.100.0/24 2001:db8::1").map(|a| a.management),
            Ok(vec![prefix("198.51.100.0/24"), prefix("2001:db8::1")])
        );
        assert_eq!(answered(2, "none").map(|a| a.management), Ok(vec![]));
        assert_eq!(answered(3, "enforce").map(|a| a.enforce), Ok(true));
        assert_eq!(
            answered(4, "nftables").map(|a| a.mirror),
            Ok(Backend::Nftables)
        );
        let codes = vec!["DE".to_owned(), "AT".to_owned()];
        assert_eq!(
            answered(5, "only de,at").map(|a| a.countries),
            Ok(Countries::Only(codes.clone()))
        );
        assert_eq!(
            answered(5, "block DE AT").map(|a| a.countries),
            Ok(Countries::But(codes))
        );
        assert_eq!(answered(5, "all").map(|a| a.countries), Ok(Countries::All));
    }

    #[test]
    fn bad_answers_are_told_what_is_wrong_with_them() {
        for (number, answer, reason) in [
            (1, "eth7", "no interface \"eth7\""),
            (1, "eth0,eth7", "no interface \"eth7\""),
            (1, ",", "is needed"),
            (2, "10.0.0", "10.0.0"),
            (2, "0.0.0.0/0", "not wider than /8"),
            (2, "203.0.113.0/24", "198.51.100.7 is logged in now"),
            (3, "yes", "neither observe nor enforce"),
            (4, "pf", "none of auto"),
            (5, "DE", "none of: all"),
            (5, "only", "at least one country"),
            (5, "only Germany", "no country"),
            (5, "block D3", "no country"),
        ] {
            let why = answered(number, answer).expect_err(answer);
            assert!(why.contains(reason), "{answer}: {why}");
        }
        let mut answers = Answers::default();
        let bare = Host::default();
        let why = countries("only DE", &bare, &mut answers).expect_err("no database");
        assert!(why.contains("no database"), "{why}");
    }
}
