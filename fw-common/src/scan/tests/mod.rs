//! The detector on the host: examples here, everything at random in `model`.

extern crate std;

mod hashes;
mod kinds;
mod model;
mod place;
mod scores;

use super::*;
use crate::{abi::SLOTS, parse::Address};

const LIMITS: Thresholds = Thresholds {
    points: 10 * ONE,
    slow: 20 * ONE,
    window: 60,
    slow_window: 3600,
};

const SCANNER: [u8; 16] = [1; 16];
const SCANNERS_TAG: u8 = 1;

/// When the tests begin. Not a multiple of any window.
const START: u32 = 100_007;

/// A place in the array, and who may look at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    slot: Slot,
    claim: Claim,
}

impl Place {
    /// A place that the scanner has taken, without a probe that counts.
    fn of_scanner() -> Self {
        let mut place = Self::default();
        begin(&mut place.slot, &SCANNER, START);
        place.claim.tag = SCANNERS_TAG;
        place
    }

    /// A probe on its whole way, as the kernel program takes it.
    fn probe(
        &mut self,
        source: &[u8; 16],
        probe: &Probe,
        now: u32,
        closed: impl FnOnce() -> bool,
    ) -> Step {
        let Self { slot, claim } = self;
        if !looks(claim, probe.tag) {
            return Step::Nothing;
        }
        step(slot, claim, source, probe, &LIMITS, now, closed)
    }

    /// The scanner's next probe, to a port that is closed.
    fn scan(&mut self, probe: &Probe, now: u32) -> Step {
        self.probe(&SCANNER, probe, now, || true)
    }

    /// Probes ports in this order, one every `pause` seconds from `start` on. How many there were
    /// when the scanner crossed, and why.
    fn crossing(
        &mut self,
        probes: impl IntoIterator<Item = Probe>,
        start: u32,
        pause: u32,
    ) -> Option<(u32, Trigger)> {
        (1..).zip(probes).find_map(|(count, probe)| {
            match self.scan(&probe, start + (count - 1) * pause) {
                Step::Crossed(trigger) => Some((count, trigger)),
                Step::Counted | Step::Nothing => None,
            }
        })
    }
}

/// A probe of a port. Ports under 128 have a bit each.
fn probe(kind: Kind, port: u16) -> Probe {
    Probe {
        port,
        port_bit: (port % 128) as u8,
        host_bit: 0,
        weight: kind.weight(),
        kinds: kind as u8,
        tag: SCANNERS_TAG,
        hop_limit: 64,
    }
}

fn syn(port: u16) -> Probe {
    probe(Kind::Syn, port)
}
