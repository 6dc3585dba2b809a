//! Getting a feed from its URL: within its bounds of bytes and time, and never inside.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::{
    Method, Response, StatusCode,
    header::{
        ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
        RETRY_AFTER,
    },
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::Bounds;
use crate::outbound::{Door, asked_for, cause};

/// How often an answer may send us elsewhere.
const MAX_REDIRECTS: usize = 5;

/// Bytes of what a server calls its list.
const MAX_VALIDATOR: usize = 1024;

/// What a server calls the list it sent (RFC 9110, 8.8), to be asked whether there is another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validators {
    /// `ETag`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// `Last-Modified`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has nothing new.
    Unchanged,
    /// It has this.
    New(Fetched),
}

/// A list as it came.
#[derive(Debug, PartialEq, Eq)]
pub struct Fetched {
    /// All of it.
    pub text: Vec<u8>,
    /// What the server calls it.
    pub validators: Validators,
}

/// Why there is none.
#[derive(Debug, PartialEq, Eq)]
pub struct Trouble {
    /// For people. The address is not in it.
    pub why: String,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
}

impl From<String> for Trouble {
    fn from(why: String) -> Self {
        Self {
            why,
            retry_after: None,
        }
    }
}

/// Asks for a list, unless it is still the one that is had.
///
/// # Errors
/// Why there is none.
pub async fn fetch(
    door: &Door,
    url: &Url,
    had: Option<&Validators>,
    bounds: &Bounds,
) -> Result<Answer, Trouble> {
    let end = Instant::now() + bounds.time;
    // Without them nothing was asked that 304 would answer.
    let had = had.filter(|had| **had != Validators::default());
    let answer = follow(door, url.clone(), had, end, bounds).await?;
    match answer.status() {
        StatusCode::OK => {
            let validators = validators(answer.headers());
            let text = body(answer, bounds).await?;
            Ok(Answer::New(Fetched { text, validators }))
        }
        StatusCode::NOT_MODIFIED if had.is_some() => Ok(Answer::Unchanged),
        status => {
            let asked = text_of(answer.headers(), RETRY_AFTER);
            Err(Trouble {
                why: format!("the server answered {}", status.as_u16()),
                retry_after: asked.and_then(|text| asked_for(&text, Timestamp::now())),
            })
        }
    }
}

/// Follows redirects. Each place is checked as the first was, and what began encrypted stays so.
async fn follow(
    door: &Door,
    mut url: Url,
    had: Option<&Validators>,
    end: Instant,
    bounds: &Bounds,
) -> Result<Response, String> {
    for _ in 0..=MAX_REDIRECTS {
        let left = end.saturating_duration_since(Instant::now());
        let mut request = door.request(Method::GET, &url, left).await?;
        for (name, value) in had.into_iter().flat_map(conditions) {
            request = request.header(name, value);
        }
        let answer = request
            .send()
            .await
            .map_err(|error| cause(&error, bounds.time))?;
        let location = match answer.status().is_redirection() {
            true => text_of(answer.headers(), LOCATION),
            false => None,
        };
        let Some(location) = location else {
            return Ok(answer);
        };
        let next = url.join(&location);
        let next = next.map_err(|_| "the server sends us to what is no URL".to_owned())?;
        match (url.scheme(), next.scheme()) {
            ("https", "https") | ("http", "http" | "https") => url = next,
            _ => return Err("the server sends us to where nothing is encrypted".to_owned()),
        }
    }
    Err(format!(
        "the server sends us elsewhere more than {MAX_REDIRECTS} times"
    ))
}

fn conditions(had: &Validators) -> impl Iterator<Item = (HeaderName, &str)> {
    let etag = had.etag.as_deref().map(|etag| (IF_NONE_MATCH, etag));
    let date = had.last_modified.as_deref();
    etag.into_iter()
        .chain(date.map(|date| (IF_MODIFIED_SINCE, date)))
}

/// All of an answer, unless it is too much: then no more of it is held than may be.
async fn body(mut answer: Response, bounds: &Bounds) -> Result<Vec<u8>, String> {
    let too_large = || format!("it is larger than {} bytes", bounds.bytes);
    if answer
        .content_length()
        .is_some_and(|length| length > bounds.bytes as u64)
    {
        return Err(too_large());
    }
    let mut text = Vec::new();
    loop {
        let piece = answer.chunk().await;
        let piece = piece
            .map_err(|error| format!("the answer broke off: {}", cause(&error, bounds.time)))?;
        let Some(piece) = piece else {
            return Ok(text);
        };
        if text.len() + piece.len() > bounds.bytes {
            return Err(too_large());
        }
        text.extend_from_slice(&piece);
    }
}

fn validators(headers: &HeaderMap) -> Validators {
    Validators {
        etag: text_of(headers, ETAG),
        last_modified: text_of(headers, LAST_MODIFIED),
    }
}

/// A header that can be sent back, and that is not there to fill a disk.
fn text_of(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    (text.len() <= MAX_VALIDATOR).then(|| text.to_owned())
}
