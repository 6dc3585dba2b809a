//! What changes on this machine, as the kernel tells it.

use std::{collections::VecDeque, io};

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage},
    route::RouteType,
};
use netlink_sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket, protocols::NETLINK_ROUTE};

use super::netlink::{NetlinkError, messages};

/// A change. They come in crowds; who listens waits until they have calmed down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An interface is new, or something about it has changed.
    LinkChanged {
        /// Its index.
        index: u32,
        /// Its name from now on.
        name: String,
    },
    /// An interface is gone.
    LinkRemoved {
        /// Its last index.
        index: u32,
        /// Its last name.
        name: String,
    },
    /// An address came or went.
    AddressesChanged,
    /// A route came or went.
    RoutesChanged,
    /// Changes were lost: anything may be different.
    Resync,
}

/// Groups of `NETLINK_ROUTE`, as bits.
const GROUPS: u32 = 1 << (libc::RTNLGRP_LINK - 1)
    | 1 << (libc::RTNLGRP_IPV4_IFADDR - 1)
    | 1 << (libc::RTNLGRP_IPV6_IFADDR - 1)
    | 1 << (libc::RTNLGRP_IPV4_ROUTE - 1)
    | 1 << (libc::RTNLGRP_IPV6_ROUTE - 1);

/// Room for a crowd: a thousand interfaces going down at once.
const RECEIVE_BUFFER_BYTES: libc::c_int = 1 << 20;

/// The stream of changes in one network namespace.
pub struct Watch {
    socket: TokioSocket,
    events: VecDeque<Event>,
}

impl Watch {
    /// Starts listening, in the network namespace of the calling thread. What changes from now on
    /// is heard.
    ///
    /// # Errors
    /// [`NetlinkError`]
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn open() -> Result<Self, NetlinkError> {
        let open = || -> io::Result<TokioSocket> {
            let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
            let inner = socket.socket_mut();
            inner.set_rx_buf_sz(RECEIVE_BUFFER_BYTES)?;
            inner.bind(&SocketAddr::new(0, GROUPS))?;
            Ok(socket)
        };
        let events = VecDeque::new();
        match open() {
            Ok(socket) => Ok(Self { socket, events }),
            Err(source) => Err(NetlinkError {
                what: "changes",
                source,
            }),
        }
    }

    /// The next change. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// [`NetlinkError`] when the socket itself fails; lost messages are [`Event::Resync`].
    pub async fn next(&mut self) -> Result<Event, NetlinkError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let received = self.receive().await;
            received.map_err(|source| NetlinkError {
                what: "changes",
                source,
            })?;
        }
    }

    /// Takes one datagram.
    async fn receive(&mut self) -> io::Result<()> {
        match self.socket.recv_from_full().await {
            Ok((bytes, _)) => self.events.extend(events(&bytes)),
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                self.events.push_back(Event::Resync);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// The changes in a datagram.
fn events(bytes: &[u8]) -> impl Iterator<Item = Event> {
    messages(bytes).filter_map(|message| match message.map(|message| message.payload) {
        Ok(NetlinkPayload::InnerMessage(message)) => event(message),
        Ok(NetlinkPayload::Overrun(_)) | Err(_) => Some(Event::Resync),
        Ok(_) => None,
    })
}

fn event(message: RouteNetlinkMessage) -> Option<Event> {
    match message {
        RouteNetlinkMessage::NewLink(link) => {
            named(link).map(|(index, name)| Event::LinkChanged { index, name })
        }
        RouteNetlinkMessage::DelLink(link) => {
            named(link).map(|(index, name)| Event::LinkRemoved { index, name })
        }
        RouteNetlinkMessage::NewAddress(_) | RouteNetlinkMessage::DelAddress(_) => {
            Some(Event::AddressesChanged)
        }
        // Local and broadcast routes come and go with the addresses.
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => {
            (route.header.kind == RouteType::Unicast).then_some(Event::RoutesChanged)
        }
        _ => None,
    }
}

/// Index and name. An interface that leaves a bridge is announced as a link removed from the
/// family of bridges: it is still there.
fn named(link: LinkMessage) -> Option<(u32, String)> {
    if link.header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let name = link
        .attributes
        .into_iter()
        .find_map(|attribute| match attribute {
            LinkAttribute::IfName(name) => Some(name),
            _ => None,
        });
    Some((link.header.index, name?))
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::route::RouteMessage;

    use super::*;

    fn link(family: AddressFamily) -> LinkMessage {
        let mut link = LinkMessage::default();
        link.header.index = 7;
        link.header.interface_family = family;
        link.attributes.push(LinkAttribute::IfName("veth0".into()));
        link
    }

    fn route(kind: RouteType) -> RouteMessage {
        let mut route = RouteMessage::default();
        route.header.kind = kind;
        route
    }

    #[test]
    fn messages_become_changes() {
        use RouteNetlinkMessage::{DelLink, DelRoute, NewLink, NewRoute};
        let (index, name) = (7, "veth0".to_owned());
        for (message, expected) in [
            (
                NewLink(link(AddressFamily::Unspec)),
                Some(Event::LinkChanged {
                    index,
                    name: name.clone(),
                }),
            ),
            (
                DelLink(link(AddressFamily::Unspec)),
                Some(Event::LinkRemoved { index, name }),
            ),
            (DelLink(link(AddressFamily::Bridge)), None),
            (
                NewRoute(route(RouteType::Unicast)),
                Some(Event::RoutesChanged),
            ),
            (
                DelRoute(route(RouteType::Unicast)),
                Some(Event::RoutesChanged),
            ),
            (NewRoute(route(RouteType::Local)), None),
        ] {
            assert_eq!(event(message), expected);
        }
    }

    #[test]
    fn what_cannot_be_read_may_have_been_anything() {
        let read: Vec<_> = events(&[1, 2, 3]).collect();
        assert_eq!(read, [Event::Resync]);
    }

    #[tokio::test]
    async fn a_quiet_machine_is_silent() {
        let mut watch = Watch::open().expect("any user may listen");
        let wait = std::time::Duration::from_millis(20);
        // Whatever happens on this machine meanwhile is no failure of the socket.
        if let Ok(event) = tokio::time::timeout(wait, watch.next()).await {
            event.expect("the socket works");
        }
    }
}
