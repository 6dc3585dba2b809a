//! Hostile input and a hostile host: each gets a clear error and its exit code, and nothing is
//! lost.

mod host;
mod input;
mod lists;
mod storage;

use fw_tests::lab::command::Reply;
use serde_json::Value;

/// The entries of an empty list.
const NOTHING: [Value; 0] = [];

/// The line numbers that are named.
fn lines(reply: &Reply) -> Vec<u32> {
    let words = reply.stderr.split(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let named = words.windows(2).filter(|pair| pair[0] == "line");
    let mut lines: Vec<u32> = named.filter_map(|pair| pair[1].parse().ok()).collect();
    lines.dedup();
    lines
}
