//! The only way out: a name is resolved once for each request, every address is checked, and only
//! those that were checked are connected to. No redirect is followed, no proxy asked.
//!
//! - [`checked`]: which those are

mod checked;

use std::{error::Error as _, time::Duration};

use fw_common::Prefix;
use jiff::Timestamp;
use reqwest::{
    Client, Response,
    header::{CONTENT_TYPE, RETRY_AFTER},
    redirect, retry,
};
use tokio::sync::OnceCell;
use tokio_rustls::rustls::crypto::ring::default_provider;
use url::Url;

use self::checked::{Allowed, Checks, Error, Resolver};
use super::{body::Message, hook::Hook};

/// From the first packet to the end of the answer.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);

/// As much of an answer is read, so that its sender is not cut off, and then forgotten.
const MAX_ANSWER: usize = 64 << 10;

/// Sends to receivers.
pub struct Door {
    allowed: Allowed,
    /// Made at the first use: certificates of the host may not be there yet.
    https: OnceCell<Client>,
    http: OnceCell<Client>,
}

/// What a receiver said.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// When it wants to be asked again.
    pub retry_after: Option<String>,
}

impl Door {
    /// With the networks that may be reached although they are not global.
    pub fn new(allow: Vec<Prefix>) -> Self {
        // Somebody else's choice is as good.
        let _chosen = default_provider().install_default();
        Self {
            allowed: Allowed::new(allow),
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

    /// Sends a message, once.
    ///
    /// # Errors
    /// Why there is no answer. The text does not have the address.
    pub async fn post(&self, hook: &Hook, message: &Message, host: &str) -> Result<Answer, String> {
        let checks = self.checks(&hook.url);
        let url = checks.check_url(&hook.url).await;
        let url = url.map_err(|error| error.to_string())?;
        let client = match checks.encrypted {
            true => &self.https,
            false => &self.http,
        };
        let client = client.get_or_try_init(async || client_of(checks)).await;
        let client = client.map_err(|error| cause(&error))?;

        let body = hook.format.write(message, host);
        let timestamp = Timestamp::now().as_second();
        let answer = client
            .post(Url::from(url))
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", timestamp)
            .header(
                "webhook-signature",
                hook.key.sign(&message.id, timestamp, &body),
            )
            .body(body)
            .send()
            .await
            .map_err(|error| cause(&error))?;
        let retry_after = answer.headers().get(RETRY_AFTER);
        let told = Answer {
            status: answer.status().as_u16(),
            retry_after: retry_after.and_then(|value| value.to_str().ok().map(str::to_owned)),
        };
        read_some(answer).await;
        Ok(told)
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
        .timeout(TIME_LIMIT)
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

/// The status is known by then, and says all.
async fn read_some(mut answer: Response) {
    let mut left = MAX_ANSWER;
    while let Ok(Some(piece)) = answer.chunk().await {
        left = left.saturating_sub(piece.len());
        if left == 0 {
            return;
        }
    }
}

/// The innermost reason, which is the one worth telling. The address is in the outermost.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", TIME_LIMIT.as_secs());
    }
    let mut text = "the request failed".to_owned();
    let mut source = error.source();
    while let Some(error) = source {
        text = error.to_string();
        source = error.source();
    }
    text
}
