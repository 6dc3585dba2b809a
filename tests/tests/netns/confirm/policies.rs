//! Policies at random: such that everybody is let in who should be, and such that lock out.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::SystemTime,
};

use fw_common::Prefix;
use fw_tests::lab::{
    address::FAMILIES,
    hostile::{Chance, PolicyFile},
};
use serde_json::Value;

use super::{PORT, prefixes};

/// Lets in whom [`super::depending`] names, and not [`fw_tests::lab::address::Addresses::below`].
pub fn usual(chance: &mut Chance) -> PolicyFile {
    let mut blocks = prefixes(|net| net.below);
    // Around who is allowed, and far away.
    let more = ["198.18.0.68/31", "fd00:198:18::44/127", "203.0.113.0/24"];
    blocks.extend(more.map(str::to_owned));
    if chance.one_in(2) {
        blocks.push("{ prefix = \"2001:db8::/32\", ttl = \"1h\", comment = \"noisy\" }".to_owned());
    }
    let open = format!("service = \"tcp/{PORT}\"\naction = \"accept\"\n");
    let mut rules = match chance.below(3) {
        0 => vec![open],
        1 => vec![format!("{open}hours = \"00:00-24:00\"\nzone = \"UTC\"\n")],
        _ => Vec::new(),
    };
    let default = match rules.is_empty() || chance.one_in(2) {
        true => "accept",
        false => "drop",
    };
    if chance.one_in(2) {
        rules.push("service = \"udp/53\"\naction = \"drop\"\nttl = \"2h\"\n".to_owned());
    }
    if chance.one_in(2) {
        let rate = "rate = \"1000/second\"\nburst = 1000\n";
        rules.push(format!(
            "service = \"tcp/{PORT}\"\naction = \"limit\"\n{rate}"
        ));
    }
    PolicyFile {
        default: Some(default),
        drop_invalid: Some(chance.one_in(2)),
        guard: Some(prefixes(|net| net.first)),
        allows: Some(prefixes(|net| net.allowed)),
        blocks: Some(blocks),
        rules: Some(rules),
    }
}

/// Locks out as many as it can, by one to three means; now and then so that the guard refuses it.
pub fn hostile(chance: &mut Chance, guard: &[Value]) -> PolicyFile {
    let mut policy = PolicyFile::default();
    if !chance.one_in(4) {
        policy.guard = Some(Vec::new());
    }
    let guarded = guarded(guard, policy.guard.is_none());
    for _ in 0..=chance.below(3) {
        match chance.below(6) {
            0 => policy.blocks = Some(everything(chance, &guarded)),
            1 => policy.blocks = Some(management(&guarded)),
            2 => {
                policy.default = Some("drop");
                policy.allows = Some(Vec::new());
                policy.rules = Some(Vec::new());
            }
            3 => policy.rules = Some(drop_all(chance)),
            4 => policy.rules = Some(once_a_day(chance)),
            _ => policy.rules = Some(vec![closed_now()]),
        }
        if chance.one_in(2) {
            policy.allows = Some(Vec::new());
        }
    }
    if chance.one_in(12) {
        let whole = ["0.0.0.0/0", "::/0", "198.18.0.0/24"];
        policy.blocks = Some(vec![(*chance.pick(&whole)).to_owned()]);
    }
    policy
}

/// Who stays guarded, with those that the operator added or without them.
fn guarded(guard: &[Value], with_added: bool) -> Vec<Prefix> {
    let stays = |item: &&Value| with_added || item["source"] != "added";
    let prefix = |item: &Value| item["prefix"].as_str()?.parse().ok();
    guard.iter().filter(stays).filter_map(prefix).collect()
}

/// Every address that nobody guards, in networks of some size and smaller.
fn everything(chance: &mut Chance, guarded: &[Prefix]) -> Vec<String> {
    let size = chance.below(7) as u8;
    let mut blocks = Vec::new();
    for all in [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Ipv6Addr::UNSPECIFIED.into(),
    ] {
        let all = Prefix::new(all, 0).expect("a prefix");
        split(all, size, guarded, &mut blocks);
    }
    blocks
}

/// The networks the clients are in, without who is guarded there.
fn management(guarded: &[Prefix]) -> Vec<String> {
    let mut blocks = Vec::new();
    for net in FAMILIES {
        let network = Prefix::new(net.server, net.length()).expect("a prefix");
        split(network, 0, guarded, &mut blocks);
    }
    blocks
}

/// What of a network nobody guards.
fn split(network: Prefix, size: u8, guarded: &[Prefix], blocks: &mut Vec<String>) {
    if guarded.iter().any(|guarded| guarded.covers(&network)) {
        return;
    }
    let is_free = !guarded.iter().any(|guarded| guarded.overlaps(&network));
    if is_free && network.length() >= size {
        blocks.push(network.to_string());
        return;
    }
    for half in halves(network) {
        split(half, size, guarded, blocks);
    }
}

/// Both halves of a network that is no host.
fn halves(network: Prefix) -> [Prefix; 2] {
    let length = network.length();
    let upper = match network.address() {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() | 1 << (31 - length)).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() | 1 << (127 - length)).into(),
    };
    [network.address(), upper].map(|address| Prefix::new(address, length + 1).expect("a half"))
}

/// Rules that drop everything from everybody.
fn drop_all(chance: &mut Chance) -> Vec<String> {
    let from = match chance.one_in(2) {
        true => "",
        false => "from = [\"0.0.0.0/1\", \"128.0.0.0/1\", \"::/1\", \"8000::/1\"]\n",
    };
    let services = match chance.one_in(2) {
        true => vec!["tcp".to_owned(), "udp".to_owned(), "icmp".to_owned()],
        false => vec![format!("tcp/{PORT}"), "tcp/1-65535".to_owned()],
    };
    let rule = |service| format!("service = \"{service}\"\naction = \"drop\"\n{from}");
    services.iter().map(rule).collect()
}

/// Limits that nobody stays under.
fn once_a_day(chance: &mut Chance) -> Vec<String> {
    let per = chance.pick(&["source", "all"]);
    let rule = |service: &str| {
        format!(
            "service = \"{service}\"\naction = \"limit\"\nrate = \"1/day\"\nburst = 1\nper = \"{per}\"\n"
        )
    };
    vec![rule("tcp"), rule(&format!("tcp/{PORT}"))]
}

/// A rule whose hours begin in two hours.
fn closed_now() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let hour = now.expect("a time after 1970").as_secs() / 3600 % 24;
    let [from, to] = [hour + 2, hour + 3].map(|hour| hour % 24);
    format!(
        "service = \"tcp/{PORT}\"\naction = \"accept\"\nhours = \"{from:02}:00-{to:02}:00\"\nzone = \"UTC\"\n"
    )
}
