//! Sets of other tools, as they print them; and what is damaged.

use jiff::{Timestamp, tz::TimeZone};

use super::{
    bans::{BANIP, CROWDSEC},
    *,
};

/// A moment in a zone that is an hour ahead of UTC in winter.
pub(super) fn reading(format: Format) -> Reading {
    let now: Timestamp = "2026-11-23T14:00:00Z".parse().expect("a time");
    let zone = TimeZone::get("Europe/Berlin").expect("a zone");
    Reading {
        format,
        now: now.to_zoned(zone),
        ..Reading::default()
    }
}

/// `line prefix ttl action comment` of every line, then `line: why` of what is left out, then how
/// many have ended. The format tells itself.
#[track_caller]
pub(super) fn said(text: &str, format: Format) -> Vec<String> {
    let parsed = parse(text, reading(Format::Auto));
    assert_eq!(
        (parsed.format, &*parsed.errors),
        (format, &[][..]),
        "{text}"
    );
    assert_eq!(parse(text, reading(format)), parsed, "{text}");
    let left_out = parsed.left_out.iter();
    let left_out = left_out.map(|error| format!("{}: {}", error.line, error.reason));
    let ended = (parsed.ended > 0).then(|| format!("{} ended", parsed.ended));
    parsed
        .lines
        .iter()
        .map(shown)
        .chain(left_out)
        .chain(ended)
        .collect()
}

const IPSET: &str = r#"create a hash:net family inet hashsize 1024 maxelem 65536 timeout 3600 counters comment bucketsize 12 initval 0xc76e1b79
add a 203.0.113.1 timeout 2147482 packets 0 bytes 0
add a 198.51.100.7 timeout 0 packets 0 bytes 0
add a 192.0.2.0/24 packets 0 bytes 0 comment "x, \ 'y' é"
create n hash:ip family inet hashsize 1024 maxelem 65536 netmask 24 bucketsize 12 initval 0xcb6b160b
add n 10.1.2.0
create b bitmap:ip range 10.0.0.0-10.0.255.255 netmask 28
add b 10.0.1.16
create six hash:ip family inet6 hashsize 1024 maxelem 65536 timeout 0 bucketsize 12 initval 0xb99d1396
add six 2001:db8::1
create p hash:ip,port family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x9e5a41c4
add p 10.0.0.1,tcp:80
create l list:set size 8
add l a
"#;

#[test]
fn sets_of_ipset_say_what_their_elements_do_not() {
    let expected = [
        "2 203.0.113.1 3w3d20h31m22s - ",
        "3 198.51.100.7 never - ",
        "4 192.0.2.0/24 1h - x, \\ 'y' é",
        "6 10.1.2.0/24 - - ",
        "8 10.0.1.16/28 - - ",
        "10 2001:db8::1 never - ",
        "11: set p is a hash:ip,port: only hash:ip, hash:net, bitmap:ip are read",
        "13: set l is a list:set: only hash:ip, hash:net, bitmap:ip are read",
    ];
    assert_eq!(said(IPSET, Format::Ipset), expected);
    assert_eq!(parse(IPSET, Format::Auto).sets, ["a", "n", "b", "six"]);
}

#[test]
fn of_several_sets_those_are_read_that_are_asked_for() {
    let of = |sets: &[&str]| {
        let sets = sets.iter().map(|name| (*name).to_owned()).collect();
        parse(
            IPSET,
            Reading {
                sets,
                ..reading(Format::Auto)
            },
        )
    };
    let parsed = of(&["six", "n"]);
    assert_eq!((&*parsed.errors, &*parsed.left_out), (&[][..], &[][..]));
    let lines: Vec<_> = parsed.lines.iter().map(|line| line.line).collect();
    assert_eq!(
        (lines, parsed.sets),
        (vec![6, 10], vec!["n".to_owned(), "six".into()])
    );
    // Whoever names a set that cannot be read is refused.
    let parsed = of(&["p"]);
    assert_eq!((parsed.errors[0].line, parsed.lines.len()), (11, 0));
    // As is a file that has no other.
    let alone = &IPSET[IPSET.find("create p").expect("it is there")..];
    let lines = parse(alone, Format::Auto)
        .errors
        .into_iter()
        .map(|error| error.line);
    assert_eq!(lines.collect::<Vec<_>>(), [1, 3]);
}

const NFT: &str = r#"table inet t {
	set bad {
		type ipv4_addr
		flags interval,timeout
		timeout 1h
		comment "a { set"
		elements = { 10.0.0.0/8 expires 59m59s996ms, 192.0.2.1 timeout 1m30s expires 1m29s996ms comment "x, } y",
			     192.0.2.6-192.0.2.8 timeout 2d comment "quote ' \ #é", 198.51.100.0/24 }
	}

	set six {
		type ipv6_addr
		flags interval
		auto-merge
		elements = { 2001:db8::/32,
			     2001:dead::4-2001:dead::5 counter packets 7 bytes 9 }
	}

	set office {
		typeof ip saddr
		elements = { 9.9.9.9 }
	}

	set web { # handle 7
		type ipv4_addr
		elements = { 1.2.3.4 }
	}

	set conc {
		type ipv4_addr . inet_service
		elements = { 1.2.3.4 . 22 }
	}

	map mm {
		type ipv4_addr : verdict
		elements = { 7.7.7.7 : drop,
			     8.8.8.8 : drop }
	}

	chain input {
		type filter hook input priority filter; policy accept;
		ip saddr @bad counter packets 0 bytes 0 log prefix "tcp @x" drop comment "@office"
		ip6 saddr @six reject with icmpv6 port-unreachable
		tcp dport 22 ip saddr @web drop
		ip saddr 6.6.6.6 drop
		ip saddr { 5.5.5.5, 5.5.5.6 } drop
		ip saddr @office accept
		ip saddr vmap @mm
	}
}
"#;

#[test]
fn sets_of_nft_are_read_unless_rules_use_them_for_something_else() {
    let expected = [
        "7 10.0.0.0/8 1h - ",
        "7 192.0.2.1 1m30s - x, } y",
        "8 192.0.2.6/31 2d - quote ' \\ #é",
        "8 192.0.2.8 2d - quote ' \\ #é",
        "8 198.51.100.0/24 1h - ",
        "15 2001:db8::/32 - - ",
        "16 2001:dead::4/127 - - ",
        "19: the rule on line 47 does more, or less, than drop who is in it: --set office imports it all the same",
        "24: the rule on line 44 does more, or less, than drop who is in it: --set web imports it all the same",
        "30: set conc is no set of ipv4_addr or ipv6_addr",
        "45: of rules nothing is read: only sets are",
        "46: of rules nothing is read: only sets are",
    ];
    assert_eq!(said(NFT, Format::Nft), expected);
    assert_eq!(parse(NFT, Format::Nft).sets, ["bad", "six"]);

    let sets = vec!["office".to_owned()];
    let parsed = parse(
        NFT,
        Reading {
            sets,
            ..reading(Format::Nft)
        },
    );
    assert_eq!((&*parsed.errors, &*parsed.left_out), (&[][..], &[][..]));
    assert_eq!(
        parsed.lines.iter().map(shown).collect::<Vec<_>>(),
        ["21 9.9.9.9 - - "]
    );
}

#[test]
fn a_set_in_a_chain_that_not_every_packet_meets_is_not_for_everything() {
    let hook = "type filter hook input priority filter; policy accept;";
    for other in [
        "",
        "type filter hook output priority filter; policy accept;",
    ] {
        let text = NFT.replace(hook, other);
        let parsed = parse(&text, Format::Auto);
        // The refusal names all, as nothing is left to be read.
        assert_eq!((parsed.lines.len(), parsed.sets.len()), (0, 0), "{text}");
        let reasons = parsed.errors.iter().map(|error| &error.reason);
        assert_eq!(reasons.filter(|reason| reason.contains("--set")).count(), 4);
    }
}

const NFT_JSON: &str = r#"{"nftables": [{"metainfo": {"version": "1.0.6", "release_name": "Lester Gooch #5", "json_schema_version": 1}}, {"table": {"family": "inet", "name": "t", "handle": 1}},
{"set": {"family": "inet", "name": "bad", "table": "t", "type": "ipv4_addr", "handle": 2, "comment": "a set", "flags": ["interval", "timeout"], "timeout": 3600, "elem": [{"elem": {"val": {"prefix": {"addr": "10.0.0.0", "len": 8}}, "expires": 3599}},
{"elem": {"val": "192.0.2.1", "timeout": 90, "expires": 89, "comment": "x, } y"}}, {"elem": {"val": {"range": ["192.0.2.6", "192.0.2.8"]}, "timeout": 172800}}, "192.0.2.77"]}},
{"set": {"family": "inet", "name": "hosts", "table": "t", "type": "ipv4_addr", "handle": 4, "elem": [{"elem": {"val": "1.2.3.4", "counter": {"packets": 0, "bytes": 0}}}], "stmt": [{"counter": null}]}},
{"set": {"family": "inet", "name": "office", "table": "t", "type": "ipv4_addr", "handle": 5, "elem": ["9.9.9.9"]}},
{"set": {"family": "inet", "name": "conc", "table": "t", "type": ["ipv4_addr", "inet_service"], "handle": 6, "elem": [{"concat": ["1.2.3.4", 22]}]}},
{"map": {"family": "inet", "name": "mm", "table": "t", "type": "ipv4_addr", "handle": 10, "map": "verdict", "elem": [["7.7.7.7", {"drop": null}]]}},
{"chain": {"family": "inet", "table": "t", "name": "input", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "accept"}},
{"rule": {"family": "inet", "table": "t", "chain": "input", "handle": 12, "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@bad"}}, {"counter": {"packets": 0, "bytes": 0}}, {"reject": {"type": "icmp", "expr": "port-unreachable"}}]}},
{"rule": {"family": "inet", "table": "t", "chain": "input", "handle": 13, "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}}, {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@hosts"}}, {"drop": null}]}},
{"rule": {"family": "inet", "table": "t", "chain": "input", "handle": 14, "expr": [{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "6.6.6.6"}}, {"drop": null}]}},
{"rule": {"family": "inet", "table": "t", "chain": "input", "handle": 18, "expr": [{"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@office"}}, {"drop": null}]}}]}
"#;

#[test]
fn nft_says_the_same_in_json() {
    let expected = [
        "2 10.0.0.0/8 59m59s - ",
        "3 192.0.2.1 1m29s - x, } y",
        "3 192.0.2.6/31 2d - ",
        "3 192.0.2.8 2d - ",
        "3 192.0.2.77 1h - ",
        "4: the rule on line 10 does more, or less, than drop who is in it: --set hosts imports it all the same",
        "5: the rule on line 12 does more, or less, than drop who is in it: --set office imports it all the same",
        "6: set conc is no set of ipv4_addr or ipv6_addr",
        "11: of rules nothing is read: only sets are",
    ];
    assert_eq!(said(NFT_JSON, Format::Nft), expected);
}

proptest! {
    #[test]
    fn what_is_damaged_makes_nothing_panic_and_has_its_lines(
        text in proptest::sample::select(&[IPSET, NFT, NFT_JSON, BANIP, CROWDSEC][..]),
        places in (any::<proptest::sample::Index>(), any::<proptest::sample::Index>()),
        patch in "[\"'{},\\[\\]@0-9a-z\n/ -]{0,8}",
    ) {
        let places = [places.0.index(text.len()), places.1.index(text.len())];
        let places = places.map(|place| text.floor_char_boundary(place));
        let (start, end) = (places[0].min(places[1]), places[0].max(places[1]));
        let text = format!("{}{patch}{}", &text[..start], &text[end..]);
        let last = text.lines().count().max(1);
        for format in Format::ALL {
            let parsed = parse(&text, reading(format));
            let errors = parsed.errors.iter().chain(&parsed.left_out).map(|error| error.line);
            let lines = parsed.lines.iter().map(|line| line.line);
            prop_assert!(lines.chain(errors).all(|line| (1..=last).contains(&line)));
        }
    }
}
