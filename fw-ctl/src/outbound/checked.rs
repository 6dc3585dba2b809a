//! Which addresses are connected to. Only [`Checks`] makes a [`Checked`] and a [`CheckedUrl`], and
//! nothing else gets to the connector.

use std::{
    collections::BTreeSet,
    error,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::Arc,
};

use fw_common::Prefix;
use parking_lot::RwLock;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::task::spawn_blocking;
use url::{Host, Url};

use super::address;
use crate::host::addresses;

/// What reqwest takes from a resolver.
pub type Error = Box<dyn error::Error + Send + Sync>;

/// The networks that may be reached although they are not global.
#[derive(Clone)]
pub struct Allowed {
    /// Where the configuration names them, in its `allow`.
    table: &'static str,
    prefixes: Arc<RwLock<Vec<Prefix>>>,
}

impl Allowed {
    /// These.
    pub fn new(table: &'static str, prefixes: Vec<Prefix>) -> Self {
        Self {
            table,
            prefixes: Arc::new(RwLock::new(prefixes)),
        }
    }

    /// Others from now on.
    pub fn set(&self, prefixes: Vec<Prefix>) {
        *self.prefixes.write() = prefixes;
    }

    fn any(&self, is_it: impl Fn(&Prefix) -> bool) -> bool {
        self.prefixes.read().iter().any(is_it)
    }
}

/// An address that may be connected to.
struct Checked(IpAddr);

/// Why an address is not connected to.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// It is not global.
    #[error("{address} is {what}, and `allow` of `[{table}]` does not name it")]
    Special {
        /// Which.
        address: IpAddr,
        /// What it is.
        what: &'static str,
        /// Where it would be named.
        table: &'static str,
    },
    /// The scheme is `http`.
    #[error("http is only for networks that `allow` of `[{0}]` names")]
    Unencrypted(&'static str),
}

/// What is looked at before a connection is made.
#[derive(Clone)]
pub struct Checks {
    /// What may be reached although it is not global.
    pub allowed: Allowed,
    /// Whether the scheme is `https`.
    pub encrypted: bool,
}

impl Checks {
    /// An address of this machine is inside too: what listens there expects packets through the
    /// filter, and not from the daemon.
    fn check(&self, address: IpAddr, own: &BTreeSet<IpAddr>) -> Result<Checked, Refused> {
        let address = address.to_canonical();
        if self.allowed.any(|prefix| prefix.contains(address)) {
            return Ok(Checked(address));
        }
        let own = || own.contains(&address).then_some("this machine");
        let table = self.allowed.table;
        match address::special(address).or_else(own) {
            Some(what) => Err(Refused::Special {
                address,
                what,
                table,
            }),
            None if !self.encrypted => Err(Refused::Unencrypted(table)),
            None => Ok(Checked(address)),
        }
    }

    /// Those of the addresses that may be connected to; an error if there are none.
    fn check_all(&self, addresses: impl Iterator<Item = IpAddr>) -> Result<Vec<Checked>, Error> {
        let own = addresses::own();
        if !own.problems.is_empty() {
            return Err(own.problems.join("; ").into());
        }
        let mut refused = None;
        let mut checked = Vec::new();
        for address in addresses {
            match self.check(address, &own.addresses) {
                Ok(address) => checked.push(address),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        match refused {
            Some(error) if checked.is_empty() => Err(error.into()),
            _ => Ok(checked),
        }
    }

    /// Whether a URL could ever be reached: a name may resolve to anything.
    ///
    /// # Errors
    /// Why not.
    pub async fn could_reach(&self, url: &Url) -> Result<(), Error> {
        if !self.encrypted && !self.allowed.any(|_| true) {
            return Err(Refused::Unencrypted(self.allowed.table).into());
        }
        self.check_url(url).await.map(drop)
    }

    /// Checks a URL whose host may be an address itself, for which no resolver is asked.
    ///
    /// # Errors
    /// It may not be connected to.
    pub async fn check_url(&self, url: &Url) -> Result<CheckedUrl, Error> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) | None => None,
        };
        if let Some(address) = address {
            let checks = self.clone();
            spawn_blocking(move || checks.check_all([address].into_iter())).await??;
        }
        Ok(CheckedUrl(url.clone()))
    }
}

/// A URL whose host is a name, or an address that may be connected to.
pub struct CheckedUrl(Url);

impl From<CheckedUrl> for Url {
    fn from(CheckedUrl(url): CheckedUrl) -> Self {
        url
    }
}

/// Resolves names to checked addresses.
pub struct Resolver(pub Checks);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let rules = self.0.clone();
        let look = move || {
            let found = (name.as_str(), 0).to_socket_addrs()?;
            rules.check_all(found.map(|address| address.ip()))
        };
        Box::pin(async {
            let checked = spawn_blocking(look).await??;
            // The connector puts the port in.
            let sockets = checked
                .into_iter()
                .map(|Checked(ip)| SocketAddr::new(ip, 0));
            Ok(Box::new(sockets) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks(allow: &[&str], encrypted: bool) -> Checks {
        let prefixes = allow.iter().map(|text| text.parse().expect("a prefix"));
        Checks {
            allowed: Allowed::new("webhooks", prefixes.collect()),
            encrypted,
        }
    }

    fn checked(checks: &Checks, address: &str) -> Result<IpAddr, String> {
        let own = ["203.0.112.1".parse().expect("an address")].into();
        let address = address.parse().expect("an address");
        let checked = checks.check(address, &own).map(|Checked(address)| address);
        checked.map_err(|error| error.to_string())
    }

    #[test]
    fn only_global_addresses_of_others_are_let_out_and_what_is_allowed() {
        let strict = checks(&[], true);
        for good in ["8.8.8.8", "2606:4700::1", "64:ff9b::808:808"] {
            assert_eq!(
                checked(&strict, good),
                Ok(good.parse().expect("an address"))
            );
        }
        for (bad, reason) in [
            ("127.0.0.1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("64:ff9b::7f00:1", "loopback"),
            ("169.254.169.254", "link-local"),
            ("10.0.0.5", "private"),
            ("203.0.112.1", "this machine"),
            ("::ffff:203.0.112.1", "this machine"),
        ] {
            let error = checked(&strict, bad).expect_err(bad);
            assert!(error.contains(reason), "{bad}: {error}");
        }
        let open = checks(&["10.0.0.5/32", "127.0.0.0/8"], true);
        for good in ["10.0.0.5", "127.0.0.1", "8.8.8.8"] {
            assert_eq!(checked(&open, good), Ok(good.parse().expect("an address")));
        }
        // The mapped form is the address itself, and is connected to as such.
        let mapped = checked(&open, "::ffff:10.0.0.5");
        assert_eq!(mapped, Ok("10.0.0.5".parse().expect("an address")));
        checked(&open, "10.0.0.6").expect_err("not named");
    }

    #[test]
    fn http_is_for_what_is_allowed_alone() {
        let open = checks(&["10.0.0.5/32"], false);
        checked(&open, "10.0.0.5").expect("named");
        for bad in ["8.8.8.8", "10.0.0.6", "2606:4700::1"] {
            checked(&open, bad).expect_err(bad);
        }
    }

    #[tokio::test]
    async fn an_address_is_read_however_it_is_written() {
        let could_reach = async |allow: &[&str], text: &str| {
            let url = Url::parse(text).expect(text);
            checks(allow, url.scheme() == "https")
                .could_reach(&url)
                .await
        };
        for bad in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f.1:8443/",
            "https://2130706433/",
            "https://017700000001/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[64:ff9b::7f00:1]/",
            "https://169.254.169.254/latest/meta-data",
            "https://0/",
            "https://１２７.0.0.1/",
            "http://8.8.8.8/",
            "http://example.com/",
        ] {
            could_reach(&[], bad).await.expect_err(bad);
        }
        for good in [
            "https://8.8.8.8/",
            "https://example.com/",
            "https://localhost/",
        ] {
            could_reach(&[], good).await.expect(good);
        }
        for good in ["http://127.0.0.1/", "http://example.com/"] {
            could_reach(&["127.0.0.0/8"], good).await.expect(good);
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_leads_nowhere() {
        let resolver = Resolver(checks(&[], true));
        let resolved = resolver.resolve("localhost".parse().expect("a name")).await;
        let error = resolved.err().expect("refused").to_string();
        assert!(error.contains("is loopback"), "{error}");
        let resolver = Resolver(checks(&["127.0.0.0/8", "::1/128"], false));
        let resolved = resolver.resolve("localhost".parse().expect("a name")).await;
        assert!(resolved.is_ok_and(|mut found| found.all(|found| found.ip().is_loopback())));
    }
}
