//! The program and the pure step on the host make the same of the same packets, slot by slot.

use std::{cell::RefCell, collections::BTreeMap, net::IpAddr};

use anyhow::Result;
use fw_common::{
    abi::{Config, SLOTS, ScanEvent},
    parse::{Address, Packet, parse},
    reason::{Family, Outcome},
    scan::{self, Claim, Kind, Probe, Slot, Step, Thresholds},
    verdict::{Ruled, Tables, decide},
};
use fw_tests::kernel::{Action, Kernel, Program, Table};

use super::{
    block, enforcing,
    traffic::{self, Traffic},
    without_sockets,
};
use crate::{
    random::{self, Rng},
    report,
};

const PACKETS: usize = 200_000;

/// So many sources and slots, so that they drive each other out.
const SOURCES: usize = 1200;
const CROWDED: u32 = 256;

/// No window ends while a test runs, and host and kernel need not agree on the time.
fn config(granted: u64) -> Config {
    Config {
        granted,
        seed: random::seed().wrapping_mul(0x9e37_79b9_7f4a_7c15),
        thresholds: Thresholds {
            window: 1 << 20,
            slow_window: 1 << 21,
            ..enforcing().thresholds
        },
        ..enforcing()
    }
}

/// Sources that all have one of the first slots.
fn crowd(config: &Config) -> impl Iterator<Item = IpAddr> {
    let crowded = |source: &IpAddr| {
        let source = scan::source(&(*source).into(), config.v6_prefix as u8);
        scan::slot_of(scan::hash(&source, config.seed)) < CROWDED
    };
    traffic::strangers().filter(crowded).take(SOURCES)
}

/// What the detector knows.
struct State {
    slots: Vec<Slot>,
    claims: Vec<Claim>,
    /// By the source's bytes, one of its addresses.
    blocked: BTreeMap<[u8; 16], IpAddr>,
    taken: u64,
    events: Vec<ScanEvent>,
}

/// The detector on the host.
struct Host {
    config: Config,
    state: RefCell<State>,
}

impl Host {
    fn new(config: Config) -> Self {
        let state = State {
            slots: vec![Slot::default(); SLOTS as usize],
            claims: vec![Claim::default(); SLOTS as usize],
            blocked: BTreeMap::new(),
            taken: 0,
            events: Vec::new(),
        };
        Self {
            config,
            state: RefCell::new(state),
        }
    }

    /// Unblocks one of those that are, if there are so many.
    fn unblock(&self, number: usize) -> Option<IpAddr> {
        let blocked = &mut self.state.borrow_mut().blocked;
        let source = *blocked.keys().nth(number)?;
        blocked.remove(&source)
    }

    fn source(&self, address: &Address) -> [u8; 16] {
        scan::source(address, self.config.v6_prefix as u8)
    }

    fn probe(&self, packet: &Packet, kind: Kind, tag: u8) -> Probe {
        let Config { seed, bait, .. } = self.config;
        let port = packet.destination_port;
        let is_bait = port == traffic::BAIT;
        Probe {
            port,
            port_bit: scan::port_bit(port, seed),
            host_bit: scan::host_bit(&scan::mapped(&packet.destination), seed),
            weight: if is_bait { bait } else { kind.weight() },
            kinds: kind as u8 | if is_bait { Kind::BAIT } else { 0 },
            tag,
            hop_limit: packet.hop_limit,
        }
    }
}

impl Tables for Host {
    type Entry = ();

    fn guarded(&self, source: &Address) -> bool {
        let [a, b, ..] = traffic::PROTECTED;
        source.ip().is_some_and(|source| [a, b].contains(&source))
    }

    fn allowed(&self, source: &Address) -> Option<()> {
        let [.., a, b] = traffic::PROTECTED;
        [a, b].contains(&source.ip()?).then_some(())
    }

    fn blocked(&self, source: &Address) -> Option<()> {
        let source = self.source(source);
        let state = self.state.borrow();
        state.blocked.contains_key(&source).then_some(())
    }

    /// There are no rules.
    fn ruled(&self, _packet: &Packet, _kind: Kind) -> Ruled {
        Ruled::default()
    }

    fn crossed(&self, packet: &Packet, kind: Kind) -> Option<()> {
        let state = &mut *self.state.borrow_mut();
        let source = self.source(&packet.source);
        let hash = scan::hash(&source, self.config.seed);
        let (place, tag) = (scan::slot_of(hash) as usize, scan::tag_of(hash));
        let (slot, claim) = (&mut state.slots[place], &mut state.claims[place]);
        let port = packet.destination_port;
        if traffic::SERVED.contains(&port) {
            if kind == Kind::Syn && claim.tag == tag {
                let limits = &self.config.thresholds;
                scan::forgive(slot, &source, packet.hop_limit, limits, 0);
            }
            return None;
        }
        let [first, last] = self.config.ephemeral;
        let goodbye = kind == Kind::Fin && (first..=last).contains(&port);
        if goodbye || !scan::looks(claim, tag) {
            return None;
        }
        let destination = packet.destination.ip()?;
        if !traffic::own().any(|own| own == destination) {
            return None;
        }
        if scan::has_crossed(slot, &source) {
            scan::begin(slot, &source, 0);
        }
        let probe = self.probe(packet, kind, tag);
        let limits = &self.config.thresholds;
        let step = scan::step(slot, claim, &source, &probe, limits, 0, || true);
        let Step::Crossed(trigger) = step else {
            return None;
        };
        let granted = state.taken < self.config.granted;
        state.events.push(ScanEvent {
            source: packet.source.bytes(),
            destination: packet.destination.bytes(),
            ports: slot.ports,
            hosts: slot.hosts,
            ifindex: 1,
            deadline: granted.into(),
            points: slot.points,
            slow: slot.slow,
            recent: slot.recent,
            port,
            family: packet.source.family as u8,
            protocol: packet.protocol,
            kinds: slot.kinds,
            prefix_length: match packet.source.family {
                Family::V6 => 64,
                _ => 32,
            },
            trigger: trigger as u8,
            ..ScanEvent::default()
        });
        slot.points = scan::CROSSED;
        if granted {
            state.taken += 1;
            state.blocked.insert(source, packet.source.ip()?);
        }
        granted.then_some(())
    }
}

/// Without what depends on the clock: the deadline is 1 where there is one.
fn timeless(event: &ScanEvent) -> ScanEvent {
    ScanEvent {
        time_ns: 0,
        deadline: u32::from(event.deadline != 0),
        ..*event
    }
}

/// Without the lock and the times.
fn still(slot: &Slot) -> Slot {
    Slot {
        lock: 0,
        start: 0,
        slow_start: 0,
        ..*slot
    }
}

/// Sends the same packets to the kernel and to the host, and now and then unblocks a source in
/// both. What the kernel told of.
fn run(kernel: &mut Kernel, host: &Host, stream: u64) -> Result<Vec<ScanEvent>> {
    let rng = Rng::new(random::seed(), stream);
    let mut traffic = Traffic::new(rng, crowd(&host.config));
    let mut counted = vec![0; Outcome::COUNT];
    let mut events = Vec::new();
    for number in 0..PACKETS {
        let frame = traffic.frame();
        let packet = parse(&frame.as_slice());
        let decision = decide(&packet, host);
        let program = Program::ALL[number % 2];
        let dropped = kernel.receive(program, &frame, 1)? == Action::Drop;
        assert_eq!(dropped, decision.reason.drops(), "{number}: {packet:?}");
        let outcome = Outcome {
            reason: decision.reason,
            family: decision.family,
            observed: false,
        };
        counted[outcome.index() as usize] += 1;
        if number % 64 == 0 {
            events.extend(kernel.crossings()?);
            if let Some(source) = host.unblock(traffic.rng.below(100)) {
                kernel.remove(Table::Block, block(source))?;
            }
        }
    }
    events.extend(kernel.crossings()?);
    let counters = kernel.counters()?;
    let packets: Vec<u64> = counters.iter().map(|counter| counter.packets).collect();
    assert_eq!(packets, counted);
    Ok(events)
}

#[test]
fn kernel_and_host_take_the_same_steps() -> Result<()> {
    for (stream, granted) in [(1 << 34, u64::MAX / 2), (1 << 35, 50)] {
        without_sockets()?;
        let config = config(granted);
        let mut kernel = Kernel::load()?;
        kernel.configure(config)?;
        traffic::describe(&mut kernel)?;
        let host = Host::new(config);
        let told = run(&mut kernel, &host, stream)?;

        let state = host.state.into_inner();
        let crossings = state.events.len() as u64;
        let capped = crossings - state.taken;
        // Of the capped ones not all are told.
        let blocked = |events: &[ScanEvent]| -> Vec<ScanEvent> {
            let events = events.iter().map(timeless);
            events.filter(|event| event.deadline != 0).collect()
        };
        assert_eq!(blocked(&told), blocked(&state.events));
        for (index, slot) in (0..CROWDED).zip(&state.slots) {
            assert_eq!(still(&kernel.slot(index)?), still(slot), "slot {index}");
        }
        let scanner = kernel.scanner()?;
        assert_eq!((scanner.crossings, scanner.capped), (crossings, capped));
        assert_eq!((scanner.lost, kernel.taken()?), (0, state.taken));
        let untold = crossings - told.len() as u64;
        assert_eq!(scanner.limited, untold);
        report(format_args!(
            "steps: {PACKETS} packets of {SOURCES} sources in {CROWDED} slots, {crossings} \
             crossings, {capped} of them capped, differences: 0"
        ));
        // Else little was compared.
        assert!(crossings > 500, "only {crossings} crossings");
        assert_eq!(capped > 100, granted == 50);
    }
    Ok(())
}
