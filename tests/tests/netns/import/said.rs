//! What a tool says of addresses, read without any code of fw-ctl's, and compared.

use std::{
    io::Write as _,
    net::{IpAddr, Ipv6Addr},
    process::Stdio,
    time::Instant,
};

use fw_common::Prefix;
use fw_tests::lab::{Lab, namespace::Namespace};
use serde_json::Value;

/// Addresses that end together, for the same reason.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Said {
    /// IPv6, then IPv4; a number, to have neighbours.
    pub first: (bool, u128),
    pub last: u128,
    pub left: Option<u64>,
    pub comment: String,
}

impl Said {
    /// Of a host, a prefix or a range `a-b`.
    pub fn new(addresses: &str, left: Option<u64>, comment: &str) -> Self {
        let (first, last) = match addresses.split_once('-') {
            Some((first, last)) => (
                first.parse().expect("an address"),
                last.parse().expect("an address"),
            ),
            None => {
                let prefix: Prefix = addresses.parse().expect("a prefix");
                (prefix.address(), prefix.last())
            }
        };
        Self {
            first: (first.is_ipv4(), number(first)),
            last: number(last),
            left,
            comment: comment.to_owned(),
        }
    }

    fn is_like(&self, other: &Self, slack_secs: u64) -> bool {
        let close = match (self.left, other.left) {
            (Some(one), Some(other)) => one.abs_diff(other) <= slack_secs,
            (one, other) => one == other,
        };
        close && self.comment == other.comment
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => Ipv6Addr::to_bits(address),
    }
}

/// Fails unless both say the same, however they divide it. What is left may differ by the time that
/// has passed since the first of them was asked, and by a second that each of them rounds.
#[track_caller]
pub fn same(one: Vec<Said>, other: Vec<Said>, since: Instant) {
    let slack_secs = since.elapsed().as_secs() + 3;
    let (one, other) = (joined(one, slack_secs), joined(other, slack_secs));
    for (one, other) in one.iter().zip(&other) {
        let ends = (one.first, one.last) == (other.first, other.last);
        let alike = ends && one.is_like(other, slack_secs);
        assert!(alike, "{one:?}\n{other:?}");
    }
    assert_eq!(one.len(), other.len());
}

/// Neighbours that say the same are one.
fn joined(mut all: Vec<Said>, slack_secs: u64) -> Vec<Said> {
    all.sort();
    let mut joined: Vec<Said> = Vec::new();
    for said in all {
        match joined.last_mut() {
            Some(before)
                if before.first.0 == said.first.0
                    && before.last.checked_add(1) == Some(said.first.1)
                    && before.is_like(&said, slack_secs) =>
            {
                before.last = said.last;
            }
            _ => joined.push(said),
        }
    }
    joined
}

/// What the daemon says of a list.
pub fn by_daemon(lab: &Lab, list: &str) -> Vec<Said> {
    let said = |entry: Value| {
        let text = |name: &str| entry[name].as_str().expect("a text").to_owned();
        Said::new(&text("prefix"), entry["ttl_s"].as_u64(), &text("comment"))
    };
    lab.entries(list).into_iter().map(said).collect()
}

/// Runs a program on another host, which must succeed, and gives what it prints.
#[track_caller]
pub fn on(host: &Namespace, program: &str, arguments: &[&str], input: &str) -> String {
    let mut child = host
        .command(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nsenter starts");
    let mut pipe = child.stdin.take().expect("an input");
    // It need not read it.
    let _closed_early = pipe.write_all(input.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("text")
}
