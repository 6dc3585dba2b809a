//! Answers and failures as HTTP.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;

use super::wire::{Changed, Code, Problem, ProblemBody};

/// What a handler returns.
pub type Reply<T> = Result<Json<T>, ProblemBody>;

impl IntoResponse for ProblemBody {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, Json(Problem { error: self })).into_response()
    }
}

/// 201 when something was added or changed, 200 when all was there already.
pub fn put(changed: Result<Changed, ProblemBody>) -> Response {
    match changed {
        Ok(changed) => {
            let status = match changed.added + changed.updated {
                0 => StatusCode::OK,
                _ => StatusCode::CREATED,
            };
            (status, Json(changed)).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// A body in JSON; anything else is refused in our own words.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ProblemBody;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()?.split(';').next());
        if kind.is_none_or(|kind| !kind.trim().eq_ignore_ascii_case("application/json")) {
            let message = "the body must be application/json";
            return Err(ProblemBody::new(Code::BadInput, message));
        }
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                let code = match rejection {
                    BytesRejection::FailedToBufferBody(_) => Code::TooLarge,
                    _ => Code::BadInput,
                };
                ProblemBody::new(code, rejection.body_text())
            })?;
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| ProblemBody::new(Code::BadInput, format!("the body: {error}")))
    }
}
