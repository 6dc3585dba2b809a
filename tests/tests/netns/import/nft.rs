//! nftables: a set of another host, here, and there again.

use std::{net::Ipv4Addr, time::Instant};

use fw_tests::lab::{
    Lab,
    address::{V4, V6},
};
use serde_json::Value;

use super::{
    import,
    said::{Said, by_daemon, on, same},
    written,
};

/// Reads what `nft -j` says of all sets.
fn by_nft(lab: &Lab) -> Vec<Said> {
    let text = on(&lab.attacker, "nft", &["-j", "list", "ruleset"], "");
    let ruleset: Value = serde_json::from_str(&text).expect("JSON");
    let objects = ruleset["nftables"].as_array().expect("an array");
    let elements = objects
        .iter()
        .filter_map(|object| object["set"]["elem"].as_array());
    elements.flatten().map(element).collect()
}

fn element(element: &Value) -> Said {
    let options = element.get("elem").unwrap_or(element);
    let value = options.get("val").unwrap_or(element);
    let text = |value: &Value| value.as_str().expect("an address").to_owned();
    let addresses = match (value.get("prefix"), value.get("range")) {
        (Some(prefix), _) => format!("{}/{}", text(&prefix["addr"]), prefix["len"]),
        (_, Some(range)) => format!("{}-{}", text(&range[0]), text(&range[1])),
        _ => text(value),
    };
    let comment = options["comment"].as_str().unwrap_or_default();
    Said::new(&addresses, options["expires"].as_u64(), comment)
}

/// Fills a table on another host, brings it here and there again, and compares all three.
fn there_and_back(lab: &Lab, table: &str, list: &[&str]) {
    let since = Instant::now();
    on(&lab.attacker, "nft", &["-f", "-"], table);
    let theirs = by_nft(lab);
    let listed = on(&lab.attacker, "nft", list, "");
    import(lab, &written(lab, &listed), &["--list", "bad"]).must(0);
    same(by_daemon(lab, "bad"), theirs.clone(), since);

    let ours = lab.fw(&["export", "bad", "--format", "nft"]).must(0).stdout;
    on(&lab.attacker, "nft", &["flush", "ruleset"], "");
    on(&lab.attacker, "nft", &["-f", "-"], &ours);
    same(by_nft(lab), theirs, since);
}

fn table() -> String {
    let (v4, v6) = (V4.blocked, V6.blocked);
    format!(
        "table inet t {{
set bad {{ type ipv4_addr; flags interval,timeout; timeout 1h; elements = {{
  203.0.113.0/24, 192.0.2.1 timeout 90m comment \"x, }} y\",
  192.0.2.5-192.0.2.19 timeout 20d comment \"quote ' \\ #é $z `id`\",
  198.51.100.0/24 timeout 2h expires 40m, {v4} }} }}
set six {{ type ipv6_addr; flags interval; elements = {{ 2001:db8::/32, 2001:dead::1-2001:dead::5, {v6} }} }}
set hosts {{ type ipv4_addr; counter; elements = {{ 192.0.2.77, 192.0.2.79 comment \"host\" }} }}
chain input {{ type filter hook input priority 0; ip saddr @bad drop; ip saddr @hosts drop; ip6 saddr @six counter reject; }}
}}"
    )
}

#[test]
fn sets_of_nft_come_here_and_go_back_with_nothing_lost_or_invented() {
    for list in [
        &["list", "ruleset"][..],
        &["list", "sets"],
        &["-j", "list", "ruleset"],
    ] {
        let lab = Lab::named(&format!("nft-{}-{}", list.len(), list[list.len() - 1]));
        let _daemon = lab.daemon().start();
        there_and_back(&lab, &table(), list);
        assert!(!lab.arrives(V4.blocked) && !lab.arrives(V6.blocked));
        assert!(lab.arrives(V4.free) && lab.arrives(V6.free));
    }
}

#[test]
fn hundred_thousand_elements_of_nft_come_here_and_go_back() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let mut elements = String::new();
    for n in 0..100_000_u32 {
        // Each tenth is a network, each seventh has no end, each third a note.
        let place = Ipv4Addr::from_bits(0x6540_0000 + (n << 8));
        let host = Ipv4Addr::from_bits(0x1740_0000 + 2 * n);
        let element = if n % 10 == 0 {
            format!("{place}/24")
        } else {
            host.to_string()
        };
        let timeout = if n % 7 == 0 {
            String::new()
        } else {
            format!(" timeout {}s", 3600 + n)
        };
        let note = if n % 3 == 0 {
            format!(" comment \"entry {n}\"")
        } else {
            String::new()
        };
        elements += &format!("{element}{timeout}{note},\n");
    }
    let set = format!(
        "set many {{ type ipv4_addr; flags interval,timeout; elements = {{ {elements} }}\n}}"
    );
    let list = ["list", "set", "inet", "t", "many"];
    there_and_back(&lab, &format!("table inet t {{\n{set}\n}}\n"), &list);
}

#[test]
fn set_that_a_rule_accepts_by_is_not_blocked_unless_it_is_named() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let table = "table inet t {
set bad { type ipv4_addr; elements = { 203.0.113.1 } }
set office { type ipv4_addr; elements = { 203.0.113.2 } }
set web { type ipv4_addr; elements = { 203.0.113.3 } }
set ports { type inet_service; elements = { 22 } }
chain input { type filter hook input priority 0; ip saddr @office accept; ip saddr @bad drop; tcp dport 80 ip saddr @web drop; }
}";
    on(&lab.attacker, "nft", &["-f", "-"], table);
    for list in [&["list", "ruleset"][..], &["-j", "list", "ruleset"]] {
        let file = written(&lab, on(&lab.attacker, "nft", list, ""));
        let told = import(&lab, &file, &["--json"]).must(0);
        assert_eq!(told.json()["left_out"], 3, "{}", told.stdout);
        for text in ["set office", "set web", "set ports"] {
            assert!(told.stderr.contains(text), "{text}: {}", told.stderr);
        }
        assert_eq!(lab.prefixes("blocks"), ["203.0.113.1".to_owned()].into());
        import(&lab, &file, &["--set", "office", "--action", "allow"]).must(0);
        assert_eq!(lab.prefixes("allows"), ["203.0.113.2".to_owned()].into());
        import(&lab, &file, &["--set", "ports"])
            .must(2)
            .saying("no set of ipv4_addr");
        lab.fw(&["flush", "local", "--yes"]).must(0);
    }
}

#[test]
fn prefixes_inside_of_others_become_what_nft_takes() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let since = Instant::now();
    let list = "203.0.113.0/24,1h,net\n203.0.113.64/26,3h,longer\n203.0.113.70,2h,covered\n\
                203.0.113.128/25,30m,shorter\n2001:db8::/32,never,six\n2001:db8::1,1h,covered\n";
    import(&lab, &written(&lab, list), &[]).must(0);
    let reply = lab.fw(&["export", "local", "--format", "nft"]).must(0);
    let reply = reply.saying("3 entries are left out, as others cover them for as long");
    let ours = reply.saying("1 entries are cut around others inside that last longer");
    on(&lab.attacker, "nft", &["-f", "-"], &ours.stdout);
    let expected = [
        Said::new("203.0.113.0-203.0.113.63", Some(3_600), "net"),
        Said::new("203.0.113.64/26", Some(10_800), "longer"),
        Said::new("203.0.113.128/25", Some(3_600), "net"),
        Said::new("2001:db8::/32", None, "six"),
    ];
    same(by_nft(&lab), expected.into(), since);
}
