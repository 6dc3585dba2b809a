//! What a daemon takes for itself: descriptors, the lock of its state directory, its socket.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    fcntl::{Flock, FlockArg},
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{Gid, Group, chown},
};
use tokio::{net::UnixListener, time::sleep};

use crate::{
    api::wire::Code,
    daemon::problem::{Failure, bad_input},
    store::StoreError,
};

/// The socket's name in the file system, as long as somebody answers there.
pub struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody removed it already.
        let _ = fs::remove_file(&self.0);
    }
}

/// Connections must not take the descriptors that the daemon needs to look around.
pub(super) fn raise_file_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// One daemon for each state directory. Who only recovers is done soon.
pub(super) async fn lock(state_dir: &Path) -> Result<Flock<File>, Failure> {
    const TRIES: u32 = 30;
    const PAUSE: Duration = Duration::from_millis(100);
    let failed = |source| {
        Failure::from(StoreError::Directory {
            path: state_dir.to_owned(),
            source,
        })
    };
    fs::create_dir_all(state_dir).map_err(failed)?;
    let mut options = OpenOptions::new();
    let options = options.create(true).write(true).truncate(false);
    let mut file = options.open(state_dir.join("lock")).map_err(failed)?;
    for _ in 0..TRIES {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((unlocked, _)) => file = unlocked,
        }
        sleep(PAUSE).await;
    }
    Err(Failure::new(
        Code::Conflict,
        format!(
            "another fw-ctl uses the state directory {}",
            state_dir.display()
        ),
    )
    .with_hint("stop it, or give this one directories and a socket of its own"))
}

/// The socket, for root and one group. A socket file that nobody answers on is a leftover.
pub(super) fn listen(socket: &Path, group: &str) -> Result<(UnixListener, SocketFile), Failure> {
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
