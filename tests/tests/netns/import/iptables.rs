//! iptables: rules of another host that drop by source, and everything else.

use fw_tests::lab::{
    Lab,
    address::{FAMILIES, V4},
    netfilter::Backend,
};

use super::{import, said::on, written};

/// Rules as people have them: `$ONE` is an address, `$NET` a network, `$BLOCKED` whom the lab
/// sends packets from.
const RULES: &str = r#"*filter
:INPUT ACCEPT [0:0]
:BAD - [0:0]
:SSH - [0:0]
-A INPUT -i lo -j ACCEPT
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -s $GOOD -m comment --comment "the office" -j ACCEPT
-A INPUT -p tcp -m tcp --dport 22 -j SSH
-A INPUT -j BAD
-A INPUT ! -s $ONE -j DROP
-A INPUT -s $FREE -i eth0 -j DROP
-A INPUT -s $FREE -p tcp -m tcp --dport 80 -j DROP
-A SSH -s $FREE -j DROP
-A BAD -s $ONE -m comment --comment "a \"quoted\" \\ one, it's" -j DROP
-A BAD -s $NET -j REJECT
-A BAD -s $BLOCKED -j DROP
COMMIT
"#;

#[test]
fn rules_that_drop_by_source_are_imported_and_nothing_wider() {
    for backend in [Backend::IptablesNft, Backend::IptablesLegacy] {
        let lab = Lab::named(&format!("import-{}", backend.name()));
        let _daemon = lab.daemon().start();
        for (program, family) in ["iptables", "ip6tables"].into_iter().zip(FAMILIES) {
            let (one, net, good) = match family.server.is_ipv4() {
                true => ("192.0.2.1", "203.0.113.0/24", "198.51.100.0/24"),
                false => ("2001:db8::1", "2001:db8:1::/48", "2001:db8:2::/48"),
            };
            let rules = RULES
                .replace("$ONE", one)
                .replace("$NET", net)
                .replace("$GOOD", good)
                .replace("$BLOCKED", &family.blocked.to_string())
                .replace("$FREE", &family.free.to_string());
            on(
                &lab.attacker,
                &backend.tool(program, "-restore"),
                &[],
                &rules,
            );
            let saved = on(&lab.attacker, &backend.tool(program, "-save"), &["-c"], "");
            on(&lab.attacker, &backend.tool(program, ""), &["-F"], "");
            let file = written(&lab, saved);
            import(&lab, &file, &[])
                .must(2)
                .saying("--only allow or --only block");
            let list = format!("from-{program}");
            let told = import(&lab, &file, &["--only", "block", "--list", &list, "--json"]).must(0);
            assert_eq!(told.json()["left_out"], 4, "{}", told.stderr);
            for named in ["! -s", "-i eth0", "--dport 80", "-A SSH"] {
                assert!(told.stderr.contains(named), "{named}: {}", told.stderr);
            }
            let blocks = [one, net, &family.blocked.to_string()].map(str::to_owned);
            assert_eq!(lab.prefixes(&list), blocks.into());
            let entry = lab.entry(&list, one).expect("it is there");
            assert_eq!(entry["comment"], "a \"quoted\" \\ one, it's");
            import(&lab, &file, &["--only", "allow"]).must(0);
            let entry = lab.entry("allows", good).expect("it is there");
            assert_eq!(entry["comment"], "the office");

            assert!(!lab.arrives(family.blocked));
            assert!(lab.arrives(family.free));
        }
    }
}

#[test]
fn listing_of_rules_is_read_as_the_save_is() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let blocked = V4.blocked;
    let rules = format!("*filter\n:INPUT ACCEPT\n-A INPUT -s {blocked} -j DROP\nCOMMIT\n");
    on(&lab.attacker, "iptables-nft-restore", &[], &rules);
    let listed = on(&lab.attacker, "iptables-nft", &["-S"], "");
    import(&lab, &written(&lab, listed), &[]).must(0);
    assert_eq!(lab.prefixes("blocks"), [blocked.to_string()].into());
    assert!(!lab.arrives(blocked) && lab.arrives(V4.free));
}
