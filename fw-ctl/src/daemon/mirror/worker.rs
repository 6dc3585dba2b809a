//! The task that runs the programs of the mirror: one plan after the other, each to its end.

use std::{collections::BTreeSet, mem, time::Duration};

use fw_common::Prefix;
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

use super::Order;
use crate::{
    api::wire::{Code, LayerChange},
    backend::{Mirror as Backend, Observed},
    daemon::{handle::Handle, owner::Owner, problem::Failure},
    host::{clock, tool::ToolError},
    plan::mirror::{CheckedMirror, Element, SetChange, SetName},
    policy::time::Now,
};

/// How soon a plan that failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// How often a plan is put again at once when somebody was faster; then the next look repairs it.
const HURRY: u32 = 3;

/// Something that is repaired so often within a minute is changed by somebody who will not stop.
const QUARREL: usize = 20;
const MINUTE: Duration = Duration::from_secs(60);

struct Worker {
    /// Away while a program runs.
    backend: Option<Box<dyn Backend>>,
    handle: Handle,
    /// What waits.
    plan: Option<CheckedMirror>,
    /// What stood there after the last plan.
    expected: Option<Observed>,
    /// The last look found other numbers of elements; expiry alone can be the reason once.
    doubtful: bool,
    /// Plans that had to be put again at once, one after the other.
    hurried: u32,
    trouble: Option<Failure>,
    retry: Option<Instant>,
    repairs: Vec<Instant>,
}

/// Starts the worker.
pub(super) fn start(backend: Box<dyn Backend>, handle: Handle) -> UnboundedSender<Order> {
    let (orders, waiting) = unbounded_channel();
    let worker = Worker {
        backend: Some(backend),
        handle,
        plan: None,
        expected: None,
        doubtful: false,
        hurried: 0,
        trouble: None,
        retry: None,
        repairs: Vec::new(),
    };
    tokio::spawn(worker.run(waiting));
    orders
}

impl Worker {
    async fn run(mut self, mut orders: UnboundedReceiver<Order>) {
        loop {
            let retry = self.retry.unwrap_or_else(Instant::now);
            let order = tokio::select! {
                order = orders.recv() => order,
                () = sleep_until(retry), if self.retry.is_some() => {
                    self.repair().await;
                    continue;
                }
            };
            let mut next = order;
            // Plans that wait are one.
            while let Some(Order::Apply(plan)) = next {
                self.plan = Some(match self.plan.take() {
                    Some(before) => before.then(plan),
                    None => plan,
                });
                next = orders.try_recv().ok();
            }
            self.carry_out().await;
            match next {
                Some(Order::Clear(reply)) => {
                    let result = self.with_backend(|backend| backend.clear()).await;
                    let _ = reply.send(result);
                    return;
                }
                Some(order) => self.obey(order).await,
                None if orders.is_closed() => return,
                None => {}
            }
        }
    }

    /// Whoever asked may have gone away meanwhile: nobody is left to be told.
    async fn obey(&mut self, order: Order) {
        match order {
            Order::Settle(reply) => {
                let _ = reply.send(match &self.trouble {
                    Some(failure) => Err(failure.clone()),
                    None => Ok(()),
                });
            }
            Order::Look => self.look().await,
            Order::Diff(reply) => {
                let _ = reply.send(self.diff().await);
            }
            Order::Repair(reply) => {
                self.repair().await;
                let _ = reply.send(self.trouble.clone().map_or(Ok(()), Err));
            }
            // Taken by the caller.
            Order::Apply(_) | Order::Clear(_) => {}
        }
    }

    /// Carries out what waits; after a failure, everything.
    async fn carry_out(&mut self) {
        match self.plan.take() {
            Some(plan) if self.expected.is_some() || plan.plan().is_whole() => {
                self.apply(plan).await;
            }
            Some(_) => self.repair().await,
            None => {}
        }
    }

    /// A plan that is not whole goes on from what was left there. If somebody changed that, his
    /// change must not become what is expected: it is drift.
    async fn apply(&mut self, plan: CheckedMirror) {
        let stands = self.expected.take().filter(|_| !plan.plan().is_whole());
        let applied = self.with_backend(move |backend| {
            if let Some(stands) = stands {
                let found = backend.observe()?;
                if found.lines != stands.lines {
                    return Ok(Err(lines_that_differ(&stands, &found)));
                }
            }
            backend.apply(&plan, clock::now())?;
            backend.observe().map(Ok)
        });
        let result = match applied.await {
            // Somebody was faster: what is there now is not what was put.
            Ok(Ok(found)) if !found.is_whole && self.hurried < HURRY => {
                self.hurried += 1;
                return Box::pin(self.repair()).await;
            }
            Ok(Err(drift)) => return Box::pin(self.mend(drift)).await,
            Ok(Ok(found)) => Ok(found),
            Err(failure) => Err(failure),
        };
        self.doubtful = false;
        self.hurried = 0;
        self.retry = result.is_err().then(|| Instant::now() + RETRY);
        self.trouble = result.as_ref().err().cloned();
        let told = result.as_ref().map(drop).map_err(Clone::clone);
        self.expected = result.ok();
        self.tell(move |owner| owner.mirrored(told)).await;
    }

    /// Everything anew.
    async fn repair(&mut self) {
        self.plan = None;
        match self.handle.call(|owner| owner.whole_mirror()).await {
            Ok(plan) => self.apply(plan).await,
            Err(failure) => {
                self.retry = Some(Instant::now() + RETRY);
                self.trouble = Some(failure.clone());
                self.tell(move |owner| owner.mirrored(Err(failure))).await;
            }
        }
    }

    /// Whether all is as it was left. What is not is repaired.
    async fn look(&mut self) {
        let Some(expected) = self.expected.clone() else {
            return;
        };
        let found = match self.with_backend(|backend| backend.observe()).await {
            Ok(found) => found,
            Err(failure) => {
                self.tell(move |owner| owner.mirrored(Err(failure))).await;
                return;
            }
        };
        let mut drift = lines_that_differ(&expected, &found);
        if drift.is_empty() && !found.is_whole {
            drift.push("+ rules and jumps in their places".to_owned());
        }
        if drift.is_empty() && found.counts != expected.counts {
            // Elements end by themselves; only another look, after the owner took out what has
            // ended, tells somebody's hand from the clock.
            match mem::replace(&mut self.doubtful, true) {
                false => return,
                true => drift = self.elements_that_differ().await.unwrap_or_default(),
            }
        }
        self.doubtful = false;
        if drift.is_empty() {
            self.expected = Some(found);
            self.tell(|owner| owner.mirrored(Ok(()))).await;
            return;
        }
        if self.quarrels() {
            let failure = Failure::new(
                Code::Kernel,
                "somebody else keeps changing what is ours: repaired every ten seconds from now on",
            );
            self.expected = None;
            self.retry = Some(Instant::now() + RETRY);
            self.tell(move |owner| owner.mirrored(Err(failure))).await;
        } else {
            self.mend(drift).await;
        }
    }

    /// Puts back what somebody changed, and tells.
    async fn mend(&mut self, drift: Vec<String>) {
        let changes = self.shown(drift);
        self.repair().await;
        self.tell(move |owner| owner.drifted(&changes)).await;
    }

    fn quarrels(&mut self) -> bool {
        let now = Instant::now();
        self.repairs.retain(|at| now.duration_since(*at) < MINUTE);
        self.repairs.push(now);
        self.repairs.len() > QUARREL
    }

    async fn diff(&mut self) -> Result<LayerChange, Failure> {
        let found = self.with_backend(|backend| backend.observe()).await?;
        let mut differ = match &self.expected {
            Some(expected) => lines_that_differ(expected, &found),
            None => vec!["+ everything: it was not applied yet".to_owned()],
        };
        differ.extend(self.elements_that_differ().await?);
        Ok(self.shown(differ))
    }

    /// Sets element by element, ends left out.
    async fn elements_that_differ(&mut self) -> Result<Vec<String>, Failure> {
        let whole = self.handle.call(|owner| owner.whole_mirror()).await?;
        let mut differ = Vec::new();
        let now = clock::now();
        let held = self.with_backend(move |backend| backend.elements(now));
        let held = held.await?;
        for set in SetName::ALL {
            let held = held.get(&set).map_or(&[] as &[Element], Vec::as_slice);
            let wanted = match whole.plan().sets.get(&set) {
                Some(SetChange::Replace(elements)) => elements.as_slice(),
                _ => &[],
            };
            // In its last second an element may be there or not.
            let missing = live_and_not_in(wanted, held, now).map(|prefix| ('+', prefix));
            let foreign = live_and_not_in(held, wanted, now).map(|prefix| ('-', prefix));
            let lines = missing.chain(foreign);
            differ.extend(lines.map(|(sign, prefix)| format!("{sign} {} {prefix}", set.name())));
        }
        Ok(differ)
    }

    fn shown(&self, changes: Vec<String>) -> LayerChange {
        let backend = self.backend.as_ref();
        LayerChange::new(backend.map_or("mirror", |backend| backend.name()), changes)
    }

    async fn tell(&mut self, job: impl FnOnce(&mut Owner) + Send + 'static) {
        let told = self.handle.call(move |owner| {
            job(owner);
            Ok(())
        });
        // The daemon is ending: nobody is left to be told.
        drop(told.await);
    }

    /// Runs something that blocks.
    async fn with_backend<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut dyn Backend) -> Result<T, ToolError> + Send + 'static,
    ) -> Result<T, Failure> {
        let (sender, receiver) = oneshot::channel();
        let Some(mut backend) = self.backend.take() else {
            return Err(Failure::new(Code::Internal, "the mirror broke off"));
        };
        spawn_blocking(move || {
            let result = work(backend.as_mut());
            // The runtime is ending: nobody waits.
            let _ = sender.send((backend, result));
        });
        let (backend, result) = receiver
            .await
            .map_err(|_| Failure::new(Code::Internal, "the mirror broke off"))?;
        self.backend = Some(backend);
        Ok(result?)
    }
}

/// Prefixes that have not ended, nor are about to, and that others do not hold.
fn live_and_not_in<'a>(
    these: &'a [Element],
    others: &[Element],
    now: Now,
) -> impl Iterator<Item = Prefix> + 'a {
    let others: BTreeSet<Prefix> = others.iter().map(|element| element.prefix).collect();
    let is_live = move |element: &&Element| {
        let deadline = element.deadline;
        deadline.is_none_or(|deadline| now.left(deadline) > 1)
    };
    these
        .iter()
        .filter(is_live)
        .map(|element| element.prefix)
        .filter(move |prefix| !others.contains(prefix))
}

/// What of ours is gone (`+`), and what stands there instead (`-`).
fn lines_that_differ(expected: &Observed, found: &Observed) -> Vec<String> {
    if expected.lines == found.lines {
        return Vec::new();
    }
    let of = |observed: &Observed| observed.lines.iter().cloned().collect::<BTreeSet<_>>();
    let (wanted, held) = (of(expected), of(found));
    let missing = wanted.difference(&held).map(|line| format!("+ {line}"));
    let foreign = held.difference(&wanted).map(|line| format!("- {line}"));
    let differ: Vec<String> = missing.chain(foreign).collect();
    match differ.is_empty() {
        true => vec!["+ the order of rules".to_owned()],
        false => differ,
    }
}
