//! What the daemon says of itself and of its lists.

use std::{collections::HashMap, net::IpAddr};

use fw_common::{Prefix, abi};

use super::{
    edit::read_prefix,
    owner::{Owner, wire_time},
    problem::{Failure, bad_input, kernel},
};
use crate::{
    api::wire::{self, Guarded, Items, Status},
    detect::settings::Mode,
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
    /// Only those behind this prefix, of one action.
    pub after: Option<String>,
    /// At most so many; but all of a prefix that stands in several lists.
    pub limit: Option<usize>,
}

/// Entries are looked up one by one, unless they are more than this part of all that the kernel holds:
/// then that is read at once.
const PART: usize = 8;

impl Owner {
    /// `GET /blocks`, `GET /allows`, `GET /lists/{name}`
    ///
    /// # Errors
    /// No such list, or the kernel's tables cannot be read.
    pub fn entries(
        &mut self,
        actions: &[Action],
        filter: &Filter,
    ) -> Result<Items<wire::Entry>, Failure> {
        let now = clock::now();
        let list = match &filter.list {
            Some(name) => Some(self.existing_list(name)?),
            None => None,
        };
        let after = match &filter.after {
            Some(_) if actions.len() > 1 => {
                let message = "after: ask /blocks?list=NAME or /allows?list=NAME";
                return Err(bad_input(message.to_owned()));
            }
            Some(_) if filter.contains.is_some() => {
                let message = "after and contains cannot be asked for together";
                return Err(bad_input(message.to_owned()));
            }
            Some(text) => Some(read_prefix(text)?.0),
            None => None,
        };
        let mut shown = Vec::new();
        let mut total = 0;
        for action in actions {
            let table = self.policy.table(*action);
            let rows: Box<dyn Iterator<Item = (Place, &entry::Entry)>> =
                match (filter.contains, after) {
                    (Some(address), _) => Box::new(table.covering(Prefix::host(address))),
                    (None, Some(prefix)) => Box::new(table.after(prefix)),
                    (None, None) => Box::new(table.iter()),
                };
            let limit = filter
                .limit
                .unwrap_or(usize::MAX)
                .saturating_sub(shown.len());
            let mut taken: Vec<(Place, entry::Entry)> = Vec::new();
            for (place, entry) in rows.filter(|(place, _)| list.is_none_or(|id| place.list == id)) {
                total += 1;
                let is_begun = |(last, _): &(Place, _)| last.prefix == place.prefix;
                if taken.len() < limit || taken.last().is_some_and(is_begun) {
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
        let held = Action::ALL.map(|action| self.policy.table(action).len());
        let counters: HashMap<Prefix, abi::Entry> = if rows.len()
            > held.iter().sum::<usize>() / PART
        {
            self.xdp
                .tables
                .dump(action)
                .map_err(failed)?
                .into_iter()
                .collect()
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
            .map(|(place, entry)| {
                self.wire_entry(action, *place, entry, counters.get(&place.prefix), now)
            })
            .collect())
    }

    /// Traffic of a prefix that stands in several lists is that of the list the kernel names. If it
    /// names that of a shorter prefix, it is that of the first one here.
    pub(super) fn wire_entry(
        &self,
        action: Action,
        place: Place,
        entry: &entry::Entry,
        counters: Option<&abi::Entry>,
        now: Now,
    ) -> wire::Entry {
        let own = || self.policy.table(action).at(place.prefix);
        let counters = counters.filter(|counters| {
            let named = own().find(|(own, _)| own.list.0 == counters.list);
            named
                .or_else(|| own().next())
                .is_some_and(|(own, _)| own == place)
        });
        wire::Entry {
            prefix: place.prefix.to_string(),
            action: action.name().to_owned(),
            observed: self.is_observed(action, place.list),
            list: self.name_of(place.list),
            comment: entry.comment.as_str().to_owned(),
            created_at: wire_time(entry.created()),
            expires_at: entry
                .deadline()
                .map(|deadline| wire_time(now.wall_of(deadline))),
            ttl_s: entry.deadline().map(|deadline| now.left(deadline)),
            packets: counters.map_or(0, |counters| counters.packets),
            bytes: counters.map_or(0, |counters| counters.bytes),
            geo: self.home_of(place.prefix),
        }
    }

    /// Whether nothing is dropped for entries of a list, though they block.
    pub(super) fn is_observed(&self, action: Action, list: ListId) -> bool {
        let is_detected = list == ListId::AUTO && self.scan.settings.mode != Mode::Enforce;
        action == Action::Block && (self.config.observe || is_detected)
    }

    /// `GET /lists`
    pub fn lists(&self) -> Items<wire::List> {
        let count = |action, id| self.policy.table(action).count(id).all();
        let lists = self.policy.lists().map(|(name, id)| wire::List {
            name: name.to_string(),
            blocks: count(Action::Block, id),
            allows: count(Action::Allow, id),
        });
        // A number stays with its name for ever, but an empty list is of no interest.
        let shown =
            lists.filter(|list| list.blocks + list.allows > 0 || list.name == ListName::LOCAL);
        Items::all(shown.collect())
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

    /// How all is, in a word.
    pub fn state(&self) -> &'static str {
        match self.alarms.is_empty() {
            true => "ok",
            false => "degraded",
        }
    }

    /// `GET /status`
    ///
    /// # Errors
    /// The kernel's counters cannot be read.
    pub fn status(&mut self) -> Result<Status, Failure> {
        let failed = |error| kernel("cannot read the counters in the kernel", &error);
        let (limited, lost) = self.xdp.samples().map_err(failed)?;
        let memory = self
            .xdp
            .memory()
            .map_err(|error| kernel("cannot ask the kernel for the sizes of its tables", &error))?;
        let memory = memory.into_iter().map(|map| wire::Memory {
            map: map.name.to_owned(),
            bytes: map.bytes,
        });
        let alarms: Vec<String> = self.alarms.values().cloned().collect();
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            abi: abi::VERSION,
            pid: std::process::id(),
            started_at: wire_time(self.started),
            observe: self.config.observe,
            state: self.state().to_owned(),
            alarms,
            program: wire::Program {
                name: self.xdp.facts.name.clone(),
                id: self.xdp.facts.id,
                tag: format!("{:016x}", self.xdp.facts.tag),
                frags: self.xdp.facts.frags,
            },
            interfaces: self.interface_reports(),
            lists: self.lists().items,
            tables: self.fill(),
            memory: memory.collect(),
            totals: self.totals()?,
            guard: self.policy.guard.len(),
            scan: self.scan.settings.mode.name().to_owned(),
            geo: self.geo_status(),
            mirror: self.mirror_status(),
            feeds: self.feeds.list(),
            pending: self.pending()?,
            samples: wire::Samples { limited, lost },
        })
    }

    /// How full the tables in the kernel are.
    pub(super) fn fill(&self) -> Vec<wire::Table> {
        let fill = self.xdp.tables.fill().into_iter();
        fill.map(|fill| wire::Table {
            name: fill.name.to_owned(),
            used: fill.used,
            capacity: fill.capacity,
        })
        .collect()
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
