//! Answers and failures as HTTP.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use super::wire::{Changed, Code, Problem, ProblemBody};

/// What a handler returns.
pub type Reply<T> = Result<Json<T>, ProblemBody>;

impl IntoResponse for ProblemBody {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = HeaderMap::new();
        if self.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(secs) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, secs.into());
        }
        (status, headers, Json(Problem { error: self })).into_response()
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
