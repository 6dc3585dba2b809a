//! `Host` and `Origin`: a browser on this host, or inside its network, may be sent here by any page it
//! shows. A name that resolves to us is not enough (DNS rebinding), and neither is a cookie-less
//! request of another origin.

use std::net::IpAddr;

use axum::http::{HeaderMap, header, uri::Authority};

use super::super::wire::{Code, ProblemBody};

/// What this host is called.
#[derive(Clone, Debug, Default)]
pub struct Names(Vec<String>);

impl Names {
    /// `localhost`, any address, and these.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether a request was meant for this host, and comes from no other site.
    ///
    /// # Errors
    /// What to tell its sender.
    pub fn check(&self, headers: &HeaderMap) -> Result<(), ProblemBody> {
        let host = one(headers, header::HOST)?
            .ok_or_else(|| ProblemBody::new(Code::BadInput, "the request has no `Host`"))?;
        let authority = host.parse::<Authority>();
        if !authority.is_ok_and(|authority| self.knows(authority.host())) {
            let hint = "add it to `hosts` under [api] if it is a name of this host";
            let message = format!("{host:?} is no name of this host");
            return Err(ProblemBody::new(Code::Permission, message).with_hint(hint));
        }
        let Some(origin) = one(headers, header::ORIGIN)? else {
            return Ok(());
        };
        let site = origin.strip_prefix("https://");
        match site.or_else(|| origin.strip_prefix("http://")) {
            Some(site) if site.eq_ignore_ascii_case(host) => Ok(()),
            _ => {
                let message = format!("a page of {origin:?} may not use this API");
                Err(ProblemBody::new(Code::Permission, message))
            }
        }
    }

    /// An address cannot be rebound, so every one will do.
    fn knows(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let named = |name: &String| name.eq_ignore_ascii_case(host);
        host.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok()
            || self.0.iter().any(named)
    }
}

/// A header that may be there once.
fn one(headers: &HeaderMap, name: header::HeaderName) -> Result<Option<&str>, ProblemBody> {
    let mut values = headers.get_all(&name).iter();
    let value = values.next().map(|value| value.to_str());
    match (value.transpose(), values.next()) {
        (Ok(value), None) => Ok(value),
        _ => Err(ProblemBody::new(
            Code::BadInput,
            format!("the header `{name}` makes no sense"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: Option<&str>, origin: Option<&str>) -> Option<Code> {
        let names = Names::new(["fw.example.org".to_owned()]);
        let mut headers = HeaderMap::new();
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, value.parse().expect("a value"));
            }
        }
        names.check(&headers).err().map(|problem| problem.code)
    }

    #[test]
    fn names_of_this_host_and_addresses_are_known() {
        for host in [
            "localhost",
            "LOCALHOST:8443",
            "127.0.0.1:8443",
            "[::1]:8443",
            "192.0.2.1",
            "fw.example.org",
            "FW.example.org:8443",
        ] {
            assert_eq!(check(Some(host), None), None, "{host}");
        }
    }

    #[test]
    fn a_name_that_only_resolves_to_us_is_refused() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "fw.example.org.evil.example",
            "fw.example.org@evil.example",
            "evilfw.example.org",
            "localhost.",
            "",
        ] {
            assert_eq!(check(Some(host), None), Some(Code::Permission), "{host}");
        }
        assert_eq!(check(None, None), Some(Code::BadInput));
    }

    #[test]
    fn only_our_own_pages_may_ask() {
        let host = Some("localhost:8443");
        for origin in ["http://localhost:8443", "https://LOCALHOST:8443"] {
            assert_eq!(check(host, Some(origin)), None, "{origin}");
        }
        for origin in [
            "null",
            "http://localhost",
            "http://localhost:8444",
            "http://127.0.0.1:8443",
            "https://evil.example",
            "http://localhost:8443.evil.example",
            "file://",
            "",
        ] {
            assert_eq!(
                check(host, Some(origin)),
                Some(Code::Permission),
                "{origin}"
            );
        }
    }

    #[test]
    fn two_hosts_are_none() {
        let mut headers = HeaderMap::new();
        for host in ["localhost", "evil.example"] {
            headers.append(header::HOST, host.parse().expect("a value"));
        }
        let refused = Names::default().check(&headers).expect_err("two of them");
        assert_eq!(refused.code, Code::BadInput);
    }
}
