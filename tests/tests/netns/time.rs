//! Temporary blocks end on time, whatever becomes of the daemon and of the wall clock.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use fw_tests::lab::{
    Lab,
    address::{FAMILIES, V4, V6},
    namespace::run,
};

/// Enough to know the moment the first one arrives by a millisecond.
const PACKETS_A_SECOND: u32 = 1000;

/// Watches both blocked sources and returns how long after `start` their packets flow again.
fn flow_again(lab: &Lab, start: Instant, meanwhile: impl FnOnce()) -> [Duration; 2] {
    let streams = FAMILIES.map(|net| lab.stream(net, [net.blocked], PACKETS_A_SECOND));
    meanwhile();
    thread::sleep(Duration::from_secs(7).saturating_sub(start.elapsed()));
    streams.map(|stream| {
        let [tally] = stream.stop();
        let first = tally.first.expect("traffic flows again");
        first.duration_since(start)
    })
}

#[track_caller]
fn assert_on_time(took: [Duration; 2]) {
    let on_time = Duration::from_millis(4_500)..=Duration::from_millis(6_000);
    for took in took {
        assert!(on_time.contains(&took), "a block of 5 s took {took:?}");
    }
}

#[test]
fn block_of_five_seconds_ends_on_time_though_the_daemon_is_killed() {
    let lab = Lab::alone();
    let daemon = lab.daemon().start();
    let start = Instant::now();
    lab.fw(&["block", V4.block, V6.block, "--ttl", "5s"])
        .must(0);
    let took = flow_again(&lab, start, || daemon.kill_9());
    assert_on_time(took);
}

#[test]
fn block_of_five_seconds_ends_on_time_with_the_daemon_alive_and_leaves_the_list() {
    let lab = Lab::alone();
    let _daemon = lab.daemon().start();
    let start = Instant::now();
    lab.fw(&["block", V4.block, V6.block, "--ttl", "5s"])
        .must(0);
    assert_on_time(flow_again(&lab, start, || ()));
    assert_eq!(lab.entries("blocks"), [] as [serde_json::Value; 0]);
}

/// The wall clock of one daemon, to be set without setting the machine's, on which jobs would run
/// and builds would go wrong.
pub struct WallClock {
    library: PathBuf,
    ahead: PathBuf,
}

impl WallClock {
    pub fn build(lab: &Lab) -> Self {
        let clock = Self {
            library: lab.directory().join("wallclock.so"),
            ahead: lab.directory().join("ahead"),
        };
        clock.jump(0);
        let source = lab.directory().join("wallclock.c");
        fs::write(&source, include_str!("wallclock.c")).expect("the source can be written");
        let mut cc = Command::new("cc");
        run(cc
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(&clock.library)
            .arg(source));
        clock
    }

    /// Puts it this many seconds ahead of the machine's.
    pub fn jump(&self, seconds: i64) {
        // A rename: the daemon never reads half a number.
        let new = self.ahead.with_extension("new");
        fs::write(&new, seconds.to_string()).expect("the clock can be set");
        fs::rename(new, &self.ahead).expect("the clock can be set");
    }

    pub fn environment(&self) -> [(&str, String); 2] {
        [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("WALLCLOCK_AHEAD", self.ahead.display().to_string()),
        ]
    }
}

fn start<'lab>(lab: &'lab Lab, clock: &WallClock) -> fw_tests::lab::daemon::Daemon<'lab> {
    let [library, ahead] = clock.environment();
    lab.daemon()
        .env(library.0, library.1)
        .env(ahead.0, ahead.1)
        .start()
}

#[test]
fn jump_of_the_wall_clock_moves_the_end_of_no_block() {
    const HOUR: i64 = 3600;
    let lab = Lab::alone();
    let clock = WallClock::build(&lab);
    let daemon = start(&lab, &clock);
    lab.fw(&["block", "198.18.7.7", "--ttl", "30m"]).must(0);

    let began = Instant::now();
    lab.fw(&["block", V4.block, V6.block, "--ttl", "5s"])
        .must(0);
    let took = flow_again(&lab, began, || {
        for ahead in [2 * HOUR, -2 * HOUR] {
            clock.jump(ahead);
            // It lives in that time: it answers, changes its policy, and starts anew.
            let left = seconds_left(&lab);
            assert!(
                (1790..=1800).contains(&left),
                "{left} s left, the clock {ahead} s ahead"
            );
            lab.fw(&["block", &format!("198.18.8.{}", ahead.signum() + 2)])
                .must(0);
        }
        daemon.kill_9();
        clock.jump(2 * HOUR);
    });
    assert_on_time(took);

    let _daemon = start(&lab, &clock);
    let left = seconds_left(&lab);
    assert!(
        (1780..=1800).contains(&left),
        "{left} s left after a restart"
    );
    lab.fw(&["check", "198.18.7.7"]).must(1);
}

fn seconds_left(lab: &Lab) -> u64 {
    let entry = lab
        .entry("blocks", "198.18.7.7")
        .expect("the entry is there");
    entry["ttl_s"].as_u64().expect("it ends")
}
