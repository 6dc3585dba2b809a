//! Nothing leads inside: no address, no name, no name that changes its mind.

use std::fs;

use fw_tests::lab::daemon::eventually;

use super::{a_while, at_name, inside};
use crate::outside::{GLOBAL, NAME, Outside, receiver::Receiver};

/// Addresses inside, each with what it is.
const PLACES: [(&str, &str); 9] = [
    ("127.0.0.1", "loopback"),
    ("169.254.169.254", "link-local"),
    ("::1", "loopback"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::ffff:10.0.0.5", "private"),
    ("64:ff9b::7f00:1", "loopback"),
    ("64:ff9b::a00:5", "private"),
    ("10.0.0.5", "private"),
    ("45.79.9.9", "this machine"),
];

/// Listens at all addresses of the server, among them those above.
fn canary(outside: &Outside) -> Receiver {
    outside
        .lab
        .server
        .ip("address add 169.254.169.254/32 dev lo\n\
         address add 10.0.0.5/32 dev lo\n\
         address add 45.79.9.9/32 dev lo\n\
         address add 64:ff9b::7f00:1/128 dev lo\n\
         address add 64:ff9b::a00:5/128 dev lo");
    Receiver::listen(&outside.lab.server, "::", 0, Some(&outside.certificates))
}

#[test]
fn name_that_resolves_inside_reaches_nothing_and_the_reason_is_told() {
    let outside = Outside::new();
    let canary = canary(&outside);
    let _daemon = outside.daemon();
    outside.add("w", &at_name(canary.port));
    for (address, what) in PLACES {
        outside.names.answer(NAME, &[address]);
        let told = outside.test("w");
        assert_eq!(told["delivered"], false, "{address}: {told}");
        let problem = told["problem"].as_str().unwrap_or_default();
        assert!(problem.contains(what), "{address}: {told}");
    }
    outside.block(1..3);
    eventually("it was tried", || {
        !outside.webhook("w")["problem"].is_null()
    });
    a_while();
    assert_eq!(canary.connections(), 0);
    assert_eq!(outside.webhook("w")["queued"], 2);
}

#[test]
fn address_inside_is_refused_however_it_is_written() {
    let outside = Outside::new();
    let canary = canary(&outside);
    let _daemon = outside.daemon();
    let written = PLACES.map(|(address, _)| match address.contains(':') {
        true => format!("[{address}]"),
        false => address.to_owned(),
    });
    let others = ["127.1", "0x7f000001", "2130706433", "0", "[::]"].map(str::to_owned);
    for host in written.iter().chain(&others) {
        for scheme in ["https", "http"] {
            let url = format!("{scheme}://{host}:{}/", canary.port);
            outside
                .lab
                .fw(&["webhook", "add", "w", &url])
                .must(2)
                .saying("webhooks");
        }
    }
    let plain = format!("http://{GLOBAL}:{}/", canary.port);
    outside
        .lab
        .fw(&["webhook", "add", "w", &plain])
        .must(2)
        .saying("http is only for");
    assert_eq!(canary.connections(), 0);
    assert_eq!(outside.lab.json(&["webhook"])["total"], 0);
}

#[test]
fn name_that_changes_between_look_ups_gets_nothing_inside() {
    let outside = Outside::new();
    let canary = canary(&outside);
    let certificates = Some(&outside.certificates);
    let receiver = Receiver::listen(&outside.lab.attacker, GLOBAL, canary.port, certificates);
    let _daemon = outside.daemon();
    outside.add("w", &at_name(canary.port));
    let (out, back) = (&[GLOBAL][..], &["127.0.0.1"][..]);
    outside
        .names
        .answer_in_turn(NAME, &[out, back, out, back, out, back]);
    let delivered: Vec<bool> = (0..6)
        .map(|_| outside.test("w")["delivered"] == true)
        .collect();
    assert_eq!(delivered, [true, false, true, false, true, false]);
    // One answer with both: the way inside is left out.
    outside.names.answer(NAME, &["127.0.0.1", "::1", GLOBAL]);
    assert_eq!(outside.test("w")["delivered"], true);
    assert_eq!((receiver.requests().len(), canary.connections()), (4, 0));
}

#[test]
fn receiver_inside_is_reached_when_the_configuration_names_it_and_no_longer_than_that() {
    let outside = Outside::allowing("\"10.0.0.5/32\", \"127.0.0.0/8\"");
    let canary = canary(&outside);
    let plain = Receiver::listen(&outside.lab.server, "::", 0, None);
    let daemon = outside.daemon();
    // That nothing arrived above is no fault of the canary's.
    outside.add("w", &at_name(canary.port));
    for address in ["10.0.0.5", "127.0.0.1", "::ffff:127.0.0.1"] {
        outside.names.answer(NAME, &[address]);
        assert_eq!(outside.test("w")["delivered"], true, "{address}");
    }
    for address in ["::1", "169.254.169.254"] {
        outside.names.answer(NAME, &[address]);
        assert_eq!(outside.test("w")["delivered"], false, "{address}");
    }
    assert_eq!(canary.requests().len(), 3);

    let url = |host: &str| format!("http://{host}:{}/", plain.port);
    outside.add("plain", &url("127.0.0.1"));
    outside.add("named", &url(NAME));
    assert_eq!(outside.test("plain")["status"], 204);
    outside.names.answer(NAME, &["10.0.0.5"]);
    assert_eq!(outside.test("named")["status"], 204);
    outside.names.answer(NAME, &[GLOBAL]);
    let told = outside.test("named");
    assert!(
        told["problem"]
            .as_str()
            .is_some_and(|text| text.contains("http is only for")),
        "{told}"
    );
    outside
        .lab
        .fw(&["webhook", "add", "other", &url(&inside())])
        .must(2);

    fs::write(outside.lab.config(), "").expect("the configuration can be written");
    let before = plain.connections();
    daemon.hup();
    eventually("the networks are taken back", || {
        outside.test("plain")["delivered"] == false
    });
    let reached = plain.connections();
    assert_eq!(outside.test("plain")["delivered"], false);
    assert_eq!(plain.connections(), reached, "{before}");
}
