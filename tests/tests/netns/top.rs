//! The live screen, on a real terminal: what it shows, and what its keys do to packets.

use std::{net::SocketAddr, time::Duration};

use fw_tests::lab::{
    INTERFACE, Lab,
    address::{FAMILIES, V4},
    daemon::eventually,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// As most terminals are, and one that is small.
const USUAL: (u16, u16) = (80, 24);
const SMALL: (u16, u16) = (40, 12);

#[test]
fn scanner_is_seen_and_stopped_by_two_keys_and_let_go_by_two_more() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    for net in FAMILIES {
        lab.fw(&["block", net.block]).must(0);
    }
    let screen = lab.screen("top", USUAL, "");
    screen.shows(&format!("{INTERFACE} native"));
    for net in FAMILIES {
        // Sampling begins with the first question.
        eventually("a blocked source appears", || {
            assert!(!lab.arrives(net.blocked));
            screen.text().contains(&net.blocked.to_string())
        });
    }
    // Some ports that nobody serves, and not so many that it is a scan.
    for port in 1..=5 {
        let closed = SocketAddr::new(V4.server, port);
        let connected = lab.connect(V4.free, closed, Duration::from_secs(1));
        assert!(connected.is_none());
    }
    screen.press(&["Tab"]);
    screen.shows(&format!("{}  5 of 10", V4.free));
    screen.press(&["w"]);
    screen.shows(&format!("Why {}", V4.free));
    screen.shows("pass, nothing names the source");
    screen.press(&["Escape", "b"]);
    screen.shows(&format!("block {} for 1h?", V4.free));
    assert!(lab.arrives(V4.free), "not before the yes");
    screen.press(&["y"]);
    screen.shows(&format!("block {}: 1 added", V4.free));
    assert!(!lab.arrives(V4.free));
    let entry = lab.entry("blocks", &V4.free.to_string());
    let entry = entry.expect("the block is there");
    assert!(
        entry["ttl_s"]
            .as_u64()
            .is_some_and(|left| (3500..=3600).contains(&left))
    );
    // The event of it.
    screen.shows(&format!("block {} in local for 1h", V4.free));

    screen.press(&["u"]);
    screen.shows(&format!("unblock {}?", V4.free));
    screen.press(&["y"]);
    screen.shows(&format!("unblock {}: 1 removed", V4.free));
    assert!(lab.arrives(V4.free));
    screen.press(&["q"]);
    screen.ends(0);
}

#[test]
fn refused_block_is_said_and_the_guarded_source_goes_on() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    lab.fw(&["block", "203.0.113.0/24"]).must(0);
    let screen = lab.screen("top", USUAL, "");
    screen.shows("pass ");
    // An event about a source that is guarded by now.
    let guarded = V4.guarded.to_string();
    lab.fw(&["block", &guarded]).must(0);
    screen.shows(&format!("block {guarded} in local"));
    lab.fw(&["unblock", &guarded]).must(0);
    lab.fw(&["guard", "add", &guarded]).must(0);
    screen.shows(&format!("unblock {guarded} in local"));
    screen.press(&["Tab", "Tab", "/"]);
    screen.press(&["unblock", "Enter", "b", "y"]);
    screen.shows("guarded");
    assert!(lab.arrives(V4.guarded) && lab.prefixes("blocks").len() == 1);
}

#[test]
fn daemon_that_goes_away_is_missed_and_found_again() {
    let lab = Lab::new();
    let daemon = lab.daemon().start();
    let screen = lab.screen("top", USUAL, "");
    screen.shows(&format!("{INTERFACE} native"));
    daemon.kill_9();
    screen.shows("NO ANSWER");
    let _daemon = lab.daemon().start();
    eventually("it is found again", || !screen.text().contains("NO ANSWER"));
    // Events, too.
    eventually("a block is told", || {
        lab.fw(&["block", V4.block]).must(0);
        lab.fw(&["unblock", V4.block]).must(0);
        screen.text().contains(&format!("block {}", V4.block))
    });
}

#[test]
fn terminal_is_as_it_was_however_the_screen_ends() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    for end in ["q", "C-c", "TERM", "INT", "HUP"] {
        let screen = lab.screen("top", SMALL, "");
        screen.shows("> Sources dropped");
        let signalled = |signal| kill(Pid::from_raw(screen.pid()), signal);
        match end {
            "TERM" => signalled(Signal::SIGTERM).expect("it runs"),
            "INT" => signalled(Signal::SIGINT).expect("it runs"),
            "HUP" => signalled(Signal::SIGHUP).expect("it runs"),
            key => screen.press(&[key]),
        }
        screen.ends(0);
    }
}

#[test]
fn colours_are_shown_or_not_as_asked() {
    let lab = Lab::new();
    let _daemon = lab.daemon().start();
    for (words, variables, coloured) in [
        ("top", "", true),
        ("top", "NO_COLOR=1", false),
        ("top --color never", "", false),
        ("top --color always", "NO_COLOR=1", true),
    ] {
        let screen = lab.screen(words, USUAL, variables);
        screen.shows("mirror");
        let text = screen.coloured();
        let has_colour = text.contains("\x1b[38;5;");
        assert_eq!(has_colour, coloured, "{words} {variables} {text:?}");
    }
}

#[test]
fn without_a_terminal_or_a_daemon_nothing_is_drawn() {
    let lab = Lab::new();
    lab.fw(&["top"]).must(2).saying("stdout is no terminal");
    lab.fw(&["top", "--json"]).must(2).saying("prints no JSON");
    let screen = lab.screen("top", USUAL, "");
    screen.ends(3);
}
