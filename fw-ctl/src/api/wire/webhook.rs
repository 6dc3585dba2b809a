//! Webhooks: `GET|POST /webhooks`, `DELETE /webhooks/{name}`, `POST /webhooks/{name}/test`.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Kinds;

/// A text that goes over the socket and into the database, and that nothing prints.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hidden")
    }
}

/// A webhook as it is asked for: `POST /webhooks`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookPut {
    /// Its name: letters, digits and `._-`.
    pub name: String,
    /// Where it is sent. A path may be a secret, as Slack's is.
    pub url: Hidden,
    /// How it is written.
    #[serde(default)]
    pub format: WebhookFormat,
    /// Of format `template`: JSON with placeholders such as `{{prefix}}` in its texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What is sent; all but `drop` by default, which is never sent.
    #[serde(default)]
    #[schema(value_type = String)]
    pub events: Kinds,
    /// Entries of these lists only; of every list by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<String>,
    /// Blocks of so many seconds at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ttl_s: Option<u64>,
    /// What signs it: `whsec_` and 24 to 64 bytes in base64; made by the daemon by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Hidden>,
}

/// How a webhook is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WebhookFormat {
    /// Events as `GET /events` has them, up to a hundred at once.
    #[default]
    FwCtl,
    /// `{"text": ...}`, one line an event: Slack, Mattermost, Rocket.Chat.
    Slack,
    /// A template, one event at a time.
    Template,
}

impl WebhookFormat {
    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::FwCtl => "fw-ctl",
            Self::Slack => "slack",
            Self::Template => "template",
        }
    }
}

impl FromStr for WebhookFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = [Self::FwCtl, Self::Slack, Self::Template].into_iter();
        let found = all.find(|format| format.name() == text);
        found.ok_or_else(|| "a format is one of fw-ctl, slack, template".to_owned())
    }
}

/// A webhook that is there: `GET /webhooks`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Its name.
    pub name: String,
    /// Scheme and host; what follows may be a secret and is `...`.
    pub url: String,
    /// How it is written.
    pub format: WebhookFormat,
    /// What is sent.
    #[schema(value_type = String)]
    pub events: Kinds,
    /// Of these lists only; empty for every list.
    pub lists: Vec<String>,
    /// Blocks of so many seconds at least.
    pub min_ttl_s: Option<u64>,
    /// When it was added.
    pub created_at: Timestamp,
    /// Events that wait.
    pub queued: u64,
    /// Seconds that the first of them has waited.
    pub oldest_s: Option<u64>,
    /// Events that the receiver took.
    pub delivered: u64,
    /// Events that it refused, or did not take within a day.
    pub failed: u64,
    /// Events that had to go because too many waited.
    pub dropped: u64,
    /// When it was last tried.
    pub tried_at: Option<Timestamp>,
    /// The status of the last answer.
    pub status: Option<u16>,
    /// What is wrong; `null` when the last try went well.
    pub problem: Option<String>,
}

/// `POST /webhooks`, answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookAdded {
    /// The webhook.
    pub webhook: Webhook,
    /// Whether it is new.
    pub changed: bool,
    /// The secret that was made for it. It is never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Hidden>,
}

/// `POST /webhooks/{name}/test`, answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookTested {
    /// Whether the receiver took it.
    pub delivered: bool,
    /// The status of its answer; `null` without one.
    pub status: Option<u16>,
    /// Milliseconds until the answer.
    pub time_ms: u64,
    /// Why it was not delivered.
    pub problem: Option<String>,
}
