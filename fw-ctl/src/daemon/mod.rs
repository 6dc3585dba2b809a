//! The daemon: one task owns the policy; what happens comes in, what follows goes out.
//!
//! - [`start`]: from nothing to a filtering host, and what is healed on the way
//! - [`owner`]: changes, whole or not at all
//! - [`edit`], [`guard`], [`rules`], [`whole`], [`confirm`], [`diff`], [`report`], [`explain`], [`interfaces`],
//!   [`reload`]: what the owner is asked to do
//! - [`mirror`]: the same policy in netfilter
//! - [`bench`]: what a packet costs in the loaded program
//! - [`beat`]: what time alone changes
//! - [`sentinel`]: the process that rolls back where the daemon cannot
//! - [`handle`]: how other tasks ask
//! - [`broadcast`]: what happens, for whoever listens
//! - [`geo`]: countries and autonomous systems
//! - [`sampling`]: sampled drops while somebody listens
//! - [`scan`]: the scan detector
//! - [`stats`]: what is dropped now
//! - [`revision`]: which policy somebody has seen
//! - [`tokens`]: who may use the API over TCP
//! - [`meters`]: what monitoring asks for
//! - [`feeds`]: lists that are kept from URLs and files
//! - [`webhooks`]: what happens, for receivers elsewhere
//! - [`security_log`]: what it saw, one line an event

pub mod beat;
pub mod bench;
pub mod broadcast;
pub mod confirm;
pub mod diff;
pub mod edit;
pub mod explain;
pub mod feeds;
pub mod geo;
pub mod guard;
pub mod handle;
pub mod interfaces;
pub mod logging;
pub mod meters;
pub mod mirror;
pub mod owner;
pub mod problem;
pub mod reload;
pub mod report;
pub mod revision;
pub mod rules;
pub mod sampling;
pub mod scan;
pub mod security_log;
pub mod sentinel;
pub mod start;
pub mod stats;
pub mod tokens;
pub mod webhooks;
pub mod whole;

use std::{os::fd::AsRawFd, path::PathBuf, time::Duration};

use sd_notify::NotifyState;
use tokio::{
    io::unix::AsyncFd,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

use self::{
    handle::{Handle, Job},
    owner::Owner,
    problem::{Failure, kernel},
    scan::ports::{self, Ports},
    start::Rings,
};
use crate::{
    api::{
        self,
        access::{Gate, Members, names::Names},
        wire::Code,
    },
    backend::xdp::{detach, links::Mode},
    config,
    host::{self, clock, watch::Watch},
};

/// What `fw-ctl run` was told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file, where one was named.
    pub config: Option<PathBuf>,
    /// Interfaces, instead of the file's.
    pub interfaces: Vec<String>,
    /// Mode, instead of the file's.
    pub mode: Option<Mode>,
    /// Observe, whatever the file says.
    pub observe: bool,
    /// The API's socket.
    pub socket: PathBuf,
    /// Where the database is.
    pub state_dir: PathBuf,
    /// Where maps and links are pinned.
    pub pin_dir: PathBuf,
}

/// How often the host is looked at without being told of a change: SSH sessions come silently.
const LOOK_AROUND: Duration = Duration::from_secs(30);

/// How often is looked at what time alone changes: hours, rates, the kernel's room for automatic
/// blocks.
const SECOND: Duration = Duration::from_secs(1);

/// After so long without work, what a large change was made of is gone.
const QUIET: Duration = Duration::from_millis(200);

/// How long the last answers may take when the daemon ends.
const GRACE: Duration = Duration::from_millis(500);

/// Link and address changes come in bursts, and a routing daemon never stops: one look for all
/// that changes within this time.
const SETTLE: Duration = Duration::from_millis(100);

/// Runs the daemon until it is told to end. Filtering goes on afterwards.
///
/// # Errors
/// Why it could not start.
pub fn run(options: &Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| kernel("cannot start the runtime", &error))?;
    let result = runtime.block_on(serve(options));
    // A look at the host that hangs does not hold the end up.
    runtime.shutdown_timeout(GRACE);
    result
}

/// Does what a start does, and leaves it at that: what was due is rolled back, tables and mirror are
/// as the policy has it, and filtering goes on. Where a daemon lives, this is its matter.
///
/// # Errors
/// Why it could not.
pub fn recover(options: &Options) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new();
    let runtime = runtime.map_err(|error| kernel("cannot start the runtime", &error))?;
    let owner = runtime.block_on(start::recover(options))?;
    tracing::info!("recovered, filtering goes on");
    match owner.due {
        None => Ok(()),
        Some(_) => Err(Failure::new(Code::Store, "what was due is not rolled back")),
    }
}

async fn serve(options: &Options) -> Result<(), Failure> {
    let start::Started {
        mut owner,
        handle,
        mut jobs,
        rings,
        listeners,
        socket,
        lock,
    } = start::start(options).await?;
    let gate = gate(&owner.config.api, &handle);
    let app = api::routes::router(handle.clone(), gate);
    let (end, ended) = oneshot::channel();
    let server = tokio::spawn(api::server::serve(listeners, app, ended));
    let (no_more, ended) = oneshot::channel();
    let telling = tokio::spawn(webhooks::serve(handle.clone(), ended));
    let result = attend(&mut owner, &handle, &mut jobs, rings).await;
    if owner.roll_back_at_the_end() {
        // An alarm that nobody reads any more.
        let _ = handle::meanwhile(&mut owner, &mut jobs, handle.settle()).await;
    }
    let remove_pins = owner.remove_pins;
    let mut cleared = Ok(());
    if remove_pins {
        let clear = handle.mirror_clear();
        cleared = handle::meanwhile(&mut owner, &mut jobs, clear).await;
    }
    drop(owner);
    let detached = match remove_pins {
        true => detach::detach(&options.pin_dir, None).map(drop),
        false => Ok(()),
    };
    // The last answers are on their way; listeners to events would never leave by themselves.
    drop(end);
    let _ = timeout(GRACE, server).await;
    drop(no_more);
    let _ = timeout(GRACE, telling).await;
    handle.webhooks.stop(GRACE).await;
    // Who waits for a detach waits for the socket to go: it goes last.
    drop((socket, lock));
    detached.map_err(|error| kernel("cannot detach", &error))?;
    cleared?;
    result
}

/// What stands before the API.
fn gate(config: &config::Api, handle: &Handle) -> Gate {
    let members = Members {
        uid: nix::unistd::geteuid().as_raw(),
        has_group: matches!(nix::unistd::Group::from_name(&config.group), Ok(Some(_))),
    };
    let names = Names::new(config.hosts.iter().cloned());
    Gate::new(members, handle.tokens.clone(), names)
}

/// The one loop that touches the owner.
async fn attend(
    owner: &mut Owner,
    handle: &Handle,
    jobs: &mut mpsc::Receiver<Job>,
    rings: Rings,
) -> Result<(), Failure> {
    let caught = |kind| signal(kind).map_err(|error| kernel("cannot catch signals", &error));
    let (mut hangup, mut terminate) = (
        caught(SignalKind::hangup())?,
        caught(SignalKind::terminate())?,
    );
    let mut interrupt: Signal = caught(SignalKind::interrupt())?;
    let (mut drops, mut crossings) = (readable(rings.drops)?, readable(rings.crossings)?);
    let mut changes = Watch::open().map_err(|error| kernel("cannot watch the host", &error))?;
    let mut look_around = interval(LOOK_AROUND);
    look_around.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut look_at: Option<Instant> = None;
    let (mut second, mut look_at_ports) = (interval(SECOND), interval(ports::LOOK));
    let mut look_at_files = interval(geo::LOOK);
    look_at_files.set_missed_tick_behavior(MissedTickBehavior::Delay);
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    look_at_ports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ports = Ports::default();
    let limit = sd_notify::watchdog_enabled();
    let mut watchdog = interval(limit.map_or(LOOK_AROUND, |limit| limit / 2));
    notify(&[NotifyState::Ready]);
    tracing::info!(pid = std::process::id(), "ready");

    while !owner.stop {
        tokio::select! {
            Some(job) = jobs.recv() => job(owner),
            () = sleep_until(next_ending(owner)) => owner.expire(),
            () = sleep_until(owner.sampling.renew_at()), if owner.sampling.is_on() => owner.renew_sampling(),
            () = sleep(QUIET), if owner.untidy => owner.tidy(),
            Ok(mut ready) = drops.readable_mut() => {
                owner.drain(ready.get_inner_mut());
                ready.clear_ready();
            }
            Ok(mut ready) = crossings.readable_mut() => {
                owner.hear(ready.get_inner_mut(), handle);
                ready.clear_ready();
            }
            _ = second.tick() => {
                owner.beat();
                if owner.scan.is_on() {
                    owner.watch_scans(crossings.get_mut(), handle);
                }
            }
            _ = look_at_ports.tick(), if owner.scan.is_on() || !owner.policy.rules.is_idle() => {
                ports.look(handle.clone(), owner.own_addresses());
            }
            _ = look_at_files.tick() => geo::watch(handle.clone()),
            change = changes.next() => {
                let change = change.map_err(|error| kernel("cannot watch the host", &error))?;
                tracing::debug!(?change, "the host changed");
                look_at.get_or_insert_with(|| Instant::now() + SETTLE);
            }
            () = sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => {
                look_at = None;
                look(handle.clone());
            }
            _ = look_around.tick() => look(handle.clone()),
            // Whoever did not ask for it may not read it, and then the next one would wait.
            _ = watchdog.tick(), if limit.is_some() => notify(&[NotifyState::Watchdog]),
            _ = hangup.recv() => {
                notify(&[NotifyState::Reloading]);
                owner.reload();
                handle.webhooks.allow(owner.config.webhooks.allow.clone());
                handle.feeds.allow(owner.config.feeds.allow.clone());
                owner.renew_feeds(handle);
                look(handle.clone());
                geo::watch(handle.clone());
                notify(&[NotifyState::Ready]);
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
    }
    notify(&[NotifyState::Stopping]);
    tracing::info!(
        detached = owner.remove_pins,
        "ending, filtering goes on unless detached"
    );
    Ok(())
}

/// Waits on a ring.
fn readable<T: AsRawFd>(ring: T) -> Result<AsyncFd<T>, Failure> {
    #[expect(
        deprecated,
        reason = "its successor is unsafe for every type; a ring keeps its descriptor"
    )]
    let ring = AsyncFd::new(ring);
    ring.map_err(|error| kernel("cannot wait for events", &error))
}

/// Looks at addresses, routes, sessions and links, in a task of its own: the answer comes back as
/// a job.
fn look(handle: Handle) {
    tokio::spawn(async move {
        let links = host::links::interfaces();
        let result = handle.refresh_guard().await.and(handle.prove().await);
        let attached = handle.call(move |owner| {
            let links = links.map_err(|error| kernel("cannot list the interfaces", &error));
            let result = links.and_then(|links| owner.attach_all(links));
            owner.note("interfaces", result);
            owner.watch_over();
            Ok(())
        });
        // The daemon is ending: nobody is left to be told.
        drop((result, attached.await));
    });
}

/// When the next entry ends, on the runtime's clock. The kernel has stopped counting the entry by
/// then, so this may be late, but not early.
fn next_ending(owner: &Owner) -> Instant {
    let now = clock::now();
    let wait = match owner.policy.next_ending() {
        Some(deadline) => Duration::from_secs(u64::from(deadline.0)).saturating_sub(now.boot),
        None => Duration::from_secs(3600),
    };
    // The runtime's clock stands still during suspend.
    let due = Instant::now() + wait.min(Duration::from_secs(3600));
    owner
        .expire_not_before
        .map_or(due, |not_before| due.max(not_before))
}

/// Outside systemd there is nobody to tell.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}
