//! Who holds a slot, and whether its ports are really closed.

use core::cell::Cell;

use super::*;

const NEWCOMER: [u8; 16] = [2; 16];
const NEWCOMERS_TAG: u8 = 3;

/// A probe of somebody else in the same place.
fn intrude(place: &mut Place, now: u32) -> Step {
    let probe = Probe {
        tag: NEWCOMERS_TAG,
        ..syn(100)
    };
    place.probe(&NEWCOMER, &probe, now, || true)
}

/// Somebody else's probes until the place is his.
fn probes_to_evict(place: &mut Place, now: u32) -> u32 {
    let evicting = (1..=1000).find(|_| intrude(place, now) != Step::Nothing);
    evicting.expect("it gives way")
}

/// A place in which the scanner tried so many ports at the start.
fn after(ports: u16) -> Place {
    let mut place = Place::default();
    assert_eq!(place.crossing((0..ports).map(syn), START, 0), None);
    place
}

#[test]
fn a_free_place_is_taken_at_once() {
    let mut place = Place::default();
    assert_eq!(intrude(&mut place, START), Step::Counted);
    assert_eq!(place.slot.source, NEWCOMER);
    assert_eq!(place.claim.tag, NEWCOMERS_TAG);
}

#[test]
fn a_source_holds_its_place_the_longer_the_more_ports_it_tried() {
    for (ports, probes) in [(1, 16), (2, 32), (3, 48), (9, 144)] {
        let mut place = after(ports);
        assert_eq!(probes_to_evict(&mut place, START), probes, "{ports} ports");
    }
}

#[test]
fn other_sources_take_nothing_but_life() {
    let mut place = after(3);
    let before = place;
    for intrusion in 1..48 {
        assert_eq!(intrude(&mut place, START + 59), Step::Nothing);
        assert_eq!(place.slot, before.slot);
        let Claim { tag, life } = place.claim;
        assert_eq!((tag, life), (SCANNERS_TAG, 48 - intrusion));
    }
}

#[test]
fn whoever_takes_a_place_finds_nothing_in_it() {
    let mut fresh = Place::default();
    assert_eq!(intrude(&mut fresh, START + 7), Step::Counted);
    let mut taken = Place::default();
    let probes = (0..3).map(|port| probe(Kind::Flags, port));
    assert_eq!(taken.crossing(probes, START, 0), None);
    probes_to_evict(&mut taken, START + 7);
    assert_eq!(taken, fresh);
}

/// He looks at the slot, and finds that it is not his.
#[test]
fn a_source_with_the_holders_tag_takes_neither_place_nor_life() {
    let mut place = after(1);
    let before = place;
    for _ in 0..1000 {
        let found = place.probe(&NEWCOMER, &syn(100), START, || true);
        assert_eq!((found, place), (Step::Nothing, before));
    }
}

#[test]
fn a_spoofed_flood_between_its_probes_does_not_save_a_scanner() {
    // Each new port is worth as many.
    const FLOOD: usize = 16;
    let mut place = after(3);
    let mut found = Step::Nothing;
    for port in 3..10 {
        for _ in 0..FLOOD {
            assert_eq!(intrude(&mut place, START), Step::Nothing);
        }
        found = place.scan(&syn(port), START);
    }
    assert_eq!(found, Step::Crossed(Trigger::Window));
}

#[test]
fn the_longer_a_source_is_idle_the_sooner_it_gives_way() {
    for (ports, idle_windows, expected) in [
        (1, 0, 16),
        (9, 0, 144),
        (9, 1, 72 + 16),
        (9, 4, 16),
        (9, 60, 16),
        (2, 60, 32),
        (9, u32::MAX / 120, 16),
    ] {
        let mut place = after(ports);
        // Retries are signs of life too, though they count nothing.
        place.scan(&syn(0), START + 60);
        let now = START + 60 + idle_windows * LIMITS.window;
        let probes = probes_to_evict(&mut place, now);
        assert!(
            probes <= expected,
            "{ports} ports, {idle_windows} windows: {probes}"
        );
        assert!(
            probes > 0 && (idle_windows > 0 || probes == expected),
            "{probes}"
        );
    }
}

#[test]
fn who_has_crossed_makes_room_at_once() {
    let mut place = Place::default();
    assert!(place.crossing((0..20).map(syn), START, 0).is_some());
    assert_eq!(probes_to_evict(&mut place, START), 1);
}

#[test]
fn a_clock_that_is_a_tick_behind_costs_nobody_the_place() {
    let mut place = after(9);
    assert_eq!(probes_to_evict(&mut place, START - 1), 144);
}

/// A probe whose port is closed or not, and whether that was asked.
fn asked(place: &mut Place, probe: &Probe, is_closed: bool) -> (Step, bool) {
    let asked = Cell::new(false);
    let closed = || {
        asked.set(true);
        is_closed
    };
    let step = place.probe(&SCANNER, probe, START, closed);
    (step, asked.get())
}

#[test]
fn whether_a_port_is_closed_is_asked_of_all_that_counts_but_a_harmless_first_probe() {
    let mut place = Place::default();
    assert_eq!(asked(&mut place, &syn(1), false), (Step::Counted, false));
    assert_eq!(asked(&mut place, &syn(1), false), (Step::Nothing, false));
    for port in 2..10 {
        assert_eq!(asked(&mut place, &syn(port), true), (Step::Counted, true));
    }
    let last = asked(&mut place, &syn(10), true);
    assert_eq!(last, (Step::Crossed(Trigger::Window), true));
}

#[test]
fn a_port_that_is_not_closed_leaves_no_trace() {
    let mut place = after(9);
    let before = place;
    for port in 10..128 {
        assert_eq!(asked(&mut place, &syn(port), false), (Step::Nothing, true));
        assert_eq!(place, before);
    }
}

#[test]
fn a_first_probe_that_would_cross_is_asked_about() {
    let bait = Probe {
        weight: 10 * ONE,
        ..syn(23)
    };
    let mut place = Place::default();
    assert_eq!(asked(&mut place, &bait, false), (Step::Nothing, true));
    assert_eq!(
        (place.slot.points, place.slot.slow, place.claim.life),
        (0, 0, 0)
    );
    // Nothing was counted, so the next is a first one no more, and whoever comes takes the slot.
    let mut other = place;
    assert_eq!(intrude(&mut other, START), Step::Counted);
    let crossed = asked(&mut place, &bait, true);
    assert_eq!(crossed, (Step::Crossed(Trigger::Window), true));
}
