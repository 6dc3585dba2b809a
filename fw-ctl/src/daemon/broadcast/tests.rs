use std::time::Duration;

use tokio::time::timeout;

use super::*;

fn alarm(subject: u64) -> Event {
    Event::Alarm {
        time: jiff::Timestamp::UNIX_EPOCH,
        subject: subject.to_string(),
        message: None,
    }
}

fn sample() -> Event {
    let text = r#"{"event":"drop","time":"2026-11-22T10:00:00Z","interface":"eth0","source":null,
        "destination":null,"protocol":6,"source_port":1,"destination_port":2,"vlans":[],"length":60,
        "reason":"block","list":null,"observed":false}"#;
    serde_json::from_str(text).expect("an event")
}

/// Subjects of alarms, and counts of what was lost below 0, as long as some are there.
async fn heard(listener: &mut Listener) -> Vec<i64> {
    let mut heard = Vec::new();
    while let Ok(told) = timeout(Duration::from_millis(20), listener.next()).await {
        heard.push(match &told.event {
            Event::Alarm { subject, .. } => subject.parse().expect("a number"),
            Event::Lost { count, .. } => -count.map_or(i64::MAX, |count| count as i64),
            other => panic!("{other:?}"),
        });
    }
    heard
}

#[tokio::test]
async fn every_listener_gets_every_event_in_its_order_and_none_from_before() {
    let broadcast = Broadcast::new(1);
    broadcast.tell(alarm(0));
    let (mut one, mut other) = (broadcast.listen(), broadcast.listen());
    for number in 1..200 {
        broadcast.tell(alarm(number));
    }
    let expected: Vec<i64> = (1..200).collect();
    assert_eq!(heard(&mut one).await, expected);
    assert_eq!(heard(&mut other).await, expected);
    assert_eq!(broadcast.lost(), 0);
}

#[tokio::test]
async fn who_writes_everything_down_gets_it_from_the_first_event_on_and_no_samples() {
    let broadcast = Broadcast::new(1);
    broadcast.tell(alarm(0));
    let mut writer = broadcast.follow();
    for _ in 0..2 * SAMPLES {
        broadcast.tell(sample());
    }
    broadcast.tell(alarm(1));
    assert_eq!(heard(&mut writer).await, [0, 1]);
    assert_eq!(broadcast.lost(), 0);
}

#[tokio::test]
async fn an_event_that_comes_while_one_waits_is_heard() {
    let broadcast = Broadcast::new(1);
    let mut listener = broadcast.listen();
    let waiting = tokio::spawn(async move { listener.next().await });
    tokio::time::sleep(Duration::from_millis(10)).await;
    broadcast.tell(alarm(7));
    let told = timeout(Duration::from_secs(5), waiting).await;
    let told = told.expect("in time").expect("it does not fail");
    assert_eq!(told.event, alarm(7));
    assert_eq!(told.id.as_deref(), Some("1-0"));
    assert_eq!(
        told.json,
        r#"{"event":"alarm","time":"1970-01-01T00:00:00Z","subject":"7","message":null}"#
    );
}

#[tokio::test]
async fn who_is_too_slow_learns_how_many_are_missing_and_goes_on() {
    let broadcast = Broadcast::new(1);
    let mut slow = broadcast.listen();
    let all = KEPT as u64 + 10;
    (0..all).for_each(|number| broadcast.tell(alarm(number)));
    let told = heard(&mut slow).await;
    assert_eq!(told[..2], [-10, 10]);
    assert_eq!(told.len(), KEPT + 1);
    assert_eq!(broadcast.lost(), 10);
    assert!(
        broadcast.0.kept.lock().events.len() <= KEPT,
        "memory is bounded"
    );
}

#[tokio::test]
async fn who_comes_back_gets_what_happened_meanwhile() {
    let broadcast = Broadcast::new(0xab);
    (0..5).for_each(|number| broadcast.tell(alarm(number)));
    assert_eq!(heard(&mut broadcast.resume("ab-2")).await, [3, 4]);
    assert!(heard(&mut broadcast.resume("ab-4")).await.is_empty());
    (5..=KEPT as u64 + 3).for_each(|number| broadcast.tell(alarm(number)));
    assert_eq!(heard(&mut broadcast.resume("ab-1")).await[..2], [-2, 4]);
}

#[tokio::test]
async fn an_id_of_another_daemon_or_of_nobody_is_a_loss_of_unknown_size() {
    for id in ["cd-2", "ab-5", "ab", "", "2", "ab-x", "ab--1"] {
        let broadcast = Broadcast::new(0xab);
        (0..5).for_each(|number| broadcast.tell(alarm(number)));
        let mut listener = broadcast.resume(id);
        broadcast.tell(alarm(9));
        assert_eq!(heard(&mut listener).await, [-i64::MAX, 9], "{id:?}");
    }
}

#[tokio::test]
async fn samples_go_to_those_who_are_there_and_are_counted_when_lost() {
    let broadcast = Broadcast::new(1);
    broadcast.tell(sample());
    let mut listener = broadcast.listen().with_samples();
    let mut other = broadcast.listen();
    (0..SAMPLES as u64 + 3).for_each(|_| broadcast.tell(sample()));
    assert!(
        heard(&mut other).await.is_empty(),
        "it wants none and loses none"
    );
    let first = listener.next().await;
    assert!(matches!(first.event, Event::Lost { count: Some(3), .. }));
    let second = listener.next().await;
    assert_eq!((&second.event, &second.id), (&sample(), &None));
    assert!(broadcast.0.kept.lock().events.is_empty());
}
