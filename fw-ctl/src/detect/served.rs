//! Which ports are served. A port that has just stopped being served is kept for a while: the
//! clients of a service that restarts are no scanners.

use std::{collections::BTreeMap, time::Duration};

use super::ports::{PortSet, Protocol};
use crate::policy::time::{BootSecs, Now};

/// The ports that are served, or were until just now.
#[derive(Debug, Default)]
pub struct Served {
    ports: PortSet,
    /// When those are let go that nobody serves any more.
    leaving: BTreeMap<(Protocol, u16), BootSecs>,
}

impl Served {
    /// Goes on where a former daemon stopped: what it left in the kernel counts as served until
    /// the first look.
    pub fn resume(ports: PortSet) -> Self {
        Self {
            ports,
            leaving: BTreeMap::new(),
        }
    }

    /// Takes in what is served at the moment, and says whether the set has changed.
    pub fn look(&mut self, serving: &PortSet, grace: Duration, now: Now) -> bool {
        let gone = now.after(grace);
        let second = now.boot_secs();
        self.leaving
            .retain(|(protocol, port), _| !serving.contains(*protocol, *port));
        for port in self.ports.without(serving) {
            self.leaving.entry(port).or_insert(gone);
        }
        self.leaving.retain(|_, until| {
            // A grace that was made shorter holds for those who are leaving, too.
            *until = (*until).min(gone);
            *until > second
        });
        let mut ports = serving.clone();
        for (protocol, port) in self.leaving.keys() {
            ports.insert(*protocol, *port);
        }
        let changed = ports != self.ports;
        self.ports = ports;
        changed
    }

    /// The set as it stands.
    pub fn ports(&self) -> &PortSet {
        &self.ports
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::policy::time::WallSecs;

    const GRACE: Duration = Duration::from_secs(60);

    fn at(secs: u64) -> Now {
        Now {
            boot: Duration::from_secs(secs),
            wall: WallSecs(0),
        }
    }

    fn ports(texts: &[&str]) -> PortSet {
        texts
            .iter()
            .map(|text| text.parse().expect("ports"))
            .collect()
    }

    #[test]
    fn a_port_that_stops_being_served_is_kept_for_the_grace_and_then_let_go() {
        let mut served = Served::default();
        assert!(served.look(&ports(&["tcp/22", "udp/53"]), GRACE, at(0)));
        assert!(!served.look(&ports(&["tcp/22"]), GRACE, at(10)));
        assert!(served.ports().contains(Protocol::Udp, 53));
        assert!(!served.look(&ports(&["tcp/22"]), GRACE, at(69)));
        assert!(served.look(&ports(&["tcp/22"]), GRACE, at(70)));
        assert_eq!(*served.ports(), ports(&["tcp/22"]));
    }

    #[test]
    fn a_service_that_comes_back_has_its_whole_grace_the_next_time() {
        let mut served = Served::default();
        served.look(&ports(&["tcp/80"]), GRACE, at(0));
        served.look(&ports(&[]), GRACE, at(10));
        assert!(!served.look(&ports(&["tcp/80"]), GRACE, at(60)));
        served.look(&ports(&[]), GRACE, at(65));
        served.look(&ports(&[]), GRACE, at(124));
        assert_eq!(*served.ports(), ports(&["tcp/80"]));
        served.look(&ports(&[]), GRACE, at(125));
        assert_eq!(*served.ports(), ports(&[]));
    }

    #[test]
    fn what_a_former_daemon_left_has_just_stopped_if_nobody_serves_it() {
        let before = ports(&["tcp/22", "tcp/8000-8010"]);
        let mut served = Served::resume(PortSet::from_words(before.words().iter().copied()));
        assert!(!served.look(&ports(&["tcp/22"]), GRACE, at(100)));
        assert_eq!(*served.ports(), before);
        assert!(served.look(&ports(&["tcp/22"]), GRACE, at(160)));
        assert_eq!(*served.ports(), ports(&["tcp/22"]));
    }

    #[test]
    fn a_grace_that_is_made_shorter_holds_for_those_who_are_leaving() {
        let mut served = Served::default();
        served.look(&ports(&["tcp/80"]), GRACE, at(0));
        served.look(&ports(&[]), GRACE, at(10));
        let short = Duration::from_secs(5);
        assert!(!served.look(&ports(&[]), short, at(20)));
        assert!(!served.look(&ports(&[]), short, at(24)));
        assert!(served.look(&ports(&[]), short, at(25)));
    }

    proptest! {
        /// A port is in the set exactly if it was served at a look less than the grace ago, as far
        /// as looks can tell: it has stopped when a look first misses it.
        #[test]
        fn a_port_is_kept_as_long_as_a_plain_list_says(
            looks in prop::collection::vec((1u64..40, prop::collection::vec(0u16..4, 0..4)), 1..30),
        ) {
            let mut served = Served::default();
            let mut missed: BTreeMap<u16, Option<u64>> = BTreeMap::new();
            let mut now = 0;
            for (wait, serving) in looks {
                now += wait;
                let mut set = PortSet::default();
                serving.iter().for_each(|port| set.insert(Protocol::Tcp, *port));
                let before = served.ports().clone();
                let changed = served.look(&set, GRACE, at(now));
                prop_assert_eq!(changed, before != *served.ports());
                for port in 0..4 {
                    match (serving.contains(&port), missed.get(&port)) {
                        (true, _) => drop(missed.insert(port, None)),
                        (false, Some(None)) => drop(missed.insert(port, Some(now))),
                        _ => {}
                    }
                    let kept = missed.get(&port).is_some_and(|since| {
                        since.is_none_or(|since| now < since + GRACE.as_secs())
                    });
                    if !kept {
                        missed.remove(&port);
                    }
                    prop_assert_eq!(served.ports().contains(Protocol::Tcp, port), kept);
                }
            }
        }
    }
}
