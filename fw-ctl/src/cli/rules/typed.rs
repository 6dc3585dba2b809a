//! Parts of rules as they are typed. What is written as for other tools is answered with our form.

use jiff::tz::TimeZone;

use crate::policy::service::Service;

/// Protocol and ports.
pub fn service(text: &str) -> Result<Service, String> {
    text.parse()
        .map_err(|error| match (text.parse::<u16>(), meant(text)) {
            (Ok(port @ 1..), _) => format!("for a port write tcp/{port} or udp/{port}"),
            (_, Some(service)) => format!("write {service}"),
            (_, None) => format!("{error}"),
        })
}

/// What `22/tcp`, `tcp:22`, `tcp 22` and `tcp/80:90` mean.
fn meant(text: &str) -> Option<Service> {
    let swapped = text
        .split_once('/')
        .map(|(ports, protocol)| format!("{protocol}/{ports}"));
    let forms = [
        swapped,
        Some(text.replacen([':', ' '], "/", 1)),
        Some(text.replace(':', "-")),
    ];
    forms
        .into_iter()
        .flatten()
        .find_map(|form| form.parse().ok())
}

/// Name of a time zone.
pub fn zone(text: &str) -> Result<String, String> {
    match TimeZone::get(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("no such time zone; they are named like Europe/Berlin".to_owned()),
    }
}

/// Number of a rule.
pub fn number(text: &str) -> Result<u32, String> {
    text.parse()
        .map_err(|_| "a rule is named by its number, `fw-ctl list rules` shows it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_taken_in_our_form() {
        for (typed, taken) in [
            ("tcp/22", "tcp/22"),
            ("UDP/53,5353", "udp/53,5353"),
            ("tcp", "tcp"),
            ("icmp", "icmp"),
            ("gre", "gre"),
            ("sctp", "sctp"),
        ] {
            let service = service(typed).expect(typed);
            assert_eq!(service.to_string(), taken);
        }
    }

    #[test]
    fn other_forms_are_refused_with_ours() {
        for (typed, answer) in [
            ("22", "for a port write tcp/22 or udp/22"),
            ("132", "for a port write tcp/132 or udp/132"),
            ("8080", "for a port write tcp/8080 or udp/8080"),
            ("22/tcp", "write tcp/22"),
            ("53/UDP", "write udp/53"),
            ("tcp:22", "write tcp/22"),
            ("tcp 80,443", "write tcp/80,443"),
            ("tcp/8000:8100", "write tcp/8000-8100"),
        ] {
            assert_eq!(service(typed), Err(answer.to_owned()), "{typed}");
        }
        for (typed, reason) in [
            ("", "a port is written tcp/80"),
            ("ssh", "a port is written tcp/80"),
            ("70000", "a port is written tcp/80"),
            ("tcp/0", "a number from 1 to 65535"),
            ("icmp/8", "has no ports"),
        ] {
            let refused = service(typed).expect_err(typed);
            assert!(refused.contains(reason), "{typed}: {refused}");
        }
    }

    #[test]
    fn zones_are_known_and_rules_have_numbers() {
        assert_eq!(zone("Europe/Berlin").as_deref(), Ok("Europe/Berlin"));
        assert_eq!(zone("UTC").as_deref(), Ok("UTC"));
        assert!(zone("Europe/Bonn").is_err());
        assert_eq!(number("7"), Ok(7));
        for text in ["", "tcp/22", "-1", "4294967296"] {
            assert!(number(text).is_err(), "{text}");
        }
    }
}
