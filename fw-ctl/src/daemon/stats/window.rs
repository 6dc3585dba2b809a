//! A minute of samples, and who they are of.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    net::IpAddr,
};

use crate::{
    api::wire::{DropSample, Sampled, SampledPort, SampledSource},
    policy::{service::Protocol, time::BootSecs},
};

/// How long a sample counts.
const WINDOW_SECS: u32 = 60;

/// Samples that are kept: the kernel gives a hundred a second.
const KEPT: usize = 6000;

/// Sources and ports that are named.
const NAMED: usize = 20;

/// The last samples.
#[derive(Default)]
pub struct Window {
    samples: VecDeque<Sample>,
    /// The last report, and of which second it is.
    reported: Option<(BootSecs, Sampled)>,
}

struct Sample {
    at: BootSecs,
    source: Option<IpAddr>,
    protocol: u8,
    port: u16,
    reason: String,
    list: Option<String>,
}

impl Window {
    /// Keeps a sample.
    pub fn take(&mut self, at: BootSecs, sample: &DropSample) {
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample {
            at,
            source: sample.source,
            protocol: sample.protocol,
            port: sample.destination_port,
            reason: sample.reason.clone(),
            list: sample.list.clone(),
        });
    }

    /// Who was sampled. Within one second, the answer stays the same.
    pub fn report(&mut self, now: BootSecs) -> Sampled {
        if let Some((at, report)) = &self.reported
            && *at == now
        {
            return report.clone();
        }
        let kept = |sample: &Sample| now.0.saturating_sub(sample.at.0) < WINDOW_SECS;
        while self.samples.front().is_some_and(|sample| !kept(sample)) {
            self.samples.pop_front();
        }
        let report = self.counted();
        self.reported = Some((now, report.clone()));
        report
    }

    fn counted(&self) -> Sampled {
        let share = |count: usize| count as f64 / self.samples.len().max(1) as f64;
        let sources = self
            .samples
            .iter()
            .filter_map(|sample| Some((sample.source?, sample)));
        let sources = most(sources)
            .into_iter()
            .map(|(source, count, last)| SampledSource {
                source,
                reason: last.reason.clone(),
                list: last.list.clone(),
                share: share(count),
                geo: None,
            });
        let ports = self
            .samples
            .iter()
            .map(|sample| ((sample.protocol, port(sample)), sample));
        let ports = most(ports)
            .into_iter()
            .map(|((protocol, port), count, _)| SampledPort {
                protocol: name(protocol),
                port,
                share: share(count),
            });
        Sampled {
            window_s: WINDOW_SECS.into(),
            samples: self.samples.len() as u64,
            sources: sources.collect(),
            ports: ports.collect(),
        }
    }
}

/// The keys of most samples, with how many and the last of them.
fn most<'a, K: Hash + Ord + Copy>(
    samples: impl Iterator<Item = (K, &'a Sample)>,
) -> Vec<(K, usize, &'a Sample)> {
    let mut counts: HashMap<K, (usize, &Sample)> = HashMap::new();
    for (key, sample) in samples {
        let count = counts.entry(key).or_insert((0, sample));
        *count = (count.0 + 1, sample);
    }
    let mut counted: Vec<_> = counts
        .into_iter()
        .map(|(key, (count, last))| (key, count, last))
        .collect();
    // Those of the same number always in the same order.
    counted.sort_by_key(|(key, count, _)| (std::cmp::Reverse(*count), *key));
    counted.truncate(NAMED);
    counted
}

/// Only of protocols that have ports, and only where one was read.
fn port(sample: &Sample) -> Option<u16> {
    (matches!(sample.protocol, 6 | 17) && sample.port != 0).then_some(sample.port)
}

fn name(protocol: u8) -> String {
    let name = Protocol::name_of(protocol);
    name.map_or_else(|| protocol.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(source: &str, protocol: u8, port: u16) -> DropSample {
        DropSample {
            time: jiff::Timestamp::UNIX_EPOCH,
            interface: "eth0".into(),
            source: source.parse().ok(),
            destination: None,
            protocol,
            source_port: 1,
            destination_port: port,
            vlans: Vec::new(),
            length: 60,
            reason: "block".into(),
            list: Some("local".into()),
            observed: false,
            geo: None,
        }
    }

    #[test]
    fn whoever_is_sampled_most_comes_first_with_the_share() {
        let mut window = Window::default();
        for port in [22, 22, 23] {
            window.take(BootSecs(100), &sample("192.0.2.7", 6, port));
        }
        window.take(BootSecs(100), &sample("unread", 1, 0x0800));
        let report = window.report(BootSecs(101));
        assert_eq!((report.samples, report.window_s), (4, 60));
        assert_eq!(
            report.sources.len(),
            1,
            "a source that was not read is nobody"
        );
        assert_eq!(report.sources[0].share, 0.75);
        let ports: Vec<_> = report
            .ports
            .iter()
            .map(|port| (&*port.protocol, port.port))
            .collect();
        assert_eq!(
            ports,
            [("tcp", Some(22)), ("icmp", None), ("tcp", Some(23))]
        );
    }

    #[test]
    fn after_a_minute_a_sample_counts_no_more_and_there_are_never_too_many() {
        let mut window = Window::default();
        for number in 0..2 * KEPT {
            window.take(BootSecs(1), &sample("192.0.2.7", 6, number as u16));
        }
        assert_eq!(window.report(BootSecs(60)).samples, KEPT as u64);
        assert_eq!(window.report(BootSecs(60)).sources.len(), 1);
        assert_eq!(window.report(BootSecs(60)).ports.len(), NAMED);
        assert_eq!(
            window.report(BootSecs(61)),
            Sampled {
                window_s: 60,
                ..Sampled::default()
            }
        );
    }
}
