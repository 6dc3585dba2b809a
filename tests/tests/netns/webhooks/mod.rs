//! Webhooks: real receivers, on the other side of the link and where they must not be reached.
//!
//! - [`delivery`]: what arrives, in which order, signed by whom
//! - [`trouble`]: receivers that are dead, slow, busy, or send elsewhere; a daemon that is killed
//! - [`inside`]: names and addresses that lead inside
//! - [`secrets`]: who gets to see them

mod delivery;
mod inside;
mod secrets;
mod trouble;

use std::{process::Command, time::Duration};

use fw_tests::lab::{address::V4, daemon::eventually};
use serde_json::Value;

use crate::outside::{NAME, Outside};

impl Outside {
    fn new() -> Self {
        Self::allowing("")
    }

    /// With networks that webhooks may reach.
    fn allowing(networks: &str) -> Self {
        Self::with(&format!("[webhooks]\nallow = [{networks}]\n"))
    }

    /// Adds a webhook of blocks; gives its secret.
    #[track_caller]
    fn add(&self, name: &str, url: &str) -> String {
        let added = self
            .lab
            .json(&["webhook", "add", name, url, "--events", "block"]);
        assert_eq!(added["changed"], true, "{added}");
        added["secret"].as_str().expect("a secret").to_owned()
    }

    /// How `fw-ctl webhook list` tells of it.
    fn webhook(&self, name: &str) -> Value {
        let mut list = self.lab.json(&["webhook", "list"]);
        let items = list["items"].as_array_mut().expect("items");
        let found = items.iter_mut().find(|item| item["name"] == name);
        found.unwrap_or_else(|| panic!("no webhook {name}")).take()
    }

    /// Waits until its queue is empty.
    #[track_caller]
    fn drained(&self, name: &str) -> Value {
        eventually("the queue is empty", || self.webhook(name)["queued"] == 0);
        self.webhook(name)
    }

    /// Blocks addresses one after the other; gives their prefixes.
    fn block(&self, numbers: std::ops::Range<u8>) -> Vec<String> {
        let prefixes: Vec<String> = numbers
            .map(|number| format!("203.0.113.{number}"))
            .collect();
        for prefix in &prefixes {
            self.lab.fw(&["block", prefix]).must(0);
        }
        prefixes
    }

    /// What `fw-ctl webhook test` says.
    fn test(&self, name: &str) -> Value {
        let reply = self.lab.fw(&["webhook", "test", name, "--json"]);
        let told = reply.json();
        let code = if told["delivered"] == true { 0 } else { 1 };
        reply.must(code);
        told
    }
}

/// The URL of a port at the receiver's name.
fn at_name(port: u16) -> String {
    format!("https://{NAME}:{port}/T0/hush-hush")
}

/// Runs a shell with these variables; gives what it prints.
fn shell(script: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new("sh");
    command
        .args(["-ec", script])
        .envs(variables.iter().copied());
    let output = command.output().expect("a shell starts");
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    assert!(output.status.success(), "{script}: {output:?}");
    text
}

/// A pause in which something could happen that must not.
fn a_while() {
    std::thread::sleep(Duration::from_secs(2));
}

/// An address of the server, which is inside.
fn inside() -> String {
    V4.server.to_string()
}
