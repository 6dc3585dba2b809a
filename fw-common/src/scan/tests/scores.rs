//! What counts how much, and for how long.

use std::vec::Vec;

use super::*;

#[test]
fn the_tenth_port_of_a_window_crosses_and_the_ninth_does_not() {
    let mut place = Place::default();
    for port in 1..10 {
        assert_eq!(place.scan(&syn(port), START + 59), Step::Counted);
    }
    let tenth = place.scan(&syn(10), START + 59);
    assert_eq!(tenth, Step::Crossed(Trigger::Window));
    assert_eq!((place.slot.points, place.slot.slow), (10 * ONE, 10 * ONE));
    assert_eq!(place.slot.ports, [0b111_1111_1110, 0]);
    assert_eq!(place.slot.hosts, 1);
}

#[test]
fn a_port_retried_a_million_times_counts_once() {
    let mut place = Place::default();
    assert_eq!(place.scan(&syn(22), START), Step::Counted);
    for retry in 1..1_000_000 {
        // An hour in all: beyond that it is another slow window.
        let now = START + retry / 278;
        assert_eq!(place.scan(&syn(22), now), Step::Nothing);
    }
    assert_eq!((place.slot.ports, place.slot.slow), ([1 << 22, 0], ONE));
}

#[test]
fn a_closed_port_retried_for_a_year_never_crosses() {
    let mut place = Place::default();
    let year = core::iter::repeat_n(syn(22), 365 * 24 * 60);
    assert_eq!(place.crossing(year, START, 60), None);
}

#[test]
fn each_window_that_passes_halves_the_score_and_leaves_the_slow_one() {
    for (windows, points) in [(0, 144), (1, 72), (2, 36), (3, 18), (8, 0), (59, 0)] {
        let mut place = Place::default();
        assert_eq!(place.crossing((1..10).map(syn), START, 0), None);
        for late in [0, 59] {
            place.scan(&syn(9), START + windows * 60 + late);
            assert_eq!(
                (place.slot.points, place.slot.slow),
                (points, 9 * ONE),
                "{windows}"
            );
        }
    }
}

#[test]
fn a_slow_window_halves_the_slow_score_and_forgets_the_ports() {
    let mut place = Place::default();
    assert_eq!(place.crossing((1..10).map(syn), START, 0), None);
    assert_eq!(place.scan(&syn(1), START + 3600), Step::Counted);
    assert_eq!((place.slot.points, place.slot.slow), (ONE, 72 + ONE));
    assert_eq!(place.slot.ports, [1 << 1, 0]);
    // Gone for longer than there are bits in a score.
    let late = START + 3600 * 20;
    assert_eq!(place.scan(&syn(2), late), Step::Counted);
    assert_eq!((place.slot.points, place.slot.slow), (ONE, ONE));
    assert_eq!(place.slot.ports, [1 << 2, 0]);
}

/// With windows that begin at zero it would take up to 19 ports.
#[test]
fn a_scan_astride_the_edge_of_a_window_is_found_at_its_fifteenth_port() {
    let mut latest = 0;
    for before in 0..10 {
        let mut place = Place::of_scanner();
        let head = (0..before).map(syn);
        assert_eq!(place.crossing(head, START + 59, 0), None);
        let tail = (before..100).map(syn);
        let (count, trigger) = place.crossing(tail, START + 60, 0).expect("found");
        assert_eq!(trigger, Trigger::Window);
        latest = latest.max(u32::from(before) + count);
    }
    assert_eq!(latest, 15);
}

#[test]
fn a_port_a_minute_is_found_in_the_slow_window_and_one_an_hour_is_not() {
    let ports = || (0..128).map(syn);
    let mut place = Place::default();
    let found = place.crossing(ports(), START, 60);
    assert_eq!(found, Some((20, Trigger::Slow)));
    let mut place = Place::default();
    assert_eq!(place.crossing(ports(), START, 3600), None);
}

#[test]
fn a_patient_scan_astride_the_edge_of_a_slow_window_is_found_at_its_thirtieth_port() {
    let mut latest = 0;
    for head_start in 0..60 {
        let mut place = Place::of_scanner();
        let ports = (0..128).map(syn);
        let found = place.crossing(ports, START + head_start * 60, 60);
        let (count, trigger) = found.expect("found");
        assert_eq!(trigger, Trigger::Slow, "{head_start}");
        latest = latest.max(count);
    }
    assert_eq!(latest, 30);
}

#[test]
fn udp_counts_half_odd_flags_and_bait_more() {
    let bait = |port| Probe {
        weight: 5 * ONE,
        kinds: Kind::Syn as u8 | Kind::BAIT,
        ..syn(port)
    };
    let of = |kind| move |port| probe(kind, port);
    let after = |probes: Vec<Probe>| {
        let mut place = Place::default();
        place
            .crossing(probes, START, 0)
            .map(|(count, _)| (count, place.slot.kinds))
    };
    let ports = 0..128;
    assert_eq!(after(ports.clone().map(syn).collect()), Some((10, 1)));
    let udp = ports.clone().map(of(Kind::Udp)).collect();
    assert_eq!(after(udp), Some((20, 2)));
    let flags = ports.clone().map(of(Kind::Flags)).collect();
    assert_eq!(after(flags), Some((5, 4)));
    let fin = ports.clone().map(of(Kind::Fin)).collect();
    assert_eq!(after(fin), Some((10, 8)));
    assert_eq!(after(ports.clone().map(bait).collect()), Some((2, 17)));
    // Four ports in full, ten halves, and one that counts double.
    let mixed = (0..4).map(syn).chain((4..14).map(of(Kind::Udp)));
    let mixed = mixed.chain([probe(Kind::Flags, 14)]).collect();
    assert_eq!(after(mixed), Some((15, 7)));
}

#[test]
fn a_known_port_on_another_host_counts_half_and_on_the_same_host_nothing() {
    let sweep = |host_bit| Probe {
        host_bit,
        ..syn(22)
    };
    let mut place = Place::default();
    for host in 0..17 {
        assert_eq!(place.scan(&sweep(host), START), Step::Counted);
        assert_eq!(place.scan(&sweep(host), START), Step::Nothing);
    }
    // Another port is new wherever it is.
    let last = place.scan(&syn(23), START);
    assert_eq!(last, Step::Crossed(Trigger::Window));
    assert_eq!(
        (place.slot.hosts, place.slot.ports),
        (0x1_ffff, [3 << 22, 0])
    );
    assert_eq!(place.slot.recent, [0, 0, 0, 22, 23]);
}

#[test]
fn the_last_five_ports_are_remembered_in_their_order() {
    let mut place = Place::default();
    for (port, recent) in [
        (21, [0, 0, 0, 0, 21]),
        (22, [0, 0, 0, 21, 22]),
        (21, [0, 0, 0, 21, 22]),
        (23, [0, 0, 21, 22, 23]),
        (25, [0, 21, 22, 23, 25]),
        (80, [21, 22, 23, 25, 80]),
        (110, [22, 23, 25, 80, 110]),
    ] {
        place.scan(&syn(port), START);
        assert_eq!(place.slot.recent, recent);
    }
}

#[test]
fn a_success_takes_half_a_port_off_the_slow_score_once_the_window_is_forgotten() {
    let mut place = Place::default();
    place.scan(&syn(1), START);
    let later = START + 5 * LIMITS.window;
    for (source, now, slow) in [
        ([9; 16], later, ONE),
        (SCANNER, START, ONE),
        (SCANNER, later - 1, ONE),
        (SCANNER, later, ONE / 2),
        (SCANNER, later, 0),
        (SCANNER, later, 0),
    ] {
        forgive(&mut place.slot, &source, 64, &LIMITS, now);
        assert_eq!(place.slot.slow, slow);
    }
}

#[test]
fn a_crowd_that_succeeds_is_forgiven_and_a_scanner_that_succeeds_is_found() {
    let mut crowd = Place::default();
    let mut scanner = Place::default();
    let mut last = Step::Nothing;
    for port in 0..30 {
        // A mistake every six minutes, and a probe every thirty seconds.
        let now = START + u32::from(port) * 360;
        assert_ne!(
            crowd.scan(&syn(port), now),
            Step::Crossed(Trigger::Slow),
            "port {port}"
        );
        for second in 0..360 {
            forgive(&mut crowd.slot, &SCANNER, 64, &LIMITS, now + second);
        }
        let now = START + u32::from(port) * 30;
        if !has_crossed(&scanner.slot, &SCANNER) && last != Step::Crossed(Trigger::Slow) {
            last = scanner.scan(&syn(port), now);
        }
        for second in 0..30 {
            forgive(&mut scanner.slot, &SCANNER, 64, &LIMITS, now + second);
        }
    }
    assert_eq!(last, Step::Crossed(Trigger::Slow));
}

#[test]
fn successes_do_not_hide_a_scan_in_a_window() {
    let mut place = Place::default();
    let mut last = Step::Nothing;
    for port in 1..=10 {
        last = place.scan(&syn(port), START);
        for _ in 0..100 {
            forgive(&mut place.slot, &SCANNER, 64, &LIMITS, START);
        }
    }
    assert_eq!(last, Step::Crossed(Trigger::Window));
}

#[test]
fn a_clock_that_is_a_tick_behind_changes_no_score() {
    let mut place = Place::default();
    assert_eq!(place.crossing((1..9).map(syn), START, 0), None);
    assert_eq!(place.scan(&syn(9), START - 1), Step::Counted);
    assert_eq!((place.slot.points, place.slot.slow), (9 * ONE, 9 * ONE));
    assert_eq!((place.slot.start, place.slot.slow_start), (START, START));
    let tenth = place.scan(&syn(10), START);
    assert_eq!(tenth, Step::Crossed(Trigger::Window));
}

#[test]
fn scores_end_at_their_highest_and_do_not_begin_anew() {
    let mut place = Place::default();
    let heavy = |port| Probe {
        weight: u16::MAX - 1,
        ..syn(port)
    };
    for port in 0..3 {
        let crossed = place.scan(&heavy(port), START);
        assert_eq!(crossed, Step::Crossed(Trigger::Window));
    }
    assert_eq!((place.slot.points, place.slot.slow), (u16::MAX, u16::MAX));
}

#[test]
fn only_the_source_that_crossed_has_crossed() {
    let mut place = Place::default();
    place.scan(&syn(1), START);
    assert!(!has_crossed(&place.slot, &SCANNER));
    place.slot.points = CROSSED;
    assert!(has_crossed(&place.slot, &SCANNER));
    assert!(!has_crossed(&place.slot, &[9; 16]));
    begin(&mut place.slot, &SCANNER, START);
    assert!(!has_crossed(&place.slot, &SCANNER));
}

#[test]
fn packets_over_two_paths_are_marked_whichever_came_first() {
    let path = |slot: &Slot| slot.kinds & Kind::PATHS != 0;
    let mut place = Place::default();
    let probe = |port, hop_limit| Probe {
        hop_limit,
        ..syn(port)
    };
    place.scan(&probe(1, 64), START);
    place.scan(&probe(2, 64), START);
    forgive(&mut place.slot, &SCANNER, 64, &LIMITS, START);
    forgive(&mut place.slot, &[9; 16], 63, &LIMITS, START);
    assert!(!path(&place.slot), "all of them took one path");
    let before = place.slot;
    forgive(&mut place.slot, &SCANNER, 57, &LIMITS, START);
    assert!(
        path(&place.slot),
        "a client of the same address is elsewhere"
    );

    place.slot = before;
    place.scan(&probe(3, 57), START);
    assert!(path(&place.slot), "another host sends probes too");
}
