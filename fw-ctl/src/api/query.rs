//! What stands in a request's address. Anything else than what an endpoint takes is refused, so that
//! nobody believes in a filter that is none.

use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
    sync::Arc,
};

use anyhow::Chain;
use axum::{
    extract::{FromRequestParts, MatchedPath, Path, Query, Request, State},
    http::{Method, request::Parts},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde::de::DeserializeOwned;
use url::form_urlencoded;
use utoipa::openapi::{OpenApi, PathItem, RefOr, path::ParameterIn};

use super::wire::{Code, ProblemBody};

/// What stands behind the `?`.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = ProblemBody;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemBody> {
        let query = Query::from_request_parts(parts, state).await;
        query
            .map(|Query(asked)| Self(asked))
            .map_err(|rejection| unread("the query", &rejection))
    }
}

/// What stands in a path where a name does.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = ProblemBody;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemBody> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value))
            .map_err(|rejection| unread("the path", &rejection))
    }
}

/// The innermost cause says what it was; the others only say that it failed.
fn unread(what: &str, rejection: &(dyn Error + 'static)) -> ProblemBody {
    let cause = Chain::new(rejection).next_back();
    let cause = cause.map(ToString::to_string).unwrap_or_default();
    ProblemBody::new(Code::BadInput, format!("{what}: {cause}"))
}

/// The parameters that endpoints take, by method and path.
#[derive(Clone)]
pub struct Known(Arc<HashMap<(Method, String), BTreeSet<String>>>);

impl Known {
    /// As the API says of itself.
    pub fn of(document: &OpenApi) -> Self {
        let paths = document.paths.paths.iter();
        let endpoints = paths.flat_map(|(path, item)| {
            let of = |(method, names)| ((method, path.clone()), names);
            parameters(item).map(of)
        });
        Self(Arc::new(endpoints.collect()))
    }

    /// The first parameter that this endpoint does not take.
    fn stranger(&self, method: &Method, path: &str, query: &str) -> Option<ProblemBody> {
        let method = match *method {
            Method::HEAD => Method::GET,
            _ => method.clone(),
        };
        let known = self.0.get(&(method, path.to_owned()))?;
        let mut asked = form_urlencoded::parse(query.as_bytes());
        let (name, _) = asked.find(|(name, _)| !known.contains(&**name))?;
        let name: String = name.chars().take(64).collect();
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        let hint = match names.is_empty() {
            true => "it takes none".to_owned(),
            false => format!("it takes {}", names.join(", ")),
        };
        let message = format!("this endpoint takes no parameter {name:?}");
        Some(ProblemBody::new(Code::BadInput, message).with_hint(hint))
    }
}

/// What each method of a path takes.
fn parameters(item: &PathItem) -> impl Iterator<Item = (Method, BTreeSet<String>)> {
    let operations = [
        (Method::GET, &item.get),
        (Method::PUT, &item.put),
        (Method::POST, &item.post),
        (Method::PATCH, &item.patch),
        (Method::DELETE, &item.delete),
    ];
    operations.into_iter().filter_map(|(method, operation)| {
        let parameters = operation.as_ref()?.parameters.iter().flatten();
        let names = parameters.filter_map(|parameter| match parameter {
            RefOr::T(of) if of.parameter_in == ParameterIn::Query => Some(of.name.clone()),
            _ => None,
        });
        Some((method, names.collect()))
    })
}

/// Refuses parameters that an endpoint does not take.
pub async fn known(State(known): State<Known>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>();
    let stranger = path
        .zip(request.uri().query())
        .and_then(|(path, query)| known.stranger(request.method(), path.as_str(), query));
    match stranger {
        Some(problem) => problem.into_response(),
        None => next.run(request).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::routes, daemon::revision::Revision};

    #[test]
    fn what_an_endpoint_does_not_take_is_named_with_what_it_takes() {
        let known = Known::of(routes::described(Revision::new(0)).get_openapi());
        let stranger = |method, path, query| {
            let problem = known.stranger(&method, path, query)?;
            Some((problem.message, problem.hint.unwrap_or_default()))
        };
        let takes_none = stranger(Method::GET, "/api/v1/rules", "kind=port").expect("refused");
        assert_eq!(takes_none.0, "this endpoint takes no parameter \"kind\"");
        assert_eq!(takes_none.1, "it takes none");
        let list = "/api/v1/lists/{name}";
        let (_, hint) = stranger(Method::GET, list, "limit=1&lst=x").expect("refused");
        assert_eq!(hint, "it takes after, contains, limit, list");
        for method in [Method::DELETE, Method::HEAD] {
            assert!(stranger(method, list, "limits=1").is_some());
        }
        for (method, path, query) in [
            (Method::GET, list, "limit=1&list=%C3%BC"),
            (Method::GET, list, ""),
            (Method::DELETE, "/api/v1/rules/{id}", "dry_run=true"),
            (Method::GET, "/metrics", "anything"),
        ] {
            assert_eq!(stranger(method, path, query), None, "{path}?{query}");
        }
    }
}
