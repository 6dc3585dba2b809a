//! Sources that crossed a threshold: heard from the kernel, judged, told.

use std::{collections::BTreeSet, net::IpAddr};

use fw_common::{
    Prefix,
    abi::ScanEvent,
    reason::Family,
    scan::{Kind, ONE, Trigger},
};

use super::{
    super::{
        handle::Handle,
        owner::{Owner, wire_time},
        sampling::{address, wall_of},
    },
    BLOCKS,
};
use crate::{
    api::wire::{self, Event},
    backend::xdp::scan::Crossings,
    detect::sentence::{Crossing, Evidence, Response, Sentence},
    host::{
        clock,
        peers::{self, Proof},
        random::random,
    },
    policy::{
        entry::Action,
        time::{BootSecs, Now},
    },
};

/// Reports that wait to be judged.
#[derive(Debug, Default)]
pub struct Heard {
    waiting: Vec<ScanEvent>,
    /// Some are being judged.
    judging: bool,
}

/// A flood of crossings must not become a flood of memory; what is beyond was not acted upon
/// anyway.
const MAX_WAITING: usize = 4096;

impl Heard {
    /// Whether something is not judged yet.
    pub fn is_busy(&self) -> bool {
        self.judging || !self.waiting.is_empty()
    }
}

impl Owner {
    /// Takes the reports out of the ring.
    pub(in super::super) fn hear(&mut self, crossings: &mut Crossings, handle: &Handle) {
        while let Some(event) = crossings.next_event() {
            let has_block = event.deadline != 0;
            if has_block || self.scan.heard.waiting.len() < MAX_WAITING {
                self.scan.heard.waiting.push(event);
            }
        }
        self.judge_waiting(handle);
    }

    /// Lets what was heard be judged, one batch at a time: finding out who is no forgery may take
    /// a few milliseconds, and is done elsewhere.
    fn judge_waiting(&mut self, handle: &Handle) {
        if self.scan.heard.judging || self.scan.heard.waiting.is_empty() {
            return;
        }
        self.scan.heard.judging = true;
        let batch = std::mem::take(&mut self.scan.heard.waiting);
        let handle = handle.clone();
        tokio::spawn(async move {
            let sources: Vec<Prefix> = batch.iter().filter_map(source).collect();
            let looked = tokio::task::spawn_blocking(move || peers::proven(&sources)).await;
            let proof = looked.unwrap_or_default();
            let again = handle.clone();
            let judged = handle.call(move |owner| {
                owner.judge(&batch, &proof);
                owner.scan.heard.judging = false;
                owner.judge_waiting(&again);
                Ok(())
            });
            // The daemon is ending: the next one finds the blocks in the kernel.
            drop(judged.await);
        });
    }

    fn judge(&mut self, batch: &[ScanEvent], proof: &Proof) {
        for problem in &proof.problems {
            tracing::debug!(problem, "a source may be proven without our knowing");
        }
        let now = clock::now();
        let told = self.sentence(batch, proof, now);
        let written = batch.iter().filter(|event| event.deadline != 0);
        let written: Vec<Prefix> = written.filter_map(source).collect();
        let result = self.renew_blocks_over(&written, now);
        self.note(BLOCKS, result);
        self.tell_scans(told);
    }

    /// What a former daemon did not hear any more, before the list is made of the offenders.
    pub(in super::super) fn hear_backlog(&mut self, crossings: &mut Crossings, now: Now) {
        let backlog: Vec<ScanEvent> = std::iter::from_fn(|| crossings.next_event()).collect();
        let told = self.sentence(&backlog, &Proof::default(), now);
        self.tell_scans(told);
    }

    /// Judges crossings, and gives what is to be told of them.
    fn sentence(&mut self, batch: &[ScanEvent], proof: &Proof, now: Now) -> Vec<Event> {
        let mut told = Vec::new();
        for event in batch {
            let Some(crossing) = crossing(event) else {
                continue;
            };
            if crossing.block.is_some() && !self.is_listed(crossing.source) {
                self.xdp.tables.noticed(crossing.source);
            }
            let one_path = event.kinds & Kind::PATHS == 0;
            let evidence = match proof.proven.contains(&crossing.source) && one_path {
                true => Evidence::Proven,
                false => Evidence::Unproven,
            };
            match one_path {
                true => self.scan.suspects.remove(&crossing.source),
                false => self.scan.suspects.insert(crossing.source),
            };
            let settings = &self.scan.settings;
            let dice = random().unwrap_or_default() as u32;
            let judged = (self.scan.offenders).judge(&crossing, evidence, settings, now, dice);
            if let Some(sentence) = judged {
                told.extend(self.scan_event(event, crossing.source, &sentence, now));
            }
            if self.is_protected(crossing.source) {
                // Allowed or guarded while the report was on its way.
                self.scan.offenders.pardon(crossing.source, now);
            }
        }
        told.into_iter().map(Event::Scan).collect()
    }

    /// Whether the kernel had a row for it before.
    fn is_listed(&self, prefix: Prefix) -> bool {
        self.policy.table(Action::Block).at(prefix).next().is_some()
    }

    /// Blocked sources may turn out not to be forged: then they are blocked for longer. Offences
    /// of long ago are forgotten.
    pub(in super::super) fn prove(&mut self, proof: &Proof) {
        let now = clock::now();
        self.scan.offenders.forget(&self.scan.settings, now);
        let blocked: BTreeSet<Prefix> = self.scan.offenders.unproven(now).collect();
        self.scan.suspects.retain(|source| blocked.contains(source));
        let mut changed = false;
        for source in &proof.proven {
            let dice = random().unwrap_or_default() as u32;
            changed |= (self.scan.offenders).prove(*source, &self.scan.settings, now, dice);
        }
        if changed {
            let result = self.renew_blocks(now);
            self.note(BLOCKS, result);
        }
    }

    fn scan_event(
        &self,
        event: &ScanEvent,
        source: Prefix,
        sentence: &Sentence,
        now: Now,
    ) -> Option<wire::ScanEvent> {
        let link = self.links.iter().find(|link| link.index == event.ifindex);
        let bits = |words: &[u64]| words.iter().map(|word| word.count_ones()).sum();
        let blocked = sentence.until.is_some();
        // The mode may have changed since: of its own blocks, the kernel's word counts.
        let response = match (event.deadline, event.observed) {
            (0, _) => sentence.response,
            (_, 0) => Response::Block,
            _ => Response::Observe,
        };
        let destination = address(destination_family(event), event.destination)?;
        let host = address(event.family, event.source)?;
        Some(wire::ScanEvent {
            schema: 1,
            time: wire_time(wall_of(event.time_ns)),
            source: host,
            geo: self.home(host),
            prefix: format!("{}/{}", source.address(), source.length()),
            destination,
            interface: link.map_or_else(|| event.ifindex.to_string(), |link| link.name.clone()),
            protocol: match event.protocol {
                17 => "udp",
                _ => "tcp",
            }
            .to_owned(),
            kinds: kinds(event.kinds),
            trigger: match event.trigger == Trigger::Slow as u8 {
                true => "slow",
                false => "window",
            }
            .to_owned(),
            ports: ports(event),
            distinct_ports: bits(&event.ports),
            distinct_hosts: event.hosts.count_ones(),
            score: f64::from(event.points) / f64::from(ONE),
            slow_score: f64::from(event.slow) / f64::from(ONE),
            evidence: sentence.evidence.name().to_owned(),
            offence: sentence.offence,
            action: response.name().to_owned(),
            enforced: response == Response::Block && !self.config.observe,
            ttl_s: blocked.then_some(sentence.ttl.as_secs()),
            blocked_until: sentence.until.map(|until| wire_time(now.wall_of(until))),
        })
    }
}

/// A v4-mapped source goes to an IPv6 destination.
fn destination_family(event: &ScanEvent) -> u8 {
    let [.., tail] = event.destination.as_chunks::<4>().0 else {
        return event.family;
    };
    match event.family == Family::V4 as u8 && *tail != [0; 4] {
        true => Family::V6 as u8,
        false => event.family,
    }
}

/// What is blocked as one source.
fn source(event: &ScanEvent) -> Option<Prefix> {
    let address: IpAddr = address(event.family, event.source)?;
    Prefix::new(address, event.prefix_length)
}

fn crossing(event: &ScanEvent) -> Option<Crossing> {
    Some(Crossing {
        source: source(event)?,
        // The nearest second, as the program rounds the deadline.
        at: BootSecs(u32::try_from((event.time_ns + 500_000_000) / 1_000_000_000).ok()?),
        distinct_ports: event.ports.iter().map(|word| word.count_ones()).sum(),
        distinct_hosts: event.hosts.count_ones(),
        ports: ports(event),
        block: (event.deadline != 0).then_some(BootSecs(event.deadline)),
    })
}

/// The last ports, the crossing one last. A known port on a new host is among them already.
fn ports(event: &ScanEvent) -> Vec<u16> {
    let mut ports: Vec<u16> = event.recent.into_iter().filter(|port| *port != 0).collect();
    if event.port != 0 && ports.last() != Some(&event.port) {
        ports.push(event.port);
    }
    ports
}

fn kinds(bits: u8) -> Vec<String> {
    let names = [
        (Kind::Syn as u8, "syn"),
        (Kind::Udp as u8, "udp"),
        (
            Kind::Flags as u8 | Kind::Fin as u8 | Kind::Chain as u8,
            "flags",
        ),
        (Kind::BAIT, "bait"),
    ];
    let seen = names.into_iter().filter(|(kind, _)| bits & kind != 0);
    seen.map(|(_, name)| name.to_owned()).collect()
}
