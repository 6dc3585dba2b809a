//! Others change the rules of the host too.

use super::*;

const FOREIGN: &str = "
    nft 'table inet mine { set s { type ipv4_addr; flags interval; elements = { 192.0.2.0/24 }; }
         chain input { type filter hook input priority 5; ip saddr @s tcp dport 22 accept; }; }'
    iptables-nft -N FWCTL-NOT-OURS; iptables-nft -A INPUT -s 192.0.2.1 -j FWCTL-NOT-OURS
    ip6tables-nft -A FORWARD -d 2001:db8::/32 -j DROP";

#[test]
fn what_others_do_to_ours_is_seen_and_what_they_do_to_theirs_is_not() {
    alone(|| {
        let mut mirror = Nftables::new();
        let plan = whole(hosts(&["192.0.2.1", "192.0.2.2"]), ruleset());
        let before = apply(&mut mirror, &plan);
        sh(FOREIGN);
        assert_eq!(mirror.observe().expect("nft shows it"), before);
        for hand in [
            "nft flush ruleset",
            "nft delete element inet fwctl block4_32 '{ 192.0.2.2 }'",
            "nft add element inet fwctl block4_32 '{ 192.0.2.9 }'",
            "nft flush set inet fwctl guard4_8",
            "nft flush chain inet fwctl input",
            "nft add rule inet fwctl fwctl tcp dport 23 accept",
            "nft insert rule inet fwctl fwctl accept",
            "nft chain inet fwctl input '{ policy drop; }'",
            "nft add table inet fwctl '{ flags dormant; }'",
        ] {
            sh(hand);
            assert_ne!(mirror.observe().expect("nft shows it"), before, "{hand}");
            assert_eq!(apply(&mut mirror, &plan), before, "{hand}");
        }
    });
}

#[test]
fn foreign_tables_stay_as_they_are_and_ours_goes_without_a_trace() {
    alone(|| {
        sh(FOREIGN);
        let before = sh("nft -a list ruleset");
        let mut mirror = Nftables::new();
        mirror.clear().expect("nothing there is no error");
        for number in 0..20 {
            let block = hosts(&["192.0.2.1", "192.0.2.0/24"]);
            apply(&mut mirror, &whole(block, ruleset()));
            apply(&mut mirror, &edit(vec![("192.0.2.1", None)]));
            apply(
                &mut mirror,
                &rules(Ruleset {
                    forward: number % 2 == 0,
                    ..ruleset()
                }),
            );
        }
        let theirs = || {
            sh(
                "nft -a list table inet mine; nft -a list table ip filter; nft -a list table ip6 filter",
            )
        };
        let during = theirs();
        mirror.clear().expect("nft takes it");
        assert_eq!(sh("nft -a list ruleset"), before);
        assert_eq!(theirs(), during);
        mirror.clear().expect("nothing there is no error");
        assert_eq!(
            mirror.observe().expect("nothing is something"),
            Nftables::new().observe().expect("the same")
        );
        assert_eq!(prefixes(&mut mirror), [""; 0]);
    });
}

#[test]
fn a_change_that_fails_changes_nothing_and_then_only_a_whole_plan_is_taken() {
    alone(|| {
        let mut mirror = Nftables::new();
        let plan = whole(hosts(&["192.0.2.1", "198.51.100.0/24"]), ruleset());
        let first = mirror.apply(&edit(vec![("192.0.2.1", None)]), clock::now());
        assert!(matches!(first, Err(ToolError::Run { .. })), "{first:?}");
        apply(&mut mirror, &plan);
        sh("nft 'flush chain inet fwctl fwctl; delete set inet fwctl block4_32'");
        let before = sh("nft list ruleset");
        let plan_of_two = edit(vec![
            ("198.51.100.0/24", None),
            ("192.0.2.7", Some(element("192.0.2.7", None))),
        ]);
        let failed = mirror
            .apply(&plan_of_two, clock::now())
            .expect_err("its set is gone");
        assert!(matches!(failed, ToolError::Failed { .. }), "{failed:?}");
        assert!(
            failed.to_string().contains("No such file or directory"),
            "{failed}"
        );
        assert_eq!(sh("nft list ruleset"), before);
        assert!(mirror.apply(&plan_of_two, clock::now()).is_err());
        apply(&mut mirror, &plan);
        apply(&mut mirror, &plan_of_two);
        assert_eq!(prefixes(&mut mirror), ["192.0.2.1", "192.0.2.7"]);
    });
}

#[test]
fn of_many_at_once_one_is_there_whole() {
    alone(|| {
        let one = |number: u32| {
            let address = format!("192.0.2.{number}");
            let ruleset = Ruleset {
                ports: vec![port(number, "tcp/22", None)],
                ..ruleset()
            };
            let plan = whole(hosts(&[address.as_str()]), ruleset);
            thread::spawn(move || {
                for _ in 0..5 {
                    let applied = Nftables::new().apply(&plan, clock::now());
                    applied.expect("nft begins again when somebody was quicker");
                }
            })
        };
        let all: Vec<_> = (1..=8).map(one).collect();
        for one in all {
            one.join().expect("it is through");
        }
        let mut mirror = Nftables::new();
        let [prefix] = &prefixes(&mut mirror)[..] else {
            panic!("half of one and half of another")
        };
        let number = prefix.rsplit('.').next().expect("a number");
        let lines = mirror.observe().expect("nft shows it").lines;
        let rules: Vec<_> = lines.iter().filter(|line| line.contains("rule ")).collect();
        assert_eq!(
            rules,
            [&format!("tcp dport 22 accept comment \"rule {number}\"")]
        );
    });
}
