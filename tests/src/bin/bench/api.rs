//! The API under abuse, and with many who listen.

mod abuse;
mod listeners;

use std::{fs, io::Write as _};

use anyhow::{Context as _, Result};
use fw_tests::lab::{Lab, http::API};
use serde_json::{Value, json};

/// Both parts.
pub fn measure(quick: bool) -> Result<Value> {
    Ok(json!({ "abuse": abuse::measure(quick)?, "listeners": listeners::measure(quick)? }))
}

/// Without a mirror, and on the server's loopback.
fn configure(lab: &Lab) -> Result<()> {
    let config = format!("[mirror]\nbackend = \"none\"\n[api]\nlisten = \"{API}\"\n");
    let mut file = fs::File::create(lab.config()).context("cannot write the configuration")?;
    Ok(file.write_all(config.as_bytes())?)
}
