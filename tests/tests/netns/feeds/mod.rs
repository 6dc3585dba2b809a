//! Feeds: lists that are kept from real servers, on the other side of the link.
//!
//! - [`kept`]: a list follows its source, and what the operator sees and says
//! - [`trouble`]: servers that are slow, broken, taken over, or send inside
//! - [`whole`]: clients that go away, sources that change, copies that break
//! - [`together`]: prefixes that stand in several lists

mod kept;
mod together;
mod trouble;
mod whole;

use std::collections::BTreeSet;

use fw_tests::lab::{Lab, command::Reply};
use serde_json::Value;

use crate::outside::{
    GLOBAL, NAME, Outside,
    receiver::{Answer, Receiver},
};

/// A server of lists at the name of the certificate.
fn server(outside: &Outside) -> Receiver {
    let certificates = Some(&outside.certificates);
    Receiver::listen(&outside.lab.attacker, GLOBAL, 0, certificates)
}

fn url(server: &Receiver) -> String {
    format!("https://{NAME}:{}/lists/hush-hush?key=hush", server.port)
}

/// One prefix a line.
fn list(prefixes: &[&str]) -> Answer {
    Answer::Body(prefixes.join("\n") + "\n")
}

/// Adds a feed, which must work.
#[track_caller]
fn add(lab: &Lab, name: &str, source: &str, more: &[&str]) {
    let words = [&["feed", "add", name, source][..], more].concat();
    lab.fw(&words).must(0);
}

fn refresh(lab: &Lab, more: &[&str]) -> Reply {
    lab.fw(&[&["feed", "refresh"][..], more].concat())
}

/// How `fw-ctl status` tells of a feed.
#[track_caller]
fn feed(lab: &Lab, name: &str) -> Value {
    let mut status = lab.json(&["status"]);
    let feeds = status["feeds"].as_array_mut().expect("feeds");
    let found = feeds.iter_mut().find(|feed| feed["name"] == name);
    found.unwrap_or_else(|| panic!("no feed {name}")).take()
}

/// What a list holds.
fn held(lab: &Lab, list: &str) -> BTreeSet<String> {
    lab.prefixes(list)
}

fn set(prefixes: &[&str]) -> BTreeSet<String> {
    prefixes.iter().map(|prefix| (*prefix).to_owned()).collect()
}
