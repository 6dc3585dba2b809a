//! The API over TCP: who may use it, and what becomes of those who may not.

mod access;
mod documents;
mod hostile;
mod revisions;
mod tls;
mod tokens;

use std::fs;

use fw_tests::lab::{
    Lab,
    daemon::Daemon,
    http::{API, Ask},
};
use serde_json::json;

/// The API on the server's loopback.
fn listening(lab: &Lab) -> Daemon<'_> {
    fs::write(lab.config(), format!("[api]\nlisten = \"{API}\"\n")).expect("it can be written");
    lab.daemon().start()
}

/// A request that blocks an address.
fn block(address: &str) -> Ask {
    Ask::new("POST /api/v1/blocks").json(&json!({ "items": [address] }))
}

fn status() -> Ask {
    Ask::new("GET /api/v1/status")
}
