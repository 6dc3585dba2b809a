//! What the API says of itself: OpenAPI 3.1, from the types that go over the wire.

use std::sync::Arc;

use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

/// What no endpoint says of itself.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "fw-ctl",
        description = "Blocks addresses in XDP and keeps the policy. Over the Unix socket without a \
                       token; over TCP with one. Times are RFC 3339 in UTC, `null` means never."
    ),
    modifiers(&Bearer),
    security(("token" = [])),
    tags(
        (name = "lists", description = "Blocked and allowed prefixes"),
        (name = "guard", description = "Who can never be dropped"),
        (name = "rules", description = "Ports, rates and hours of new connections"),
        (name = "policy", description = "The policy as a whole"),
        (name = "verdict", description = "What becomes of a packet"),
        (name = "scan", description = "The scan detector"),
        (name = "state", description = "How all is, and what happens"),
        (name = "host", description = "Only over the Unix socket")
    )
)]
struct Document;

/// Tokens of `fw-ctl token add`.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// A document without endpoints.
pub fn document() -> openapi::OpenApi {
    Document::openapi()
}

/// As it is served, and kept in `dist/openapi.json`.
pub fn text(document: &openapi::OpenApi) -> Arc<str> {
    // A document of plain data: there is nothing that JSON cannot say.
    let text = document.to_pretty_json().unwrap_or_default();
    (text + "\n").into()
}

#[cfg(test)]
mod tests {
    use std::{env, fs, path::Path};

    use super::*;
    use crate::{api::routes, daemon::revision::Revision};

    /// Set, it is written anew.
    const WRITE: &str = "FW_WRITE_OPENAPI";

    #[test]
    fn the_document_in_the_tree_is_what_the_endpoints_say() {
        let said = text(routes::described(Revision::new(0)).get_openapi());
        let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/openapi.json");
        if env::var_os(WRITE).is_some() {
            fs::write(&kept, &*said).expect("it can be written");
        }
        let kept = fs::read_to_string(kept).unwrap_or_default();
        assert!(
            kept == *said,
            "the API has changed: `{WRITE}=1 cargo test -p fw-ctl --lib openapi` writes dist/openapi.json anew"
        );
    }
}
