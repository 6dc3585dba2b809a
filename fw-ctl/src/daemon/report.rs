//! What the daemon says of itself, of its lists, and of a packet.

use std::{collections::HashMap, net::IpAddr};

use fw_common::{Prefix, abi};

use super::{
    owner::{Owner, wire_time},
    problem::{Failure, bad_input, kernel},
};
use crate::{
    api::wire::{self, Check, Guarded, Items, Layer, ProbePacket, Status, Why},
    backend::xdp::probe::{Answer, Decider, Protocol, Question},
    host::clock,
    policy::{
        entry::{self, Action, ListId, ListName, Place},
        time::Now,
    },
};

/// Which entries to show.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this list only.
    pub list: Option<String>,
    /// Only those that cover this address.
    pub contains: Option<IpAddr>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Up to here entries are looked up one by one; beyond, the whole table is read at once.
const LOOKUPS: usize = 2048;

impl Owner {
    /// `GET /blocks`, `GET /allows`, `GET /lists/{name}`
    ///
    /// # Errors
    /// No such list, or the kernel's tables cannot be read.
    pub fn entries(&mut self, actions: &[Action], filter: &Filter) -> Result<Items<wire::Entry>, Failure> {
        let now = clock::now();
        let list = match &filter.list {
            Some(name) => Some(self.existing_list(name)?),
            None => None,
        };
        let mut shown = Vec::new();
        let mut total = 0;
        for action in actions {
            let table = self.policy.table(*action);
            let rows: Box<dyn Iterator<Item = (Place, &entry::Entry)>> = match filter.contains {
                Some(address) => Box::new(table.covering(Prefix::host(address))),
                None => Box::new(table.iter()),
            };
            let limit = filter.limit.unwrap_or(usize::MAX).saturating_sub(shown.len());
            let mut taken = Vec::new();
            for (place, entry) in rows.filter(|(place, _)| list.is_none_or(|id| place.list == id)) {
                total += 1;
                if taken.len() < limit {
                    taken.push((place, entry.clone()));
                }
            }
            shown.extend(self.with_counters(*action, taken, now)?);
        }
        Ok(Items {
            schema: 1,
            items: shown,
            total,
        })
    }

    fn with_counters(
        &mut self,
        action: Action,
        rows: Vec<(Place, entry::Entry)>,
        now: Now,
    ) -> Result<Vec<wire::Entry>, Failure> {
        let failed = |error| kernel("cannot read a table in the kernel", &error);
        let counters: HashMap<Prefix, abi::Entry> = if rows.len() > LOOKUPS {
            self.xdp.tables.dump(action).map_err(failed)?.into_iter().collect()
        } else {
            let mut found = HashMap::new();
            for (place, _) in &rows {
                if let Some(entry) = self.xdp.tables.get(action, place.prefix).map_err(failed)? {
                    found.insert(place.prefix, entry);
                }
            }
            found
        };
        Ok(rows
            .iter()
            .map(|(place, entry)| self.wire_entry(action, *place, entry, counters.get(&place.prefix), now))
            .collect())
    }

    /// Traffic of a prefix that stands in several lists is that of the list the kernel names.
    fn wire_entry(
        &self,
        action: Action,
        place: Place,
        entry: &entry::Entry,
        counters: Option<&abi::Entry>,
        now: Now,
    ) -> wire::Entry {
        let counters = counters.filter(|counters| counters.list == place.list.0);
        wire::Entry {
            prefix: place.prefix.to_string(),
            action: action.name().to_owned(),
            list: self.name_of(place.list),
            comment: entry.comment.as_str().to_owned(),
            created_at: wire_time(entry.created),
            expires_at: entry.deadline.map(|deadline| wire_time(now.wall_of(deadline))),
            ttl_s: entry.deadline.map(|deadline| now.left(deadline)),
            packets: counters.map_or(0, |counters| counters.packets),
            bytes: counters.map_or(0, |counters| counters.bytes),
        }
    }

    /// `GET /lists`
    pub fn lists(&self) -> Items<wire::List> {
        let counted = |action| {
            let mut counts: HashMap<ListId, usize> = HashMap::new();
            for (place, _) in self.policy.table(action).iter() {
                *counts.entry(place.list).or_default() += 1;
            }
            counts
        };
        let (blocks, allows) = (counted(Action::Block), counted(Action::Allow));
        let lists = self.policy.lists().map(|(name, id)| wire::List {
            name: name.to_string(),
            blocks: blocks.get(&id).copied().unwrap_or(0),
            allows: allows.get(&id).copied().unwrap_or(0),
        });
        Items::all(lists.collect())
    }

    /// `GET /guard`
    pub fn guarded(&self) -> Items<Guarded> {
        let rows = self.policy.guard.iter().flat_map(|(prefix, sources)| {
            sources.iter().map(move |source| Guarded {
                prefix: prefix.to_string(),
                source: source.name().to_owned(),
            })
        });
        Items::all(rows.collect())
    }

    /// `GET /check`
    ///
    /// # Errors
    /// The loaded program cannot be asked.
    pub fn check(&self, address: IpAddr) -> Result<Check, Failure> {
        let question = Question {
            source: address,
            destination: unspecified(address),
            protocol: Protocol::Tcp,
            port: 0,
            vlan: None,
            interface: 0,
        };
        let answer = self.ask(&question)?;
        self.verdict(address, &answer)
    }

    /// `GET /why`
    ///
    /// # Errors
    /// The loaded program cannot be asked, or there is no such interface.
    pub fn why(&self, mut question: Question, interface: Option<&str>) -> Result<Why, Failure> {
        let address = question.source;
        if let Some(name) = interface {
            let link = self.links.iter().find(|link| link.name == name);
            question.interface = link
                .ok_or_else(|| bad_input(format!("there is no interface {name}")))?
                .index;
        }
        let answer = self.ask(&question)?;
        let check = self.verdict(address, &answer)?;
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
        let guard = self.policy.guard.iter().find(|(prefix, _)| prefix.contains(address));
        let attached = self
            .interfaces
            .keys()
            .filter(|name| self.xdp.attached(name).is_some())
            .cloned()
            .collect::<Vec<_>>();
        let detail = if attached.is_empty() {
            "the program is on no interface".to_owned()
        } else {
            format!("program {} on {}", self.xdp.facts.id, attached.join(", "))
        };
        Ok(Why {
            packet: ProbePacket {
                source: address,
                destination: question.destination,
                protocol: protocol_name(question.protocol).to_owned(),
                port: (question.port != 0).then_some(question.port),
                vlan: question.vlan,
                interface: interface.map(str::to_owned),
                length: answer.length,
            },
            layers: vec![Layer {
                name: "xdp".to_owned(),
                verdict: check.verdict.clone(),
                detail,
            }],
            covering,
            guard: guard.map(|(prefix, sources)| Guarded {
                prefix: prefix.to_string(),
                source: sources.last().map_or("", |source| source.name()).to_owned(),
            }),
            check,
        })
    }

    fn ask(&self, question: &Question) -> Result<Answer, Failure> {
        self.xdp
            .ask(question)
            .map_err(|error| kernel("cannot ask the loaded program", &error))
    }

    fn verdict(&self, address: IpAddr, answer: &Answer) -> Result<Check, Failure> {
        Ok(Check {
            address,
            verdict: if answer.dropped { "drop" } else { "pass" }.to_owned(),
            reason: answer.outcome.reason.name().to_owned(),
            observe: answer.outcome.observed,
            entry: answer
                .entry
                .and_then(|decider| self.decider(answer, &decider)),
        })
    }

    /// The entry behind what the kernel named: of that list and end, at the prefix or above it.
    fn decider(&self, answer: &Answer, decider: &Decider) -> Option<wire::Entry> {
        let action = if answer.outcome.reason.drops() {
            Action::Block
        } else {
            Action::Allow
        };
        let now = clock::now();
        let (place, entry) = self
            .policy
            .table(action)
            .covering(decider.prefix)
            .find(|(place, entry)| {
                let deadline = entry.deadline.map_or(abi::NEVER, |deadline| deadline.0);
                place.list.0 == decider.list && deadline == decider.deadline
            })?;
        let counters = self.xdp.tables.get(action, place.prefix).ok().flatten();
        Some(self.wire_entry(action, place, entry, counters.as_ref(), now))
    }

    /// `GET /status`
    ///
    /// # Errors
    /// The kernel's counters cannot be read.
    pub fn status(&mut self) -> Result<Status, Failure> {
        let failed = |error| kernel("cannot read the counters in the kernel", &error);
        let totals = self.xdp.totals().map_err(failed)?;
        let (limited, lost) = self.xdp.samples().map_err(failed)?;
        let alarms: Vec<String> = self.alarms.values().cloned().collect();
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            abi: abi::VERSION,
            pid: std::process::id(),
            started_at: wire_time(self.started),
            observe: self.config.observe,
            state: if alarms.is_empty() { "ok" } else { "degraded" }.to_owned(),
            alarms,
            program: wire::Program {
                name: self.xdp.facts.name.clone(),
                id: self.xdp.facts.id,
                tag: format!("{:016x}", self.xdp.facts.tag),
                frags: self.xdp.facts.frags,
            },
            interfaces: self.interface_reports(),
            lists: self.lists().items,
            tables: self
                .xdp
                .tables
                .all()
                .into_iter()
                .map(|table| wire::Table {
                    map: table.name().to_owned(),
                    used: table.used(),
                    capacity: table.capacity(),
                })
                .collect(),
            totals: totals
                .into_iter()
                .filter(|(_, counter)| counter.packets > 0)
                .map(|(outcome, counter)| wire::Total {
                    action: outcome.action().to_owned(),
                    reason: outcome.reason.name().to_owned(),
                    family: outcome.family.name().to_owned(),
                    packets: counter.packets,
                    bytes: counter.bytes,
                })
                .collect(),
            guard: self.policy.guard.len(),
            mirror: "none".to_owned(),
            samples: wire::Samples { limited, lost },
        })
    }

    /// The name of a list, as printed.
    pub(super) fn name_of(&self, id: ListId) -> String {
        self.policy
            .list_name(id)
            .map_or_else(|| format!("#{}", id.0), ToString::to_string)
    }

    fn existing_list(&self, name: &str) -> Result<ListId, Failure> {
        name.parse::<ListName>()
            .ok()
            .and_then(|name| self.policy.list_id(&name))
            .ok_or_else(|| {
                let shown: String = name.chars().take(64).collect();
                Failure::new(wire::Code::NotFound, format!("there is no list {shown:?}"))
                    .with_hint("`fw-ctl status` names the lists")
            })
    }
}

/// The unspecified address of the same family.
pub fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
    }
}

fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Icmp => "icmp",
    }
}
