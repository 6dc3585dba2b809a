//! The slot against a plain model: exact sets of ports and hosts, and a clock that goes second by
//! second.

use core::net::IpAddr;
use std::{collections::BTreeSet, vec::Vec};

use proptest::prelude::*;

use super::*;

/// What a source did, without bits and without arithmetic over windows.
#[derive(Clone, Debug, Default)]
struct Model {
    began: Option<u32>,
    now: u32,
    ports: BTreeSet<u16>,
    hosts: BTreeSet<u8>,
    points: u32,
    slow: u32,
}

impl Model {
    fn pass_time(&mut self, now: u32) {
        let began = *self.began.get_or_insert(now);
        for second in self.now.max(began) + 1..=now {
            if (second - began).is_multiple_of(LIMITS.window) {
                self.points /= 2;
            }
            if (second - began).is_multiple_of(LIMITS.slow_window) {
                self.slow /= 2;
                self.points = 0;
                self.ports.clear();
                self.hosts.clear();
            }
        }
        self.now = now;
    }

    fn is_new(&self, event: &Event) -> bool {
        !self.ports.contains(&event.port) || !self.hosts.contains(&event.host)
    }

    fn count(&mut self, event: &Event) {
        let weight = match self.ports.insert(event.port) {
            true => event.kind.weight(),
            false => event.kind.weight() / 2,
        };
        self.hosts.insert(event.host);
        self.points += u32::from(weight);
        self.slow += u32::from(weight);
    }

    fn trigger(&self) -> Option<Trigger> {
        if self.points >= LIMITS.points.into() {
            Some(Trigger::Window)
        } else if self.slow >= LIMITS.slow.into() {
            Some(Trigger::Slow)
        } else {
            None
        }
    }
}

/// A probe, or a connection that succeeds.
#[derive(Clone, Debug)]
struct Event {
    /// Seconds since the one before.
    pause: u32,
    port: u16,
    host: u8,
    kind: Kind,
    closed: bool,
    succeeds: bool,
}

impl Event {
    fn probe(&self, port_bit: u8, host_bit: u8) -> Probe {
        Probe {
            port_bit,
            host_bit,
            ..probe(self.kind, self.port)
        }
    }
}

fn events(ports: u16, hosts: u8) -> impl Strategy<Value = Vec<Event>> {
    let pause = prop_oneof![
        12 => Just(0_u32),
        6 => 0..10_u32,
        3 => 50..70_u32,
        1 => 3500..8000_u32,
    ];
    let kind = prop_oneof![
        6 => Just(Kind::Syn),
        2 => Just(Kind::Udp),
        1 => Just(Kind::Flags),
        1 => Just(Kind::Fin),
    ];
    let often = |share: u32| prop_oneof![share => Just(true), 1 => Just(false)];
    let event = (pause, 0..ports, 0..hosts, kind, often(9), often(9));
    let event = event.prop_map(|(pause, port, host, kind, closed, fails)| Event {
        pause,
        port,
        host,
        kind,
        closed,
        succeeds: !fails,
    });
    prop::collection::vec(event, 1..120)
}

proptest! {
    #[test]
    fn without_collisions_it_crosses_exactly_at_the_threshold(events in events(128, 3)) {
        let (mut place, mut model) = (Place::default(), Model::default());
        let mut now = START;
        for event in &events {
            now += event.pause;
            if event.succeeds {
                forgive(&mut place.slot, &SCANNER, 64, &LIMITS, now);
                if model.began.is_some() {
                    model.pass_time(now);
                    if model.points == 0 {
                        model.slow = model.slow.saturating_sub(u32::from(ONE / 2));
                    }
                }
                continue;
            }
            let first = model.began.is_none();
            model.pass_time(now);
            let mut counted = model.clone();
            counted.count(event);
            let asked = !first || counted.trigger().is_some();
            let expected = match (model.is_new(event), !asked || event.closed) {
                (true, true) => {
                    model = counted;
                    model.trigger().map_or(Step::Counted, Step::Crossed)
                }
                _ => Step::Nothing,
            };
            let probe = event.probe(event.port as u8, event.host);
            let found = place.probe(&SCANNER, &probe, now, || event.closed);
            prop_assert_eq!(found, expected);
            let scores = (u32::from(place.slot.points), u32::from(place.slot.slow));
            prop_assert_eq!(scores, (model.points, model.slow));
            let bits: u32 = place.slot.ports.iter().map(|word| word.count_ones()).sum();
            prop_assert_eq!(bits as usize, model.ports.len());
            prop_assert_eq!(place.slot.hosts.count_ones() as usize, model.hosts.len());
            if let Step::Crossed(_) = found {
                begin(&mut place.slot, &SCANNER, now);
                model = Model { began: Some(now), now, ..Model::default() };
            }
        }
    }

    #[test]
    fn collisions_make_it_later_and_never_sooner(events in events(1000, 60), seed: u64) {
        let (mut place, mut model) = (Place::default(), Model::default());
        let mut now = START;
        for event in &events {
            now += event.pause;
            model.pass_time(now);
            if model.is_new(event) {
                model.count(event);
            }
            let host = mapped(&Address::from(IpAddr::from([192, 0, 2, event.host])));
            let probe = event.probe(port_bit(event.port, seed), host_bit(&host, seed));
            let found = place.scan(&probe, now);
            prop_assert!(u32::from(place.slot.points) <= model.points);
            prop_assert!(u32::from(place.slot.slow) <= model.slow);
            match found {
                Step::Crossed(Trigger::Window) => {
                    prop_assert!(model.points >= LIMITS.points.into());
                }
                Step::Crossed(Trigger::Slow) => prop_assert!(model.slow >= LIMITS.slow.into()),
                Step::Counted | Step::Nothing => {}
            }
        }
    }
}
