//! The XDP layer: tables, program and links in the kernel.
//!
//! - [`load`]: the object, the maps, the program
//! - [`links`]: what holds the program on an interface
//! - [`tables`]: applying a plan, to [`flat`] tables and [`tries`]
//! - [`auto`]: what the program blocks itself
//! - [`counters`]: packets by interface and outcome
//! - [`shape`]: sizes and switches
//! - [`probe`]: asking the loaded program
//! - [`events`]: sampled drops
//! - [`scan`]: the detector's maps
//! - [`rules`]: ports, sources and limits that the program decides about
//! - [`detach`]: taking everything off again
//! - [`pins`]: where all of it stands on bpffs

pub mod auto;
pub mod counters;
pub mod detach;
pub mod events;
mod fields;
pub mod flat;
pub mod links;
pub mod load;
pub mod pins;
pub mod probe;
pub mod rules;
pub mod scan;
pub mod shape;
mod sys;
pub mod tables;
pub mod tries;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    time::Duration,
};

use aya::{
    Ebpf,
    maps::{Array, MapData, MapError, PerCpuArray},
    programs::Xdp as Program,
};
use fw_common::abi::{self, Config, LimitCount, Sampler};
use nix::fcntl::Flock;

pub use self::sys::trim_memory;
use self::{
    counters::Counters,
    events::Events,
    links::{Attached, LinkError, Mode},
    load::{LoadError, Loaded, ProgramFacts},
    pins::{Pins, PinsError},
    probe::{Answer, ProbeError, Question},
    rules::{Rules, RulesError},
    scan::Scan,
    shape::Shape,
    tables::Tables,
};
use crate::{
    detect::ports::PortSet, host::links::Link, plan::ruleset::Pushdown, policy::rule::RuleId,
};

/// Why the XDP layer could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The pin directory.
    #[error(transparent)]
    Pins(#[from] PinsError),
    /// Maps or program.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// What a map takes of the kernel's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableMemory {
    /// Name of the map.
    pub name: &'static str,
    /// Bytes, as the kernel accounts them.
    pub bytes: u64,
}

/// The XDP layer of this host.
pub struct Xdp {
    pins: Pins,
    /// Held as long as this process writes the maps.
    _claim: Flock<File>,
    object: Ebpf,
    program: Program,
    /// What the kernel says of the program.
    pub facts: ProgramFacts,
    /// Why the program takes no multi-buffer packets, if it does not.
    pub no_frags: Option<String>,
    replaced: Vec<&'static str>,
    /// The tables.
    pub tables: Tables,
    attached: BTreeMap<String, Attached>,
    config: Array<MapData, Config>,
    /// Packets and bytes.
    pub counters: Counters,
    samplers: PerCpuArray<MapData, Sampler>,
    events: Option<Events>,
    /// The scan detector's maps.
    pub scan: Scan,
    rules: Rules,
    /// Prints what the kernel side logged.
    flush_log: Box<dyn FnMut() + Send>,
}

impl Xdp {
    /// Loads maps and program, or goes on with those that are pinned. No interface is touched yet.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn open(pin_dir: &Path, shape: &Shape) -> Result<Self, OpenError> {
        let pins = Pins::new(pin_dir);
        let claim = pins.claim()?;
        let Loaded {
            mut object,
            program,
            facts,
            no_frags,
            replaced,
        } = load::load(&pins, shape)?;
        let tables = Tables::take(&mut object, shape)?;
        let config = load::take(&mut object, abi::CONFIG.name)?;
        let counters = Counters::take(&mut object)?;
        let samplers = load::take(&mut object, abi::SAMPLER.name)?;
        let events = Events::new(load::take(&mut object, abi::EVENTS.name)?);
        let scan = Scan::take(&mut object)?;
        let rules = Rules::take(&mut object)?;
        let flush_log = load::logger(&mut object)?;
        Ok(Self {
            pins,
            _claim: claim,
            object,
            program,
            facts,
            no_frags,
            replaced,
            tables,
            attached: BTreeMap::new(),
            config,
            counters,
            samplers,
            events: Some(events),
            scan,
            rules,
            flush_log,
        })
    }

    /// Whether a program of ours is attached whose tables are not these: they are of another shape, or
    /// of another ABI version.
    pub fn filters_with_other_tables(&self) -> bool {
        let has_links = |directory: &PathBuf| !pins::links_in(directory).is_empty();
        let is_remade = self.replaced.contains(&abi::ROOT.name);
        is_remade && has_links(&self.pins.directory()) || self.pins.others().iter().any(has_links)
    }

    /// Takes over the links of other ABI versions, and names every link as its interface is named
    /// now. Called before interfaces are attached.
    ///
    /// # Errors
    /// [`PinsError`]
    pub fn adopt_links(&self, interfaces: &[Link]) -> Result<Vec<PathBuf>, PinsError> {
        let older = self.pins.adopt_links()?;
        self.pins.rename_links(|pin| {
            let link = sys::open_pin(pin).ok()?;
            let (_, index) = sys::link_info(link.as_fd()).ok()?;
            let interface = interfaces
                .iter()
                .find(|interface| interface.index == index)?;
            Some(interface.name.clone())
        })?;
        Ok(older)
    }

    /// Whether filtering would go on without this process.
    pub fn is_pinned(&self) -> bool {
        self.pins.program().exists()
    }

    /// Puts the program on an interface, or goes on with what is pinned for it.
    ///
    /// # Errors
    /// [`LinkError`]
    pub fn attach(&mut self, interface: &Link, mode: Mode) -> Result<&Attached, LinkError> {
        let attached = {
            let fd = self.program.fd().map_err(|error| LinkError::Pin {
                interface: interface.name.clone(),
                source: io::Error::other(error),
            })?;
            links::attach(&self.pins, fd.as_fd(), self.facts.id, interface, mode)?
        };
        self.attached.remove(&interface.name);
        Ok(self
            .attached
            .entry(interface.name.clone())
            .or_insert(attached))
    }

    /// Forgets an interface that is gone, with its pin.
    pub fn forget(&mut self, interface: &str) {
        self.attached.remove(interface);
        let _ = fs::remove_file(self.pins.link(interface));
    }

    /// Takes the program off an interface.
    ///
    /// # Errors
    /// [`LinkError::Pin`]
    pub fn detach(&mut self, interface: &str) -> Result<bool, LinkError> {
        self.attached.remove(interface);
        links::detach(&self.pins, interface)
    }

    /// How an interface is attached.
    pub fn attached(&self, interface: &str) -> Option<&Attached> {
        self.attached.get(interface)
    }

    /// Interfaces with a pinned link.
    pub fn pinned(&self) -> Vec<String> {
        self.pins.links()
    }

    /// The last step of a start: what was made beside the old takes its place, now that all links
    /// run it.
    ///
    /// # Errors
    /// [`LoadError::Pin`]
    pub fn settle(&mut self, older: &[PathBuf]) -> Result<(), LoadError> {
        // The root comes last: as long as it stands beside, a start makes all tables anew.
        let mut moved = std::mem::take(&mut self.replaced);
        moved.sort_by_key(|name| *name == abi::ROOT.name);
        for name in moved.into_iter().chain(["program"]) {
            let (from, to) = (self.pins.new_map(name), self.pins.map(name));
            if from.exists() {
                fs::rename(&from, &to).map_err(|source| LoadError::Pin { path: to, source })?;
            }
        }
        for directory in older {
            for path in pins::entries(directory) {
                let _ = fs::remove_file(path);
            }
            let _ = fs::remove_dir(directory);
        }
        Ok(())
    }

    /// The reading end of the ring of sampled drops; there is one.
    pub fn take_events(&mut self) -> Option<Events> {
        self.events.take()
    }

    /// What the loaded program does with a packet.
    ///
    /// # Errors
    /// [`ProbeError`]
    pub fn ask(&self, question: &Question) -> Result<Answer, ProbeError> {
        probe::ask(&self.program, question)
    }

    /// What deciding about a packet costs here and now, or about a frame that is no IP: the mean of
    /// so many runs, which disturb no traffic and are counted nowhere.
    ///
    /// # Errors
    /// [`ProbeError`]
    pub fn cost(&self, question: Option<&Question>, repeat: u32) -> Result<Duration, ProbeError> {
        probe::cost(&self.program, question, repeat)
    }

    /// What each map takes of the kernel's memory.
    ///
    /// # Errors
    /// A pin cannot be opened.
    pub fn memory(&self) -> io::Result<Vec<TableMemory>> {
        abi::MAPS
            .iter()
            .map(|spec| {
                let path = self.pins.map(spec.name);
                let new = self.pins.new_map(spec.name);
                let map = sys::open_pin(if new.exists() { &new } else { &path })?;
                Ok(TableMemory {
                    name: spec.name,
                    bytes: sys::locked_bytes(map.as_fd())?,
                })
            })
            .collect()
    }

    /// Makes these the rules that the program decides about. Ports that address translation sends
    /// elsewhere (`published`) have none: connections to them are not for this host.
    ///
    /// # Errors
    /// [`RulesError`]; the program decides no rules then.
    pub fn set_rules(
        &mut self,
        pushdown: &Pushdown,
        published: &PortSet,
    ) -> Result<(), RulesError> {
        self.rules.set(pushdown, published)
    }

    /// What became of the connections that each limit names, all CPUs together. A limit keeps its
    /// counts as long as its rule is there.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn limit_counts(&self) -> io::Result<BTreeMap<RuleId, LimitCount>> {
        self.rules.limit_counts()
    }

    /// The runtime switches as they are; a former daemon may have set them.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn config(&self) -> Result<Config, MapError> {
        self.config.get(&0, 0)
    }

    /// Sets the runtime switches.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn set_config(&mut self, config: Config) -> Result<(), MapError> {
        self.config.set(0, config, 0)
    }

    /// Samples held back, and samples lost.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn samples(&self) -> Result<(u64, u64), MapError> {
        let samplers = self.samplers.get(&0, 0)?;
        Ok(samplers.iter().fold((0, 0), |(limited, lost), sampler| {
            (limited + sampler.limited, lost + sampler.lost)
        }))
    }

    /// Lets the kernel side say, through aya-log, what it reads in its configuration.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn announce(&mut self) -> Result<(), LoadError> {
        load::run_once(&mut self.object, abi::PROGRAM_ANNOUNCE)?;
        (self.flush_log)();
        Ok(())
    }
}
