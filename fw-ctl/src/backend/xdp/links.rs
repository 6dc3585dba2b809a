//! What holds the program on an interface.

use std::{
    fs, io,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use super::{pins::Pins, sys};
use crate::host::links::{Link, XdpMode};

/// How to attach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// In the driver, or in the stack where the driver cannot.
    #[default]
    Auto,
    /// In the driver, or not at all.
    Native,
    /// In the stack, on a packet that already has an skb.
    Skb,
    /// On the card.
    Hw,
}

impl Mode {
    /// As configured.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Skb => "skb",
            Self::Hw => "hw",
        }
    }
}

/// Why the program is not on an interface.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// Somebody else's program is there, and stays.
    #[error("interface {interface} runs a foreign XDP program: id {id}{}", name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default())]
    Foreign {
        /// The interface.
        interface: String,
        /// Id of the program; 0 when it came in between.
        id: u32,
        /// Name of the program, if the kernel tells us.
        name: Option<String>,
    },
    /// The kernel or the driver refused.
    #[error("cannot attach to interface {interface} in {mode} mode")]
    Attach {
        /// The interface.
        interface: String,
        /// The last mode that was tried.
        mode: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A pinned link could not be used.
    #[error("cannot use the link of interface {interface}")]
    Pin {
        /// The interface.
        interface: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// An interface with our program on it.
#[derive(Debug)]
pub struct Attached {
    /// Index of the interface.
    pub index: u32,
    /// `native`, `generic` or `offload`.
    pub mode: &'static str,
    /// Why this mode.
    pub detail: String,
    link: OwnedFd,
}

const SKB: u32 = 1 << 1;
const DRV: u32 = 1 << 2;
const HW: u32 = 1 << 3;

/// Puts the program on an interface: through the link that is pinned for it, or a new one.
///
/// # Errors
/// [`LinkError`]; a foreign program is never displaced.
pub fn attach(
    pins: &Pins,
    program: BorrowedFd<'_>,
    program_id: u32,
    interface: &Link,
    mode: Mode,
) -> Result<Attached, LinkError> {
    if let Some(attached) = adopt(pins, program, program_id, interface)? {
        return Ok(attached);
    }
    if let Some(xdp) = &interface.xdp {
        return Err(LinkError::Foreign {
            interface: interface.name.clone(),
            id: xdp.program_id,
            name: program_name(xdp.program_id),
        });
    }
    let (link, mode, detail) = create(program, interface, mode)?;
    sys::pin(link.as_fd(), &pins.link(&interface.name)).map_err(|source| LinkError::Pin {
        interface: interface.name.clone(),
        source,
    })?;
    Ok(Attached {
        index: interface.index,
        mode,
        detail,
        link,
    })
}

/// Goes on with the pinned link, giving it the program if it runs another. A link whose interface
/// is gone, or is another one of the same name, is only a file: it is taken away.
fn adopt(
    pins: &Pins,
    program: BorrowedFd<'_>,
    program_id: u32,
    interface: &Link,
) -> Result<Option<Attached>, LinkError> {
    let path = pins.link(&interface.name);
    if !path.exists() {
        return Ok(None);
    }
    let failed = |source| LinkError::Pin {
        interface: interface.name.clone(),
        source,
    };
    let link = sys::open_pin(&path).map_err(failed)?;
    let (running, index) = sys::link_info(link.as_fd()).map_err(failed)?;
    if index != interface.index {
        fs::remove_file(&path).map_err(failed)?;
        return Ok(None);
    }
    if running != program_id {
        sys::update_link(link.as_fd(), program).map_err(failed)?;
    }
    let mode = match interface.xdp.as_ref().map(|xdp| xdp.mode) {
        Some(XdpMode::Generic) => "generic",
        Some(XdpMode::Offload) => "offload",
        _ => "native",
    };
    let detail = if running == program_id {
        "adopted with its program"
    } else {
        "adopted, program replaced"
    };
    Ok(Some(Attached {
        index,
        mode,
        detail: detail.to_owned(),
        link,
    }))
}

fn create(
    program: BorrowedFd<'_>,
    interface: &Link,
    mode: Mode,
) -> Result<(OwnedFd, &'static str, String), LinkError> {
    let attempt = |flags, name| {
        sys::create_link(program, interface.index, flags).map_err(|source| {
            if source.raw_os_error() == Some(libc::EBUSY) {
                return LinkError::Foreign {
                    interface: interface.name.clone(),
                    id: 0,
                    name: None,
                };
            }
            LinkError::Attach {
                interface: interface.name.clone(),
                mode: name,
                source,
            }
        })
    };
    let asked = |link| (link, String::from("as configured"));
    match mode {
        Mode::Native => attempt(DRV, "native")
            .map(asked)
            .map(|(link, why)| (link, "native", why)),
        Mode::Skb => attempt(SKB, "generic")
            .map(asked)
            .map(|(link, why)| (link, "generic", why)),
        Mode::Hw => attempt(HW, "offload")
            .map(asked)
            .map(|(link, why)| (link, "offload", why)),
        Mode::Auto => match attempt(DRV, "native") {
            Ok(link) => Ok((link, "native", "the driver takes it".to_owned())),
            Err(LinkError::Attach { source, .. }) => {
                let why = format!("native mode refused: {source}");
                attempt(SKB, "generic").map(|link| (link, "generic", why))
            }
            Err(foreign) => Err(foreign),
        },
    }
}

/// Takes the program off an interface and removes the pin. Says whether there was one.
///
/// # Errors
/// [`LinkError::Pin`]
pub fn detach(pins: &Pins, interface: &str) -> Result<bool, LinkError> {
    let path = pins.link(interface);
    if !path.exists() {
        return Ok(false);
    }
    detach_pin(&path).map_err(|source| LinkError::Pin {
        interface: interface.to_owned(),
        source,
    })?;
    Ok(true)
}

/// Takes a pinned link off its interface and removes the pin.
pub(super) fn detach_pin(path: &std::path::Path) -> io::Result<()> {
    let link = sys::open_pin(path)?;
    match sys::detach_link(link.as_fd()) {
        // The interface is gone: nothing to take off.
        Err(error) if error.raw_os_error() == Some(libc::ENOLINK) => {}
        result => result?,
    }
    fs::remove_file(path)
}

impl Attached {
    /// Whether it still holds the program on an interface.
    pub fn is_alive(&self) -> bool {
        sys::link_info(self.link.as_fd()).is_ok_and(|(_, index)| index == self.index)
    }
}

/// Needs CAP_SYS_ADMIN; without it the id must do.
fn program_name(id: u32) -> Option<String> {
    aya::programs::loaded_programs()
        .flatten()
        .find(|program| program.id() == id)
        .and_then(|program| program.name_as_str().map(str::to_owned))
        .filter(|name| !name.is_empty())
}
