//! ipset: a set of another host, here, and there again.

use std::{net::Ipv4Addr, time::Instant};

use fw_tests::lab::{
    Lab,
    address::{V4, V6},
};

use super::{
    import,
    said::{Said, by_daemon, on, same},
    written,
};

/// Reads the `add` lines of `ipset save`.
fn by_ipset(save: &str) -> Vec<Said> {
    let said = |line: &str| {
        let (line, comment) = line.split_once(" comment ").unwrap_or((line, "\"\""));
        let words: Vec<&str> = line.split(' ').collect();
        let left = words.iter().position(|word| *word == "timeout");
        let left = left.map(|at| words[at + 1].parse().expect("seconds"));
        Said::new(
            words[2],
            left.filter(|left| *left > 0),
            comment.trim_matches('"'),
        )
    };
    let adds = save.lines().filter(|line| line.starts_with("add "));
    adds.map(said).collect()
}

/// Fills sets on another host, brings them here and there again, and compares all three.
fn there_and_back(lab: &Lab, sets: &str) {
    let since = Instant::now();
    on(&lab.attacker, "ipset", &["restore"], sets);
    let save = on(&lab.attacker, "ipset", &["save"], "");
    let theirs = by_ipset(&save);
    import(lab, &written(lab, &save), &["--list", "bad"]).must(0);
    same(by_daemon(lab, "bad"), theirs.clone(), since);

    let ours = lab
        .fw(&["export", "bad", "--format", "ipset"])
        .must(0)
        .stdout;
    on(&lab.attacker, "ipset", &["destroy"], "");
    on(&lab.attacker, "ipset", &["restore"], &ours);
    let save = on(&lab.attacker, "ipset", &["save"], "");
    same(by_ipset(&save), theirs, since);
}

#[test]
fn set_of_ipset_comes_here_and_goes_back_with_nothing_lost_or_invented() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let (v4, v6) = (V4.blocked, V6.blocked);
    let sets = format!(
        "create four hash:net timeout 3600 comment counters
create six hash:net family inet6 timeout 0 comment
create hosts hash:ip timeout 86400
add four 203.0.113.0/24 comment \"x, \\ 'y' é # ; }} $z `id`\"
add four 203.0.113.64/26 timeout 7200 comment \"inside, and longer\"
add four 203.0.113.128/26 timeout 60
add four 198.51.100.7 timeout 0 comment \"for good\"
add four {v4} timeout 2147483
add six 2001:db8::/32 comment \"a net\"
add six 2001:db8::1 timeout 100
add six {v6}
add hosts 192.0.2.1-192.0.2.9
"
    );
    there_and_back(&lab, &sets);
    assert!(!lab.arrives(V4.blocked) && !lab.arrives(V6.blocked));
    assert!(lab.arrives(V4.free) && lab.arrives(V6.free));
}

#[test]
fn hundred_thousand_elements_of_ipset_come_here_and_go_back() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let mut sets = String::from("create many hash:net timeout 0 comment maxelem 200000\n");
    for n in 0..100_000_u32 {
        // Each tenth is a network, each seventh has no end, each third a note.
        let place = Ipv4Addr::from_bits(0x6540_0000 + (n << 8));
        let host = Ipv4Addr::from_bits(0x1740_0000 + 2 * n);
        let element = if n % 10 == 0 {
            format!("{place}/24")
        } else {
            host.to_string()
        };
        let timeout = if n % 7 == 0 { 0 } else { 3600 + n };
        let note = if n % 3 == 0 {
            format!(" comment \"entry {n}\"")
        } else {
            String::new()
        };
        sets += &format!("add many {element} timeout {timeout}{note}\n");
    }
    there_and_back(&lab, &sets);
}

#[test]
fn sets_of_ipset_that_are_no_prefixes_are_named_and_one_can_be_chosen() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let sets = "create ports bitmap:port range 0-100
create pairs hash:ip,port
create slash hash:ip netmask 24
create lists list:set
create good hash:net
add ports 22
add pairs 192.0.2.1,tcp:80
add slash 198.51.100.7
add lists pairs
add good 203.0.113.0/24
add good 203.0.113.9 nomatch
";
    on(&lab.attacker, "ipset", &["restore"], sets);
    let file = written(&lab, on(&lab.attacker, "ipset", &["save"], ""));
    import(&lab, &file, &[])
        .must(2)
        .saying("`nomatch` is an exception");
    assert_eq!(lab.prefixes("blocks").len(), 0);
    let reply = import(&lab, &file, &["--keep-going", "--json"]).must(6);
    assert_eq!(reply.json()["left_out"], 3, "{}", reply.stdout);
    for kind in ["bitmap:port", "hash:ip,port", "list:set"] {
        assert!(reply.stderr.contains(kind), "{kind}: {}", reply.stderr);
    }
    let expected = ["198.51.100.0/24", "203.0.113.0/24"];
    assert_eq!(lab.prefixes("blocks"), expected.map(str::to_owned).into());

    import(&lab, &file, &["--set", "slash", "--list", "slash"]).must(0);
    assert_eq!(lab.prefixes("slash"), ["198.51.100.0/24".to_owned()].into());
    import(&lab, &file, &["--set", "pairs"])
        .must(2)
        .saying("hash:ip,port");
    import(&lab, &file, &["--set", "slash", "--set", "no"])
        .must(2)
        .saying("has no set no")
        .saying("it has slash");
}
