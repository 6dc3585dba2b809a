//! The dashboard: a page of plain files that come with the program. It is a client of the API like
//! any other, so the files themselves are no secret and ask for no token.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::wire::{Code, ProblemBody};

/// The page may run its own scripts and talk to its own daemon, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    // A browser asks each time, and is told that nothing has changed.
    (header::CACHE_CONTROL, "no-cache"),
];

/// Name and content of a file.
type Asset = (&'static str, &'static str);

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../assets/dashboard/", $name)))),*]
    };
}

const PAGE: &str = "index.html";

const ASSETS: [Asset; 19] = assets![
    "index.html",
    "style.css",
    "parts.css",
    "icon.svg",
    "answer.js",
    "api.js",
    "change.js",
    "chart.js",
    "dom.js",
    "entries.js",
    "events.js",
    "feed.js",
    "format.js",
    "host.js",
    "main.js",
    "poll.js",
    "scans.js",
    "sentence.js",
    "traffic.js",
];

/// `/` and what the page loads.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let named = |Path(name): Path<String>, headers: HeaderMap| async move { file(&name, &headers) };
    Router::new()
        .route("/", get(async |headers: HeaderMap| file(PAGE, &headers)))
        .route("/dashboard/{name}", get(named))
}

fn file(name: &str, asked: &HeaderMap) -> Response {
    let Some((name, text)) = ASSETS.into_iter().find(|(known, _)| *known == name) else {
        return ProblemBody::new(Code::NotFound, "the dashboard has no such file").into_response();
    };
    let tag = tag(text);
    let known = asked.get(header::IF_NONE_MATCH);
    let mut response = match known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => ([(header::CONTENT_TYPE, kind(name))], text).into_response(),
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

/// Another text has another tag.
fn tag(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/html; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    fn text(name: &str) -> &'static str {
        let mut named = ASSETS.into_iter().filter(|(known, _)| *known == name);
        named.next().expect(name).1
    }

    #[test]
    fn every_file_of_the_folder_is_served_with_the_headers_of_the_page() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/dashboard");
        let files = fs::read_dir(folder).expect("the folder is there");
        let files = files.map(|file| {
            file.expect("a file")
                .file_name()
                .into_string()
                .expect("UTF-8")
        });
        let files: BTreeSet<String> = files.collect();
        let served: BTreeSet<String> = ASSETS.map(|(name, _)| name.to_owned()).into();
        assert_eq!(files, served);
        for (name, _) in ASSETS {
            let response = file(name, &HeaderMap::new());
            assert_eq!(response.status(), StatusCode::OK, "{name}");
            for (header, value) in HEADERS {
                assert_eq!(response.headers()[&header], value, "{name}");
            }
        }
    }

    #[test]
    fn what_the_browser_has_is_not_sent_again_and_what_is_not_there_is_not_found() {
        let tag = file("main.js", &HeaderMap::new()).headers()[header::ETAG].clone();
        let asked =
            |tag: &HeaderValue| HeaderMap::from_iter([(header::IF_NONE_MATCH, tag.clone())]);
        assert_eq!(
            file("main.js", &asked(&tag)).status(),
            StatusCode::NOT_MODIFIED
        );
        assert_eq!(file("dom.js", &asked(&tag)).status(), StatusCode::OK);
        for name in ["../main.js", "main", "", "fw-ctl.toml"] {
            assert_eq!(
                file(name, &HeaderMap::new()).status(),
                StatusCode::NOT_FOUND
            );
        }
    }

    #[test]
    fn page_has_nothing_inline_and_nothing_from_elsewhere() {
        for (name, text) in ASSETS {
            let outside = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!outside.contains("://"), "{name}");
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!text.contains(forbidden), "{name}: {forbidden}");
            }
        }
        let page = text(PAGE);
        for forbidden in [" style=", " onclick=", "<style", "<script>"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn every_module_that_is_imported_is_there() {
        for (name, text) in ASSETS.into_iter().filter(|(name, _)| name.ends_with(".js")) {
            for import in text.split(" from \"./").skip(1) {
                let import = import.split('"').next().expect("a name");
                assert!(
                    ASSETS.iter().any(|(known, _)| *known == import),
                    "{name}: {import}"
                );
            }
        }
    }
}
