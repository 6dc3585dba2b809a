//! What a packet costs: the loaded program decides about the same one again and again, and counts
//! nothing.

mod examples;

use std::time::Duration;

use self::examples::examples;
use super::{
    handle::Handle,
    owner::Owner,
    problem::{Failure, kernel},
};
use crate::{
    api::wire::{Bench, Cost, PacketCost},
    backend::xdp::probe::{ProbeError, Question},
};

/// How often each packet is measured, in turns.
const ROUNDS: usize = 11;

/// Runs of the first round, which only tells how many the others can have.
const FIRST: u32 = 1_000;

/// What a round of one packet takes: so long nobody else is served, and all rounds of all packets
/// together take less than a second of one processor.
const ROUND: Duration = Duration::from_millis(4);

/// The kernel tells whole nanoseconds: more runs make them no finer.
const MOST: u32 = 100_000;

/// Where packets go to; no rule need be about it.
const PORT: u16 = 443;

const METHOD: &str = "BPF_PROG_TEST_RUN on one core: the same packet from warm caches, nothing \
                      counted, no card, no DMA: not line rate";

/// A packet to be measured.
struct Packet {
    what: &'static str,
    question: Question,
}

/// The rounds of one packet; without a question, of the floor.
struct Rounds {
    question: Option<Question>,
    runs: u32,
    times: Vec<Duration>,
}

/// `POST /bench`
///
/// # Errors
/// The loaded program cannot be run.
pub async fn measure(handle: &Handle) -> Result<Bench, Failure> {
    let packets = handle.call(|owner| Ok(owner.packets())).await?;
    let mut floor = Rounds::begin(handle, None).await?;
    let mut costs = Vec::new();
    for Packet { question, .. } in &packets {
        costs.push(Rounds::begin(handle, Some(*question)).await?);
    }
    for _ in 0..ROUNDS {
        floor.go_on(handle).await?;
        for cost in &mut costs {
            cost.go_on(handle).await?;
        }
    }
    let cost_of = |packet: Packet, rounds: Rounds| {
        move |owner: &mut Owner| {
            let answer = owner.xdp.ask(&packet.question).map_err(not_run)?;
            Ok(PacketCost {
                packet: packet.what.to_owned(),
                source: packet.question.source,
                reason: answer.outcome.reason.name().to_owned(),
                cost: rounds.cost(),
            })
        }
    };
    let mut answers = Vec::new();
    for (packet, rounds) in packets.into_iter().zip(costs) {
        answers.push(handle.call(cost_of(packet, rounds)).await?);
    }
    handle
        .call(move |owner| {
            Ok(Bench {
                schema: 1,
                method: METHOD.to_owned(),
                program: owner.xdp.facts.id,
                rounds: ROUNDS,
                floor: floor.cost(),
                packets: answers,
            })
        })
        .await
}

impl Rounds {
    /// The first one warms the caches up and does not count.
    async fn begin(handle: &Handle, question: Option<Question>) -> Result<Self, Failure> {
        let first = run(handle, question, FIRST).await?;
        let runs = ROUND.as_nanos() / first.as_nanos().max(1);
        Ok(Self {
            question,
            runs: runs.clamp(FIRST.into(), MOST.into()) as u32,
            times: Vec::with_capacity(ROUNDS),
        })
    }

    async fn go_on(&mut self, handle: &Handle) -> Result<(), Failure> {
        self.times
            .push(run(handle, self.question, self.runs).await?);
        Ok(())
    }

    fn cost(mut self) -> Cost {
        self.times.sort();
        let ns = |time: Option<&Duration>| time.map_or(0, |time| time.as_nanos() as u64);
        Cost {
            min_ns: ns(self.times.first()),
            median_ns: ns(self.times.get(self.times.len() / 2)),
            runs: self.runs,
        }
    }
}

/// One round, as a job of its own: nobody waits for more than that.
async fn run(handle: &Handle, question: Option<Question>, runs: u32) -> Result<Duration, Failure> {
    let run = move |owner: &mut Owner| owner.xdp.cost(question.as_ref(), runs).map_err(not_run);
    handle.call(run).await
}

fn not_run(error: ProbeError) -> Failure {
    kernel("cannot run the loaded program", &error)
}

impl Owner {
    /// A handful of both families.
    fn packets(&self) -> Vec<Packet> {
        let packet = |(what, protocol, source)| Packet {
            what,
            question: Question {
                source,
                destination: self.own_address(source),
                protocol,
                port: PORT,
                vlan: None,
                interface: 0,
            },
        };
        examples(&self.policy).into_iter().map(packet).collect()
    }
}
