//! Hostile input and a hostile host: each gets a clear error and its exit code, and nothing is
//! lost.

mod host;
mod input;
mod lists;
pub mod storage;

use fw_tests::lab::command::Reply;
use serde_json::Value;

/// The entries of an empty list.
const NOTHING: [Value; 0] = [];

/// The numbers of the lines that are named, as `FILE:NUMBER: `.
fn lines(reply: &Reply) -> Vec<u32> {
    let named = reply.stderr.lines().filter_map(|line| {
        let (place, _) = line.split_once(": ")?;
        let (_, number) = place.rsplit_once(':')?;
        number.parse().ok()
    });
    named.collect()
}
