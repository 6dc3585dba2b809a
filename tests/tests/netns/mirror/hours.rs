//! Rules that come and go by the clock.

use std::{
    thread,
    time::{Duration, Instant, SystemTime},
};

use fw_tests::lab::{
    address::{FAMILIES, V4, V6},
    daemon::eventually,
    netfilter::Backend,
};

use super::{Layers, add, door::Door, lab, launch, with_each_backend};
use crate::time::WallClock;

const DAY: u64 = 86_400;
/// How late a change may be.
const LATE: Duration = Duration::from_secs(2);

/// Seconds ahead of the machine's clock that it is this second of its next day.
fn ahead(second: u64) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let now = now.expect("after 1970").as_secs();
    ((second + 2 * DAY - now % DAY) % DAY) as i64
}

const NINE: u64 = 9 * 3600;
const FIVE: u64 = 17 * 3600;
/// Before the hour.
const LEAD: u64 = 2;

/// Waits until something holds, which it must within time of the hour that is `LEAD` away.
#[track_caller]
fn on_the_hour(what: &str, jumped: Instant, holds: impl Fn() -> bool) {
    // The clock of the daemon counts from the last full second of the machine's.
    assert!(
        !holds() || jumped.elapsed() > Duration::from_secs(LEAD - 1),
        "too early: {what}"
    );
    eventually(what, holds);
    let took = jumped.elapsed();
    let most = Duration::from_secs(LEAD) + LATE;
    assert!(
        took <= most,
        "{what} {took:?} after {LEAD} s before the hour"
    );
}

fn hours_open_and_close_on_time(backend: Backend) {
    let lab = lab(backend);
    let clock = WallClock::build(&lab);
    let (open, closed) = (Door::tcp(&lab, 8080), Door::udp(&lab, 8081));
    let another = Door::tcp(&lab, 8082);
    clock.jump(ahead(NINE - 60));
    let [library, file] = clock.environment();
    let daemon = launch(&lab, Layers::MirrorAlone);
    let _daemon = daemon.env(library.0, library.1).env(file.0, file.1).start();
    super::is_kept_by(&lab, backend);
    let hours = "--hours 09:00-17:00 --zone UTC";
    let id = add(&lab, &format!("schedule add tcp/8080 {hours}"));
    let id: u64 = id.parse().expect("a number");
    add(&lab, &format!("schedule add udp/8081 --drop {hours}"));
    // For a moment, one family may be ahead of the other.
    let admitted = |door: &Door<'_>| [V4, V6].map(|net| door.admits(net.free));
    let is_day = || (admitted(&open), admitted(&closed)) == ([true; 2], [false; 2]);
    let is_night = || (admitted(&open), admitted(&closed)) == ([false; 2], [true; 2]);
    let active = || {
        let rules = lab.entries("rules");
        let rule = rules.iter().find(|rule| rule["id"] == id);
        rule.expect("the rule")["active"].clone()
    };
    assert!(is_night(), "before nine");
    assert_eq!(active(), false);

    clock.jump(ahead(NINE - LEAD));
    on_the_hour("nine", Instant::now(), is_day);
    assert_eq!(active(), true);
    assert_eq!(admitted(&another), [true; 2], "another port");

    clock.jump(ahead(FIVE - LEAD));
    on_the_hour("five", Instant::now(), is_night);
    assert_eq!(active(), false);
    assert_eq!(admitted(&another), [true; 2], "another port");
}

fn rule_ends_with_its_time_and_its_neighbour_stays(backend: Backend) {
    let lab = lab(backend);
    let (short, long) = (Door::tcp(&lab, 2222), Door::tcp(&lab, 2223));
    let _daemon = super::start(&lab, backend, Layers::Both);
    let began = Instant::now();
    add(&lab, "port add tcp/2222 --drop --ttl 3s");
    add(&lab, "port add tcp/2223 --drop --ttl 1h");
    for net in FAMILIES {
        assert!(!short.admits(net.free) && !long.admits(net.free));
    }
    thread::sleep(Duration::from_secs(2).saturating_sub(began.elapsed()));
    assert!(!short.admits(V4.free), "a second before its end");
    eventually("the rule ends", || {
        short.admits(V4.free) && short.admits(V6.free)
    });
    let took = began.elapsed();
    assert!(took <= Duration::from_secs(3) + LATE, "3 s took {took:?}");
    assert!(!long.admits(V4.free) && !long.admits(V6.free));
    assert_eq!(lab.entries("rules").len(), 1);
}

with_each_backend! {
    hours_open_and_close_on_time
    rule_ends_with_its_time_and_its_neighbour_stays
}
