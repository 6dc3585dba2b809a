//! Policies and configurations that cannot be taken: a clear error, and everything is as it was.

use std::{collections::BTreeSet, fs};

use fw_tests::lab::{
    Lab,
    address::V4,
    command::{Fw, Reply},
    daemon::{Daemon, eventually},
    hostile::{PolicyFile, Service},
};
use serde_json::Value;

use super::{assert_let_in, before, configure, pending, prefixes, services};
use crate::hostile::storage::Disk;

/// A lab with a policy that stands, and everything that must not change.
struct Standing<'lab> {
    lab: &'lab Lab,
    services: [Service; 2],
    policy: BTreeSet<String>,
    daemon: Daemon<'lab>,
}

impl<'lab> Standing<'lab> {
    fn in_lab(lab: &'lab Lab) -> Self {
        let daemon = lab.daemon().start();
        lab.adopt(&before());
        Self {
            lab,
            services: services(lab),
            policy: lab.policy(),
            daemon,
        }
    }

    #[track_caller]
    fn assert(&self) {
        self.lab.policy_must_be(&self.policy);
        assert_eq!(pending(self.lab), Value::Null);
        assert_eq!(self.lab.sentinels(), [] as [u32; 0]);
        self.lab.fw(&["diff"]).must(0);
        assert_let_in(self.lab, &self.services);
    }
}

#[test]
fn broken_policy_file_is_exit_2_with_line_and_column() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let standing = Standing::in_lab(&lab);
    let cut = format!("blocks = [\"{}\"]\n", V4.free);
    for (broken, place) in [
        ("default = \"drop", "line 2, column "),
        ("defualt = \"drop\"", "line 2, column 1"),
        ("default = \"deny\"", "line 2, column 11"),
        ("allows = [\"198.51.100.300\"]", "line 2, column 11"),
        ("guard = [\n  \"10.0.0.0/33\",\n]", "line 3, column 3"),
        (
            "[[rule]]\nservice = \"tcp/0\"\naction = \"accept\"",
            "line 3, column 11",
        ),
        (
            "[[rule]]\nservice = \"tcp/22\"\naction = \"limit\"\nrate = \"often\"",
            "line 5, column 8",
        ),
        (
            "[[rule]]\nservice = \"tcp/22\"\naction = \"accept\"\nzone = \"Mars/Olympus\"\nhours = \"09:00-17:00\"",
            "line 5, column 8",
        ),
    ] {
        for arguments in [&["apply", "-"][..], &["apply", "-", "--confirm", "60"]] {
            let reply = Fw::new(&lab)
                .input(format!("{cut}{broken}\n"))
                .run(arguments);
            reply.must(2).saying(place);
        }
    }
    lab.fw(&["apply", "/nowhere/policy.toml"]).must(2);
    for confirm in ["0", "never", "x", "1w"] {
        let reply = lab.apply(&PolicyFile::default(), &["--confirm", confirm]);
        reply.must(2);
    }
    standing.assert();
}

#[test]
fn policy_that_blocks_who_is_guarded_is_exit_5() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let standing = Standing::in_lab(&lab);
    let blocks = |prefix: &str| PolicyFile {
        default: Some("drop"),
        guard: Some(Vec::new()),
        blocks: Some(vec!["203.0.113.0/24".to_owned(), prefix.to_owned()]),
        rules: Some(Vec::new()),
        ..PolicyFile::default()
    };
    let own = V4.server.to_string();
    let gateway = V4.gateway.to_string();
    let configured = V4.guarded.to_string();
    for prefix in ["0.0.0.0/1", "::/0", &own, &gateway, &configured] {
        for arguments in [&[][..], &["--confirm", "60"], &["--dry-run"]] {
            lab.apply(&blocks(prefix), arguments).must(5).saying(prefix);
        }
    }
    // Whom the file itself guards.
    let both = PolicyFile {
        guard: Some(vec!["203.0.113.7".to_owned()]),
        ..blocks("198.51.100.1")
    };
    lab.apply(&both, &[]).must(5).saying("203.0.113.7");
    standing.assert();
}

#[test]
fn policy_that_does_not_fit_is_exit_7() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let config = fs::read_to_string(lab.config()).expect("it was written");
    fs::write(lab.config(), format!("{config}[tables]\nipv4 = 10\n")).expect("it can be written");
    let standing = Standing::in_lab(&lab);
    let hosts = (1..=11).map(|host| format!("203.0.113.{host}"));
    let too_many = PolicyFile {
        default: Some("drop"),
        allows: Some(Vec::new()),
        guard: Some(Vec::new()),
        blocks: Some(hosts.collect()),
        rules: Some(Vec::new()),
        ..PolicyFile::default()
    };
    for arguments in [&[][..], &["--confirm", "60"]] {
        lab.apply(&too_many, arguments).must(7);
        standing.assert();
    }
    let mut just_enough = before();
    just_enough.blocks = Some(
        [
            prefixes(|net| net.below),
            too_many.blocks.expect("blocks")[..9].to_vec(),
        ]
        .concat(),
    );
    lab.adopt(&just_enough);
    assert_let_in(&lab, &standing.services);
}

#[test]
fn policy_that_cannot_be_written_is_exit_7() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let disk = Disk::mount(&lab);
    let standing = Standing::in_lab(&lab);
    disk.fill();
    // What the database has already taken holds some hundred kilobytes.
    let refused = (0_u8..40).find_map(|number| {
        let hosts = (0..=255).map(|host| format!("203.{number}.113.{host}"));
        let mut policy = before();
        policy.blocks.get_or_insert_default().extend(hosts);
        let reply = lab.apply(&policy, &["--confirm", "600"]);
        (reply.code() != Some(0)).then_some(reply)
    });
    let reply: Reply = refused.expect("the disk is full");
    reply.must(7);
    // The first that fitted can still be taken back, for which there must be room.
    disk.make_room();
    lab.fw(&["rollback"]).must(0);
    standing.assert();
}

/// What is wrong, by subject.
fn alarms(lab: &Lab) -> String {
    lab.fw(&["status", "--json"]).json()["alarms"].to_string()
}

#[test]
fn broken_configuration_at_a_start_gives_way_to_the_last_good_one() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let good = fs::read_to_string(lab.config()).expect("it was written");
    let broken = format!("{good}default = \"drop\"\nforward = \"no\"\n");
    fs::write(lab.config(), &broken).expect("it can be written");
    let refused = || lab.daemon().refused().must(2).saying("line 8, column 11");
    refused();
    assert!(!lab.pins().exists(), "there was never a good one");

    fs::write(lab.config(), &good).expect("it can be written");
    let standing = Standing::in_lab(&lab);
    assert_eq!(alarms(&lab), "[]");
    let Standing {
        services,
        policy,
        daemon,
        ..
    } = standing;
    daemon.term();
    fs::write(lab.config(), &broken).expect("it can be written");
    let test = lab.daemon().with(&["-t"]).refused().must(2);
    test.saying("line 8, column 11");
    for _ in 0..2 {
        let daemon = lab.daemon().start();
        let status = lab.fw(&["status", "--json"]).json();
        assert_eq!(status["state"], "degraded", "{status}");
        assert!(alarms(&lab).contains("line 8, column 11"), "{status}");
        assert!(alarms(&lab).contains("last good"), "{status}");
        lab.policy_must_be(&policy);
        assert_let_in(&lab, &services);
        daemon.kill_9();
    }
    fs::write(lab.config(), &good).expect("it can be written");
    let _daemon = lab.daemon().start();
    assert_eq!(alarms(&lab), "[]");
    lab.policy_must_be(&policy);
}

#[test]
fn reload_of_a_broken_configuration_changes_nothing() {
    let lab = Lab::new();
    configure(&lab, "nftables");
    let standing = Standing::in_lab(&lab);
    let good = fs::read_to_string(lab.config()).expect("it was written");
    let broken = "[guard]\nprefixes = []\n[mirror]\ndefault = \"drop\"\nbackend = 1\n";
    fs::write(lab.config(), broken).expect("it can be written");
    standing.daemon.hup();
    eventually("an alarm says where", || {
        alarms(&lab).contains("line 5, column 11")
    });
    standing.assert();
    fs::write(lab.config(), good).expect("it can be written");
    standing.daemon.hup();
    eventually("the alarm is gone", || alarms(&lab) == "[]");
    standing.assert();
}
