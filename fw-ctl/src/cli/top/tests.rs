//! What messages and keys do to the state; how it is drawn is in `view/tests.rs`.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::{Action, Change, Front, Panel, Polled, Request, TTLS};
use super::*;
use crate::{
    api::wire::{
        EntryEvent, Event, Sampled, SampledPort, SampledSource, ScanSource, ScanStatus, Second,
        Stats, scan_examples,
    },
    cli::status,
};

/// The second of this number.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn sources(shares: &[(&str, f64)]) -> Vec<SampledSource> {
    let source = |(address, share): &(&str, f64)| SampledSource {
        source: address.parse().expect("an address"),
        reason: "block".into(),
        list: Some("local".into()),
        share: *share,
        geo: None,
    };
    shares.iter().map(source).collect()
}

/// An answer with two sources that are dropped, and one that scans.
pub(super) fn polled(second: i64) -> Polled {
    let seconds = (second - 2..=second).map(|number| Second {
        time: at(number),
        pass: 1000,
        drop: [("block".to_owned(), 50), ("limit".to_owned(), 7)].into(),
        ..Second::default()
    });
    let scan = scan_examples::status();
    Polled {
        status: status::tests::status(),
        stats: Stats {
            schema: 1,
            time: at(second),
            totals: Vec::new(),
            seconds: seconds.collect(),
            sampled: Sampled {
                window_s: 60,
                samples: 120,
                sources: sources(&[("192.0.2.7", 0.75), ("2001:db8::7", 0.25)]),
                ports: vec![SampledPort {
                    protocol: "tcp".into(),
                    port: Some(22),
                    share: 0.75,
                }],
            },
        },
        scan: ScanStatus {
            sources: vec![ScanSource {
                source: "198.51.100.9".into(),
                score: 2.0,
                slow_score: 12.0,
                ..scan.sources[0].clone()
            }],
            ..scan
        },
    }
}

/// A block by the operator.
pub(super) fn block(prefix: &str, comment: &str) -> Event {
    Event::Block(EntryEvent {
        schema: 1,
        time: at(0),
        prefix: prefix.into(),
        action: "block".into(),
        list: "local".into(),
        comment: comment.into(),
        by: "uid 0".into(),
        observed: false,
        updated: false,
        ttl_s: Some(600),
        expires_at: None,
        geo: None,
    })
}

/// A screen that has been answered once.
pub(super) fn answered() -> State {
    let mut state = State::default();
    state.update(Message::Polled(Box::new(polled(100))), at(100));
    state
}

/// Presses keys: a letter each, and `\n`, `\t` and `\x1b` for what they are.
pub(super) fn press(state: &mut State, keys: &str) -> Option<Request> {
    let mut asked = None;
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\x1b' => KeyCode::Esc,
            '\x08' => KeyCode::Backspace,
            letter => KeyCode::Char(letter),
        };
        let key = KeyEvent::new(code, KeyModifiers::NONE);
        asked = state.update(Message::Key(key), at(100));
    }
    asked
}

fn change(action: Action, target: &str, ttl: usize) -> Request {
    Request::Change(Change {
        action,
        target: target.into(),
        ttl,
    })
}

#[test]
fn the_daemon_is_asked_every_second_and_not_before_it_has_answered() {
    let mut state = State::default();
    assert_eq!(
        state.update(Message::Tick, at(1)),
        Some(Request::Poll(None))
    );
    assert_eq!(
        state.update(Message::Tick, at(5)),
        None,
        "it is asked already"
    );
    state.update(Message::Polled(Box::new(polled(5))), at(5));
    let after = Some(Request::Poll(Some(at(5))));
    assert_eq!(state.update(Message::Tick, at(6)), after);
    state.update(Message::Away("gone\x1b[2J".into()), at(6));
    assert_eq!(state.away.as_deref(), Some("gone\\u{1b}[2J"));
    assert_eq!(state.update(Message::Tick, at(6)), None, "not at once");
    assert_eq!(
        state.update(Message::Tick, at(7)),
        after,
        "it is tried again"
    );
    state.update(Message::Polled(Box::new(polled(7))), at(7));
    assert_eq!(state.away, None);
}

#[test]
fn only_a_yes_changes_something_and_what_was_asked_is_what_is_done() {
    for (key, action) in [
        ('b', Action::Block),
        ('a', Action::Allow),
        ('u', Action::Unblock),
    ] {
        let mut state = answered();
        assert_eq!(press(&mut state, &format!("j{key}")), None);
        // Another source takes the place of the chosen one meanwhile.
        let mut other = polled(101);
        other.stats.sampled.sources = sources(&[("203.0.113.1", 1.0)]);
        state.update(Message::Polled(Box::new(other)), at(101));
        for no_answer in ["b", "j", "\n", "\t", "1"] {
            assert_eq!(press(&mut state, no_answer), None);
        }
        let expected = Some(change(action, "2001:db8::7", 0));
        assert_eq!(press(&mut state, "y"), expected);
        assert_eq!((press(&mut state, "y"), &state.front), (None, &None));
    }
    for no in ["n", "q", "\x1b"] {
        let mut state = answered();
        press(&mut state, "b");
        assert_eq!(press(&mut state, &format!("{no}y")), None);
        assert!(state.front.is_none() && !state.ended, "{no:?}");
    }
}

#[test]
fn the_time_of_a_block_is_chosen_before_the_yes() {
    let mut state = answered();
    for ttl in 1..=TTLS.len() {
        press(&mut state, if ttl == 1 { "bt" } else { "t" });
        let Some(Front::Confirm(change)) = &state.front else {
            panic!("{:?}", state.front);
        };
        assert_eq!(change.ttl, ttl % TTLS.len());
    }
    assert_eq!(
        press(&mut state, "tty"),
        Some(change(Action::Block, "192.0.2.7", 2))
    );
}

#[test]
fn a_row_stays_chosen_while_others_come_and_go() {
    let mut state = answered();
    press(&mut state, "j");
    let mut turned = polled(101);
    turned.stats.sampled.sources.reverse();
    state.update(Message::Polled(Box::new(turned)), at(101));
    assert_eq!(
        press(&mut state, "by"),
        Some(change(Action::Block, "2001:db8::7", 0))
    );
    press(&mut state, "jjjjkkkkkk");
    assert_eq!(
        press(&mut state, "by"),
        Some(change(Action::Block, "2001:db8::7", 0))
    );
}

#[test]
fn each_panel_has_its_sources_and_an_event_about_nobody_has_none() {
    let mut state = answered();
    press(&mut state, "\t");
    assert_eq!(state.focus, Panel::Scans);
    assert_eq!(
        press(&mut state, "by"),
        Some(change(Action::Block, "198.51.100.9", 0))
    );
    state.update(Message::Event(Box::new(block("192.0.2.0/24", ""))), at(100));
    press(&mut state, "\t");
    assert_eq!(
        press(&mut state, "uy"),
        Some(change(Action::Unblock, "192.0.2.0/24", 0))
    );
    assert_eq!(
        press(&mut state, "w"),
        Some(Request::Why("192.0.2.0".into()))
    );
    let lost = Event::Lost {
        time: at(0),
        count: Some(3),
    };
    state.update(Message::Event(Box::new(lost)), at(100));
    press(&mut state, "\x1bk");
    assert_eq!(
        (press(&mut state, "by"), press(&mut state, "w")),
        (None, None)
    );
    press(&mut state, "\t");
    assert_eq!(state.focus, Panel::Sources);
}

#[test]
fn an_explanation_is_shown_only_where_it_was_asked_for_and_cannot_drive_the_terminal() {
    let mut state = answered();
    assert_eq!(
        press(&mut state, "w"),
        Some(Request::Why("192.0.2.7".into()))
    );
    let explained = |address: &str, line: &str| Message::Explained {
        address: address.into(),
        lines: Ok(vec![line.into()]),
    };
    let shown = |state: &State| match &state.front {
        Some(Front::Why { lines, .. }) => lines.clone(),
        other => panic!("{other:?}"),
    };
    state.update(explained("192.0.2.8", "late"), at(100));
    assert_eq!(shown(&state), None);
    state.update(explained("192.0.2.7", "drop\x1b[2J"), at(100));
    assert_eq!(shown(&state), Some(vec!["drop\\u{1b}[2J".to_owned()]));
    // From there, the source can be acted on.
    press(&mut state, "b");
    assert_eq!(
        press(&mut state, "y"),
        Some(change(Action::Block, "192.0.2.7", 0))
    );
    state.update(explained("192.0.2.7", "late"), at(100));
    assert_eq!(state.front, None);
}

#[test]
fn a_filter_leaves_rows_that_have_the_text_and_keys_are_letters_while_it_is_typed() {
    let mut state = answered();
    assert_eq!(press(&mut state, "/DB8bq"), None);
    assert!(!state.ended && state.rows(Panel::Sources).is_empty());
    press(&mut state, "\x08\x08\n");
    let rows = state.rows(Panel::Sources);
    assert_eq!(rows.len(), 1);
    assert_eq!(
        press(&mut state, "by"),
        Some(change(Action::Block, "2001:db8::7", 0))
    );
    press(&mut state, "\x1b");
    assert_eq!(state.rows(Panel::Sources).len(), 2);
    press(&mut state, "/x\x1b");
    assert!(state.filter.is_empty() && !state.typing);
}

#[test]
fn a_paused_screen_stands_still_and_has_missed_nothing_afterwards() {
    for key in ["p", " "] {
        let mut state = answered();
        press(&mut state, key);
        assert_eq!(
            state.update(Message::Tick, at(200)),
            None,
            "nobody is asked"
        );
        state.update(Message::Polled(Box::new(polled(200))), at(200));
        assert_eq!(state.history.last().map(|last| last.time), Some(at(100)));
        for prefix in ["192.0.2.1", "192.0.2.2"] {
            state.update(Message::Event(Box::new(block(prefix, ""))), at(200));
        }
        assert!(state.events.is_empty());
        press(&mut state, key);
        let targets = state.rows(Panel::Events).into_iter().map(|row| row.target);
        let expected = ["192.0.2.2", "192.0.2.1"].map(|text| Some(text.to_owned()));
        assert!(targets.eq(expected));
    }
}

#[test]
fn there_is_an_end_to_what_is_kept() {
    let mut state = answered();
    for _ in 0..2 {
        for _ in 0..2000 {
            state.update(Message::Event(Box::new(block("192.0.2.1", ""))), at(100));
        }
        assert_eq!(state.rows(Panel::Events).len(), 500);
        press(&mut state, "p");
    }
}

#[test]
fn what_a_change_did_is_said_for_a_while_and_shown_at_once() {
    let mut state = answered();
    state.update(Message::Tick, at(100));
    state.update(Message::Polled(Box::new(polled(100))), at(100));
    state.update(Message::Done(Err("guarded\n".into())), at(100));
    assert_eq!(state.notice, Some(("guarded\\n".to_owned(), false)));
    assert!(state.update(Message::Tick, at(100)).is_some());
    state.update(Message::Tick, at(108));
    assert!(state.notice.is_some());
    state.update(Message::Tick, at(109));
    assert_eq!(state.notice, None);
}

#[test]
fn it_ends_by_its_key_by_ctrl_c_anywhere_and_by_a_signal() {
    for before in ["", "b", "w", "?", "/"] {
        let mut state = answered();
        press(&mut state, before);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        state.update(Message::Key(interrupt), at(100));
        assert!(state.ended, "{before:?}");
    }
    let mut state = answered();
    press(&mut state, "?q");
    assert!(!state.ended, "closes the help");
    press(&mut state, "q");
    assert!(state.ended);
    let mut state = answered();
    state.update(Message::Quit, at(100));
    assert!(state.ended);
}
