//! Five questions on a real terminal, and the trial that follows.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use fw_tests::lab::{INTERFACE, Lab, address::V4, command::Fw, daemon::eventually, screen::Screen};

const SIZE: (u16, u16) = (100, 80);

/// Begins, with so many seconds for the trial.
fn init(lab: &Lab, confirm: u64) -> Screen {
    init_of(lab, &lab.config(), confirm)
}

/// The same, with another file.
fn init_of(lab: &Lab, file: &Path, confirm: u64) -> Screen {
    let [state, pins] = lab.places();
    let file = file.display();
    let words = format!("init -c {file} --confirm {confirm} {state} {pins}");
    lab.screen_inside(&words, SIZE)
}

/// Answers all questions as it is proposed, but for the interface.
fn answer_all(screen: &Screen) {
    screen.shows("Which interface?");
    screen.answer(INTERFACE);
    for asked in [
        "or none? [none]",
        "enforce? [observe]",
        "or none? [auto]",
        "only ...? [all]",
    ] {
        screen.shows(asked);
        screen.answer("");
    }
}

/// Without a daemon.
fn is_attached(lab: &Lab) -> bool {
    lab.pins().exists()
}

#[test]
fn every_answer_is_asked_again_until_it_makes_sense_and_then_it_filters() {
    let lab = Lab::new();
    let screen = init(&lab, 60);
    for (asked, wrong, why, right) in [
        (
            "Which interface?",
            "eth9",
            "there is no interface \"eth9\" here",
            INTERFACE,
        ),
        ("or none? [none]", "10.0.0", "10.0.0", "192.0.2.0/24"),
        (
            "enforce? [observe]",
            "maybe",
            "neither observe nor enforce",
            "enforce",
        ),
        (
            "or none? [auto]",
            "pf",
            "none of auto, iptables",
            "nftables",
        ),
        ("only ...? [all]", "Germany", "none of: all", "all"),
    ] {
        screen.shows(asked);
        screen.answer(wrong);
        screen.shows(why);
        screen.answer(right);
    }
    screen.shows(&format!("come in by {INTERFACE} go through XDP"));
    screen.shows(&format!("{INTERFACE}: native"));
    screen.shows("within 60 s it is taken back");
    // It drops nothing yet.
    lab.fw(&["block", V4.block]).must(0);
    assert!(lab.arrives(V4.blocked));
    screen.answer("perhaps");
    screen.shows("yes or no?");
    screen.answer("yes");
    screen.shows("It runs here until Ctrl-C");
    eventually("it drops", || !lab.arrives(V4.blocked));
    assert!(lab.arrives(V4.free));
    let status = lab.json(&["status"]);
    assert_eq!(
        (&status["scan"], &status["observe"]),
        (&"enforce".into(), &false.into())
    );
    assert_eq!(status["mirror"]["backend"], "nftables");
    let guard = lab.json(&["guard"]).to_string();
    assert!(guard.contains("192.0.2.0/24"), "{guard}");
    screen.press(&["C-c"]);
    screen.ends(0);
    assert!(!lab.arrives(V4.blocked), "filtering goes on");
    let config = lab.config().display().to_string();
    lab.fw(&["run", "-t", "-c", &config]).must(0);
}

#[test]
fn trial_that_nobody_confirms_leaves_nothing_attached() {
    let lab = Lab::new();
    for answer in [None, Some("no"), Some("C-c")] {
        let screen = init(&lab, if answer.is_none() { 1 } else { 60 });
        answer_all(&screen);
        screen.shows("it is taken back. [yes/no]");
        match answer {
            Some("no") => screen.answer("no"),
            Some(key) => screen.press(&[key]),
            None => {}
        }
        screen.shows("Taken back: nothing is attached");
        screen.ends(9);
        assert!(!is_attached(&lab), "{answer:?}");
        lab.fw(&["status"]).must(3);
        assert!(lab.config().exists());
        fs::remove_file(lab.config()).expect("it is there");
    }
}

#[test]
fn trial_whose_terminal_goes_away_is_taken_back() {
    let lab = Lab::new();
    let screen = init(&lab, 60);
    answer_all(&screen);
    screen.shows("it is taken back. [yes/no]");
    assert!(is_attached(&lab));
    let process = PathBuf::from(format!("/proc/{}", screen.pid()));
    drop(screen);
    eventually("it is taken back", || !process.exists());
    assert!(!is_attached(&lab));
}

#[test]
fn signal_while_the_trial_begins_takes_it_back() {
    let lab = Lab::new();
    for after in [0, 200, 400, 800] {
        let screen = init(&lab, 60);
        answer_all(&screen);
        thread::sleep(Duration::from_millis(after));
        let process = PathBuf::from(format!("/proc/{}", screen.pid()));
        screen.press(&["C-c"]);
        eventually("it has ended", || !process.exists());
        assert!(!is_attached(&lab), "{after}");
        lab.fw(&["status"]).must(3);
        // It may not have come so far.
        let _written = fs::remove_file(lab.config());
    }
}

#[test]
fn daemon_that_somebody_else_starts_meanwhile_is_left_alone() {
    let lab = Lab::new();
    let screen = init_of(&lab, &lab.directory().join("init.toml"), 1);
    screen.shows("Which interface?");
    screen.answer(INTERFACE);
    for asked in ["or none? [none]", "enforce? [observe]", "or none? [auto]"] {
        screen.shows(asked);
        screen.answer("");
    }
    screen.shows("only ...? [all]");
    let _daemon = lab.daemon().start();
    lab.fw(&["block", V4.block]).must(0);
    screen.answer("");
    screen.shows("the daemon did not start");
    screen.ends(1);
    lab.fw(&["status"]).must(0);
    assert!(!lab.arrives(V4.blocked) && lab.arrives(V4.free));
}

#[test]
fn who_ends_the_questions_or_only_tries_has_written_nothing() {
    let lab = Lab::new();
    let screen = init(&lab, 60);
    screen.shows("Which interface?");
    screen.press(&["C-d"]);
    screen.shows("nothing was written");
    screen.ends(1);
    let [state, pins] = lab.places();
    let dry = format!("init -n -c {} {state} {pins}", lab.config().display());
    let screen = lab.screen_inside(&dry, SIZE);
    answer_all(&screen);
    screen.shows(&format!("interfaces = [\"{INTERFACE}\"]"));
    screen.ends(0);
    assert!(!lab.config().exists() && !is_attached(&lab));
}

#[test]
fn questions_in_vain_are_not_asked() {
    let lab = Lab::new();
    let config = lab.config().display().to_string();
    let asked = || Fw::new(&lab).inside(&["init", "-c", &config]);
    asked().must(2).saying("no terminal");
    fs::write(lab.config(), "interfaces = [\"lo\"]\n").expect("written");
    let screen = init(&lab, 60);
    screen.shows("is there already");
    screen.ends(2);
    fs::remove_file(lab.config()).expect("it is there");
    let _daemon = lab.daemon().start();
    let screen = init(&lab, 60);
    screen.shows("a daemon runs already");
    screen.ends(10);
}
