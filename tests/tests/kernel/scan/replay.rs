//! Observe mode reports exactly what enforce mode does on the same traffic.

use anyhow::Result;
use fw_common::{
    abi::{Config, Counter, ScanEvent},
    reason::{Family, Outcome, Reason},
};
use fw_tests::kernel::{Action, Kernel, Program};

use super::{
    enforcing, observing,
    traffic::{self, Traffic},
    without_sockets,
};
use crate::{
    random::{self, Rng},
    report,
};

const PACKETS: usize = 10_000;

/// What one mode made of the traffic.
struct Replay {
    events: Vec<ScanEvent>,
    counters: Vec<Counter>,
    dropped: usize,
}

impl Replay {
    fn new(config: Config, frames: &[Vec<u8>]) -> Result<Self> {
        without_sockets()?;
        let mut kernel = Kernel::load()?;
        kernel.configure(config)?;
        traffic::describe(&mut kernel)?;
        let mut dropped = 0;
        for frame in frames {
            let action = kernel.receive(Program::Frags, frame, 1)?;
            dropped += usize::from(action == Action::Drop);
        }
        Ok(Self {
            events: kernel.crossings()?,
            counters: kernel.counters()?,
            dropped,
        })
    }

    fn of(&self, reason: Reason, family: Family, observed: bool) -> Counter {
        let outcome = Outcome {
            reason,
            family,
            observed,
        };
        self.counters[outcome.index() as usize]
    }
}

#[test]
fn observe_mode_reports_exactly_what_enforce_mode_does() -> Result<()> {
    let rng = Rng::new(random::seed(), 1 << 36);
    let mut traffic = Traffic::new(rng, traffic::strangers().take(240));
    let frames: Vec<Vec<u8>> = (0..PACKETS).map(|_| traffic.frame()).collect();
    let enforced = Replay::new(enforcing(), &frames)?;
    let observed = Replay::new(observing(), &frames)?;

    // When it was, and until when, depends on the clock.
    let timeless = |event: &ScanEvent| ScanEvent {
        time_ns: 0,
        deadline: u32::from(event.deadline != 0),
        observed: 0,
        ..*event
    };
    let events = |replay: &Replay| replay.events.iter().map(timeless).collect::<Vec<_>>();
    assert_eq!(events(&enforced), events(&observed));
    assert!(enforced.events.iter().all(|event| event.observed == 0));
    assert!(observed.events.iter().all(|event| event.observed == 1));
    for reason in Reason::ALL {
        for family in Family::ALL {
            let acted = enforced.of(reason, family, false);
            let reported = observed.of(reason, family, reason.drops());
            assert_eq!(acted, reported, "{reason:?} {family:?}");
        }
    }
    report(format_args!(
        "replay: {PACKETS} packets, {} crossings, {} dropped, and as many observed",
        enforced.events.len(),
        enforced.dropped
    ));
    assert_eq!(observed.dropped, 0);
    assert!(enforced.events.len() > 50);
    assert!((PACKETS / 4..PACKETS * 9 / 10).contains(&enforced.dropped));
    Ok(())
}
