//! Where an address is at home, in words. The texts are from files that anybody may have made.

use crate::{api::wire::Geo, cli::output::escape};

/// `DE AS64500`; empty where nothing is known.
pub fn short(geo: Option<&Geo>) -> String {
    let Some(geo) = geo else {
        return String::new();
    };
    let country = geo.country.as_deref().map(safe);
    let system = geo.asn.map(|asn| format!("AS{asn}"));
    let parts: Vec<String> = country.into_iter().chain(system).collect();
    parts.join(" ")
}

/// `DE AS64500 (Example)`; empty where nothing is known.
pub fn long(geo: Option<&Geo>) -> String {
    let short = short(geo);
    match geo.and_then(|geo| geo.as_name.as_deref()) {
        Some(name) => format!("{short} ({})", escape(name)),
        None => short,
    }
}

/// ` from DE AS64500 (Example)`, to stand behind something; empty where nothing is known.
pub fn from(geo: Option<&Geo>) -> String {
    match long(geo) {
        text if text.is_empty() => text,
        text => format!(" from {text}"),
    }
}

/// `AS64500 (Example)`, or `-`.
pub fn system(geo: Option<&Geo>) -> String {
    let system = geo.map(|geo| Geo {
        country: None,
        ..geo.clone()
    });
    match long(system.as_ref()) {
        text if text.is_empty() => "-".to_owned(),
        text => text,
    }
}

/// A text that drives no terminal.
pub fn safe(text: &str) -> String {
    escape(text).into_owned()
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;

    /// A home that is known in full.
    pub fn geo() -> Geo {
        Geo {
            country: Some("DE".into()),
            asn: Some(64500),
            as_name: Some("Example \x1b[31m".into()),
        }
    }

    #[test]
    fn what_is_known_is_said_and_drives_no_terminal() {
        let geo = geo();
        let whole = Some(&geo);
        assert_eq!(short(whole), "DE AS64500");
        assert_eq!(long(whole), "DE AS64500 (Example \\u{1b}[31m)");
        assert_eq!(from(whole), " from DE AS64500 (Example \\u{1b}[31m)");
        assert_eq!(system(whole), "AS64500 (Example \\u{1b}[31m)");
        let country = Geo {
            country: Some("DE".into()),
            ..Geo::default()
        };
        assert_eq!(long(Some(&country)), "DE");
        assert_eq!(system(Some(&country)), "-");
        assert_eq!((short(None), from(None)), (String::new(), String::new()));
    }
}
