//! Addresses as they are typed.

use std::net::IpAddr;

use crate::{
    api::wire::ProblemBody,
    cli::{failure::bad_input, output::escape},
    listfile,
};

/// The prefixes that an argument names, each as the daemon shall read it: a host or a network
/// stays as it was typed, so that the daemon can tell of cleared host bits; a range is split.
pub fn prefixes(text: &str) -> Result<Vec<String>, ProblemBody> {
    let parts = listfile::addresses(text)
        .map_err(|error| bad_input(format!("{}: {error}", shown(text))))?;
    Ok(match text.contains('-') {
        true => parts.iter().map(|(prefix, _)| prefix.to_string()).collect(),
        false => vec![text.to_owned()],
    })
}

/// The prefixes of all arguments, in their order.
pub fn all_prefixes(texts: &[String]) -> Result<Vec<String>, ProblemBody> {
    let parts: Result<Vec<_>, _> = texts.iter().map(|text| prefixes(text)).collect();
    Ok(parts?.concat())
}

/// A single address.
pub fn host(text: &str) -> Result<IpAddr, ProblemBody> {
    match listfile::addresses(text).as_deref() {
        Ok([(prefix, _)]) if prefix.is_host() => Ok(prefix.address()),
        Ok(_) => Err(bad_input(format!(
            "{}: one address is asked for",
            shown(text)
        ))),
        Err(error) => Err(bad_input(format!("{}: {error}", shown(text)))),
    }
}

/// An argument as it stands in a message: no longer than an address can be.
fn shown(text: &str) -> String {
    const CHARS: usize = 80;
    match text.chars().nth(CHARS) {
        None => format!("`{}`", escape(text)),
        Some(_) => {
            let start: String = text.chars().take(CHARS).collect();
            format!("`{}...`", escape(&start))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_sent_as_typed_and_ranges_in_prefixes() {
        let all = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            all_prefixes(&texts).expect("good addresses")
        };
        assert_eq!(
            all(&["192.0.2.7/24", "2001:DB8::1"]),
            ["192.0.2.7/24", "2001:DB8::1"]
        );
        assert_eq!(
            all(&["192.0.2.1-192.0.2.4", "::1"]),
            ["192.0.2.1", "192.0.2.2/31", "192.0.2.4", "::1"]
        );
        assert_eq!(all(&["0.0.0.0-255.255.255.255"]), ["0.0.0.0/0"]);
        assert_eq!(all(&["2001:db8::-2001:db8::1:ffff"]), ["2001:db8::/111"]);
    }

    #[test]
    fn what_is_refused_names_the_argument_and_the_reason() {
        for (text, reason) in [
            ("192.0.2.9-192.0.2.1", "before it begins"),
            ("192.0.2.0/33", "beyond the 32 bits"),
            ("fe80::1%eth0", "zone ids"),
            ("::ffff:192.0.2.1", "write 192.0.2.1 instead"),
            ("example.org", "not an IPv4 or IPv6 address"),
            ("", "not an IPv4 or IPv6 address"),
        ] {
            let problem = prefixes(text).expect_err(text);
            assert_eq!(problem.code.exit(), 2, "{text}");
            assert!(
                problem.message.starts_with(&format!("`{text}`: ")),
                "{}",
                problem.message
            );
            assert!(problem.message.contains(reason), "{}", problem.message);
        }
        let long = prefixes(&"\x1b".repeat(10_000)).expect_err("no address");
        assert!(long.message.len() < 1_000 && !long.message.contains('\x1b'));
    }

    #[test]
    fn a_host_is_one_address() {
        assert_eq!(host("192.0.2.1").ok(), "192.0.2.1".parse().ok());
        assert_eq!(host("192.0.2.1/32").ok(), "192.0.2.1".parse().ok());
        assert_eq!(host("2001:db8::1").ok(), "2001:db8::1".parse().ok());
        for text in ["192.0.2.0/24", "192.0.2.0-192.0.2.1", "x", "::ffff:1.2.3.4"] {
            assert_eq!(host(text).expect_err(text).code.exit(), 2);
        }
    }
}
