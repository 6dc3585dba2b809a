//! Every packet is counted once, under its outcome and in its entry, and nothing else is.

use std::{net::IpAddr, thread};

use anyhow::Result;
use fw_common::{
    Prefix,
    abi::{Config, Counter, NEVER, Probe},
    iface,
    reason::{Outcome, Reason},
};
use fw_tests::{
    frames::corpus,
    kernel::{Action, Kernel, Program, Table},
};

use crate::{senders, syn};

/// Runs a frame through and asserts that its outcome, and no other, is counted for it.
fn counts(
    kernel: &Kernel,
    counters: &mut Vec<Counter>,
    program: Program,
    frame: &[u8],
    outcome: Outcome,
) -> Result<()> {
    let action = kernel.receive(program, frame, 1)?;
    let passes = !outcome.reason.drops() || outcome.observed;
    assert_eq!(action == Action::Pass, passes, "{outcome:?}");
    let counter = &mut counters[outcome.index() as usize];
    counter.packets += 1;
    counter.bytes += frame.len() as u64;
    assert_eq!(kernel.counters()?, *counters, "{outcome:?}");
    Ok(())
}

fn listed(table: Table) -> Result<Kernel> {
    let mut kernel = Kernel::load()?;
    for sender in senders() {
        kernel.set(table, sender.network, 1, NEVER)?;
    }
    Ok(kernel)
}

fn observing(kernel: &mut Kernel) -> Result<()> {
    kernel.configure(Config {
        observe: 1,
        ..Config::default()
    })
}

/// Counts every seed, from a source in the tables and from one that is not.
fn counts_every_seed(kernel: &Kernel, reason: Reason, observe: bool) -> Result<()> {
    let mut counters = kernel.counters()?;
    for sender in senders() {
        for (source, by_source) in [(sender.listed, reason), (sender.free, Reason::Default)] {
            for seed in corpus::seeds(source) {
                for program in Program::ALL {
                    let frame = seed.frame(source);
                    let family = kernel.ask(program, &frame)?.outcome.family;
                    let reason = seed.reason(by_source);
                    let outcome = Outcome {
                        reason,
                        family,
                        observed: observe && reason.drops(),
                    };
                    counts(kernel, &mut counters, program, &frame, outcome)?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn every_outcome_is_counted_and_no_other() -> Result<()> {
    let mut kernel = listed(Table::Block)?;
    counts_every_seed(&kernel, Reason::Block, false)?;
    for sender in senders() {
        kernel.set(Table::Allow, sender.network, 1, NEVER)?;
    }
    counts_every_seed(&kernel, Reason::Allow, false)?;
    for sender in senders() {
        kernel.guard(sender.network)?;
    }
    counts_every_seed(&kernel, Reason::Guard, false)
}

#[test]
fn an_interface_with_a_slot_is_counted_there_and_one_that_shares_its_word_is_not() -> Result<()> {
    // Test runs come in on the loopback interface.
    const LOOPBACK: u32 = 1;
    let mut kernel = listed(Table::Block)?;
    let packets = |kernel: &Kernel, slot| -> Result<u64> {
        let counters = kernel.counters_in(slot)?;
        Ok(counters.iter().map(|counter| counter.packets).sum())
    };
    let receive = |kernel: &Kernel| kernel.receive(Program::Frags, &syn(senders()[0].listed), 1);
    for (index, slot, expected) in [
        (LOOPBACK, iface::SLOTS - 1, [0, 1]),
        (LOOPBACK + iface::WORDS, iface::SLOTS - 1, [1, 1]),
        (LOOPBACK, 0, [2, 1]),
    ] {
        kernel.count_apart(index, slot)?;
        receive(&kernel)?;
        let counted = [packets(&kernel, 0)?, packets(&kernel, iface::SLOTS - 1)?];
        assert_eq!(counted, expected, "interface {index} in slot {slot}");
    }
    Ok(())
}

#[test]
fn observe_mode_passes_what_it_counts_as_dropped() -> Result<()> {
    let mut kernel = listed(Table::Block)?;
    observing(&mut kernel)?;
    counts_every_seed(&kernel, Reason::Block, true)?;
    for sender in senders() {
        for (source, observed) in [(sender.listed, true), (sender.free, false)] {
            let answer = kernel.ask(Program::Frags, &syn(source))?;
            assert_eq!(answer.action, Action::Pass);
            assert_eq!(answer.outcome.observed, observed);
        }
    }
    kernel.configure(Config::default())?;
    counts_every_seed(&kernel, Reason::Block, false)
}

#[test]
fn observe_mode_changes_nothing_for_the_allowed() -> Result<()> {
    let mut kernel = listed(Table::Allow)?;
    observing(&mut kernel)?;
    counts_every_seed(&kernel, Reason::Allow, true)
}

#[test]
fn the_deciding_entry_counts_the_packet_and_the_others_do_not() -> Result<()> {
    for table in Table::ALL {
        let mut kernel = Kernel::load()?;
        let mut expected = Vec::new();
        for sender in senders() {
            // Decides in turn: the host, the network around it, the allow or block of the same.
            let host = Prefix::host(sender.listed);
            let neighbour = sender.network.last();
            let other = match table {
                Table::Allow => Table::Block,
                Table::Block => Table::Allow,
            };
            let unused = Prefix::host(sender.free);
            for (table, prefix) in [
                (table, host),
                (table, sender.network),
                (table, unused),
                (other, unused),
            ] {
                kernel.set(table, prefix, 1, NEVER)?;
            }
            // Both tables name the free source: the allow decides.
            for (source, table, prefix) in [
                (sender.listed, table, host),
                (neighbour, table, sender.network),
                (sender.free, Table::Allow, unused),
            ] {
                let frame = syn(source);
                kernel.receive(Program::Frags, &frame, 5)?;
                kernel.receive(Program::Linear, &frame, 6)?;
                expected.push((table, prefix, 11, 11 * frame.len() as u64));
            }
            expected.push((Table::Block, unused, 0, 0));
        }
        for (table, prefix, packets, bytes) in expected {
            let entry = kernel.entry(table, prefix)?;
            assert_eq!((entry.packets, entry.bytes), (packets, bytes), "{prefix}");
        }
    }
    Ok(())
}

#[test]
fn asking_counts_nothing() -> Result<()> {
    let mut kernel = listed(Table::Block)?;
    let everything = |kernel: &Kernel| -> Result<_> {
        let [v4, v6] = senders().map(|sender| kernel.entry(Table::Block, sender.network));
        Ok((kernel.counters()?, v4?, v6?, kernel.samplers()?))
    };
    kernel.configure(Config {
        sample_until: NEVER,
        samples_per_sec: 100,
        ..Config::default()
    })?;
    let before = everything(&kernel)?;
    for sender in senders() {
        for source in [sender.listed, sender.free] {
            for seed in corpus::seeds(source) {
                for program in Program::ALL {
                    kernel.ask(program, &seed.frame(source))?;
                }
            }
        }
    }
    assert_eq!(everything(&kernel)?, before);
    assert!(kernel.events().is_empty());
    Ok(())
}

#[test]
fn metadata_that_is_no_question_is_left_alone_and_the_packet_counted() -> Result<()> {
    let kernel = listed(Table::Block)?;
    let question = Probe::QUESTION.to_ne_bytes();
    let mut swapped = question;
    swapped.reverse();
    let metadata = [
        [&[0; 4][..], &[0; 12]].concat(),
        [&Probe::ANSWER.to_ne_bytes()[..], &[0; 12]].concat(),
        [&swapped[..], &[0; 12]].concat(),
        // A question that is too short to be answered.
        [&question[..], &[0; 8]].concat(),
        question.to_vec(),
    ];
    let packets = |counters: Vec<Counter>| counters.iter().map(|c| c.packets).sum::<u64>();
    for sender in senders() {
        for (source, action) in [(sender.listed, Action::Drop), (sender.free, Action::Pass)] {
            for metadata in &metadata {
                let before = packets(kernel.counters()?);
                for program in Program::ALL {
                    let done = kernel.receive_behind(program, metadata, &syn(source))?;
                    assert_eq!(done, action);
                }
                assert_eq!(packets(kernel.counters()?), before + 2);
            }
        }
    }
    Ok(())
}

#[test]
fn packets_on_all_cpus_are_counted_exactly() -> Result<()> {
    const REPEAT: u32 = 100_000;
    let kernel = listed(Table::Block)?;
    let threads = thread::available_parallelism()?.get();
    let sources = senders().map(|sender| (sender.listed, sender.network));
    thread::scope(|scope| {
        let flood = |source: IpAddr| kernel.receive(Program::Frags, &syn(source), REPEAT);
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(move || sources.map(|(source, _)| flood(source))))
            .collect();
        for worker in workers {
            for outcome in worker.join().expect("no panic") {
                outcome?;
            }
        }
        anyhow::Ok(())
    })?;
    let packets = u64::from(REPEAT) * threads as u64;
    for (source, network) in sources {
        let bytes = packets * syn(source).len() as u64;
        let entry = kernel.entry(Table::Block, network)?;
        assert_eq!((entry.packets, entry.bytes), (packets, bytes));
        let outcome = Outcome {
            reason: Reason::Block,
            family: crate::family(source),
            observed: false,
        };
        let counter = kernel.counters()?[outcome.index() as usize];
        assert_eq!((counter.packets, counter.bytes), (packets, bytes));
    }
    Ok(())
}
