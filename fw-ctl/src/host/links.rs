//! Network interfaces.

use std::{fs, path::Path};

use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage, LinkXdp},
};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::netlink::{NetlinkError, dump};

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Index in its namespace.
    pub index: u32,
    /// Name.
    pub name: String,
    /// Longest packet without the Ethernet header, in bytes.
    pub mtu: u32,
    /// Administratively up.
    pub up: bool,
    /// What makes it where no hardware does: `loopback`, `veth`, `bridge`, `vlan`, ...
    pub kind: Option<String>,
    /// Hardware address; empty where there is none.
    pub address: Vec<u8>,
    /// The XDP program on it.
    pub xdp: Option<Xdp>,
    /// Bus and name of the device below it.
    pub parent: Option<(String, String)>,
}

/// A program on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xdp {
    /// Where it runs.
    pub mode: XdpMode,
    /// Its id in the kernel.
    pub program_id: u32,
}

/// Where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XdpMode {
    /// In the driver.
    Native,
    /// In the stack, on a packet that already has an skb.
    Generic,
    /// On the card.
    Offload,
}

impl XdpMode {
    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
            Self::Offload => "offload",
        }
    }
}

/// A text that no interface can be called.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Empty, or longer than the kernel's buffer without its end.
    #[error("an interface name has 1 to 15 bytes, this one has {0}")]
    Length(usize),
    /// What the kernel refuses, or would drive a terminal.
    #[error("an interface name has no blanks, slashes, colons or control characters")]
    Character,
    /// `.` and `..`: the kernel makes a directory of it.
    #[error("an interface cannot be called `.` or `..`")]
    Dots,
}

/// Refuses what no interface can be called.
///
/// # Errors
/// [`NameError`]
pub fn validate_name(name: &str) -> Result<(), NameError> {
    match name {
        "." | ".." => Err(NameError::Dots),
        name if !(1..=15).contains(&name.len()) => Err(NameError::Length(name.len())),
        name if name
            .contains(|c: char| c.is_whitespace() || c.is_control() || "/:".contains(c)) =>
        {
            Err(NameError::Character)
        }
        _ => Ok(()),
    }
}

/// Every interface, by index.
///
/// # Errors
/// [`NetlinkError`]
pub fn interfaces() -> Result<Vec<Link>, NetlinkError> {
    let mut request = LinkMessage::default();
    let without_counters = LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats]);
    request.attributes.push(without_counters);
    let dump = dump(
        "links",
        NETLINK_ROUTE,
        RouteNetlinkMessage::GetLink(request),
    )?;
    for reason in &dump.unread {
        tracing::warn!(reason, "an interface cannot be read");
    }
    let links = dump
        .messages
        .into_iter()
        .filter_map(|message| match message {
            RouteNetlinkMessage::NewLink(link) => Some(Link::from(link)),
            _ => None,
        });
    let mut links: Vec<_> = links.collect();
    links.sort_by_key(|link| link.index);
    Ok(links)
}

impl Link {
    /// The driver of the device below it; `None` for a virtual one.
    pub fn driver(&self) -> Option<String> {
        let (bus, device) = self.parent.as_ref()?;
        // Not through /sys/class/net: that shows the namespace that /sys was mounted in.
        let link = Path::new("/sys/bus")
            .join(bus)
            .join("devices")
            .join(device)
            .join("driver");
        let driver = fs::read_link(link).ok()?;
        Some(driver.file_name()?.to_string_lossy().into_owned())
    }
}

impl From<LinkMessage> for Link {
    fn from(message: LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            mtu: 0,
            up: flags.contains(LinkFlags::Up),
            kind: flags
                .contains(LinkFlags::Loopback)
                .then(|| "loopback".to_owned()),
            address: Vec::new(),
            xdp: None,
            parent: None,
        };
        let (mut bus, mut device) = (None, None);
        for attribute in message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name = name,
                LinkAttribute::Mtu(mtu) => link.mtu = mtu,
                LinkAttribute::Address(address) => link.address = address,
                LinkAttribute::LinkInfo(infos) => {
                    link.kind = infos.iter().find_map(|info| match info {
                        LinkInfo::Kind(kind) => Some(kind.to_string()),
                        _ => None,
                    });
                }
                LinkAttribute::Xdp(xdp) => link.xdp = xdp.iter().find_map(program),
                LinkAttribute::ParentDevBusName(name) => bus = Some(name),
                LinkAttribute::ParentDevName(name) => device = Some(name),
                _ => (),
            }
        }
        link.parent = bus.zip(device);
        link
    }
}

/// The kernel names the program once for each mode; native and generic exclude each other.
fn program(attribute: &LinkXdp) -> Option<Xdp> {
    let (mode, program_id) = match *attribute {
        LinkXdp::DrvProgId(id) => (XdpMode::Native, id),
        LinkXdp::SkbProgId(id) => (XdpMode::Generic, id),
        LinkXdp::HwProgId(id) => (XdpMode::Offload, id),
        _ => return None,
    };
    Some(Xdp { mode, program_id })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_knows_its_loopback() {
        let links = interfaces().expect("the kernel answers");
        let lo = links
            .iter()
            .find(|link| link.name == "lo")
            .expect("every namespace has one");
        let index = nix::net::if_::if_nametoindex("lo").expect("every namespace has one");
        assert_eq!(lo.index, index);
        assert_eq!(lo.kind.as_deref(), Some("loopback"));
        assert_eq!(lo.driver(), None);
        assert!(lo.mtu >= 1500, "{lo:?}");
    }

    #[test]
    fn interfaces_are_those_of_the_kernel_by_index() {
        let links = interfaces().expect("the kernel answers");
        let mut names: Vec<_> = links.iter().map(|link| &*link.name).collect();
        assert!(links.is_sorted_by_key(|link| link.index));
        names.sort_unstable();
        let known = nix::net::if_::if_nameindex().expect("the kernel answers");
        let mut known: Vec<_> = known
            .iter()
            .map(|one| one.name().to_string_lossy())
            .collect();
        known.sort_unstable();
        assert_eq!(names, known);
    }

    #[test]
    fn an_attached_program_is_named_with_its_mode() {
        for (attribute, mode) in [
            (LinkXdp::DrvProgId(7), XdpMode::Native),
            (LinkXdp::SkbProgId(7), XdpMode::Generic),
            (LinkXdp::HwProgId(7), XdpMode::Offload),
        ] {
            let mut message = LinkMessage::default();
            let nested = vec![LinkXdp::ProgId(7), attribute];
            message.attributes.push(LinkAttribute::Xdp(nested));
            let program_id = 7;
            assert_eq!(Link::from(message).xdp, Some(Xdp { mode, program_id }));
        }
    }

    #[test]
    fn names_that_no_interface_can_have_are_refused() {
        let long = "x".repeat(200);
        for (name, expected) in [
            ("eth0", Ok(())),
            ("enp0s31f6.4094", Ok(())),
            ("wg-büro", Ok(())),
            ("fifteen-bytes-x", Ok(())),
            ("", Err(NameError::Length(0))),
            ("sixteen-bytes-xx", Err(NameError::Length(16))),
            ("büro-interface-", Err(NameError::Length(16))),
            (&long, Err(NameError::Length(200))),
            (".", Err(NameError::Dots)),
            ("..", Err(NameError::Dots)),
            ("...", Ok(())),
            ("a/b", Err(NameError::Character)),
            ("a b", Err(NameError::Character)),
            ("a:1", Err(NameError::Character)),
            ("a\0", Err(NameError::Character)),
            ("\u{1b}[2J", Err(NameError::Character)),
        ] {
            assert_eq!(validate_name(name), expected, "{name:?}");
        }
    }
}
