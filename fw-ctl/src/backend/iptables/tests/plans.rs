//! Plans, and what stands after them.

use super::*;

#[test]
fn a_whole_plan_is_what_stands_afterwards_and_foreign_rules_are_as_before() {
    each(|variant| {
        make_foreign(variant);
        let before = foreign(variant);
        let mut mirror = Iptables::new(variant);
        mirror.apply(&whole(true, blocks()), NOW).expect("applied");
        let observed = mirror.observe().expect("observed");
        for line in [
            "iptables jump INPUT 1 -j FWCTL",
            "ip6tables jump DOCKER-USER 1 -j FWCTL-FORWARD",
            "iptables -A FWCTL -m set --match-set fwctl-guard4 src -j RETURN",
            "ip6tables -A FWCTL -j DROP",
            "ipset create fwctl-block6 hash:net family inet6 maxelem 16777216 timeout 0 bucketsize 12",
        ] {
            let found = observed.lines.iter().filter(|found| *found == line);
            assert_eq!(found.count(), 1, "{line}\n{:#?}", observed.lines);
        }
        assert_eq!(
            observed.counts,
            BTreeMap::from([
                (SetName::Guard, 2 + Guard::default().iter().count()),
                (SetName::Allow, 0),
                (SetName::Block, 5)
            ])
        );
        assert_eq!(foreign(variant), before);
        mirror
            .apply(&whole(true, blocks()), NOW)
            .expect("applied again");
        assert_eq!(mirror.observe().expect("observed"), observed);
        assert_eq!(foreign(variant), before);
    });
}

#[test]
fn an_edit_of_a_set_changes_its_elements_and_nothing_else() {
    each(|variant| {
        let mut mirror = Iptables::new(variant);
        mirror.apply(&whole(false, blocks()), NOW).expect("applied");
        let lines = mirror.observe().expect("observed").lines;
        let mut edits: BTreeMap<Prefix, Option<Element>> = BTreeMap::new();
        for held in blocks() {
            edits.insert(held.prefix, None);
        }
        for held in [
            element("198.51.100.0/24", Some(1_300)),
            element("203.0.113.9", None),
        ] {
            edits.insert(held.prefix, Some(held));
        }
        let edit = |edits| {
            checked(MirrorPlan {
                sets: BTreeMap::from([(SetName::Block, SetChange::Edit(edits))]),
                ruleset: None,
            })
        };
        mirror.apply(&edit(edits), NOW).expect("edited");
        // What is not there is taken out without an error, what is there is put again.
        let again = BTreeMap::from([
            (element("192.0.2.9", None).prefix, None),
            (
                element("203.0.113.9", None).prefix,
                Some(element("203.0.113.9", None)),
            ),
        ]);
        mirror.apply(&edit(again), NOW).expect("edited again");
        let found = &mirror.elements(NOW).expect("read")[&SetName::Block];
        let [net, host] = found.as_slice() else {
            panic!("{found:?}");
        };
        let end = net.deadline.expect("it ends").0;
        assert!(
            net.prefix == element("198.51.100.0/24", None).prefix && (1_298..=1_300).contains(&end),
            "{net:?}"
        );
        assert_eq!(*host, element("203.0.113.9", None));
        assert_eq!(mirror.observe().expect("observed").lines, lines);
    });
}

#[test]
fn a_set_tells_what_it_was_given() {
    each(|variant| {
        let mut mirror = Iptables::new(variant);
        mirror.apply(&whole(false, blocks()), NOW).expect("applied");
        let found = &mirror.elements(NOW).expect("read")[&SetName::Block];
        let prefixes = |elements: &[Element]| -> Vec<Prefix> {
            elements.iter().map(|held| held.prefix).collect()
        };
        assert_eq!(prefixes(found), prefixes(&blocks()));
        let end = |text: &str| {
            let prefix = element(text, None).prefix;
            let held = found.iter().find(|held| held.prefix == prefix);
            held.expect(text).deadline.map(|end| end.0)
        };
        assert_eq!(end("198.51.100.0/24"), None);
        assert!((1_598..=1_600).contains(&end("2001:db8::/32").expect("it ends")));
        let cut = 1_000 + 2_147_483;
        assert!((cut - 2..=cut).contains(&end("198.51.100.7").expect("it ends")));
    });
}

#[test]
fn an_element_ends_by_itself() {
    each(|variant| {
        let mut mirror = Iptables::new(variant);
        let brief = vec![
            element("192.0.2.1", Some(1_002)),
            element("192.0.2.2", None),
        ];
        let start = Instant::now();
        mirror.apply(&whole(false, brief), NOW).expect("applied");
        let blocked = || {
            Command::new("ipset")
                .args(["test", "fwctl-block4", "192.0.2.1"])
                .output()
                .expect("ipset starts")
                .status
                .success()
        };
        assert!(blocked());
        while blocked() {
            assert!(start.elapsed() < Duration::from_secs(4), "it never ends");
            thread::sleep(Duration::from_millis(20));
        }
        assert!(
            start.elapsed() > Duration::from_millis(1_500),
            "{:?}",
            start.elapsed()
        );
    });
}

#[test]
fn chains_change_without_the_sets_and_the_second_chain_comes_and_goes() {
    each(|variant| {
        make_foreign(variant);
        let before = foreign(variant);
        let mut mirror = Iptables::new(variant);
        mirror.apply(&whole(false, blocks()), NOW).expect("applied");
        let first = mirror.observe().expect("observed");
        mirror.apply(&only_chains(true), NOW).expect("changed");
        let forwarding = mirror.observe().expect("observed");
        assert!(
            forwarding
                .lines
                .contains(&"iptables jump DOCKER-USER 1 -j FWCTL-FORWARD".to_owned())
        );
        assert_eq!(forwarding.counts, first.counts);
        mirror
            .apply(&only_chains(false), NOW)
            .expect("changed back");
        assert_eq!(mirror.observe().expect("observed"), first);
        assert_eq!(foreign(variant), before);
    });
}
