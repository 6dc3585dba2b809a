//! What is drawn, as text.

use ratatui::{Terminal, backend::TestBackend};

use super::{
    super::{
        state::{Message, State},
        tests::{answered, at, block, polled, press},
    },
    *,
};

/// The screen of this size, line by line, without what is empty at the end of lines.
fn screen(state: &State, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
    let look = Look { colour: false };
    let drawn = terminal.draw(|frame| draw(state, look, frame));
    let buffer = drawn.expect("it is drawn").buffer;
    let cells = buffer.content().chunks(width.into());
    cells
        .map(|row| {
            let row: String = row.iter().map(|cell| cell.symbol()).collect();
            row.trim_end().to_owned()
        })
        .collect()
}

fn busy() -> State {
    let mut state = answered();
    let noted = block("192.0.2.7", "ssh brute force");
    state.update(Message::Event(Box::new(noted)), at(100));
    state
}

#[test]
fn a_terminal_of_80_by_24_shows_everything() {
    let expected = "\
fw-ctl  1 alarm  eth0 native  mirror behind  scan observe
pass 1000/s  drop 57/s
eth1 is away
pass       1000/s                                                             ██
block        50/s                                                             ██
limit         7/s                                                             ██

> Sources dropped, 120 samples in 60 s ─────────────────  Ports dropped ────────
192.0.2.7    75 %  block  local                           tcp/22  75 %
2001:db8::7  25 %  block  local



Scans in progress, 12 watched ──────────────────────────────────────────────────
198.51.100.9  12 of 20 slow  3s ago  21, 22, 23


Events ─────────────────────────────────────────────────────────────────────────
00:00:00  block 192.0.2.7 in local for 10m by uid 0: ssh brute force




? help  q quit  b block  a allow  u unblock  w why  / filter  p pause";
    assert_eq!(screen(&busy(), 80, 24).join("\n"), expected);
}

#[test]
fn a_small_terminal_shows_the_panel_that_has_the_focus() {
    let mut state = busy();
    let expected = "\
fw-ctl  1 alarm  eth0 native  mirror beh
pass 1000/s  drop 57/s
eth1 is away
pass       1000/s                      █
block        50/s                      █
> Sources dropped, 120 samples in 60 s ─
192.0.2.7    75 %  block  local
2001:db8::7  25 %  block  local



? help  q quit  b block  a allow  u unbl";
    assert_eq!(screen(&state, 40, 12).join("\n"), expected);
    press(&mut state, "\t");
    let text = screen(&state, 40, 12).join("\n");
    assert!(text.contains("> Scans in progress, 12 watched"), "{text}");
    assert!(text.contains("198.51.100.9  12 of 20 slow"), "{text}");
}

#[test]
fn no_size_is_too_small_or_too_large() {
    let mut state = busy();
    for keys in ["", "b", "\x1bw", "\x1b?", "\x1b/x"] {
        press(&mut state, keys);
        for (width, height) in [(1, 1), (2, 3), (5, 40), (300, 2), (300, 100)] {
            screen(&state, width, height);
        }
    }
    screen(&State::default(), 80, 24);
}

#[test]
fn what_is_asked_stands_in_front_and_names_source_and_time() {
    let mut state = busy();
    press(&mut state, "b");
    for (width, height) in [(80, 24), (40, 12)] {
        let text = screen(&state, width, height).join("\n");
        for line in [
            "block 192.0.2.7 for 1h?",
            "y: yes   n: no   t: another time",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
    press(&mut state, "tt");
    let text = screen(&state, 80, 24).join("\n");
    assert!(text.contains("block 192.0.2.7 without end?"), "{text}");
    press(&mut state, "nu");
    let text = screen(&state, 80, 24).join("\n");
    assert!(
        text.contains("unblock 192.0.2.7?") && !text.contains("another time"),
        "{text}"
    );
}

#[test]
fn a_daemon_that_is_away_is_said_loudly_and_the_last_figures_stay() {
    let mut state = busy();
    state.update(Message::Away("no daemon answers at /run/x".into()), at(101));
    let lines = screen(&state, 80, 24);
    assert!(lines[0].starts_with("fw-ctl  NO ANSWER"), "{lines:#?}");
    assert_eq!(lines[1], "no daemon answers at /run/x; asking again");
    assert!(lines.iter().any(|line| line.contains("192.0.2.7")));
    state.update(Message::Polled(Box::new(polled(102))), at(102));
    press(&mut state, "p");
    let lines = screen(&state, 80, 24);
    assert!(lines[0].starts_with("fw-ctl  PAUSED"), "{lines:#?}");
}

#[test]
fn nothing_a_daemon_says_drives_the_terminal() {
    let hostile = || "a\x1b[2J\u{202e}".to_owned();
    let mut polled = polled(100);
    let status = &mut polled.status;
    status.alarms = vec![hostile()];
    status.scan = hostile();
    status.interfaces[0].name = hostile();
    status.interfaces[0].mode = Some(hostile());
    status.mirror.state = hostile();
    let sampled = &mut polled.stats.sampled;
    sampled.sources[0].reason = hostile();
    sampled.sources[0].list = Some(hostile());
    sampled.ports[0].protocol = hostile();
    for second in &mut polled.stats.seconds {
        second.drop.insert(hostile(), 9_999);
    }
    polled.scan.sources[0].source = hostile();
    let mut state = State::default();
    state.update(Message::Polled(Box::new(polled)), at(100));
    state.update(
        Message::Event(Box::new(block("\x1bc", "\x1b]0;x\x07"))),
        at(100),
    );
    state.update(Message::Done(Ok(hostile())), at(100));
    let text = screen(&state, 300, 40).join("\n");
    let drives = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
    assert!(!text.contains(drives), "{text:?}");
    assert!(text.matches("\\u{1b}").count() >= 9, "{text}");
}

#[test]
fn without_colour_there_is_none() {
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a screen");
    for colour in [false, true] {
        let look = Look { colour };
        let drawn = terminal.draw(|frame| draw(&busy(), look, frame));
        let cells = drawn.expect("it is drawn").buffer.content();
        let coloured =
            |cell: &ratatui::buffer::Cell| cell.fg != Color::Reset || cell.bg != Color::Reset;
        assert_eq!(cells.iter().any(coloured), colour);
    }
}
