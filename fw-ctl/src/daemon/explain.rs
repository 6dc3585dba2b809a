//! What the daemon says of a packet, as the loaded program decides about it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fw_common::{Prefix, abi};

use super::{
    owner::Owner,
    problem::{Failure, bad_input, kernel},
};
use crate::{
    api::wire::{self, Check, Guarded, Layer, ProbePacket, Why},
    backend::xdp::probe::{self, Answer, Decider, Question},
    host::clock,
    policy::{entry::Action, guard::GuardSource, rule::Verdict, service::Protocol},
};

impl Owner {
    /// `GET /check`
    ///
    /// # Errors
    /// The loaded program cannot be asked.
    pub fn check(&self, address: IpAddr) -> Result<Check, Failure> {
        let address = address.to_canonical();
        let question = Question {
            source: address,
            destination: unspecified(address),
            protocol: probe::Protocol::Tcp,
            port: 0,
            vlan: None,
            interface: 0,
        };
        let answer = self.ask(&question)?;
        Ok(self.verdict(address, &answer, None))
    }

    /// `GET /why`
    ///
    /// # Errors
    /// What is asked makes no packet, or the loaded program cannot be asked.
    pub fn why(&self, query: &wire::WhyQuery) -> Result<Why, Failure> {
        let question = self.question(query)?;
        let address = question.source;
        let answer = self.ask(&question)?;
        let check = self.verdict(address, &answer, query.iface.as_deref());
        let now = clock::now();
        let mut covering = Vec::new();
        for action in Action::ALL {
            for (place, entry) in self.policy.table(action).covering(Prefix::host(address)) {
                let entry = self.wire_entry(action, place, entry, None, now);
                let decided = check.entry.as_ref().is_some_and(|decider| {
                    (&decider.prefix, &decider.list, &decider.action)
                        == (&entry.prefix, &entry.list, &entry.action)
                });
                if !decided {
                    covering.push(entry);
                }
            }
        }
        let guard = self
            .policy
            .guard
            .iter()
            .find(|(prefix, _)| prefix.contains(address));
        let protected = self.protected();
        let detail = match &query.iface {
            Some(name) if !protected.contains(&name.as_str()) => format!("no program on {name}"),
            _ if protected.is_empty() => "the program is on no interface".to_owned(),
            _ => format!("program {} on {}", self.xdp.facts.id, protected.join(", ")),
        };
        let xdp = Layer {
            name: "xdp".to_owned(),
            verdict: check.verdict.clone(),
            detail,
        };
        let mirror = self.mirror_layer(&question);
        Ok(Why {
            packet: ProbePacket {
                source: address,
                destination: question.destination,
                protocol: protocol_name(question.protocol).to_owned(),
                port: (question.port != 0).then_some(question.port),
                vlan: question.vlan,
                interface: query.iface.clone(),
                length: answer.length,
            },
            layers: [xdp].into_iter().chain(mirror).collect(),
            covering,
            scan: self.watched_source(address)?,
            guard: guard.map(|(prefix, sources)| Guarded {
                prefix: prefix.to_string(),
                source: sources.last().map_or("", |source| source.name()).to_owned(),
            }),
            check,
        })
    }

    /// What the mirror does with a new connection, and why.
    fn mirror_layer(&self, question: &Question) -> Option<Layer> {
        if !self.mirror.is_on() {
            return None;
        }
        let ruleset = self.ruleset();
        let protocol = match question.protocol {
            probe::Protocol::Tcp | probe::Protocol::Established => Protocol::Tcp,
            probe::Protocol::Udp => Protocol::Udp,
            probe::Protocol::Icmp => Protocol::Icmp,
        };
        let source = question.source;
        let host = Prefix::host(source);
        let guarded = self
            .policy
            .guard
            .iter()
            .find(|(prefix, _)| prefix.contains(source));
        let allowed = self.policy.table(Action::Allow).covering(host).next();
        let mut blocked = self.policy.table(Action::Block).covering(host);
        let blocked = blocked.find(|(place, _)| !self.policy.is_observed(place.list));
        let (verdict, mut detail) = match (guarded, allowed, blocked) {
            (Some((prefix, _)), ..) => (Verdict::Accept, format!("{prefix} is guarded")),
            (None, Some((place, _)), _) => {
                (Verdict::Accept, format!("{} is allowed", place.prefix))
            }
            (None, None, Some((place, _))) => {
                (Verdict::Drop, format!("{} is blocked", place.prefix))
            }
            (None, None, None) => {
                let decided = ruleset.decide(source, protocol, question.port);
                let by = match decided.rule {
                    Some(rule) => format!("rule {rule}"),
                    None => "the default".to_owned(),
                };
                let limits = ruleset.limits_of(source, protocol, question.port);
                let limits: Vec<String> = limits
                    .map(|row| {
                        format!(
                            ", limit {} allows {} per {}",
                            row.id,
                            row.rate,
                            row.per.name()
                        )
                    })
                    .collect();
                let what = match decided.verdict {
                    Verdict::Accept => "accepts",
                    Verdict::Drop => "drops",
                };
                (
                    decided.verdict,
                    format!("{by} {what} new connections{}", limits.concat()),
                )
            }
        };
        if self.is_published(protocol, question.port) {
            detail += "; but address translation sends this port elsewhere, and rules see it there";
        }
        if let Some(trouble) = &self.mirror.trouble {
            detail += &format!("; but the mirror is behind: {trouble}");
        }
        let drops = verdict == Verdict::Drop && !ruleset.observe;
        Some(Layer {
            name: self.mirror.name.to_owned(),
            verdict: if drops { "drop" } else { "pass" }.to_owned(),
            detail,
        })
    }

    fn question(&self, query: &wire::WhyQuery) -> Result<Question, Failure> {
        let source = query
            .address
            .parse::<IpAddr>()
            .map(|address| address.to_canonical())
            .map_err(|_| bad_input(format!("{:?} is no address", query.address)))?;
        let protocol = match query.proto.as_deref() {
            None | Some("tcp") => probe::Protocol::Tcp,
            Some("udp") => probe::Protocol::Udp,
            Some("icmp") => probe::Protocol::Icmp,
            Some(other) => {
                return Err(bad_input(format!(
                    "protocol {other:?} is none of tcp, udp, icmp"
                )));
            }
        };
        if query.vlan.is_some_and(|vlan| vlan > 4094) {
            return Err(bad_input("a VLAN id is at most 4094"));
        }
        let interface = match &query.iface {
            None => 0,
            Some(name) => {
                let link = self.links.iter().find(|link| link.name == *name);
                link.ok_or_else(|| bad_input(format!("there is no interface {name}")))?
                    .index
            }
        };
        Ok(Question {
            source,
            destination: self.own_address(source),
            protocol,
            port: query.port.unwrap_or(0),
            vlan: query.vlan,
            interface,
        })
    }

    /// Where such a packet would go: an address of this host.
    pub(super) fn own_address(&self, source: IpAddr) -> IpAddr {
        let own = self.policy.guard.of(GuardSource::OwnAddress);
        own.map(|prefix| prefix.address())
            .find(|own| own.is_ipv4() == source.is_ipv4() && !own.is_loopback())
            .unwrap_or(unspecified(source))
    }

    fn ask(&self, question: &Question) -> Result<Answer, Failure> {
        self.xdp
            .ask(question)
            .map_err(|error| kernel("cannot ask the loaded program", &error))
    }

    /// What becomes of the packet: where the program is on no interface it came through, nothing
    /// the program says is done.
    fn verdict(&self, address: IpAddr, answer: &Answer, interface: Option<&str>) -> Check {
        let protected = self.protected();
        let meets = interface.map_or(!protected.is_empty(), |name| protected.contains(&name));
        Check {
            address,
            geo: self.home(address),
            verdict: if answer.dropped && meets {
                "drop"
            } else {
                "pass"
            }
            .to_owned(),
            reason: answer.outcome.reason.name().to_owned(),
            observe: answer.outcome.observed,
            entry: answer
                .entry
                .and_then(|decider| self.decider(answer, &decider)),
        }
    }

    /// The entry behind what the kernel named: of that list and end, at the prefix or above it.
    fn decider(&self, answer: &Answer, decider: &Decider) -> Option<wire::Entry> {
        let action = if answer.outcome.reason.drops() {
            Action::Block
        } else {
            Action::Allow
        };
        let now = clock::now();
        let (place, entry) =
            self.policy
                .table(action)
                .covering(decider.prefix)
                .find(|(place, entry)| {
                    let deadline = entry.deadline().map_or(abi::NEVER, |deadline| deadline.0);
                    place.list.0 == decider.list && deadline == decider.deadline
                })?;
        let counters = self.xdp.tables.get(action, place.prefix).ok().flatten();
        Some(self.wire_entry(action, place, entry, counters.as_ref(), now))
    }
}

/// The unspecified address of the same family.
fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}

fn protocol_name(protocol: probe::Protocol) -> &'static str {
    match protocol {
        probe::Protocol::Tcp | probe::Protocol::Established => "tcp",
        probe::Protocol::Udp => "udp",
        probe::Protocol::Icmp => "icmp",
    }
}
