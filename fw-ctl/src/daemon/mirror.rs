//! The mirror in netfilter, as the owner sees it.
//!
//! Its programs take their time, so a task of its own runs them ([`worker`]); the owner sends it
//! plans, each of which it carries out after those before. Who must know how that went waits for
//! it ([`Handle::settle`]).

mod choice;
mod worker;

use std::{
    collections::BTreeMap,
    os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr, UnixListener},
    },
    sync::Arc,
};

use tokio::sync::{mpsc, oneshot};

use super::{
    handle::Handle,
    owner::{Owner, wire_time},
    problem::{Failure, kernel},
};
use crate::{
    api::wire::{self, Code, Event, LayerChange},
    backend::{
        Mirror as Backend,
        iptables::{Iptables, Variant},
        nftables::Nftables,
    },
    host::{clock, netfilter::Choice, tool::ToolError},
    plan::{
        mirror::{CheckedMirror, MirrorPlan},
        ruleset::Ruleset,
    },
    policy::{rate::Rate, rule::RuleId, rules::Rules, time::WallSecs},
};

/// Changes that a line of the log spells out.
const SHOWN: usize = 3;

pub use choice::{choose, stands};

/// What the worker is asked. What it finds out by itself comes back as a job of the owner.
enum Order {
    /// Make this true.
    Apply(CheckedMirror),
    /// Say how the plans until now went.
    Settle(oneshot::Sender<Result<(), Failure>>),
    /// See whether all is as it was left.
    Look,
    /// Say what differs from what should be.
    Diff(oneshot::Sender<Result<LayerChange, Failure>>),
    /// Make everything true, whatever is there.
    Repair(oneshot::Sender<Result<(), Failure>>),
    /// Take everything away, and end.
    Clear(oneshot::Sender<Result<(), Failure>>),
}

/// The owner's end of the mirror.
pub struct Mirror {
    /// `None` without a backend.
    orders: Option<mpsc::UnboundedSender<Order>>,
    choice: Choice,
    /// Name of the backend, or `none`.
    pub name: &'static str,
    /// Why this one.
    pub why: String,
    /// What is wrong.
    pub trouble: Option<Failure>,
    /// When it was last found equal.
    pub checked: Option<WallSecs>,
    /// How often something of ours was changed or gone.
    pub drifts: u64,
    /// As it was last sent.
    pub ruleset: Option<Arc<Ruleset>>,
    /// Where adaptive limits are now.
    pub rates: BTreeMap<RuleId, Rate>,
    /// Held as long as the daemon lives.
    _claim: Option<UnixListener>,
}

/// The names in netfilter are the network namespace's, and so is this one: an abstract socket that
/// goes with its process.
fn claim() -> Result<UnixListener, Failure> {
    let claimed = SocketAddr::from_abstract_name("fw-ctl-mirror")
        .and_then(|address| UnixListener::bind_addr(&address));
    claimed.map_err(|error| {
        let message = format!("another fw-ctl keeps a mirror in this network namespace: {error}");
        Failure::new(Code::Conflict, message)
            .with_hint("stop it, or set `backend = \"none\"` under [mirror] for this one")
    })
}

impl Mirror {
    /// The mirror of this choice; its worker starts with the runtime.
    ///
    /// # Errors
    /// Another daemon keeps one in this network namespace: they would fight for the same names.
    pub fn new((choice, why): (Choice, String), handle: &Handle) -> Result<Self, Failure> {
        let backend: Option<Box<dyn Backend>> = match choice {
            Choice::IptablesNft => Some(Box::new(Iptables::new(Variant::Nft))),
            Choice::IptablesLegacy => Some(Box::new(Iptables::new(Variant::Legacy))),
            Choice::Nftables => Some(Box::new(Nftables::new())),
            Choice::None => None,
        };
        let name = backend.as_ref().map_or("none", |backend| backend.name());
        let claim = backend.as_ref().map(|_| claim()).transpose()?;
        Ok(Self {
            orders: backend.map(|backend| worker::start(backend, handle.clone())),
            choice,
            name,
            why,
            trouble: None,
            checked: None,
            drifts: 0,
            ruleset: None,
            rates: BTreeMap::new(),
            _claim: claim,
        })
    }

    /// Whether there is one.
    pub fn is_on(&self) -> bool {
        self.orders.is_some()
    }

    fn send(&self, order: Order) {
        if let Some(orders) = &self.orders {
            // The worker ends with the runtime only, or after it cleared everything.
            let _ = orders.send(order);
        }
    }

    /// Takes away what an earlier daemon had put elsewhere, once this one stands.
    ///
    /// # Errors
    /// A program failed or took too long.
    pub async fn clear_others(&self) -> Result<(), Failure> {
        let chosen = self.choice;
        match tokio::task::spawn_blocking(move || choice::clear_others(chosen)).await {
            Ok(cleared) => Ok(cleared?),
            Err(error) => Err(Failure::new(Code::Internal, error.to_string())),
        }
    }

    /// Has a plan carried out.
    pub fn apply(&self, plan: CheckedMirror) {
        if !plan.plan().is_empty() {
            self.send(Order::Apply(plan));
        }
    }

    /// Has it looked at.
    pub fn look(&self) {
        self.send(Order::Look);
    }

    /// Sends an order whose answer is waited for; without a backend, there is none.
    fn ask<T>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<T, Failure>>) -> Order,
    ) -> Option<oneshot::Receiver<Result<T, Failure>>> {
        let (reply, answer) = oneshot::channel();
        self.is_on().then(|| {
            self.send(order(reply));
            answer
        })
    }
}

impl Handle {
    /// Waits until the mirror has carried out what it was sent until now.
    ///
    /// # Errors
    /// Why it could not.
    pub async fn settle(&self) -> Result<(), Failure> {
        self.wait_for(Order::Settle, ()).await
    }

    /// What differs in the mirror from what should be there.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn mirror_diff(&self) -> Result<LayerChange, Failure> {
        self.wait_for(Order::Diff, LayerChange::default()).await
    }

    /// Makes the mirror true, whatever is there.
    ///
    /// # Errors
    /// Why it could not.
    pub async fn mirror_repair(&self) -> Result<(), Failure> {
        self.wait_for(Order::Repair, ()).await
    }

    /// Takes the mirror off the host; its worker ends.
    ///
    /// # Errors
    /// Why it could not.
    pub(super) async fn mirror_clear(&self) -> Result<(), Failure> {
        self.wait_for(Order::Clear, ()).await
    }

    async fn wait_for<T: Send + 'static>(
        &self,
        order: fn(oneshot::Sender<Result<T, Failure>>) -> Order,
        without: T,
    ) -> Result<T, Failure> {
        let answer = self.call(move |owner| Ok(owner.mirror.ask(order))).await?;
        answer_of(answer, without).await
    }
}

async fn answer_of<T>(
    answer: Option<oneshot::Receiver<Result<T, Failure>>>,
    without: T,
) -> Result<T, Failure> {
    match answer {
        None => Ok(without),
        Some(answer) => answer
            .await
            .unwrap_or_else(|_| Err(Failure::new(Code::NotRunning, "the mirror is ending"))),
    }
}

impl Owner {
    /// All that the mirror should hold.
    ///
    /// # Errors
    /// It would lock somebody out.
    pub(super) fn whole_mirror(&mut self) -> Result<CheckedMirror, Failure> {
        let ruleset = Arc::new(self.ruleset());
        self.mirror.ruleset = Some(Arc::clone(&ruleset));
        let plan = MirrorPlan::whole(&self.policy, ruleset);
        Ok(plan.check(&self.policy.guard)?)
    }

    /// Sends the mirror everything.
    pub(super) fn mirror_all(&mut self) {
        match self.whole_mirror() {
            Ok(plan) => self.mirror.apply(plan),
            Err(failure) => self.note("mirror", Err(failure)),
        }
    }

    /// Sends the mirror a change of lists or of the guard.
    pub(super) fn mirror_change(&mut self, plan: MirrorPlan) {
        match plan.check(&self.policy.guard) {
            Ok(plan) => self.mirror.apply(plan),
            Err(lock_out) => self.note("mirror", Err(lock_out.into())),
        }
    }

    /// The rules of this moment.
    pub(super) fn ruleset(&self) -> Ruleset {
        self.ruleset_of(&self.policy.rules)
    }

    /// What rules come to at this moment.
    pub(super) fn ruleset_of(&self, rules: &Rules) -> Ruleset {
        let now = wire_time(clock::now().wall);
        Ruleset {
            observe: self.config.observe,
            forward: self.config.mirror.forward,
            ..Ruleset::of(rules, now, &self.mirror.rates)
        }
    }

    /// How the worker's last plan went.
    fn mirrored(&mut self, result: Result<(), Failure>) {
        let result = result.map_err(|failure| failure.prefixed(&format!("{}: ", self.mirror.name)));
        self.mirror.trouble = result.as_ref().err().cloned();
        if result.is_ok() {
            self.mirror.checked = Some(clock::now().wall);
        }
        self.note("mirror", result);
    }

    /// Something of ours was changed or gone, and is there again.
    fn drifted(&mut self, changes: &LayerChange) {
        self.mirror.drifts += 1;
        let shown: Vec<&str> = changes
            .changes
            .iter()
            .take(SHOWN)
            .map(String::as_str)
            .collect();
        let mut shown = shown.join("; ");
        let more = changes.changes.len().saturating_sub(SHOWN) + changes.more;
        if more > 0 {
            shown += &format!("; and {more} more");
        }
        tracing::warn!(layer = self.mirror.name, changes = shown, "drift repaired");
        self.broadcast.tell(Event::Drift {
            time: wire_time(clock::now().wall),
            layer: self.mirror.name.to_owned(),
            detail: shown,
        });
    }

    /// State of the mirror, for `GET /status`.
    pub(super) fn mirror_status(&self) -> wire::MirrorStatus {
        let mirror = &self.mirror;
        let (state, detail) = match (&mirror.trouble, mirror.is_on()) {
            (_, false) => ("none", mirror.why.clone()),
            (Some(failure), true) => ("behind", failure.message.clone()),
            (None, true) => ("in step", mirror.why.clone()),
        };
        wire::MirrorStatus {
            backend: mirror.name.to_owned(),
            state: state.to_owned(),
            detail,
            checked_at: mirror.checked.map(wire_time),
            drifts: mirror.drifts,
            rules: self.policy.rules.iter().count(),
            default: self.policy.rules.base.default.name().to_owned(),
        }
    }
}

impl From<ToolError> for Failure {
    fn from(error: ToolError) -> Self {
        kernel("netfilter", &error)
    }
}
