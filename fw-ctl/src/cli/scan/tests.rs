use clap::ColorChoice;

use super::*;
use crate::{
    api::wire::{ScanServed, scan_examples::status},
    cli::output::Format,
};

fn shown(status: &ScanStatus) -> String {
    screen(
        status,
        &Output::new(Format::Human, false, ColorChoice::Never),
    )
}

#[test]
fn one_screen_shows_the_whole_detector() {
    assert_eq!(
        shown(&status()),
        "\
observe: nothing is dropped, crossings are reported
changed  ttl, until `fw-ctl scan reset`
scan     10 ports not served in 1m, or 20 in 1h; tcp/23 count as 5 each
block    10m, then 1h, 1d, 1w for proven sources; one offence is forgotten every 1w
blocks   3 of 10000; unproven 2 of 1000, 100 a minute, room for 97 now
roll-up  32 blocked sources of a /24 or /48 become one block
served   tcp 22, 80, 8000-8010; udp 53, 32768-60999; and for 1m after
sources  12 watched, 262144 at once; 17 remembered; an IPv6 /64 is one
seen     5 crossings, 0 without room for a block; reports: 0 held back, 0 lost

SOURCE     SCORE  SLOW SCORE  PORTS  LAST    LAST PORTS
192.0.2.7  7.5    7.5         7      3s ago  21, 22, 23
"
    );
}

#[test]
fn what_there_is_not_is_not_shown() {
    let bare = ScanStatus {
        mode: "off".into(),
        changed: Vec::new(),
        escalation_s: Vec::new(),
        bait: Vec::new(),
        roll_up: 0,
        served: ScanServed::default(),
        sources: Vec::new(),
        ..status()
    };
    let text = shown(&bare);
    assert!(text.starts_with("off: nothing is counted\nscan "), "{text}");
    for line in [
        "scan     10 ports not served in 1m, or 20 in 1h",
        "block    10m; one offence is forgotten every 1w",
        "roll-up  never",
        "served   tcp none; udp none; and for 1m after",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("SOURCE"), "{text}");
}

#[test]
fn a_change_is_told_in_one_line() {
    assert_eq!(
        summary(&status()),
        "observe, 10 ports in 1m, first block 10m (not as configured: ttl)"
    );
}

#[test]
fn what_a_daemon_says_cannot_drive_the_terminal() {
    let hostile = ScanStatus {
        mode: "\u{1b}[2J".into(),
        changed: vec!["a\nb".into()],
        ..status()
    };
    let text = shown(&hostile) + &summary(&hostile);
    assert!(!text.contains('\u{1b}') && !text.contains("a\nb"), "{text}");
}

#[test]
fn a_block_and_a_window_end() {
    assert_eq!(secs("1h30m"), Ok(5_400));
    assert!(secs("never").is_err_and(|error| error.contains("for ever")));
    assert!(secs("0").is_err() && secs("10x").is_err());
}

#[derive(Debug, clap::Parser)]
struct Typed {
    #[command(flatten)]
    args: Args,
}

fn typed(arguments: &[&str]) -> Result<Option<Verb>, clap::Error> {
    let words = [&["scan"], arguments].concat();
    <Typed as clap::Parser>::try_parse_from(words).map(|typed| typed.args.verb)
}

#[test]
fn only_what_is_typed_is_set() {
    let change = |arguments: &[&str]| match typed(arguments) {
        Ok(Some(Verb::Set(args))) => args.change(false),
        other => panic!("{arguments:?}: {other:?}"),
    };
    let expected = ScanChange {
        mode: Some("enforce".into()),
        ports: Some(5),
        window_s: Some(120),
        ttl_s: Some(5_400),
        dry_run: false,
    };
    assert_eq!(
        change(&[
            "set", "--mode", "enforce", "--ports", "5", "--window", "2m", "--ttl", "1h30m"
        ]),
        expected
    );
    let expected = ScanChange {
        ports: Some(5),
        ..ScanChange::default()
    };
    assert_eq!(change(&["set", "--ports", "5"]), expected);
    assert!(matches!(typed(&[]), Ok(None)));
    assert!(matches!(typed(&["status"]), Ok(Some(Verb::Status))));
    assert!(matches!(typed(&["reset"]), Ok(Some(Verb::Reset))));
}
