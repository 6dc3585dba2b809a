use proptest::prelude::*;

use super::*;
use crate::policy::rate::Unit;

fn per_minute(count: u32) -> Rate {
    Rate::new(count, Unit::Minute).expect("a rate")
}

/// A limit of 60 a minute, between 10 and 100, at work.
struct Limited(Adapting);

impl Limited {
    fn new() -> Self {
        Self(Adapting::new(per_minute(60)))
    }

    fn step(&mut self, offered: u64) -> Option<Changed> {
        let bounds = Adaptive {
            floor: per_minute(10),
            ceiling: per_minute(100),
        };
        self.0.step(offered, bounds)
    }

    fn count(&self) -> u32 {
        self.0.rate.count()
    }
}

/// Numbers that scatter around `mean` as connections do that do not know of each other.
struct Arrivals(u64);

impl Arrivals {
    /// A uniform number from 0 to 1, of a generator that everybody knows (splitmix64).
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Of a Poisson distribution: how many waits of a mean of 1 / `mean` fit into a second.
    fn next(&mut self, mean: f64) -> u64 {
        let mut waited = 0.0;
        let mut count = 0;
        loop {
            waited -= (1.0 - self.uniform()).ln() / mean;
            if waited > 1.0 {
                return count;
            }
            count += 1;
        }
    }
}

/// After ten minutes of 40 connections a second, or about as many.
fn settled() -> (Limited, Arrivals) {
    let (mut limited, mut arrivals) = (Limited::new(), Arrivals(7));
    for _ in 0..600 {
        limited.step(arrivals.next(40.0));
    }
    (limited, arrivals)
}

#[test]
fn in_the_first_minute_nothing_is_judged() {
    let mut limited = Limited::new();
    for second in 0..LEARNING_SECS {
        let offered = if second % 20 < 10 { 0 } else { 5_000 };
        assert_eq!(limited.step(offered), None, "second {second}");
    }
}

#[test]
fn usual_traffic_never_tightens_and_relaxes_to_the_ceiling_once() {
    let (mut limited, mut arrivals) = (Limited::new(), Arrivals(1));
    let mut changes = Vec::new();
    for _ in 0..86_400 {
        changes.extend(limited.step(arrivals.next(40.0)));
    }
    let rates: Vec<u32> = changes.iter().map(|changed| changed.to.count()).collect();
    assert_eq!(rates, [75, 93, 100]);
}

#[test]
fn a_burst_of_two_seconds_is_let_be_and_a_third_second_is_load() {
    let (mut limited, _) = settled();
    assert_eq!(limited.count(), 100);
    for _ in 0..100 {
        assert_eq!(limited.step(1_000), None);
        assert_eq!(limited.step(1_000), None);
        assert_eq!(limited.step(40), None);
    }
    limited.step(1_000);
    limited.step(1_000);
    let changed = limited.step(1_000).expect("the third second");
    assert_eq!((changed.from.count(), changed.to.count()), (100, 70));
}

#[test]
fn a_few_connections_are_no_load_where_there_were_none() {
    let mut limited = Limited::new();
    for _ in 0..600 {
        limited.step(0);
    }
    for _ in 0..100 {
        assert_eq!(limited.step(FEW as u64), None);
    }
    let tightened = (0..3).find_map(|_| limited.step(20));
    assert_eq!(tightened.map(|changed| changed.to.count()), Some(70));
}

#[test]
fn a_flood_of_an_hour_holds_the_floor_is_not_learnt_and_is_forgotten_soon() {
    let (mut limited, mut arrivals) = settled();
    let usual = limited.0.usual;
    let mut changes = Vec::new();
    for second in 1..=3_600 {
        let changed = limited.step(arrivals.next(800.0));
        changes.extend(changed.map(|changed| (second, changed.to.count())));
    }
    assert_eq!(
        changes,
        [
            (3, 70),
            (8, 49),
            (13, 34),
            (18, 23),
            (23, 16),
            (28, 11),
            (33, 10)
        ]
    );
    assert_eq!(limited.0.usual, usual);

    changes.clear();
    for second in 1..=120 {
        let changed = limited.step(40);
        changes.extend(changed.map(|changed| (second, changed.to.count())));
    }
    let expected = [12, 15, 18, 22, 27, 33, 41, 51, 63, 78, 97, 100];
    let expected = expected
        .iter()
        .zip(1..)
        .map(|(count, step)| (step * 10, *count));
    assert_eq!(changes, expected.collect::<Vec<(u32, u32)>>());
}

#[test]
fn a_rise_over_hours_is_learnt() {
    let (mut limited, mut arrivals) = settled();
    // From 40 a second to ten times as many and back.
    let day = 86_400.0;
    for second in 0..86_400 {
        let phase = f64::from(second) / day * std::f64::consts::TAU;
        let mean = 40.0 * 10_f64.powf((1.0 - phase.cos()) / 2.0);
        let changed = limited.step(arrivals.next(mean));
        assert_eq!(changed, None, "second {second}, {mean}");
    }
}

#[test]
fn whoever_stays_just_below_load_moves_what_is_usual_only_over_hours() {
    let (mut limited, _) = settled();
    let before = limited.0.usual.mean;
    let mut secs = 0;
    while limited.0.usual.mean < 10.0 * before {
        let usual = limited.0.usual;
        let most = usual.mean + LOAD * usual.deviation() + FEW;
        assert_eq!(limited.step(most as u64), None);
        secs += 1;
    }
    assert!(secs > 3_000, "{secs} seconds");
}

#[test]
fn what_is_between_calm_and_load_changes_nothing() {
    let (mut limited, _) = settled();
    for _ in 0..3 {
        limited.step(1_000);
    }
    assert_eq!(limited.count(), 70);
    let (usual, between) = (limited.0.usual, 64);
    assert!(usual.is_beyond(CALM, between) && !usual.is_beyond(LOAD, between));
    for _ in 0..60 {
        assert_eq!(limited.step(between), None);
    }
    assert_eq!(limited.count(), 70);
}

#[test]
fn load_that_comes_and_goes_does_not_make_the_rate_flap() {
    // Now beyond, now below, each for so many seconds: too short for calm, it only tightens; and
    // too short for load, nothing happens.
    for (beyond, below, least) in [(1, 1, 100), (2, 1, 100), (2, 9, 100), (4, 9, 10)] {
        let (mut limited, _) = settled();
        let mut changes = Vec::new();
        for second in 0..1_300 {
            let offered = if second % (beyond + below) < beyond {
                200
            } else {
                40
            };
            changes.extend(limited.step(offered));
        }
        assert!(
            changes
                .iter()
                .all(|changed| changed.to.count() < changed.from.count())
        );
        assert_eq!(limited.count(), least, "{beyond} beyond, {below} below");
    }
}

#[test]
fn every_change_says_why() {
    let mut limited = Limited::new();
    for _ in 0..69 {
        assert_eq!(limited.step(40), None);
    }
    let relaxed = limited
        .step(40)
        .expect("ten calm seconds after the first minute");
    assert_eq!(
        relaxed.reason,
        "offered 40/second, usual 40 +- 6, calm for 10 seconds: 60/minute -> 75/minute"
    );
    let tightened = (0..10).find_map(|_| limited.step(812));
    assert_eq!(
        tightened.expect("load").reason,
        "offered 812/second, usual 40 +- 6: 75/minute -> 52/minute"
    );
}

#[test]
fn a_step_changes_the_rate_by_one_at_least() {
    let bounds = Adaptive {
        floor: per_minute(1),
        ceiling: per_minute(3),
    };
    let mut adapting = Adapting::new(per_minute(2));
    let mut rates_while = |offered: u64| {
        let changes = (0..120).filter_map(|_| adapting.step(offered, bounds));
        changes
            .map(|changed| changed.to.count())
            .collect::<Vec<_>>()
    };
    assert_eq!(rates_while(40), [3]);
    assert_eq!(rates_while(800), [2, 1]);
    assert_eq!(rates_while(40), [2, 3]);
}

fn unit() -> impl Strategy<Value = Unit> {
    prop::sample::select(Unit::ALL.to_vec())
}

proptest! {
    /// Whatever is offered, and however far apart the bounds are.
    #[test]
    fn bounds_are_never_crossed_and_changes_are_few_and_said(
        unit in unit(),
        (floor, more, most) in (1_u32..200, 0_u32..200, 0_u32..2_000),
        offered in prop::collection::vec((0_u64..40, prop_oneof![0_u64..100, any::<u64>()]), 1..60),
    ) {
        let (rate, ceiling) = (floor + more, floor + more + most);
        let of_unit = |count: u32| Rate::new(count, unit).expect("a rate");
        let bounds = Adaptive { floor: of_unit(floor), ceiling: of_unit(ceiling) };
        let mut adapting = Adapting::new(of_unit(rate));
        let mut held = u32::MAX;
        for (secs, offered) in offered {
            for _ in 0..secs {
                let before = adapting.rate;
                held = held.saturating_add(1);
                let Some(changed) = adapting.step(offered, bounds) else {
                    prop_assert_eq!(adapting.rate, before);
                    continue;
                };
                prop_assert_eq!((changed.from, changed.to), (before, adapting.rate));
                prop_assert_ne!(changed.from, changed.to);
                prop_assert_eq!(changed.to.unit(), unit);
                prop_assert!((floor..=ceiling).contains(&changed.to.count()));
                let (from, to) = (changed.from, changed.to);
                let end = format!(": {from} -> {to}");
                prop_assert!(changed.reason.ends_with(&end), "{}", changed.reason);
                let begin = format!("offered {offered}/second, usual ");
                prop_assert!(changed.reason.starts_with(&begin), "{}", changed.reason);
                prop_assert!(held >= TIGHTEN_SECS, "after {held} seconds");
                held = 0;
            }
        }
    }
}
