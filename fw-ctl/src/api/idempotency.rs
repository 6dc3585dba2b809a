//! `Idempotency-Key`: a change that is sent again with the same key is not made again, but answered as
//! it was (draft-ietf-httpapi-idempotency-key-header).

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderValue, Response as Answer, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};

use super::{
    access::Caller,
    body,
    wire::{Code, ProblemBody},
};

/// Keys that are remembered: the oldest are forgotten. A start forgets all of them.
const KEPT: usize = 1024;

/// Bytes of a request with a key, and of an answer that is remembered.
const MAX_BYTES: usize = 1 << 20;

/// Characters of a key.
const MAX_KEY: usize = 255;

/// Who sent which key.
type Name = (String, String);

/// The answers that were given.
#[derive(Clone, Default)]
pub struct Keys(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    answers: HashMap<Name, Told>,
    order: VecDeque<Name>,
}

/// What became of a request.
#[derive(Clone)]
struct Told {
    /// Of the request.
    hash: [u8; 32],
    state: Progress,
}

/// How far it is.
#[derive(Clone)]
enum Progress {
    /// It is worked on.
    Working,
    /// It was answered so.
    Answered(StatusCode, Option<HeaderValue>, Bytes),
    /// It was answered once and for all.
    Secret,
}

/// In an answer: it is told once, and not kept.
#[derive(Clone, Copy, Debug)]
pub struct Secret;

impl Kept {
    /// What is known of this key; if nothing is, it is taken.
    fn take(&mut self, name: &Name, hash: [u8; 32]) -> Option<Told> {
        if let Some(told) = self.answers.get(name) {
            return Some(told.clone());
        }
        if self.order.len() == KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
        self.order.push_back(name.clone());
        let state = Progress::Working;
        self.answers.insert(name.clone(), Told { hash, state });
        None
    }

    fn forget(&mut self, name: &Name) {
        self.answers.remove(name);
        self.order.retain(|kept| kept != name);
    }
}

/// Answers a request whose key is known as it was answered before.
pub async fn once(State(keys): State<Keys>, request: Request, next: Next) -> Response {
    let Some(key) = request.headers().get("idempotency-key").cloned() else {
        return next.run(request).await;
    };
    if request.method().is_safe() {
        return next.run(request).await;
    }
    keyed(keys, key, request, next)
        .await
        .unwrap_or_else(|problem| problem.into_response())
}

async fn keyed(
    keys: Keys,
    key: HeaderValue,
    request: Request,
    next: Next,
) -> Result<Response, ProblemBody> {
    let key = key
        .to_str()
        .ok()
        .filter(|key| (1..=MAX_KEY).contains(&key.len()));
    let Some(key) = key.map(str::to_owned) else {
        let message = format!("the Idempotency-Key must be 1 to {MAX_KEY} printable characters");
        return Err(ProblemBody::new(Code::BadInput, message));
    };
    let (parts, body) = request.into_parts();
    let caller = parts.extensions.get::<Caller>();
    let name = (
        caller.map_or_else(String::new, |caller| caller.name.clone()),
        key,
    );
    let body = body::up_to(MAX_BYTES, body).await;
    let body = body.map_err(|problem| match problem.code {
        Code::TooLarge => {
            let mib = MAX_BYTES >> 20;
            let message = format!("with an Idempotency-Key a body has at most {mib} MiB");
            ProblemBody::new(Code::TooLarge, message)
        }
        _ => problem,
    })?;
    let mut hash = Sha256::new();
    hash.update(parts.method.as_str());
    hash.update(parts.uri.to_string());
    // A condition or a type that was corrected makes it another request.
    for name in [header::IF_MATCH, header::CONTENT_TYPE] {
        let value = parts.headers.get(&name).map(HeaderValue::as_bytes);
        hash.update(value.unwrap_or_default());
        hash.update([0]);
    }
    hash.update(&body);
    let hash: [u8; 32] = hash.finalize().into();
    if let Some(told) = keys.0.lock().take(&name, hash) {
        return again(told, hash);
    }
    // Whoever gives up waiting leaves no key behind that is never answered.
    let mut taken = Taken {
        keys,
        name: Some(name),
    };
    let answer = next.run(Request::from_parts(parts, Body::from(body))).await;
    taken.answered(answer, hash).await
}

/// What the same request was told, unless it is another one, or still worked on.
fn again(told: Told, hash: [u8; 32]) -> Result<Response, ProblemBody> {
    let conflict = |message: &str| Err(ProblemBody::new(Code::Conflict, message));
    if told.hash != hash {
        return conflict("this Idempotency-Key was used for another request");
    }
    let (status, kind, body) = match told.state {
        Progress::Answered(status, kind, body) => (status, kind, body),
        Progress::Working => {
            return conflict("the request with this Idempotency-Key is still worked on");
        }
        Progress::Secret => {
            return conflict(
                "the request with this Idempotency-Key was done, and its answer had a secret that is told once",
            );
        }
    };
    let mut answer = Answer::new(Body::from(body));
    *answer.status_mut() = status;
    if let Some(kind) = kind {
        answer.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    answer
        .headers_mut()
        .insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(answer)
}

/// A key that is taken until it is answered.
struct Taken {
    keys: Keys,
    name: Option<Name>,
}

impl Taken {
    /// Remembers the answer. What the daemon could not do may be tried again.
    async fn answered(
        &mut self,
        answer: Response,
        hash: [u8; 32],
    ) -> Result<Response, ProblemBody> {
        if answer.status().is_server_error() {
            return Ok(answer);
        }
        if answer.extensions().get::<Secret>().is_some() {
            self.remember(hash, Progress::Secret);
            return Ok(answer);
        }
        let (parts, body) = answer.into_parts();
        let body = to_bytes(body, MAX_BYTES)
            .await
            .map_err(|error| ProblemBody::new(Code::Internal, format!("the answer: {error}")))?;
        let kind = parts.headers.get(header::CONTENT_TYPE).cloned();
        let answered = Progress::Answered(parts.status, kind, body.clone());
        self.remember(hash, answered);
        Ok(Response::from_parts(parts, Body::from(body)))
    }

    fn remember(&mut self, hash: [u8; 32], state: Progress) {
        if let Some(name) = self.name.take() {
            let mut kept = self.keys.0.lock();
            kept.answers.insert(name, Told { hash, state });
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            self.keys.0.lock().forget(name);
        }
    }
}

#[cfg(test)]
mod tests;
