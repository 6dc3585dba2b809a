//! From nothing to a filtering host. A start after a crash takes the same path: whatever was left
//! behind is compared with the policy and mended.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use nix::{
    fcntl::{Flock, FlockArg},
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        stat::{Mode, umask},
    },
    unistd::{Gid, Group, chown},
};
use tokio::{
    net::UnixListener,
    sync::{broadcast, mpsc},
};

use super::{
    Options,
    handle::{Handle, Job},
    owner::Owner,
    problem::{Failure, bad_input, kernel},
    reload::configuration,
    sampling::Sampling,
    scan::Detector,
};
use crate::{
    api::wire::Code,
    backend::xdp::{
        OpenError, Xdp, detach, events::Events, load::chain, pins::Pins, scan::Crossings,
    },
    config::Config,
    host::{self, capabilities, clock, links::Link},
    policy::entry::Action,
    store::{Store, StoreError},
};

/// Events a slow listener may fall behind.
const EVENTS_KEPT: usize = 1024;

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
    /// The API's socket.
    pub listener: UnixListener,
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
    // Whatever this process makes is its owner's, until it says otherwise.
    umask(Mode::from_bits_truncate(0o077));
    let config = configuration(options)?;
    let missing = capabilities::missing();
    if !missing.is_empty() {
        return Err(Failure::new(
            Code::Permission,
            format!("missing {}", missing.join(" and ")),
        )
        .with_hint("run it as root, or grant them (systemd: AmbientCapabilities=)"));
    }
    raise_file_limit();
    let links = interfaces(&config)?;
    let lock = lock(&options.state_dir)?;
    let (listener, socket) = listen(&options.socket, &config.api.group)?;
    let mut store = Store::open(&options.state_dir)?;
    let now = clock::now();
    let boot_id = clock::boot_id().map_err(|error| kernel("cannot read the boot id", &error))?;
    let policy = store.load(now, &boot_id)?;

    let before = Pins::new(&options.pin_dir).links();
    let withdraw = |failure| {
        withdraw(&options.pin_dir, &before);
        failure
    };
    let capacities = config.capacities();
    let mut xdp = Xdp::open(&options.pin_dir, &capacities).map_err(|error| match error {
        // Another daemon's pins are not ours to withdraw.
        OpenError::Pins(error) => error.into(),
        error => withdraw(error.into()),
    })?;
    if database_lost(&store, &mut xdp)? {
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
    let (sender, _) = broadcast::channel(EVENTS_KEPT);
    let (handle, jobs) = Handle::new(sender.clone());
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
        events: sender,
        scan,
        sampling: Sampling::new(),
        expire_not_before: None,
        untidy: false,
        stop: false,
        remove_pins: false,
    };
    fill_and_attach(&mut owner, &mut rings, links)
        .await
        .map_err(withdraw)?;
    Ok(Started {
        owner,
        handle,
        jobs,
        rings,
        listener,
        socket,
        lock,
    })
}

/// Whether the database had to be made anew while the kernel still has the policy of an old one:
/// going on would take that away.
fn database_lost(store: &Store, xdp: &mut Xdp) -> Result<bool, Failure> {
    if !store.is_new() {
        return Ok(false);
    }
    for action in Action::ALL {
        let held = xdp.tables.dump(action);
        if !held
            .map_err(|error| kernel("cannot read the tables", &error))?
            .is_empty()
        {
            store.discard();
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
) -> Result<(), Failure> {
    let older = owner.xdp.adopt_links(&links)?;
    owner.links.clone_from(&links);
    // The whole guard is known before the kernel hears of any of it: nobody is let go meanwhile.
    owner.take_configured();
    owner.take_in(host::discover().await);
    owner.restore_blocks(&mut rings.crossings)?;
    let mended = owner.synchronise()?;
    owner.tidy_near()?;
    tracing::info!(mended, "tables equal the policy");
    owner.expire();
    let configured = owner.configured();
    owner.note("configuration", configured);
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
    if let Err(error) = result {
        tracing::error!(error = chain(&error), "cannot withdraw");
    }
}

/// The socket's name in the file system, as long as somebody answers there.
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody removed it already.
        let _ = fs::remove_file(&self.0);
    }
}

/// The host's interfaces, if at least one of the configured ones is among them; the others may
/// come later.
pub(super) fn interfaces(config: &Config) -> Result<Vec<Link>, Failure> {
    let links = host::links::interfaces();
    let links = links.map_err(|error| kernel("cannot list the interfaces", &error))?;
    let is_there = |name: &String| links.iter().any(|link| link.name == *name);
    if !config.interfaces.iter().any(is_there) {
        let names: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
        return Err(bad_input(format!(
            "there is no interface {}",
            config.interfaces.join(", ")
        ))
        .with_hint(format!("this host has {}", names.join(", "))));
    }
    Ok(links)
}

/// Connections must not take the descriptors that the daemon needs to look around.
fn raise_file_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// One daemon for each state directory.
fn lock(state_dir: &Path) -> Result<Flock<File>, Failure> {
    let failed = |source| {
        Failure::from(StoreError::Directory {
            path: state_dir.to_owned(),
            source,
        })
    };
    fs::create_dir_all(state_dir).map_err(failed)?;
    let mut options = OpenOptions::new();
    let options = options.create(true).write(true).truncate(false);
    let file = options.open(state_dir.join("lock")).map_err(failed)?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        Failure::new(
            Code::Conflict,
            format!(
                "another fw-ctl uses the state directory {}",
                state_dir.display()
            ),
        )
        .with_hint("stop it, or give this one directories and a socket of its own")
    })
}

/// The socket, for root and one group. A socket file that nobody answers on is a leftover.
fn listen(socket: &Path, group: &str) -> Result<(UnixListener, SocketFile), Failure> {
    let failed = |what: &str, error: io::Error| {
        let code = match error.kind() {
            io::ErrorKind::PermissionDenied => Code::Permission,
            _ => Code::Internal,
        };
        Failure::new(
            code,
            format!("cannot {what} the socket {}: {error}", socket.display()),
        )
    };
    if UnixStream::connect(socket).is_ok() {
        return Err(Failure::new(
            Code::Conflict,
            format!("another fw-ctl answers on {}", socket.display()),
        )
        .with_hint("stop it, or give this one a socket of its own with --socket"));
    }
    if let Some(directory) = socket.parent().filter(|directory| !directory.exists()) {
        // Who may come through is the socket's matter, not the directory's.
        fs::create_dir_all(directory)
            .and_then(|()| fs::set_permissions(directory, Permissions::from_mode(0o755)))
            .map_err(|error| failed("make the directory of", error))?;
    }
    match fs::symlink_metadata(socket) {
        Ok(found) if found.file_type().is_socket() => {
            fs::remove_file(socket).map_err(|error| failed("replace", error))?;
        }
        Ok(_) => {
            let message = format!("{} is there and no socket", socket.display());
            return Err(bad_input(message));
        }
        Err(_) => {}
    }
    let listener = UnixListener::bind(socket).map_err(|error| failed("open", error))?;
    let file = SocketFile(socket.to_owned());
    let gid = Group::from_name(group)
        .ok()
        .flatten()
        .map(|group| group.gid);
    chown(socket, None, gid.or_else(|| Some(Gid::effective())))
        .map_err(|errno| failed("give away", errno.into()))?;
    fs::set_permissions(socket, Permissions::from_mode(0o660))
        .map_err(|error| failed("restrict", error))?;
    Ok((listener, file))
}
