use std::{collections::VecDeque, fs, os::unix::fs::PermissionsExt as _};

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::webhook::hook::tests::{entry, hook};

fn queue(directory: &TempDir) -> Queue {
    let queue = Queue::open(directory.path()).expect("a queue");
    assert_eq!(queue.trouble, Ok(()));
    queue
}

fn directory() -> TempDir {
    TempDir::new().expect("a directory")
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time")
}

fn added(queue: &mut Queue, name: &str) -> Id {
    let hook = hook(json!({ "name": name })).expect("a webhook");
    queue.add(Arc::new(hook), at(0)).expect("room")
}

/// Blocks that are told apart by their numbers.
fn blocks(numbers: std::ops::Range<u64>) -> Vec<News> {
    let news = numbers.map(|number| News::new(entry("block", "local", Some(number))));
    news.collect()
}

fn numbers(message: &Message) -> Vec<u64> {
    let number = |event: &String| match serde_json::from_str(event) {
        Ok(Event::Block(entry)) => entry.ttl_s.expect("its number"),
        other => panic!("{other:?}"),
    };
    message.events.iter().map(number).collect()
}

/// What one webhook's queue shall be.
#[derive(Debug, Default)]
struct Model {
    /// Numbers and times.
    waiting: VecDeque<(u64, i64)>,
    /// Of those, on their way.
    sent: usize,
    message: Option<String>,
    delivered: u64,
    failed: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Put(u64),
    Next,
    Done(End),
    /// The daemon is killed, and started again.
    Kill,
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1..150_u64).prop_map(Step::Put),
        4 => Just(Step::Next),
        2 => Just(Step::Done(End::Delivered)),
        1 => Just(Step::Done(End::Failed)),
        2 => Just(Step::Kill),
        1 => (0..50_000_i64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..40)
}

impl Model {
    fn next(&mut self, now: i64) -> Vec<u64> {
        let old = now - 24 * 60 * 60;
        if self.sent > 0 && self.waiting[self.sent - 1].1 < old {
            self.failed += self.sent as u64;
            self.waiting.drain(..self.sent);
            self.end();
        }
        if self.sent == 0 {
            while self.waiting.front().is_some_and(|(_, time)| *time < old) {
                self.waiting.pop_front();
                self.failed += 1;
            }
            self.sent = self.waiting.len().min(100);
        }
        self.waiting
            .iter()
            .take(self.sent)
            .map(|(number, _)| *number)
            .collect()
    }

    fn end(&mut self) {
        self.sent = 0;
        self.message = None;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_queue_is_what_a_plain_list_is_wherever_it_is_killed(steps in steps()) {
        let directory = directory();
        let mut queue = queue(&directory);
        let id = added(&mut queue, "w");
        let (mut model, mut now, mut count) = (Model::default(), 0, 0);
        for step in steps {
            match step {
                Step::Put(more) => {
                    let news = blocks(count..count + more);
                    prop_assert_eq!(queue.put(&news, at(now)).expect("room"), [id]);
                    model.waiting.extend((count..count + more).map(|number| (number, now)));
                    count += more;
                }
                Step::Next => {
                    let message = queue.next(id, at(now)).expect("no failure");
                    let expected = model.next(now);
                    prop_assert_eq!(message.as_ref().map(numbers).unwrap_or_default(), expected);
                    if let Some(message) = message {
                        let known = model.message.get_or_insert_with(|| message.id.clone());
                        prop_assert_eq!(known, &message.id);
                    }
                }
                Step::Done(how) => {
                    queue.done(id, how).expect("no failure");
                    match how {
                        End::Delivered => model.delivered += model.sent as u64,
                        End::Failed => model.failed += model.sent as u64,
                    }
                    model.waiting.drain(..model.sent);
                    model.end();
                }
                Step::Kill => {
                    // Nothing is tidied up: the file is what it was at this moment.
                    let killed = std::mem::replace(&mut queue, self::queue(&directory));
                    std::mem::forget(killed);
                }
                Step::Wait(seconds) => now += seconds,
            }
            let told = &queue.list(at(now)).expect("no failure")[0];
            prop_assert_eq!(told.queued, model.waiting.len() as u64);
            prop_assert_eq!((told.delivered, told.failed, told.dropped), (model.delivered, model.failed, 0));
            let oldest = model.waiting.iter().map(|(_, time)| now - time).max();
            prop_assert_eq!(told.oldest_s, oldest.map(|age| age as u64));
        }
    }
}

#[test]
fn a_full_queue_loses_the_oldest_that_are_not_on_their_way() {
    let directory = directory();
    let mut queue = queue(&directory);
    let id = added(&mut queue, "w");
    queue.put(&blocks(0..1000), at(0)).expect("room");
    let message = queue
        .next(id, at(0))
        .expect("no failure")
        .expect("a message");
    for thousand in 1..12 {
        let news = blocks(thousand * 1000..(thousand + 1) * 1000);
        queue.put(&news, at(0)).expect("room");
    }
    let told = &queue.list(at(5)).expect("no failure")[0];
    assert_eq!(
        (told.queued, told.dropped, told.oldest_s),
        (10_000, 2_000, Some(5))
    );
    assert_eq!(queue.next(id, at(0)).expect("no failure"), Some(message));
    queue.done(id, End::Delivered).expect("no failure");
    let next = queue
        .next(id, at(0))
        .expect("no failure")
        .expect("a message");
    assert_eq!(numbers(&next), (2_100..2_200).collect::<Vec<_>>());
}

#[test]
fn each_webhook_has_a_queue_of_its_own_and_gets_what_it_wants() {
    let directory = directory();
    let mut queue = queue(&directory);
    let one = added(&mut queue, "one");
    let template =
        json!({"name": "two", "events": "unblock", "format": "template", "template": "{}"});
    let two = Arc::new(hook(template).expect("a webhook"));
    let two = queue.add(two, at(0)).expect("room");
    let both = ["block", "unblock"].map(|event| News::new(entry(event, "local", Some(1))));
    assert_eq!(queue.put(&both, at(0)).expect("room"), [one, two]);
    assert_eq!(queue.put(&blocks(0..1), at(0)).expect("room"), [one]);
    queue.put(&both, at(0)).expect("room");

    let sent = |queue: &mut Queue, id| {
        let message = queue
            .next(id, at(0))
            .expect("no failure")
            .expect("a message");
        message.events.len()
    };
    assert_eq!(sent(&mut queue, one), 5);
    assert_eq!(sent(&mut queue, two), 1, "a template takes one event");
    queue.remove(one).expect("no failure");
    assert_eq!(queue.next(one, at(0)).expect("no failure"), None);
    let mut again = self::queue(&directory);
    assert_eq!(again.list(at(0)).expect("no failure").len(), 1);
    assert!(added(&mut again, "one") > two, "a row was given twice");
}

#[test]
fn there_is_a_last_webhook() {
    let directory = directory();
    let mut queue = queue(&directory);
    for number in 0..MOST_HOOKS {
        added(&mut queue, &format!("w{number}"));
    }
    let one_more = hook(json!({"name": "more"})).expect("a webhook");
    let refused = queue.add(Arc::new(one_more), at(0)).expect_err("full");
    assert_eq!(refused.code, Code::Full);
}

#[test]
fn a_try_is_noted_and_the_file_is_for_its_owner_alone() {
    let directory = directory();
    let mut queue = queue(&directory);
    let id = added(&mut queue, "w");
    queue
        .note(id, at(7), Some(503), Some("later"))
        .expect("no failure");
    let told = &self::queue(&directory).list(at(9)).expect("no failure")[0];
    assert_eq!((told.tried_at, told.status), (Some(at(7)), Some(503)));
    assert_eq!(told.problem.as_deref(), Some("later"));
    for file in fs::read_dir(directory.path()).expect("files").flatten() {
        let mode = file.metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?}", file.path());
    }
}

#[test]
fn a_damaged_file_is_kept_beside_a_new_one() {
    let whole = {
        let directory = directory();
        added(&mut queue(&directory), "w");
        fs::read(directory.path().join("webhooks.db")).expect("a file")
    };
    let mut cut = whole.clone();
    cut[..4096].rotate_left(100);
    let later = directory();
    drop(queue(&later));
    let connection = Connection::open(later.path().join("webhooks.db")).expect("a file");
    connection
        .pragma_update(None, "user_version", 99)
        .expect("it can be written");
    drop(connection);
    let later = fs::read(later.path().join("webhooks.db")).expect("a file");
    for damaged in [b"no database at all".to_vec(), cut, later] {
        let directory = directory();
        let path = directory.path().join("webhooks.db");
        fs::write(&path, &damaged).expect("it can be written");
        let mut queue = Queue::open(directory.path()).expect("a queue");
        let trouble = queue.trouble.clone().expect_err("it is damaged");
        added(&mut queue, "new");
        drop(queue);
        let files = fs::read_dir(directory.path()).expect("files").flatten();
        let aside: Vec<_> = files
            .filter(|file| file.file_name().to_string_lossy().contains(".damaged-"))
            .filter(|file| fs::read(file.path()).is_ok_and(|bytes| bytes == damaged))
            .collect();
        assert_eq!(aside.len(), 1, "{trouble}");
        assert!(
            trouble.contains(&*aside[0].file_name().to_string_lossy()),
            "{trouble}"
        );
        assert_eq!(self::queue(&directory).hooks().len(), 1);
    }
}

#[test]
fn without_a_place_for_a_file_there_is_memory_and_a_word_about_it() {
    let mut queue = Queue::open(Path::new("/proc/nowhere")).expect("a queue");
    let trouble = queue.trouble.clone().expect_err("no file");
    assert!(trouble.contains("in memory"), "{trouble}");
    let id = added(&mut queue, "w");
    queue.put(&blocks(0..3), at(0)).expect("room");
    let message = queue
        .next(id, at(0))
        .expect("no failure")
        .expect("a message");
    assert_eq!(numbers(&message), [0, 1, 2]);
}

#[test]
fn whom_events_are_for_is_on_the_disk_before_it_is_said() {
    let directory = directory();
    let mut queue = queue(&directory);
    let level = |connection: &Connection| {
        connection.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0))
    };
    // FULL is 2, NORMAL is 1.
    assert_eq!(queue.for_good(|connection| level(connection)), Ok(2));
    assert_eq!(level(&queue.connection), Ok(1));
}
