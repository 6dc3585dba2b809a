//! The program in the kernel and [`decide`] on the host say the same of every frame.

use std::{env, fmt::Write as _, thread, time::Instant};

use anyhow::{Context as _, Result};
use fw_common::{parse::parse, reason::Reason, verdict::decide};
use fw_ctl::{detect::ports::PortSet, plan::ruleset::LimitRow};
use fw_tests::{
    frames::{Frame, SERVER_V4, SERVER_V6, corpus, tcp},
    kernel::{Action, Answer, Kernel, Program, boot_seconds},
};

use crate::{
    decided,
    model::{Moment, Policy, Spent, bucket},
    random::{self, Frames, Rng},
    report, senders,
};

/// Longer frames are in several buffers, which the linear program is never given.
const BUFFER: usize = 3000;

/// How the comparison went.
#[derive(Default)]
struct Tally {
    frames: u64,
    policies: u64,
    /// By [`Reason`] as a number.
    reasons: [u64; Reason::ALL.len()],
    disagreements: u64,
    /// The first of them.
    first: Option<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.frames += other.frames;
        self.policies += other.policies;
        for (sum, count) in self.reasons.iter_mut().zip(other.reasons) {
            *sum += count;
        }
        self.disagreements += other.disagreements;
        self.first = self.first.take().or(other.first);
    }

    fn of(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize]
    }

    fn summary(&self) -> String {
        let mut text = format!("{} frames, {} policies", self.frames, self.policies);
        for reason in Reason::ALL {
            // A string takes whatever is written.
            let _ = write!(text, ", {} {}", reason.name(), self.of(reason));
        }
        let _ = write!(text, ", disagreements: {}", self.disagreements);
        text
    }

    /// Asks both programs, and the first with the frame cut in two, and compares.
    fn compare(
        &mut self,
        kernel: &Kernel,
        moment: &Moment<'_>,
        frame: &[u8],
        linear: usize,
    ) -> Result<()> {
        let expected = on_host(moment, frame);
        self.frames += 1;
        self.reasons[expected.outcome.reason as usize] += 1;
        let mut answers = vec![
            kernel.ask(Program::Frags, frame)?,
            kernel.ask_cut(Program::Frags, frame, linear)?,
        ];
        if frame.len() <= BUFFER {
            answers.push(kernel.ask(Program::Linear, frame)?);
        }
        if answers.iter().any(|answer| *answer != expected) {
            self.disagreements += 1;
            self.first.get_or_insert_with(|| {
                let policy = moment.policy;
                format!(
                    "host: {expected:?}\nkernel: {answers:?}\nlinear: {linear}\n\
                     frame: {frame:02x?}\nnow: {}\npolicy: {policy:?}",
                    moment.now
                )
            });
        }
        Ok(())
    }
}

fn on_host(moment: &Moment<'_>, frame: &[u8]) -> Answer {
    let decision = decide(&parse(&frame), moment);
    let entry = decision.entry.unwrap_or_default();
    Answer {
        rule: decision.rule,
        ..decided(decision.reason, decision.family, entry)
    }
}

/// One thread's share.
fn run(rng: &mut Rng, frames: u64) -> Result<Tally> {
    /// Of a kernel: what its policies leave in the buckets would fill them in time.
    const FRAMES: u64 = 500_000;
    let mut tally = Tally::default();
    while tally.frames < frames {
        let share = FRAMES.min(frames - tally.frames);
        tally.add(run_in(&mut Kernel::load()?, rng, share)?);
    }
    Ok(tally)
}

fn run_in(kernel: &mut Kernel, rng: &mut Rng, frames: u64) -> Result<Tally> {
    const PER_POLICY: u64 = 500;
    let mut rules = kernel.take_rules()?;
    kernel.own([SERVER_V4.into(), SERVER_V6.into()])?;
    let generator = Frames::new();
    let mut tally = Tally::default();
    while tally.frames < frames {
        let now = boot_seconds()?;
        let policy = random::policy(rng, now);
        policy.write(kernel)?;
        rules.set(&policy.rules, &PortSet::default())?;
        tally.policies += 1;
        let spent = spend(kernel, rng, &policy, now)?;
        let moment = Moment {
            policy: &policy,
            now,
            spent: &spent,
        };
        for _ in 0..PER_POLICY.min(frames - tally.frames) {
            let source = random::source(rng, &policy);
            let frame = generator.any(rng, source);
            let linear = rng.below(frame.len().min(128));
            tally.compare(kernel, &moment, &frame, linear)?;
        }
        policy.erase(kernel)?;
    }
    Ok(tally)
}

/// Sends connections, as the host decides about them too, so that some buckets are empty.
fn spend(kernel: &Kernel, rng: &mut Rng, policy: &Policy, now: u32) -> Result<Spent> {
    let mut spent = Spent::default();
    for _ in 0..rng.below(7) {
        let source = random::source(rng, policy);
        let port = random::port(rng);
        let frame = Frame::new().ip(source).tcp(40000, port, tcp::SYN).bytes();
        for _ in 0..2 {
            let moment = Moment {
                policy,
                now,
                spent: &spent,
            };
            let decision = decide(&parse(&frame.as_slice()), &moment);
            let action = kernel.receive(Program::Frags, &frame, 1)?;
            assert_eq!(
                action == Action::Drop,
                decision.reason.drops(),
                "{decision:?}"
            );
            let exceeded = |limit: &&LimitRow| limit.id.0 != decision.rule;
            if let Reason::Limit | Reason::Rule | Reason::Default = decision.reason {
                // In order, up to the one that it exceeds.
                for limit in policy.limits(port).take_while(exceeded) {
                    *spent.entry(bucket(limit, source)).or_default() += 1;
                }
            }
        }
    }
    Ok(spent)
}

#[test]
fn kernel_and_host_agree_on_a_million_frames() -> Result<()> {
    let frames: u64 = match env::var_os("FW_TEST_LONG") {
        Some(_) => 100_000_000,
        None => 1_000_000,
    };
    let seed = random::seed();
    let threads = thread::available_parallelism()?.get() as u64;
    let start = Instant::now();
    let tally = thread::scope(|scope| {
        let share = |thread| frames / threads + u64::from(thread < frames % threads);
        let workers: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || run(&mut Rng::new(seed, thread), share(thread))))
            .collect();
        let mut tally = Tally::default();
        for worker in workers {
            tally.add(worker.join().expect("no panic")?);
        }
        anyhow::Ok(tally)
    })?;
    report(format_args!(
        "agreement: {}, in {:.1} s on {threads} threads, FW_TEST_SEED={seed}",
        tally.summary(),
        start.elapsed().as_secs_f64(),
    ));
    assert_eq!(tally.frames, frames);
    assert_eq!(tally.disagreements, 0, "{}", tally.first.context("none")?);
    // What never occurs is not compared; a question is never a probe.
    for reason in Reason::ALL {
        let count = tally.of(reason);
        match reason {
            Reason::Scan => assert_eq!(count, 0),
            _ => assert!(count >= frames / 200, "only {count} frames are {reason:?}"),
        }
    }
    Ok(())
}

#[test]
fn kernel_and_host_agree_on_every_seed_cut_at_every_byte() -> Result<()> {
    let mut kernel = Kernel::load()?;
    let mut tally = Tally::default();
    let policies = [
        Policy::default(),
        Policy::blocking(senders().map(|sender| sender.network)),
    ];
    for policy in policies {
        policy.write(&mut kernel)?;
        tally.policies += 1;
        let moment = Moment {
            policy: &policy,
            now: boot_seconds()?,
            spent: &Spent::default(),
        };
        for sender in senders() {
            for seed in corpus::seeds(sender.listed) {
                let frame = seed.frame(sender.listed);
                for length in 14..=frame.len() {
                    tally.compare(&kernel, &moment, &frame[..length], length / 2)?;
                }
            }
        }
        policy.erase(&mut kernel)?;
    }
    report(format_args!("agreement, seeds cut: {}", tally.summary()));
    assert_eq!(tally.disagreements, 0, "{}", tally.first.context("none")?);
    Ok(())
}
