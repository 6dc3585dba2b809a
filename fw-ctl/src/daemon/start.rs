//! From nothing to a filtering host. A start after a crash takes the same path: whatever was left
//! behind is compared with the policy and mended.

mod places;

use std::{collections::BTreeMap, fs::File, path::Path};

use nix::{
    fcntl::Flock,
    sys::stat::{Mode, umask},
};
use tokio::sync::mpsc;

use self::places::{SocketFile, listen, lock, raise_file_limit};

use super::{
    Options,
    beat::Beat,
    broadcast::Broadcast,
    feeds::{Added, Feeds},
    geo::Countries,
    handle::{Handle, Job, meanwhile},
    meters::Meters,
    mirror::{self, Mirror},
    owner::Owner,
    problem::{Failure, bad_input, kernel},
    reload::last_good,
    revision::Revision,
    sampling::Sampling,
    scan::Detector,
    stats::Stats,
    tokens::Tokens,
};
use crate::{
    api::{
        server::{Listeners, tcp::Entrances},
        wire::Code,
    },
    backend::xdp::{
        OpenError, Xdp, detach,
        events::Events,
        load::chain,
        pins::{Pins, links_in},
        scan::Crossings,
    },
    config::Config,
    detect::ports::PortSet,
    host::{self, capabilities, clock, links::Link, memory, random::random},
    policy::entry::Action,
    store::Store,
    webhook::Webhooks,
};

/// What the kernel tells by itself.
pub struct Rings {
    /// Sampled drops.
    pub drops: Events,
    /// Sources that crossed a threshold of the scan detector.
    pub crossings: Crossings,
}

/// A daemon that filters and is ready to be asked.
pub struct Started {
    /// The policy and all it is applied to.
    pub owner: Owner,
    /// For the tasks that ask.
    pub handle: Handle,
    /// What they ask.
    pub jobs: mpsc::Receiver<Job>,
    /// What the kernel tells.
    pub rings: Rings,
    /// Where the API is reached.
    pub listeners: Listeners,
    /// Removed when the daemon ends.
    pub socket: SocketFile,
    /// Held as long as the daemon lives.
    pub lock: Flock<File>,
}

/// Starts.
///
/// # Errors
/// Why not. What filtered before goes on filtering; what this start attached is taken off.
pub async fn start(options: &Options) -> Result<Started, Failure> {
    let ground = ground(options)?;
    is_any_there(&ground.config, &ground.links)?;
    let lock = lock(&options.state_dir).await?;
    let (unix, socket) = listen(&options.socket, &ground.config.api.group)?;
    let Filtering {
        mut owner,
        handle,
        jobs,
        rings,
    } = filter(options, ground).await?;
    owner.renew_feeds(&handle);
    owner.open_api();
    let tcp = owner.entrances.watch();
    let watched = owner.watch_due();
    owner.note("rollback", watched);
    Ok(Started {
        owner,
        handle,
        jobs,
        rings,
        listeners: Listeners { unix, tcp },
        socket,
        lock,
    })
}

/// Does all that a start does, but answers nobody.
///
/// # Errors
/// As [`start`].
pub async fn recover(options: &Options) -> Result<Owner, Failure> {
    let ground = ground(options)?;
    let _lock = lock(&options.state_dir).await?;
    Ok(filter(options, ground).await?.owner)
}

/// What a start stands on.
struct Ground {
    config: Config,
    /// Whether it is the file's, or the last good one.
    fallen_back: Result<(), Failure>,
    links: Vec<Link>,
}

/// The configuration and the host's interfaces, if this process may do what it takes.
fn ground(options: &Options) -> Result<Ground, Failure> {
    // Whatever this process makes is its owner's, until it says otherwise.
    umask(Mode::from_bits_truncate(0o077));
    let (config, fallen_back) = last_good(options)?;
    let missing = capabilities::missing();
    if !missing.is_empty() {
        return Err(Failure::new(
            Code::Permission,
            format!("missing {}", missing.join(" and ")),
        )
        .with_hint("run it as root, or grant them (systemd: AmbientCapabilities=)"));
    }
    raise_file_limit();
    Ok(Ground {
        links: interfaces()?,
        config,
        fallen_back,
    })
}

/// What a daemon consists of.
struct Filtering {
    owner: Owner,
    handle: Handle,
    jobs: mpsc::Receiver<Job>,
    rings: Rings,
}

/// From the store to a filtering host. A database that was made for a start that failed would let
/// the next one take the policy for empty.
async fn filter(options: &Options, ground: Ground) -> Result<Filtering, Failure> {
    let store = Store::open(&options.state_dir)?;
    let made = store.is_new().then(|| store.path().to_owned());
    let filtering = fill(options, ground, store).await;
    if let (Some(made), Err(_)) = (made, &filtering) {
        Store::discard(&made);
    }
    filtering
}

async fn fill(options: &Options, ground: Ground, mut store: Store) -> Result<Filtering, Failure> {
    let Ground {
        config,
        fallen_back,
        links,
    } = ground;
    let now = clock::now();
    let boot_id = clock::boot_id().map_err(|error| kernel("cannot read the boot id", &error))?;
    let mut policy = store.load(now, &boot_id)?;
    let base = store.base_overrides()?;
    policy.rules = store.rules()?;
    policy.rules.base = base.over(config.mirror.base);

    // Those of another version too, which may still have to be taken over.
    let versions = Pins::new(&options.pin_dir).versions().into_iter();
    let before: Vec<String> = versions.flat_map(|version| links_in(&version)).collect();
    let withdraw = |failure| {
        withdraw(&options.pin_dir, &before);
        failure
    };
    let shape = config.shape(memory::total());
    let mut xdp = Xdp::open(&options.pin_dir, &shape).map_err(|error| match error {
        // Another daemon's pins are not ours to withdraw.
        OpenError::Pins(error) => error.into(),
        error => withdraw(error.into()),
    })?;
    if database_lost(&store, &mut xdp)? {
        Pins::new(&options.pin_dir).remove_new();
        return Err(Failure::new(
            Code::Store,
            format!(
                "the database {} is gone, but the kernel holds a policy",
                store.path().display()
            ),
        )
        .with_hint("restore it; or start empty after `fw-ctl detach`"));
    }
    let taken = || Failure::new(Code::Internal, "the rings of events are taken");
    let mut rings = Rings {
        drops: xdp.take_events().ok_or_else(taken)?,
        crossings: xdp.scan.take_crossings().ok_or_else(taken)?,
    };
    let scan = Detector::resume(&config, &mut store, &xdp, now)?;
    let countries = Countries::resume(store.geo_overrides()?);
    let epoch = random().map_err(|error| kernel("cannot read random numbers", &error))?;
    let broadcast = Broadcast::new(epoch);
    let revision = Revision::new(epoch);
    let tokens = Tokens::new(store.tokens()?);
    let webhooks = Webhooks::new(&options.state_dir, config.webhooks.allow.clone())?;
    let feeds = Feeds::new(&options.state_dir, config.feeds.allow.clone());
    let texts = store.feeds()?;
    let (feeds_added, feeds_lost) = Added::read_all(&texts);
    let (handle, mut jobs) = Handle::new(
        broadcast.clone(),
        revision.clone(),
        tokens.clone(),
        webhooks,
        feeds.clone(),
    );
    let choice = mirror::choose(config.mirror.backend).await;
    let mirror = Mirror::new(choice, &handle).map_err(withdraw)?;
    let mut owner = Owner {
        policy,
        store,
        xdp,
        interfaces: config
            .interfaces
            .iter()
            .map(|name| (name.clone(), None))
            .collect(),
        config,
        options: options.clone(),
        links: Vec::new(),
        started: now.wall,
        alarms: BTreeMap::new(),
        broadcast,
        revision,
        tokens,
        feeds,
        feeds_added,
        entrances: Entrances::default(),
        scan,
        countries,
        mirror,
        base,
        undoable: None,
        beat: Beat::default(),
        published: PortSet::default(),
        due: None,
        sentinel: None,
        sampling: Sampling::new(),
        stats: Stats::default(),
        meters: Meters::default(),
        expire_not_before: None,
        untidy: false,
        stop: false,
        remove_pins: false,
    };
    owner.note("feeds that were added", feeds_lost);
    fill_and_attach(&mut owner, &mut rings, links, fallen_back)
        .await
        .map_err(withdraw)?;
    // An alarm, where the mirror cannot be made: the program filters all the same.
    if meanwhile(&mut owner, &mut jobs, handle.settle())
        .await
        .is_ok()
    {
        let cleared = owner.mirror.clear_others().await;
        owner.note("former mirror", cleared);
    }
    Ok(Filtering {
        owner,
        handle,
        jobs,
        rings,
    })
}

/// Whether the database had to be made anew while the kernel still has the policy of an old one:
/// going on would take that away.
fn database_lost(store: &Store, xdp: &mut Xdp) -> Result<bool, Failure> {
    if !store.is_new() {
        return Ok(false);
    }
    // What they hold cannot be read any more, so it is taken for a policy.
    if xdp.filters_with_other_tables() {
        return Ok(true);
    }
    for action in Action::ALL {
        let held = xdp.tables.dump(action);
        if !held
            .map_err(|error| kernel("cannot read the tables", &error))?
            .is_empty()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Tables first, then the program on the interfaces, then what was replaced is let go: at no
/// moment does a packet meet a program without its tables.
async fn fill_and_attach(
    owner: &mut Owner,
    rings: &mut Rings,
    links: Vec<Link>,
    configuration: Result<(), Failure>,
) -> Result<(), Failure> {
    let older = owner.xdp.adopt_links(&links)?;
    owner.links.clone_from(&links);
    // The whole guard is known before the kernel hears of any of it: nobody is let go meanwhile.
    owner.take_configured();
    owner.take_in(host::discover().await);
    owner.restore_blocks(&mut rings.crossings)?;
    // Before the tables hear of what must not be in force any more.
    owner.due = owner.store.due()?;
    let rolled_back = owner.roll_back_if_due();
    owner.note("rollback", rolled_back);
    let mended = owner.synchronise()?;
    owner.tidy_near()?;
    tracing::info!(mended, "tables equal the policy");
    owner.expire();
    if configuration.is_ok() {
        owner.keep_configuration();
    }
    let configured = owner.configured();
    owner.note("configuration", configuration.and(configured));
    owner.mirror_all();
    owner.push_down();
    owner.configure()?;
    owner.xdp.announce()?;
    owner.attach_all(links)?;
    for name in owner.xdp.pinned() {
        if !owner.interfaces.contains_key(&name) {
            tracing::info!(interface = name, "no longer configured, detached");
            owner.xdp.detach(&name)?;
        }
    }
    if let Some(why) = &owner.xdp.no_frags {
        tracing::warn!(
            why,
            "this kernel takes no multi-buffer program: large MTUs cannot be used"
        );
    }
    owner.xdp.settle(&older)?;
    owner.watch_over();
    Ok(())
}

/// Takes off what this start attached, and everything if nothing was there before.
fn withdraw(pin_dir: &Path, before: &[String]) {
    let mut result = Ok(());
    for name in Pins::new(pin_dir).links() {
        if !before.contains(&name) {
            result = result.and(detach::detach(pin_dir, Some(&name)).map(drop));
        }
    }
    if before.is_empty() {
        result = result.and(detach::detach(pin_dir, None).map(drop));
    }
    Pins::new(pin_dir).remove_new();
    if let Err(error) = result {
        tracing::error!(error = chain(&error), "cannot withdraw");
    }
}

/// The host's interfaces.
pub(super) fn interfaces() -> Result<Vec<Link>, Failure> {
    let links = host::links::interfaces();
    links.map_err(|error| kernel("cannot list the interfaces", &error))
}

/// Whether at least one of the configured interfaces is there; the others may come later.
pub(super) fn is_any_there(config: &Config, links: &[Link]) -> Result<(), Failure> {
    let is_there = |name: &String| links.iter().any(|link| link.name == *name);
    if config.interfaces.iter().any(is_there) {
        return Ok(());
    }
    let names: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
    Err(bad_input(format!(
        "there is no interface {}",
        config.interfaces.join(", ")
    ))
    .with_hint(format!("this host has {}", names.join(", "))))
}
