//! What goes wrong below, as it goes over the socket.

use std::{error::Error, io::ErrorKind};

use super::security_log::SecurityLogError;
use crate::{
    api::{
        server::tcp::TcpError,
        wire::{Code, ProblemBody},
    },
    backend::xdp::{
        OpenError,
        load::{LoadError, chain},
        pins::PinsError,
        tables::ApplyError,
    },
    plan::LockOut,
    policy::refusal::Refusal,
    store::StoreError,
};

/// A failure with its code, its message, and what to do about it.
pub type Failure = ProblemBody;

/// Input that is not understood.
pub fn bad_input(message: impl Into<String>) -> Failure {
    Failure::new(Code::BadInput, message)
}

/// What could not be found out, as one failure.
pub fn all_found(problems: &[String]) -> Result<(), Failure> {
    match problems {
        [] => Ok(()),
        problems => Err(Failure::new(Code::Kernel, problems.join("; "))),
    }
}

/// The kernel said no.
pub fn kernel(what: &str, error: &dyn Error) -> Failure {
    Failure::new(Code::Kernel, format!("{what}: {}", chain(error)))
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let message = chain(&error);
        match error {
            StoreError::DiskFull(_) => Self::new(Code::Full, message)
                .with_hint("nothing was changed; make room on the file system of the state directory"),
            StoreError::Corrupt { path, .. } => Self::new(Code::Store, message).with_hint(format!(
                "nothing was deleted, and what is in the kernel goes on filtering; restore {0} from a backup, or move it away to start with an empty policy",
                path.display()
            )),
            _ => Self::new(Code::Store, message),
        }
    }
}

impl From<SecurityLogError> for Failure {
    fn from(error: SecurityLogError) -> Self {
        Self::new(Code::Store, chain(&error))
    }
}

impl From<&Refusal> for Failure {
    fn from(refusal: &Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Guarded { .. } => Self::new(Code::GuardRefused, message)
                .with_hint("`fw-ctl guard list` shows who can never be dropped, and why"),
            Refusal::Exists { .. } => Self::new(Code::Conflict, message),
            Refusal::Contradicts { .. } => Self::new(Code::Conflict, message)
                .with_hint("`fw-ctl list rules` shows it; delete it first"),
            Refusal::NoList(_) => {
                Self::new(Code::NotFound, message).with_hint("`fw-ctl status` names the lists")
            }
            Refusal::TooManyLists | Refusal::TooManyRules => Self::new(Code::Full, message),
            Refusal::Detectors => Self::new(Code::BadInput, message)
                .with_hint("`fw-ctl unblock` takes an address out of it, `fw-ctl scan` shows it"),
            Refusal::Countries(_) => Self::new(Code::BadInput, message).with_hint(
                "`fw-ctl geo` shows and changes what is selected, `fw-ctl allow` spares an address",
            ),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::from(&refusal)
    }
}

impl From<LockOut> for Failure {
    fn from(lock_out: LockOut) -> Self {
        Self::new(Code::GuardRefused, lock_out.to_string())
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        let message = chain(&error);
        match error {
            ApplyError::Full { table, .. } => Self::new(Code::Full, message).with_hint(room(table)),
            ApplyError::Refused { .. } => Self::new(Code::Kernel, message),
            ApplyError::Broken { .. } => Self::new(Code::Kernel, message)
                .with_hint("restart the daemon: it makes the tables equal to the policy again"),
        }
    }
}

/// How a full table gets more room; named as in the status.
fn room(table: &str) -> String {
    let (kind, family) = table.rsplit_once('_').unwrap_or((table, ""));
    let key = match (kind, family) {
        ("guard", _) => {
            return "nothing is blocked until the guard fits: guard wider prefixes".to_owned();
        }
        ("auto", _) => return "nothing was changed; it is what the detector may have".to_owned(),
        ("allow", _) => "allows",
        (_, "v6" | "V6") => "ipv6",
        _ => "ipv4",
    };
    format!(
        "nothing was changed; `{key}` in `[tables]` of the configuration sets its size at the next start"
    )
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let message = chain(&error);
        match error {
            OpenError::Pins(error) => error.into(),
            OpenError::Load(_) => Self::new(Code::Kernel, message)
                .with_hint("`fw-ctl doctor` says what this host can do"),
        }
    }
}

impl From<PinsError> for Failure {
    fn from(error: PinsError) -> Self {
        let message = chain(&error);
        match error {
            PinsError::NotBpffs { .. } => Self::new(Code::Kernel, message)
                .with_hint("mount one: `mount -t bpf bpf /sys/fs/bpf`"),
            PinsError::Locked { .. } => Self::new(Code::Conflict, message)
                .with_hint("stop it, or give this one directories and a socket of its own"),
            PinsError::Io { .. } => Self::new(Code::Kernel, message),
        }
    }
}

impl From<TcpError> for Failure {
    fn from(error: TcpError) -> Self {
        let code = match &error {
            TcpError::Listen { source, .. } => match source.kind() {
                ErrorKind::PermissionDenied => Code::Permission,
                ErrorKind::AddrInUse => Code::Conflict,
                _ => Code::BadInput,
            },
            TcpError::File { .. } | TcpError::Pem { .. } | TcpError::Certificate { .. } => {
                Code::BadInput
            }
        };
        Self::new(code, chain(&error))
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        Self::new(Code::Kernel, chain(&error))
    }
}
