//! The only way out for requests of our own: a name is resolved once for each request, every address
//! is checked, and only those that were checked are connected to. No redirect is followed by itself,
//! no proxy asked.
//!
//! - [`address`]: which addresses are global (pure)
//! - [`checked`]: which are connected to

pub mod address;
mod checked;

use std::{
    error::Error as _,
    io::{self, ErrorKind},
    time::Duration,
};

use fw_common::Prefix;
use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{Client, Method, RequestBuilder, redirect, retry};
use tokio::sync::OnceCell;
use tokio_rustls::rustls::crypto::ring::default_provider;
use url::Url;

pub use self::checked::Error;
use self::checked::{Allowed, Checks, Resolver};

/// For a connection, greetings included.
const CONNECT: Duration = Duration::from_secs(10);

/// Bytes of an address at most.
const MAX_URL: usize = 2048;

/// Reads an address.
///
/// # Errors
/// Why it is none, without repeating it.
pub fn url(text: &str) -> Result<Url, String> {
    if text.len() > MAX_URL {
        return Err("is too long".to_owned());
    }
    let url = Url::parse(text).map_err(|error| format!("is no URL: {error}"))?;
    match url.scheme() {
        "https" | "http" => Ok(url),
        _ => Err("is neither https nor http".to_owned()),
    }
}

/// Scheme, host and port of an address. What follows may be a secret.
pub fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}"));
    format!("{}://{host}{}/...", url.scheme(), port.unwrap_or_default())
}

/// How long a header `Retry-After` asks for.
/// It has seconds, or a date (RFC 9110, 10.2.3).
pub fn asked_for(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(text.trim()).ok()?.timestamp();
    // One that has passed asks for nothing.
    Duration::try_from(date.duration_since(now)).ok()
}

/// Makes requests.
pub struct Door {
    allowed: Allowed,
    /// Made at the first use: certificates of the host may not be there yet.
    https: OnceCell<Client>,
    http: OnceCell<Client>,
}

impl Door {
    /// With the networks that may be reached although they are not global, as `allow` of this table
    /// of the configuration names them.
    pub fn new(table: &'static str, allow: Vec<Prefix>) -> Self {
        // Somebody else's choice is as good.
        let _chosen = default_provider().install_default();
        Self {
            allowed: Allowed::new(table, allow),
            https: OnceCell::new(),
            http: OnceCell::new(),
        }
    }

    /// Other networks from now on.
    pub fn allow(&self, prefixes: Vec<Prefix>) {
        self.allowed.set(prefixes);
    }

    /// Whether this URL could ever be reached.
    ///
    /// # Errors
    /// Why not.
    pub async fn could_reach(&self, url: &Url) -> Result<(), Error> {
        self.checks(url).could_reach(url).await
    }

    /// A request to a checked address, which is to be answered whole within this time.
    ///
    /// # Errors
    /// Why nothing may be sent there.
    pub async fn request(
        &self,
        method: Method,
        url: &Url,
        time_limit: Duration,
    ) -> Result<RequestBuilder, String> {
        let checks = self.checks(url);
        let url = checks.check_url(url).await;
        let url = url.map_err(|error| error.to_string())?;
        let client = match checks.encrypted {
            true => &self.https,
            false => &self.http,
        };
        let client = client.get_or_try_init(async || client_of(checks)).await;
        let client = client.map_err(|error| cause(&error, time_limit))?;
        Ok(client.request(method, Url::from(url)).timeout(time_limit))
    }

    fn checks(&self, url: &Url) -> Checks {
        Checks {
            allowed: self.allowed.clone(),
            encrypted: url.scheme() == "https",
        }
    }
}

fn client_of(checks: Checks) -> reqwest::Result<Client> {
    let client = Client::builder()
        .user_agent(concat!("fw-ctl/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .no_proxy()
        // A connection is of one request: the next one looks and checks again.
        .pool_max_idle_per_host(0);
    match checks.encrypted {
        true => client.https_only(true),
        false => client.tls_certs_only([]),
    }
    .dns_resolver(Resolver(checks))
    .build()
}

/// The innermost reason, which is the one worth telling. The address is in the outermost.
pub fn cause(error: &reqwest::Error, time_limit: Duration) -> String {
    if error.is_timeout() {
        let limit = match error.is_connect() {
            true => CONNECT.min(time_limit),
            false => time_limit,
        };
        return format!("no answer within {} s", limit.as_secs());
    }
    let mut text = "the request failed".to_owned();
    let mut source = error.source();
    while let Some(error) = source {
        let cut = error.downcast_ref::<io::Error>();
        if cut.is_some_and(|cut| cut.kind() == ErrorKind::UnexpectedEof) {
            return "the connection was cut".to_owned();
        }
        text = error.to_string();
        source = error.source();
    }
    text
}
