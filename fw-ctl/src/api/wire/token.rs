//! Tokens of the API over TCP.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /tokens`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenPut {
    /// Whose it is, or what for: 1 to 64 letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// `read` or `write`.
    pub scope: String,
    /// Seconds to live; for ever by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
}

/// A token, without what opens the door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// As asked for.
    pub name: String,
    /// `read` or `write`.
    pub scope: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
}

/// The answer to `POST /tokens`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenMade {
    /// What is known of it later, too.
    #[serde(flatten)]
    pub shown: Token,
    /// The token itself, told this once.
    pub token: String,
}
