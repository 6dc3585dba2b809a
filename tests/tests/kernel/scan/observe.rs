//! Observe mode counts as enforce mode does, and drops nothing.

use anyhow::Result;
use fw_common::{
    Prefix,
    abi::{self, Config, Entry, NEVER},
    reason::{Outcome, Reason},
};
use fw_tests::{
    frames::corpus,
    kernel::{Port, Program, Protocol, Table},
};

use super::{THRESHOLD, block, enforcing, observing, outcome, passes, ports, slot, syn, watching};
use crate::{family, senders};

#[test]
fn who_crosses_is_counted_as_if_dropped_and_passes() -> Result<()> {
    let ports = ports();
    for program in Program::ALL {
        let mut kernel = watching(observing())?;
        for sender in senders() {
            let source = sender.listed;
            let observed = |reason: Reason| Outcome {
                reason,
                family: family(source),
                observed: true,
            };
            passes(&kernel, program, source, &ports[..THRESHOLD - 1])?;
            let crossing = syn(source, ports[THRESHOLD - 1]);
            let found = outcome(&kernel, program, &crossing)?;
            assert_eq!(found, observed(Reason::Scan));

            let events = kernel.crossings()?;
            let [event] = events[..] else {
                panic!("{} events", events.len());
            };
            assert_eq!(event.observed, 1);
            let entry = kernel.entry(Table::Block, block(source))?;
            let expected = Entry {
                flags: Entry::OBSERVED,
                packets: 1,
                bytes: crossing.len() as u64,
                ..Entry::new(block(source), abi::AUTO_LIST, event.deadline)
            };
            assert_eq!(entry, expected);
            let before = slot(&kernel, source)?;
            for seed in corpus::seeds(source) {
                let found = outcome(&kernel, program, &seed.frame(source))?;
                let reason = seed.reason(Reason::Block);
                match reason {
                    Reason::Block => assert_eq!(found, observed(reason), "{}", seed.name),
                    _ => assert_eq!(
                        (found.reason, found.observed),
                        (reason, reason.drops() && found.observed)
                    ),
                }
            }
            // Nothing of it is counted as a scan any more.
            assert_eq!(slot(&kernel, source)?, before);
            assert!(kernel.crossings()?.is_empty());
            passes(&kernel, program, sender.free, &ports[..1])?;
        }
        assert_eq!(kernel.scanner()?.crossings, 2);
    }
    Ok(())
}

#[test]
fn an_enforced_prefix_drops_under_a_host_that_is_only_observed() -> Result<()> {
    let ports = ports();
    let mut kernel = watching(Config {
        v6_prefix: 128,
        ..observing()
    })?;
    for sender in senders() {
        let source = sender.listed;
        passes(&kernel, Program::Frags, source, &ports[..THRESHOLD - 1])?;
        let crossing = syn(source, ports[THRESHOLD - 1]);
        assert_eq!(
            outcome(&kernel, Program::Frags, &crossing)?.action(),
            "observe"
        );
        let host = Prefix::host(source);
        for (listed, deadline, action, decides) in [
            (true, NEVER, "drop", sender.network),
            // It has ended.
            (true, 1, "observe", host),
            (true, NEVER, "drop", sender.network),
            (false, 0, "observe", host),
        ] {
            match listed {
                true => kernel.set(Table::Block, sender.network, 1, deadline)?,
                false => kernel.remove(Table::Block, sender.network)?,
            }
            let before = kernel.entry(Table::Block, decides)?.packets;
            for program in Program::ALL {
                let found = outcome(&kernel, program, &syn(source, 1))?;
                assert_eq!((found.reason, found.action()), (Reason::Block, action));
            }
            let after = kernel.entry(Table::Block, decides)?.packets;
            assert_eq!(after, before + 2, "{action}");
        }
    }
    Ok(())
}

#[test]
fn what_observe_mode_found_is_kept_out_by_an_allow_and_a_guard() -> Result<()> {
    let ports = ports();
    for config in [observing(), enforcing()] {
        let mut kernel = watching(config)?;
        for sender in senders() {
            let source = sender.listed;
            for port in &ports[..THRESHOLD] {
                kernel.receive(Program::Frags, &syn(source, *port), 1)?;
            }
            let found = outcome(&kernel, Program::Frags, &syn(source, 1))?;
            assert_eq!(found.reason, Reason::Block);
            kernel.set(Table::Allow, Prefix::host(source), 1, NEVER)?;
            let found = outcome(&kernel, Program::Frags, &syn(source, 1))?;
            assert_eq!((found.reason, found.observed), (Reason::Allow, false));
            kernel.guard(Prefix::host(source))?;
            let found = outcome(&kernel, Program::Frags, &syn(source, 1))?;
            assert_eq!((found.reason, found.observed), (Reason::Guard, false));
        }
    }
    Ok(())
}

/// The switch for everything, above that of the detector.
#[test]
fn while_everything_is_observed_a_crossing_is_too() -> Result<()> {
    let mut kernel = watching(Config {
        observe: 1,
        ..enforcing()
    })?;
    kernel.set_port(Protocol::Tcp, 443, Port::Served)?;
    for sender in senders() {
        let source = sender.listed;
        let ports = ports();
        passes(&kernel, Program::Frags, source, &ports[..THRESHOLD - 1])?;
        for (port, reason) in [(ports[9], Reason::Scan), (443, Reason::Block)] {
            let found = outcome(&kernel, Program::Frags, &syn(source, port))?;
            assert_eq!((found.reason, found.action()), (reason, "observe"));
        }
        let events = kernel.crossings()?;
        assert!(matches!(events[..], [event] if event.observed == 1));
        // The block itself is a real one: it drops as soon as the switch is off.
        let entry = kernel.entry(Table::Block, block(source))?;
        assert_eq!(entry.flags, 0);
    }
    kernel.configure(enforcing())?;
    for sender in senders() {
        let found = outcome(&kernel, Program::Frags, &syn(sender.listed, 443))?;
        assert_eq!((found.reason, found.action()), (Reason::Block, "drop"));
    }
    Ok(())
}
