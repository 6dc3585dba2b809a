//! What others do to our chains and sets, and taking them away.

use super::*;

#[test]
fn whatever_somebody_breaks_is_seen_and_a_whole_plan_mends_it() {
    each(|variant| {
        make_foreign(variant);
        let mut mirror = Iptables::new(variant);
        let plan = whole(true, blocks());
        mirror.apply(&plan, NOW).expect("applied");
        let whole = mirror.observe().expect("observed");
        let before = foreign(variant);
        let iptables = variant
            .tool(Family::V4, "")
            .trim_end_matches('-')
            .to_owned();
        let ip6tables = variant
            .tool(Family::V6, "")
            .trim_end_matches('-')
            .to_owned();
        for harm in [
            format!("{iptables} -F FWCTL"),
            format!("{iptables} -D FWCTL 3"),
            format!("{ip6tables} -D INPUT -j FWCTL"),
            format!("{ip6tables} -D INPUT -j FWCTL; {ip6tables} -A INPUT -j FWCTL"),
            format!("{iptables} -A OTHER -s 192.0.2.1 -j FWCTL"),
            format!("{iptables} -D INPUT -j FWCTL; {iptables} -F FWCTL; {iptables} -X FWCTL"),
            format!("{iptables} -F FWCTL-FORWARD; {iptables} -A FWCTL-FORWARD -j ACCEPT"),
            "ipset flush fwctl-block4".to_owned(),
            "ipset del fwctl-guard6 fd00::/64".to_owned(),
            format!(
                "{ip6tables} -F FWCTL; {ip6tables} -F FWCTL-FORWARD; ipset destroy fwctl-block6 || \
                 (sleep 0.3; ipset destroy fwctl-block6); ipset create fwctl-block6 hash:ip family inet6"
            ),
            "ipset create fwctl-allow4-new hash:ip".to_owned(),
        ] {
            sh(&harm);
            assert_ne!(mirror.observe().expect("observed"), whole, "{harm}");
            mirror.apply(&plan, NOW).expect(&harm);
            assert_eq!(mirror.observe().expect("observed"), whole, "{harm}");
            assert_eq!(foreign(variant), before, "{harm}");
        }
    });
}

#[test]
fn nothing_is_left_when_cleared_and_nothing_to_clear_is_no_error() {
    each(|variant| {
        clear_all().expect("nothing is there");
        assert!(!FAMILIES.into_iter().any(has_legacy_filter));
        make_foreign(variant);
        let before = foreign(variant);
        let mut mirror = Iptables::new(variant);
        let iptables = command(variant, Family::V4);
        type Clear = fn(&mut Iptables) -> Result<(), ToolError>;
        let clears: [Clear; 2] = [Iptables::clear, |_| clear_all()];
        let harms = [
            "true".to_owned(),
            format!("{iptables} -D INPUT -j FWCTL"),
            format!("{iptables} -F FWCTL"),
            format!("{iptables} -D INPUT -j FWCTL; {iptables} -F FWCTL; {iptables} -X FWCTL"),
            "ipset create fwctl-block4-new hash:net".to_owned(),
        ];
        for (clear, harm) in clears
            .iter()
            .flat_map(|clear| harms.iter().map(move |harm| (clear, harm)))
        {
            mirror.apply(&whole(true, blocks()), NOW).expect("applied");
            sh(harm);
            clear(&mut mirror).expect(harm);
            let Observed { lines, counts, .. } = mirror.observe().expect("observed");
            assert!(lines.is_empty() && counts.is_empty(), "{harm}: {lines:#?}");
            assert_eq!(foreign(variant), before, "{harm}");
        }
        mirror.clear().expect("nothing is there");
        assert_eq!(foreign(variant), before);
    });
}

#[test]
fn a_set_that_somebody_else_asks_is_named() {
    each(|variant| {
        let mut mirror = Iptables::new(variant);
        mirror.apply(&whole(false, blocks()), NOW).expect("applied");
        let iptables = variant
            .tool(Family::V4, "")
            .trim_end_matches('-')
            .to_owned();
        sh(&format!(
            "{iptables} -A OUTPUT -m set --match-set fwctl-block4 dst -j DROP"
        ));
        let refused = mirror.clear().expect_err("it is asked").to_string();
        assert!(
            refused.starts_with("ipset destroy fwctl-block4 failed"),
            "{refused}"
        );
        sh(&format!("{iptables} -F OUTPUT"));
        mirror.clear().expect("nobody asks it");
        let Observed { lines, counts, .. } = mirror.observe().expect("observed");
        assert!(lines.is_empty() && counts.is_empty(), "{lines:#?}");
    });
}

#[test]
fn a_held_lock_is_an_error_and_changes_nothing() {
    each(|variant| {
        let mut mirror = Iptables::new(variant);
        mirror.apply(&whole(false, blocks()), NOW).expect("applied");
        let before = mirror.observe().expect("observed");
        let file = File::create("/run/xtables.lock").expect("a lock file");
        let held = Flock::lock(file, FlockArg::LockExclusive).expect("nobody holds it");
        let change = only_chains(true);
        let start = Instant::now();
        match (variant, mirror.apply(&change, NOW)) {
            (Variant::Legacy, Err(ToolError::Locked { tool })) => {
                assert_eq!(tool, "iptables-legacy-restore");
                assert!(
                    start.elapsed() < Duration::from_secs(8),
                    "{:?}",
                    start.elapsed()
                );
                drop(held);
                assert_eq!(mirror.observe().expect("observed"), before);
            }
            (Variant::Nft, Ok(())) => {}
            (_, ended) => panic!("{ended:?}"),
        }
    });
}

#[test]
fn when_the_second_family_refuses_the_first_has_what_it_had() {
    alone(|| {
        let mut mirror = Iptables::new(Variant::Nft);
        mirror.apply(&whole(true, blocks()), NOW).expect("applied");
        let before = mirror.observe().expect("observed");
        // Only the kernel sees this: a test of the restore succeeds.
        sh("nft 'add map ip6 filter m { type inet_service : verdict; \
            elements = { 22 : jump FWCTL-FORWARD } }'");
        let refused = mirror.apply(&only_chains(false), NOW);
        let refused = refused.expect_err("the chain is asked").to_string();
        assert!(
            refused.starts_with("ip6tables-nft-restore failed"),
            "{refused}"
        );
        assert!(refused.contains("FWCTL-FORWARD"), "{refused}");
        assert_eq!(mirror.observe().expect("observed"), before);
        sh("nft delete map ip6 filter m");
        mirror
            .apply(&only_chains(false), NOW)
            .expect("nobody asks it");
    });
}

#[test]
fn rules_that_others_add_meanwhile_are_kept() {
    each(|variant| {
        const ADDED: u32 = 80;
        let mut mirror = Iptables::new(variant);
        mirror.apply(&whole(true, blocks()), NOW).expect("applied");
        let iptables = command(variant, Family::V4);
        let adding = format!(
            "for n in $(seq {ADDED}); do {iptables} -w 20 -I INPUT -p udp --dport $n -j ACCEPT; \
             {iptables} -w 20 -A OUTPUT -p udp --dport $n -j ACCEPT; done"
        );
        let mut others = Command::new("sh")
            .args(["-ec", &adding])
            .spawn()
            .expect("sh starts");
        let mut applied = 0;
        let ended = loop {
            mirror
                .apply(&only_chains(applied % 2 == 0), NOW)
                .expect("applied");
            applied += 1;
            if let Some(ended) = others.try_wait().expect("it is ours") {
                break ended;
            }
        };
        assert!(
            ended.success() && applied > 3,
            "{ended}, {applied} times applied"
        );
        let saved = sh(&format!("{iptables}-save -t filter"));
        for chain in ["INPUT", "OUTPUT"] {
            let rule = format!("-A {chain} -p udp ");
            let kept = saved.lines().filter(|line| line.starts_with(&rule));
            assert_eq!(kept.count(), ADDED as usize, "{saved}");
        }
        mirror.apply(&only_chains(false), NOW).expect("applied");
        let lines = mirror.observe().expect("observed").lines;
        let jumps: Vec<&String> = lines
            .iter()
            .filter(|line| line.contains(" jump "))
            .collect();
        assert_eq!(
            jumps,
            [
                "iptables jump INPUT 1 -j FWCTL",
                "ip6tables jump INPUT 1 -j FWCTL"
            ]
        );
    });
}
