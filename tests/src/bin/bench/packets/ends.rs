//! What decides about frames, each at the end of a link and in a namespace of its own.

use std::{
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context as _, Result};
use aya::programs::{ProgramFd, XdpMode};
use fw_common::reason::Family;
use fw_tests::{
    frames::SERVER_MAC,
    lab::{
        INTERFACE, Lab,
        address::FAMILIES,
        flood::{Bare, Generator},
        namespace::Namespace,
    },
    lists::Lists,
};
use nix::net::if_::if_nametoindex;

use super::{
    netfilter::Netfilter,
    ours::{FwCtl, Mode},
    xdp_filter::XdpFilter,
};

/// What became of packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Dropped because of a list.
    pub listed: u64,
    /// All others.
    pub other: u64,
}

impl Seen {
    /// What came after.
    pub fn since(self, before: Self) -> Self {
        Self {
            listed: self.listed - before.listed,
            other: self.other - before.other,
        }
    }
}

/// What decides.
pub enum Filter {
    /// `XDP_DROP`, without a question.
    Drop,
    /// Ours.
    FwCtl(Box<Mutex<FwCtl>>),
    /// xdp-filter
    XdpFilter(XdpFilter),
    /// Rules, behind a program that passes everything.
    Netfilter(Netfilter),
}

/// A link from the generator's namespace into another one, with a filter at its end.
pub struct End {
    namespace: Namespace,
    /// Index of the generator's side, there.
    near: u32,
    /// Index of the filter's side, here.
    far: u32,
    /// At the end.
    pub filter: Filter,
}

/// Where frames are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// On the other side of the link.
    Link,
    /// In the program before: it jumps into a program under test, and passes to the stack what is for
    /// rules there.
    OneProgram,
}

impl Way {
    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Link => "over a link",
            Self::OneProgram => "in one program",
        }
    }
}

/// A namespace and the link into it.
pub struct Link {
    namespace: Namespace,
    near: u32,
    far: u32,
}

impl Link {
    /// Makes it. Nothing is sent over it by itself.
    pub fn new(lab: &Lab, number: usize) -> Result<Self> {
        let near = format!("near{number}");
        let namespace = Namespace::create(format!("{}-{number}", lab.server.name()));
        let far = namespace.name();
        lab.attacker.ip(&format!(
            "link add {near} type veth peer name {INTERFACE} netns {far}\n\
             link set {near} addrgenmode none\n\
             link set {near} up"
        ));
        let mac = SERVER_MAC.map(|byte| format!("{byte:02x}")).join(":");
        namespace.ip(&format!("link set {INTERFACE} address {mac} up"));
        for family in FAMILIES {
            let (server, length, gateway) = (family.server, family.length(), family.gateway);
            // A packet that comes as far as INPUT has a way back.
            namespace.ip(&format!(
                "address add {server}/{length} dev {INTERFACE}\n\
                 route add default via {gateway}"
            ));
        }
        Ok(Self {
            near: lab.attacker.enter(|| if_nametoindex(near.as_str()))?,
            far: namespace.enter(|| if_nametoindex(INTERFACE))?,
            namespace,
        })
    }

    /// A program without a decision at its end.
    pub fn bare(self, programs: &mut Generator, bare: Bare) -> Result<End> {
        let program = programs.bare(bare)?;
        let attached = self
            .namespace
            .enter(|| program.attach(INTERFACE, XdpMode::Driver));
        attached.context("cannot attach a program without a decision")?;
        Ok(self.with(Filter::Drop))
    }

    /// Rules at its end.
    pub fn netfilter(
        self,
        programs: &mut Generator,
        rules: Netfilter,
        lists: &Lists,
    ) -> Result<End> {
        rules.set_up(&self.namespace, lists)?;
        // Without a program at the other end a veth takes no frames from one.
        let mut end = self.bare(programs, Bare::Pass)?;
        end.filter = Filter::Netfilter(rules);
        Ok(end)
    }

    /// xdp-filter at its end.
    pub fn xdp_filter(self, blocked: &[IpAddr]) -> Result<End> {
        let filter = XdpFilter::load(&self.namespace, INTERFACE, blocked)?;
        Ok(self.with(Filter::XdpFilter(filter)))
    }

    /// fw-ctl at its end.
    pub fn fw_ctl(self, mut ours: FwCtl) -> Result<End> {
        ours.attach(&self.namespace, INTERFACE)?;
        Ok(self.with(Filter::FwCtl(Box::new(Mutex::new(ours)))))
    }

    fn with(self, filter: Filter) -> End {
        let Self {
            namespace,
            near,
            far,
        } = self;
        End {
            namespace,
            near,
            far,
            filter,
        }
    }
}

impl End {
    /// What became of the packets until now, if it is counted.
    pub fn seen(&mut self, family: Family) -> Result<Option<Seen>> {
        match &mut self.filter {
            Filter::Drop => Ok(None),
            Filter::FwCtl(ours) => held(ours).seen().map(Some),
            Filter::XdpFilter(filter) => filter.seen().map(Some),
            Filter::Netfilter(rules) => rules.seen(&self.namespace, family).map(Some),
        }
    }

    /// Switches fw-ctl on and off; nothing else has modes.
    pub fn set_mode(&self, mode: Mode) -> Result<()> {
        match &self.filter {
            Filter::FwCtl(ours) => held(ours).set_mode(mode),
            _ => Ok(()),
        }
    }

    /// Aims a generator at what decides here.
    pub fn take_aim(&self, generator: &mut Generator) -> Result<()> {
        let (program, frags): (ProgramFd, bool) = match &self.filter {
            Filter::Drop => (generator.bare(Bare::Drop)?.fd()?.try_clone()?, true),
            Filter::FwCtl(ours) => (held(ours).program()?, true),
            Filter::XdpFilter(filter) => (filter.program()?, false),
            Filter::Netfilter(_) => (generator.bare(Bare::Pass)?.fd()?.try_clone()?, true),
        };
        generator.aim(&program, frags)
    }

    /// Sends so many frames this way, from a thread in the right namespace, and gives what `timed`
    /// makes of it.
    pub fn send<T: Send>(
        &self,
        lab: &Lab,
        generator: &Generator,
        way: Way,
        timed: impl FnOnce(&dyn Fn(u32) -> Result<()>) -> T + Send,
    ) -> T {
        match way {
            Way::Link => lab
                .attacker
                .enter(|| timed(&|count| generator.send(self.near, count))),
            Way::OneProgram => self
                .namespace
                .enter(|| timed(&|count| generator.receive(self.far, count))),
        }
    }
}

/// fw-ctl, while nobody else changes it.
pub fn held(ours: &Mutex<FwCtl>) -> MutexGuard<'_, FwCtl> {
    ours.lock().unwrap_or_else(PoisonError::into_inner)
}
