//! Answers that are no success.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Refused;

/// Body of every answer that is no success.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What went wrong.
    pub error: ProblemBody,
}

/// What went wrong. As an error it keeps its code on the way up through `anyhow`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error, ToSchema)]
#[error("{message}")]
pub struct ProblemBody {
    /// For programs.
    pub code: Code,
    /// For people.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Seconds after which it may be tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// Each refused item of a change of several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
}

impl ProblemBody {
    /// Without a hint and without refused items.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            retry_after_s: None,
            refused: Vec::new(),
        }
    }

    /// Whether the state directory is what failed.
    pub fn is_of_the_store(&self) -> bool {
        matches!(self.code, Code::Full | Code::Store)
    }

    /// With something said before it.
    pub fn prefixed(self, text: &str) -> Self {
        Self {
            message: format!("{text}{}", self.message),
            ..self
        }
    }

    /// With what to do about it.
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// Kinds of failure: each has one HTTP status and one exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// Not understood: 400, exit 2.
    BadInput,
    /// Not there: 404, exit 2.
    NotFound,
    /// The daemon does not run: exit 3.
    NotRunning,
    /// Without a token, or with one that is none: 401, exit 4.
    Unauthorized,
    /// 403, exit 4.
    Permission,
    /// Nothing that this endpoint knows: 405, exit 2.
    NotAllowed,
    /// The request took too long to come: 408, exit 1.
    Timeout,
    /// Would cut a guarded address: 422, exit 5.
    GuardRefused,
    /// Done in part, because of `keep_going`: exit 6.
    Partly,
    /// A table, or the disk, is full: 507, exit 7.
    Full,
    /// Kernel or driver refused: 503, exit 8.
    Kernel,
    /// Not confirmed in time, taken back: 409, exit 9.
    NotConfirmed,
    /// There already, with `strict`, or the policy is another by now: 409, exit 10.
    Conflict,
    /// `If-Match` names a policy that is not in force any more: 412, exit 10.
    Stale,
    /// Larger than what is taken in one request: 413, exit 2.
    TooLarge,
    /// Too many requests: 429, exit 1.
    TooMany,
    /// Somebody elsewhere did not answer as it should: 502, exit 1.
    Upstream,
    /// The state directory failed: 500, exit 1.
    Store,
    /// Anything else: 500, exit 1.
    Internal,
}

impl Code {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadInput => 400,
            Self::Unauthorized => 401,
            Self::Permission => 403,
            Self::NotFound => 404,
            Self::NotAllowed => 405,
            Self::Timeout => 408,
            Self::Conflict | Self::NotConfirmed => 409,
            Self::Stale => 412,
            Self::TooLarge => 413,
            Self::GuardRefused => 422,
            Self::TooMany => 429,
            Self::Upstream => 502,
            Self::Kernel | Self::NotRunning => 503,
            Self::Full => 507,
            Self::Partly | Self::Store | Self::Internal => 500,
        }
    }

    /// The exit code of the command line.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Upstream | Self::Store | Self::Internal | Self::Timeout | Self::TooMany => 1,
            Self::BadInput | Self::NotFound | Self::NotAllowed | Self::TooLarge => 2,
            Self::NotRunning => 3,
            Self::Unauthorized | Self::Permission => 4,
            Self::GuardRefused => 5,
            Self::Partly => 6,
            Self::Full => 7,
            Self::Kernel => 8,
            Self::NotConfirmed => 9,
            Self::Conflict | Self::Stale => 10,
        }
    }
}
