//! The configuration that follows from the answers, and what follows from it. Pure.

use std::fmt::Display;

use super::{
    host::Host,
    questions::{Answers, Countries},
};
use crate::config::Backend;

/// The file, each key with what it means.
pub fn text(answers: &Answers, host: &Host) -> String {
    let interfaces = list(&answers.interfaces);
    let prefixes = list(&answers.management);
    let scan = match answers.enforce {
        true => "enforce",
        false => "observe",
    };
    let mirror = answers.mirror.name();
    let countries = countries(&answers.countries, host);
    format!(
        "# Written by `fw-ctl init`. `fw-ctl run -t` checks it, SIGHUP or `systemctl reload fw-ctl`\n\
         # reads it again. The fw-ctl.toml that comes with fw-ctl has every key there is.\n\
         \n\
         interfaces = {interfaces}   # where packets are looked at\n\
         observe = false   # true: count what would be dropped, drop nothing\n\
         \n\
         [guard]   # who can never be dropped, beside own addresses, gateways, resolvers, SSH peers\n\
         prefixes = {prefixes}\n\
         \n\
         [scan]   # who asks for ports that nobody serves\n\
         mode = \"{scan}\"   # off | observe: report, drop nothing | enforce: block\n\
         \n\
         [mirror]   # the same policy in netfilter, and rules by port, rate and hour\n\
         backend = \"{mirror}\"   # auto | iptables | nftables | none\n\
         {countries}"
    )
}

/// `["a", "b"]`
fn list<T: Display>(items: &[T]) -> String {
    let quoted = items.iter().map(|item| toml::Value::from(item.to_string()));
    toml::Value::from(quoted.collect::<Vec<_>>()).to_string()
}

fn countries(countries: &Countries, host: &Host) -> String {
    let (key, codes) = match countries {
        Countries::All => return String::new(),
        Countries::But(codes) => ("block", codes),
        Countries::Only(codes) => ("only", codes),
    };
    let paths: Vec<String> = host
        .databases
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    format!(
        "\n[geo]   # countries, by the address; guarded and allowed sources pass all the same\n\
         databases = {}\n\
         {key} = {}\n",
        list(&paths),
        list(codes)
    )
}

/// What will happen.
pub fn consequences(answers: &Answers) -> String {
    let mut lines = vec![format!(
        "Packets that come in by {} go through XDP from now on.",
        answers.interfaces.join(" and ")
    )];
    lines.push(match answers.management.is_empty() {
        true => "Guarded: what is found on this host; nobody by name.".to_owned(),
        false => format!(
            "Guarded: what is found on this host, and {}.",
            words(&answers.management)
        ),
    });
    lines.push(match answers.enforce {
        true => {
            "Whoever asks for ten ports that nobody serves within a minute is blocked.".to_owned()
        }
        false => "Who scans ports is reported, and passes.".to_owned(),
    });
    if answers.mirror == Backend::None {
        lines.push("There is no mirror in netfilter, so there are no rules.".to_owned());
    }
    match &answers.countries {
        Countries::All => {}
        Countries::But(codes) => lines.push(format!("Dropped: {}.", codes.join(", "))),
        Countries::Only(codes) => {
            lines.push(format!("Dropped: every country but {}.", codes.join(", ")));
        }
    }
    lines.iter().map(|line| format!("- {line}\n")).collect()
}

fn words<T: Display>(items: &[T]) -> String {
    let texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, detect::settings::Mode};

    #[test]
    fn the_file_says_what_was_answered() {
        let answers = Answers {
            interfaces: vec!["eth0".into(), "eth1".into()],
            management: vec!["10.0.0.0/24".parse().expect("a prefix")],
            enforce: true,
            mirror: Backend::Nftables,
            countries: Countries::All,
        };
        let text = text(&answers, &Host::default());
        let config = Config::parse(&text).expect(&text);
        assert_eq!(config.interfaces, ["eth0", "eth1"]);
        assert_eq!(config.guard.prefixes, answers.management);
        assert_eq!(config.scan.mode, Mode::Enforce);
        assert_eq!(config.mirror.backend, Backend::Nftables);
        assert!(!config.observe && config.guard.discover);
        let told = consequences(&answers);
        assert!(
            told.contains("eth0 and eth1") && told.contains("and 10.0.0.0/24."),
            "{told}"
        );
    }

    #[test]
    fn countries_are_looked_up_in_what_was_found() {
        let host = Host {
            databases: vec!["/var/lib/GeoIP/a \"b\".mmdb".into()],
            ..Host::default()
        };
        let codes = || vec!["DE".to_owned(), "AT".to_owned()];
        for (countries, block, only) in [
            (Countries::Only(codes()), 0, 2),
            (Countries::But(codes()), 2, 0),
        ] {
            let answers = Answers {
                interfaces: vec!["eth0".into()],
                countries,
                ..Answers::default()
            };
            let text = text(&answers, &host);
            let geo = Config::parse(&text).expect(&text).geo;
            assert_eq!(geo.databases, host.databases);
            assert_eq!((geo.block.len(), geo.only.len()), (block, only));
            assert!(consequences(&answers).contains("DE, AT"));
        }
    }

    #[test]
    fn without_answers_nothing_is_dropped_but_what_is_told_to() {
        let answers = Answers {
            interfaces: vec!["eth0".into()],
            ..Answers::default()
        };
        let text = text(&answers, &Host::default());
        let config = Config::parse(&text).expect(&text);
        assert_eq!(
            (config.scan.mode, config.guard.prefixes.len()),
            (Mode::Observe, 0)
        );
        assert!(consequences(&answers).contains("is reported, and passes"));
    }
}
