//! Single drops, as they happen.

use std::{thread, time::Duration};

use fw_tests::lab::{
    INTERFACE, Lab,
    address::{FAMILIES, V4},
    daemon::eventually,
    tail::Tail,
};

/// Listens, and waits until a change is shown: then drops are, too.
fn listen(lab: &Lab) -> Tail {
    let mut tail = lab.tail(&[]);
    thread::scope(|scope| {
        let heard = scope.spawn(|| tail.next_event());
        eventually("tail shows a change", || {
            lab.fw(&["block", "203.0.113.1"]).must(0);
            lab.fw(&["unblock", "203.0.113.1"]).must(0);
            heard.is_finished()
        });
    });
    tail
}

#[test]
fn drop_is_told_with_its_source_its_port_and_the_list_that_blocks_it() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    let mut tail = listen(&lab);
    for net in FAMILIES {
        lab.fw(&["block", net.block, "--list", "partners"]).must(0);
        assert!(lab.arrives(net.free) && !lab.arrives(net.blocked));
        let told = tail.next_of("drop");
        assert_eq!(told["source"], net.blocked.to_string(), "{told}");
        assert_eq!(told["destination"], net.server.to_string(), "{told}");
        assert_eq!(told["interface"], INTERFACE, "{told}");
        assert_eq!(told["protocol"], 17, "{told}");
        assert_ne!(told["destination_port"], 0, "{told}");
        assert_eq!(told["reason"], "block", "{told}");
        assert_eq!(told["list"], "partners", "{told}");
    }
}

/// Samples that were held back, by `status`.
fn held_back(lab: &Lab) -> u64 {
    let status = lab.json(&["status"]);
    status["samples"]["limited"].as_u64().expect("a number")
}

#[test]
fn flood_is_sampled_within_bounds_while_somebody_listens_and_not_at_all_otherwise() {
    let lab = Lab::alone();
    let _daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    let flood = || {
        let stream = lab.stream(V4, [V4.blocked], 20_000);
        thread::sleep(Duration::from_secs(1));
        let [tally] = stream.stop();
        tally.sent
    };
    flood();
    assert_eq!(held_back(&lab), 0, "nobody listens");

    let mut tail = listen(&lab);
    let sent = flood();
    let limited = held_back(&lab);
    let told = sent - limited;
    assert!((1..=1_000).contains(&told), "{told} of {sent} were sampled");
    for _ in 0..told {
        tail.next_of("drop");
    }
}
