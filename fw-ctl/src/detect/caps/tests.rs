use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::policy::time::WallSecs;

fn at(ms: u64) -> Now {
    Now {
        boot: Duration::from_millis(ms),
        wall: WallSecs(0),
    }
}

fn taken(blocks: u64) -> Taken {
    Taken { blocks, lost: 0 }
}

/// `blocks` of them unproven, and nothing else.
fn unproven(blocks: u64) -> InForce {
    InForce {
        total: blocks,
        unproven: blocks,
    }
}

#[test]
fn a_minute_has_so_many_and_the_next_has_as_many_again() {
    let settings = Settings::default();
    let mut grants = Grants::default();
    assert_eq!(grants.refill(taken(0), unproven(0), &settings, at(0)), 100);
    assert_eq!(
        grants.refill(taken(100), unproven(100), &settings, at(1_000)),
        100
    );
    assert_eq!(
        grants.refill(taken(100), unproven(100), &settings, at(61_900)),
        100
    );
    assert_eq!(
        grants.refill(taken(100), unproven(100), &settings, at(62_000)),
        200
    );
}

#[test]
fn what_is_in_force_leaves_less_room() {
    let settings = Settings::default();
    for (own, granted) in [
        (unproven(950), 50),
        (unproven(1_000), 0),
        (unproven(1_500), 0),
        (
            InForce {
                total: 9_999,
                unproven: 0,
            },
            1,
        ),
        (
            InForce {
                total: 10_000,
                unproven: 0,
            },
            0,
        ),
    ] {
        let mut grants = Grants::default();
        assert_eq!(
            grants.refill(taken(0), own, &settings, at(0)),
            granted,
            "{own:?}"
        );
    }
}

#[test]
fn a_lost_report_is_a_block_until_its_time_is_over() {
    let settings = Settings {
        max_unproven: 100,
        ..Settings::default()
    };
    let mut grants = Grants::default();
    grants.refill(taken(0), unproven(0), &settings, at(0));
    let lost = Taken {
        blocks: 30,
        lost: 30,
    };
    assert_eq!(grants.refill(lost, unproven(0), &settings, at(1_000)), 100);
    assert_eq!(
        grants.refill(lost, unproven(0), &settings, at(601_000)),
        100
    );
    assert_eq!(
        grants.refill(lost, unproven(0), &settings, at(602_000)),
        130
    );
}

#[test]
fn a_restart_makes_no_new_minute() {
    let settings = Settings::default();
    let mut grants = Grants::resume(1_040, 1_060, &settings, at(0));
    assert_eq!(grants.promised(), 20);
    assert_eq!(
        grants.refill(taken(1_040), unproven(40), &settings, at(0)),
        1_060
    );
    assert_eq!(
        grants.refill(taken(1_040), unproven(40), &settings, at(61_000)),
        1_140
    );
    let mut fresh = Grants::resume(0, 0, &settings, at(0));
    assert_eq!(fresh.refill(taken(0), unproven(0), &settings, at(0)), 100);
}

#[test]
fn a_count_that_is_about_to_be_taken_back_grants_nothing() {
    let settings = Settings {
        max_unproven: 5,
        ..Settings::default()
    };
    let mut grants = Grants::default();
    assert_eq!(grants.refill(taken(0), unproven(0), &settings, at(0)), 5);
    for ms in 1..100 {
        assert_eq!(grants.refill(taken(7), unproven(5), &settings, at(ms)), 5);
    }
}

/// The kernel as it counts, and every block that ever was, with or without the daemon's knowledge.
#[derive(Default)]
struct Kernel {
    taken: u64,
    granted: u64,
    lost: u64,
    /// When it was written, in milliseconds; when it ends; whether its report was lost.
    written: Vec<(u64, u64, bool)>,
    unheard: Vec<u64>,
}

impl Kernel {
    fn attempt(&mut self, ms: u64, ttl: u64, is_lost: bool) {
        if self.taken < self.granted {
            self.taken += 1;
            self.lost += u64::from(is_lost);
            let end = ms / 1000 + ttl;
            self.written.push((ms, end, is_lost));
            if !is_lost {
                self.unheard.push(end);
            }
        }
    }

    fn in_force(&self, ms: u64) -> u64 {
        let alive = |(_, end, _): &&(u64, u64, bool)| *end > ms / 1000;
        self.written.iter().filter(alive).count() as u64
    }

    fn in_the_last_minute(&self, ms: u64) -> u64 {
        let recent = |(written, ..): &&(u64, u64, bool)| written + 60_000 > ms;
        self.written.iter().filter(recent).count() as u64
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// So many sources cross; the reports of some are lost.
    Flood(u64, bool),
    /// The daemon finds that a proven source shall be blocked, though the kernel had no room.
    Proven,
    /// So many milliseconds pass.
    Wait(u64),
    /// The daemon looks, while so many CPUs are about to take their count back.
    Look(u64),
    /// The daemon is killed and comes back.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u64..40, any::<bool>()).prop_map(|(count, lost)| Step::Flood(count, lost)),
        1 => Just(Step::Proven),
        3 => prop_oneof![1u64..3_000, 3_000u64..90_000].prop_map(Step::Wait),
        4 => (0u64..4).prop_map(Step::Look),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever the kernel and the daemon do, and in whatever order: so many in any minute, so
    /// many at a time, and the kernel's limit never shrinks.
    #[test]
    fn no_sequence_exceeds_a_cap(steps in prop::collection::vec(step(), 1..80)) {
        let settings = Settings {
            max_blocks: 40,
            max_unproven: 30,
            unproven_per_minute: 10,
            ttl: Duration::from_secs(120),
            ..Settings::default()
        };
        let ttl = settings.ttl.as_secs();
        let mut kernel = Kernel::default();
        let mut grants = Grants::default();
        // What the daemon knows of: ends of unproven blocks and of its own.
        let (mut heard, mut proven): (Vec<u64>, Vec<u64>) = Default::default();
        let mut ms = 1_000;
        // A start looks at once.
        let with_looks = steps.into_iter().flat_map(|step| match step {
            Step::Restart => vec![Step::Restart, Step::Look(0)],
            step => vec![step],
        });
        for step in with_looks {
            heard.retain(|end| *end > ms / 1000);
            proven.retain(|end| *end > ms / 1000);
            match step {
                Step::Flood(count, lost) => (0..count).for_each(|_| kernel.attempt(ms, ttl, lost)),
                Step::Wait(time) => ms += time,
                Step::Proven => {
                    let total = (heard.len() + proven.len()) as u64;
                    if total + grants.promised() < u64::from(settings.max_blocks) {
                        proven.push(ms / 1000 + 3_600);
                    }
                }
                Step::Look(undecided) => {
                    let full = kernel.taken == kernel.granted;
                    let blocks = kernel.taken + if full { undecided } else { 0 };
                    for end in kernel.unheard.drain(..) {
                        grants.heard();
                        heard.push(end);
                    }
                    heard.retain(|end| *end > ms / 1000);
                    let own = InForce {
                        total: (heard.len() + proven.len()) as u64,
                        unproven: heard.len() as u64,
                    };
                    let seen = Taken { blocks, lost: kernel.lost };
                    let granted = grants.refill(seen, own, &settings, at(ms));
                    prop_assert!(granted >= kernel.granted);
                    kernel.granted = granted;
                }
                Step::Restart => {
                    grants = Grants::resume(kernel.taken, kernel.granted, &settings, at(ms));
                    // The start makes the tables equal to the policy: what nobody heard of goes.
                    kernel.written.retain(|(_, _, lost)| !lost);
                }
            }
            let unproven = kernel.in_force(ms);
            proven.retain(|end| *end > ms / 1000);
            let total = unproven + proven.len() as u64;
            prop_assert!(unproven <= u64::from(settings.max_unproven), "{} unproven", unproven);
            prop_assert!(total <= u64::from(settings.max_blocks), "{} in all", total);
            let minute = kernel.in_the_last_minute(ms);
            prop_assert!(minute <= u64::from(settings.unproven_per_minute), "{} a minute", minute);
        }
    }
}
