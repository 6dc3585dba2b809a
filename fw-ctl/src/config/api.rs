//! `[api]`: who may use the API, and where.

use std::{net::SocketAddr, path::PathBuf};

use serde::Deserialize;

/// `[api]`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Api {
    /// Group that may use the socket beside root, if it exists.
    pub group: String,
    /// Where it is reached over TCP; nowhere by default.
    pub listen: Option<SocketAddr>,
    /// What this host is called in requests, beside `localhost` and its addresses.
    pub hosts: Vec<String>,
    /// The certificate chain, in PEM.
    pub tls_cert: Option<PathBuf>,
    /// Its key, in PEM.
    pub tls_key: Option<PathBuf>,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            group: "fw-ctl".to_owned(),
            listen: None,
            hosts: Vec::new(),
            tls_cert: None,
            tls_key: None,
        }
    }
}

/// Files of a certificate and of its key.
#[derive(Clone, Copy, Debug)]
pub struct Tls<'a> {
    /// The certificate chain, in PEM.
    pub cert: &'a PathBuf,
    /// Its key, in PEM.
    pub key: &'a PathBuf,
}

impl Api {
    /// Where certificate and key are, if there are any.
    pub fn tls(&self) -> Option<Tls<'_>> {
        let (cert, key) = self.tls_cert.as_ref().zip(self.tls_key.as_ref())?;
        Some(Tls { cert, key })
    }

    /// Whether its parts go together; names the key that does not.
    ///
    /// # Errors
    /// The key, and what is wrong with it.
    pub(super) fn validate(&self) -> Result<(), (&'static str, String)> {
        match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => return Err(("tls_cert", "tls_cert needs tls_key".to_owned())),
            (None, Some(_)) => return Err(("tls_key", "tls_key needs tls_cert".to_owned())),
            _ => {}
        }
        let Some(listen) = self.listen else {
            return match (self.hosts.is_empty(), self.tls()) {
                (true, None) => Ok(()),
                (false, _) => Err(("hosts", "hosts means nothing without listen".to_owned())),
                (_, Some(_)) => Err((
                    "tls_cert",
                    "tls_cert means nothing without listen".to_owned(),
                )),
            };
        };
        if !listen.ip().is_loopback() && self.tls().is_none() {
            let message = format!("{listen} is not loopback: tls_cert and tls_key are needed");
            return Err(("listen", message));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    fn read(lines: &str) -> Result<Config, String> {
        Config::parse(&format!("[api]\n{lines}"))
    }

    #[test]
    fn loopback_goes_without_tls_and_everything_else_with_it() {
        for lines in [
            "listen = \"127.0.0.1:9443\"",
            "listen = \"[::1]:9443\"\nhosts = [\"fw.example.org\"]",
            "listen = \"0.0.0.0:9443\"\ntls_cert = \"c\"\ntls_key = \"k\"",
        ] {
            assert!(read(lines).is_ok(), "{lines}");
        }
        let api = read("").expect("nothing").api;
        assert!(api.listen.is_none() && api.tls().is_none());
    }

    #[test]
    fn what_does_not_go_together_is_refused_with_its_line() {
        for (lines, place, reason) in [
            (
                "listen = \"0.0.0.0:1\"",
                "line 2, column 10",
                "not loopback",
            ),
            ("listen = \"[::]:1\"", "line 2, column 10", "not loopback"),
            (
                "listen = \"localhost:1\"",
                "line 2, column 10",
                "invalid socket address",
            ),
            ("tls_cert = \"c\"", "line 2, column 12", "needs tls_key"),
            ("tls_key = \"k\"", "line 2, column 11", "needs tls_cert"),
            ("hosts = [\"a\"]", "line 2, column 9", "without listen"),
            (
                "listen = \"192.0.2.1:1\"\ntls_key = \"k\"",
                "line 3, column 11",
                "needs tls_cert",
            ),
        ] {
            let refused = read(lines).expect_err(lines);
            assert!(
                refused.contains(place) && refused.contains(reason),
                "{refused}"
            );
        }
    }
}
