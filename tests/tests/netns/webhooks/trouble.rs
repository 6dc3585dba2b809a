//! Receivers and daemons with troubles of their own.

use std::{
    thread,
    time::{Duration, Instant},
};

use fw_tests::lab::{command::Fw, daemon::eventually};

use super::{a_while, at_name, inside};
use crate::outside::{
    GLOBAL, Outside,
    receiver::{Answer, Receiver, Request},
};

fn receiver(outside: &Outside, port: u16) -> Receiver {
    let certificates = Some(&outside.certificates);
    Receiver::listen(&outside.lab.attacker, GLOBAL, port, certificates)
}

/// Every request is the same message, byte by byte, at another moment.
#[track_caller]
fn are_tries_of_one_message(requests: &[Request]) {
    for request in requests {
        assert_eq!(request.id(), requests[0].id());
        assert_eq!(request.body, requests[0].body);
    }
}

#[test]
fn receiver_that_was_dead_gets_everything_in_order_and_once() {
    let outside = Outside::new();
    let _daemon = outside.daemon();
    let port = receiver(&outside, 0).port;
    outside.add("w", &at_name(port));
    let blocked = outside.block(1..151);
    eventually("it was tried", || {
        !outside.webhook("w")["problem"].is_null()
    });
    let told = outside.webhook("w");
    assert!(
        told["problem"]
            .as_str()
            .is_some_and(|text| text.contains("refused")),
        "{told}"
    );
    assert_eq!(told["queued"], 150, "{told}");
    thread::sleep(Duration::from_secs(3));
    let receiver = receiver(&outside, port);
    outside.drained("w");
    assert_eq!(receiver.told(), blocked);
    let sizes: Vec<usize> = receiver
        .requests()
        .iter()
        .map(|one| one.prefixes().len())
        .collect();
    assert!(
        sizes.len() <= 4 && sizes.iter().all(|size| *size <= 100),
        "{sizes:?}"
    );
}

#[test]
fn slow_receiver_keeps_nobody_waiting_and_one_beyond_the_time_limit_gets_the_same_message_again() {
    let outside = Outside::new();
    let _daemon = outside.daemon();
    let receiver = receiver(&outside, 0);
    receiver.answer(&[Answer::After(Duration::from_secs(11))]);
    outside.add("w", &at_name(receiver.port));
    let start = Instant::now();
    let blocked = outside.block(1..21);
    assert!(
        start.elapsed() < Duration::from_secs(8),
        "{:?}",
        start.elapsed()
    );
    outside.drained("w");
    let requests = receiver.requests();
    assert_eq!(receiver.told(), blocked);
    are_tries_of_one_message(&requests[..2]);
    let gap = requests[1].at - requests[0].at;
    assert!(gap >= Duration::from_secs(10), "{gap:?}");
    let told = outside.webhook("w");
    assert_eq!(told["delivered"], 20, "{told}");
    assert!(outside.lab.logged().contains("no answer within 10 s"));
}

#[test]
fn failures_that_may_pass_are_tried_again_and_nothing_overtakes() {
    let outside = Outside::new();
    let _daemon = outside.daemon();
    let receiver = receiver(&outside, 0);
    receiver.answer(&[Answer::Status(500), Answer::HangUp, Answer::Status(503)]);
    outside.add("w", &at_name(receiver.port));
    let blocked = outside.block(1..11);
    outside.drained("w");
    assert_eq!(receiver.told(), blocked);
    let requests = receiver.requests();
    are_tries_of_one_message(&requests[..4]);
    assert_ne!(requests[4].id(), requests[0].id());
}

#[test]
fn receiver_that_asks_for_time_gets_it() {
    let outside = Outside::new();
    let _daemon = outside.daemon();
    let receiver = receiver(&outside, 0);
    receiver.answer(&[Answer::With(429, "retry-after: 4".into())]);
    outside.add("w", &at_name(receiver.port));
    let blocked = outside.block(1..4);
    outside.drained("w");
    assert_eq!(receiver.told(), blocked);
    let requests = receiver.requests();
    are_tries_of_one_message(&requests[..2]);
    let gap = requests[1].at - requests[0].at;
    assert!(gap >= Duration::from_secs(4), "{gap:?}");
}

#[test]
fn what_is_refused_is_counted_and_the_next_goes_on() {
    let outside = Outside::new();
    let _daemon = outside.daemon();
    let receiver = receiver(&outside, 0);
    receiver.answer(&[Answer::Status(404)]);
    outside.add("w", &at_name(receiver.port));
    outside.block(1..2);
    eventually("it was refused", || outside.webhook("w")["failed"] == 1);
    let told = outside.drained("w");
    assert_eq!(told["status"], 404, "{told}");
    assert!(
        told["problem"]
            .as_str()
            .is_some_and(|text| text.contains("404")),
        "{told}"
    );
    outside.block(2..4);
    let told = outside.drained("w");
    assert_eq!(
        (&told["delivered"], &told["problem"]),
        (&2.into(), &serde_json::Value::Null)
    );
}

#[test]
fn redirect_is_followed_nowhere() {
    let outside = Outside::new();
    let _daemon = outside.daemon();
    let receiver = receiver(&outside, 0);
    let canary = Receiver::listen(&outside.lab.server, "::", 0, None);
    let elsewhere = self::receiver(&outside, 0);
    outside.add("w", &at_name(receiver.port));
    let places = [
        (301, format!("http://127.0.0.1:{}/", canary.port)),
        (302, format!("http://{}:{}/", inside(), canary.port)),
        (303, format!("http://[::1]:{}/", canary.port)),
        (307, format!("https://localhost:{}/", canary.port)),
        (308, at_name(elsewhere.port)),
    ];
    for (number, (status, place)) in places.into_iter().enumerate() {
        receiver.answer(&[Answer::With(status, format!("location: {place}"))]);
        outside.block(number as u8..number as u8 + 1);
        let told = outside.drained("w");
        assert_eq!(told["failed"], number + 1, "{told}");
        assert_eq!(told["status"], status, "{told}");
        assert!(
            told["problem"]
                .as_str()
                .is_some_and(|text| text.contains("redirects")),
            "{told}"
        );
    }
    assert_eq!(receiver.requests().len(), 5);
    assert_eq!((canary.connections(), elsewhere.connections()), (0, 0));
    assert_eq!(outside.test("w")["status"], 204);
}

#[test]
fn daemon_that_is_killed_sends_the_same_messages_again_and_loses_none() {
    let outside = Outside::new();
    let mut daemon = outside.daemon();
    let receiver = receiver(&outside, 0);
    outside.add("w", &at_name(receiver.port));
    let mut blocked = Vec::new();
    for round in 0..4 {
        // It is killed while the receiver has the message and has not answered yet.
        receiver.answer(&[Answer::After(Duration::from_millis(700))]);
        let before = receiver.requests().len();
        blocked.extend(outside.block(round * 10..round * 10 + 10));
        eventually("a message is on its way", || {
            receiver.requests().len() > before
        });
        eventually("all events are written", || {
            let told = outside.webhook("w");
            told["queued"]
                .as_u64()
                .zip(told["delivered"].as_u64())
                .map(|(a, b)| a + b)
                == Some(blocked.len() as u64)
        });
        daemon.kill_9();
        daemon = outside.daemon();
    }
    outside.drained("w");
    assert_eq!(receiver.told(), blocked);
    let requests = receiver.requests();
    for request in &requests {
        let tries: Vec<_> = requests
            .iter()
            .filter(|one| one.id() == request.id())
            .cloned()
            .collect();
        are_tries_of_one_message(&tries);
    }
    drop(daemon);
}

#[test]
fn orderly_end_cuts_nothing_off_and_the_queue_is_there_again() {
    let outside = Outside::new();
    let daemon = outside.daemon();
    let receiver = receiver(&outside, 0);
    outside.add("w", &at_name(receiver.port));
    receiver.answer(&[Answer::After(Duration::from_millis(300))]);
    let blocked = outside.block(1..6);
    daemon.term();
    let _daemon = outside.daemon();
    outside.drained("w");
    assert_eq!(receiver.told(), blocked);
    let requests = receiver.requests();
    let mut ids: Vec<&str> = requests.iter().map(Request::id).collect();
    ids.dedup();
    assert_eq!(ids.len(), requests.len(), "a message came twice");
}

#[test]
fn queue_of_a_dead_receiver_is_bounded_and_says_what_it_dropped() {
    let outside = Outside::new();
    let daemon = outside.daemon();
    let port = receiver(&outside, 0).port;
    outside.add("w", &at_name(port));
    for thousand in 0..11 {
        let lines =
            (0..1000).map(|host| format!("100.{}.{}.{}\n", 100 + thousand, host / 250, host % 250));
        let import = Fw::new(&outside.lab).input(lines.collect::<String>());
        import.run(&["import", "-", "--list", "many"]).must(0);
        let seen = || {
            let told = outside.webhook("w");
            told["queued"].as_u64().unwrap_or(0) + told["dropped"].as_u64().unwrap_or(0)
        };
        eventually("all events are written", || seen() == 1000 * (thousand + 1));
    }
    let told = outside.webhook("w");
    assert_eq!(
        (&told["queued"], &told["dropped"]),
        (&10_000.into(), &1000.into()),
        "{told}"
    );
    daemon.kill_9();
    let _daemon = outside.daemon();
    let receiver = receiver(&outside, port);
    let told = outside.drained("w");
    assert_eq!(
        (&told["delivered"], &told["dropped"]),
        (&10_000.into(), &1000.into()),
        "{told}"
    );
    let arrived = receiver.told();
    assert_eq!(arrived.len(), 10_000);
    // What was on its way when too many came has stayed, and the newest are all there.
    let newest: Vec<String> = (0..1000)
        .map(|host| format!("100.110.{}.{}", host / 250, host % 250))
        .collect();
    assert_eq!(arrived[9_000..], newest);
}

#[test]
fn damaged_file_is_an_alarm_and_not_the_end() {
    let outside = Outside::new();
    let daemon = outside.daemon();
    let receiver = receiver(&outside, 0);
    outside.add("w", &at_name(receiver.port));
    daemon.kill_9();
    let state = outside.lab.state();
    std::fs::remove_file(state.join("webhooks.db-wal")).expect("it is there");
    std::fs::write(state.join("webhooks.db"), "no database").expect("it can be written");
    let _daemon = outside.daemon();
    eventually("there is an alarm", || {
        let status = outside.lab.json(&["status"]).to_string();
        status.contains("webhooks.db.damaged-")
    });
    assert_eq!(outside.lab.json(&["webhook"])["total"], 0);
    outside.add("w", &at_name(receiver.port));
    let blocked = outside.block(1..3);
    outside.drained("w");
    assert_eq!(receiver.told(), blocked);
    a_while();
    assert_eq!(receiver.told(), blocked);
}
