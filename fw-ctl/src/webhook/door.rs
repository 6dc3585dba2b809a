//! Sending a message, through the only way out.

use std::time::Duration;

use fw_common::Prefix;
use jiff::Timestamp;
use reqwest::{
    Method, Response,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use url::Url;

use super::{body::Message, hook::Hook};
use crate::outbound::{self, Error, cause};

/// From the first packet to the end of the answer.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// As much of an answer is read, so that its sender is not cut off, and then forgotten.
const MAX_ANSWER: usize = 64 << 10;

/// Sends to receivers.
pub struct Door(outbound::Door);

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
        Self(outbound::Door::new("webhooks", allow))
    }

    /// Other networks from now on.
    pub fn allow(&self, prefixes: Vec<Prefix>) {
        self.0.allow(prefixes);
    }

    /// Whether this URL could ever be reached.
    ///
    /// # Errors
    /// Why not.
    pub async fn could_reach(&self, url: &Url) -> Result<(), Error> {
        self.0.could_reach(url).await
    }

    /// Sends a message, once.
    ///
    /// # Errors
    /// Why there is no answer. The text does not have the address.
    pub async fn post(&self, hook: &Hook, message: &Message, host: &str) -> Result<Answer, String> {
        let request = self.0.request(Method::POST, &hook.url, TIME_LIMIT).await?;
        let body = hook.format.write(message, host);
        let timestamp = Timestamp::now().as_second();
        let answer = request
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
            .map_err(|error| cause(&error, TIME_LIMIT))?;
        let retry_after = answer.headers().get(RETRY_AFTER);
        let told = Answer {
            status: answer.status().as_u16(),
            retry_after: retry_after.and_then(|value| value.to_str().ok().map(str::to_owned)),
        };
        read_some(answer).await;
        Ok(told)
    }
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
