use std::os::unix::{
    fs::{PermissionsExt as _, symlink},
    net::UnixListener,
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use tempfile::TempDir;

use super::*;
use crate::api::wire::scan_examples::{rolled, scan};

fn log(classic: bool) -> (TempDir, SecurityLog) {
    let directory = TempDir::new().expect("a directory");
    let log = SecurityLog::new(directory.path(), classic);
    (directory, log)
}

fn text(directory: &TempDir, name: &str) -> String {
    fs::read_to_string(directory.path().join(name)).expect(name)
}

#[test]
fn each_event_of_the_detector_is_one_line_that_reads_back() {
    let (directory, log) = log(false);
    let [up, down] = rolled();
    log.append(&[Event::Scan(scan()), up.clone()])
        .expect("written");
    let other = Event::Changed {
        time: scan().time,
        detail: "block 192.0.2.7 added".into(),
        by: "uid 0".into(),
    };
    log.append(&[other, down.clone()]).expect("written");
    let read: Vec<Event> = text(&directory, FILE)
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    assert_eq!(read, [Event::Scan(scan()), up, down]);
    let file = directory.path().join(FILE);
    let mode = fs::metadata(&file)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!directory.path().join(CLASSIC_FILE).exists());
}

#[test]
fn what_others_named_cannot_forge_a_line() {
    let (directory, log) = log(true);
    let hostile = "e\n{\"event\":\"scan\"}\r\u{1b}[2J\"\\\0";
    let event = Event::Scan(ScanEvent {
        interface: hostile.into(),
        ..scan()
    });
    log.append(std::slice::from_ref(&event)).expect("written");
    let line = text(&directory, FILE);
    let line = line.strip_suffix('\n').expect("a whole line");
    assert!(!line.contains(char::is_control), "{line:?}");
    assert_eq!(serde_json::from_str::<Event>(line).expect(line), event);
    assert_eq!(text(&directory, CLASSIC_FILE).lines().count(), 1);
}

#[test]
fn the_classic_form_is_time_what_was_done_and_address() {
    let (directory, log) = log(true);
    let with = |action: &str, enforced| {
        Event::Scan(ScanEvent {
            action: action.into(),
            enforced,
            ..scan()
        })
    };
    let v6 = Event::Scan(ScanEvent {
        source: "2001:db8::7".parse().expect("an address"),
        ..scan()
    });
    let [up, down] = rolled();
    let events = [
        with("block", true),
        up,
        with("observe", false),
        with("capped", false),
        v6,
        down,
    ];
    log.append(&events).expect("written");
    assert_eq!(
        text(&directory, CLASSIC_FILE),
        "2026-11-22T10:00:00Z | PORT_SCAN_BLOCKED | 192.0.2.7\n\
         2026-11-22T10:00:00Z | PORT_SCAN_OBSERVED | 192.0.2.7\n\
         2026-11-22T10:00:00Z | PORT_SCAN_CAPPED | 192.0.2.7\n\
         2026-11-22T10:00:00Z | PORT_SCAN_BLOCKED | 2001:db8::7\n"
    );
    assert_eq!(text(&directory, FILE).lines().count(), 6);
}

#[test]
fn a_file_never_grows_beyond_its_bound_and_the_one_before_is_kept() {
    let (directory, log) = log(false);
    let file = directory.path().join(FILE);
    let line = json(&[Event::Scan(scan())]).expect("plain data");
    // Holes take no disk.
    let filled = |bytes: u64| {
        let mut sparse = File::create(&file).expect("made");
        sparse.set_len(bytes - 1).expect("sized");
        sparse.seek(SeekFrom::End(0)).expect("at the end");
        sparse.write_all(b"\n").expect("written");
    };
    filled(MAX_BYTES - line.len() as u64);
    log.append(&[Event::Scan(scan())]).expect("it still fits");
    assert_eq!(fs::metadata(&file).expect("it is there").len(), MAX_BYTES);
    assert!(!rotated(&file).exists());

    log.append(&[Event::Scan(scan())]).expect("written");
    assert_eq!(text(&directory, FILE), line);
    let before = fs::metadata(rotated(&file)).expect("it is kept");
    assert_eq!(before.len(), MAX_BYTES);

    filled(MAX_BYTES - 1);
    log.append(&[Event::Scan(scan())]).expect("written");
    assert_eq!(text(&directory, FILE), line);
    let before = fs::metadata(rotated(&file)).expect("the older one goes");
    assert_eq!(before.len(), MAX_BYTES - 1);
}

#[test]
fn half_a_line_that_a_crash_left_does_not_spoil_the_next() {
    let (directory, log) = log(false);
    fs::write(directory.path().join(FILE), "{\"event\":\"sc").expect("written");
    log.append(&[Event::Scan(scan())]).expect("written");
    let whole = json(&[Event::Scan(scan())]).expect("plain data");
    assert_eq!(text(&directory, FILE), format!("{{\"event\":\"sc\n{whole}"));
}

#[test]
fn a_file_that_was_moved_away_is_made_anew() {
    let (directory, log) = log(false);
    let file = directory.path().join(FILE);
    log.append(&[Event::Scan(scan())]).expect("written");
    fs::rename(&file, directory.path().join("moved")).expect("moved");
    log.append(&[Event::Scan(scan())]).expect("written");
    assert_eq!(text(&directory, FILE), text(&directory, "moved"));
}

#[test]
fn what_is_no_regular_file_is_refused_and_what_it_leads_to_is_left_alone() {
    let (directory, log) = log(true);
    let file = directory.path().join(FILE);
    let target = directory.path().join("target");
    fs::write(&target, "precious").expect("written");
    symlink(&target, &file).expect("linked");
    let refused = || log.append(&[Event::Scan(scan())]).expect_err("refused");
    let error = refused();
    assert_eq!(error.path, file);
    assert_eq!(error.source.to_string(), "it is a symbolic link");
    assert_eq!(text(&directory, "target"), "precious");
    let classic = text(&directory, CLASSIC_FILE);
    assert_eq!(classic.lines().count(), 1, "the other file is written");

    fs::remove_file(&file).expect("removed");
    mkfifo(&file, Mode::S_IRWXU).expect("a pipe");
    assert_eq!(refused().source.to_string(), "it is not a regular file");
    fs::remove_file(&file).expect("removed");
    let _socket = UnixListener::bind(&file).expect("a socket");
    refused();
    fs::remove_file(&file).expect("removed");
    fs::create_dir(&file).expect("a directory");
    refused();
}

#[test]
fn a_directory_that_is_gone_is_an_error_and_without_events_nothing_is_opened() {
    let (directory, log) = log(true);
    log.append(&[]).expect("nothing to do");
    assert_eq!(fs::read_dir(&directory).expect("read").count(), 0);
    directory.close().expect("removed");
    log.append(&[]).expect("nothing to do");
    let error = log.append(&[Event::Scan(scan())]).expect_err("refused");
    assert_eq!(error.source.kind(), io::ErrorKind::NotFound);
}
