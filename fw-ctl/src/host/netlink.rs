//! One question to the kernel over netlink, and all of its answer.
//!
//! By hand rather than through rtnetlink: the same few lines serve routing, socket diagnosis,
//! netfilter and generic netlink, and a message that cannot be decoded is told. There it is logged
//! and left out, and a gateway left out is a gateway unguarded.

use std::{io, ops::ControlFlow};

use netlink_packet_core::{
    DecodeError, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_ALIGNTO, NetlinkBuffer,
    NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// The kernel did not answer a question over netlink.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {what} from the kernel")]
pub struct NetlinkError {
    /// What was asked for.
    pub what: &'static str,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// The answer to a dump.
pub(super) struct Dump<T> {
    pub messages: Vec<T>,
    /// Messages that this build could not decode, the reasons.
    pub unread: Vec<String>,
}

/// No message of a dump is longer.
const BUFFER_BYTES: usize = 64 * 1024;

/// A dump during which things changed may miss some of them. It is asked for again, but not for
/// ever: each change is also an event of its own.
const TRIES: usize = 4;

/// Asks for everything that `request` describes.
pub(super) fn dump<T>(
    what: &'static str,
    protocol: isize,
    request: T,
) -> Result<Dump<T>, NetlinkError>
where
    T: NetlinkSerializable + NetlinkDeserializable + Into<NetlinkPayload<T>>,
{
    let ask = || -> io::Result<Dump<T>> {
        let socket = open(protocol)?;
        let bytes = encode(NLM_F_DUMP, request);
        let mut tries = 1;
        loop {
            let mut dump = Dump {
                messages: Vec::new(),
                unread: Vec::new(),
            };
            socket.send(&bytes, 0)?;
            let changed = receive(&socket, |message| {
                match message {
                    Ok(message) => dump.messages.push(message),
                    Err(error) => dump.unread.push(error.to_string()),
                }
                ControlFlow::Continue(())
            })?;
            if !changed || tries == TRIES {
                return Ok(dump);
            }
            tries += 1;
        }
    };
    ask().map_err(|source| NetlinkError { what, source })
}

/// Shows `visit` one message of the answer after the other until it has seen enough, and keeps
/// none. `flags` are `NLM_F_DUMP` for all there is, `NLM_F_ACK` for one thing. It is not asked
/// again when things change meanwhile: this is for tables that never stand still.
pub(super) fn walk<T>(
    what: &'static str,
    protocol: isize,
    flags: u16,
    request: T,
    mut visit: impl FnMut(T) -> ControlFlow<()>,
) -> Result<(), NetlinkError>
where
    T: NetlinkSerializable + NetlinkDeserializable + Into<NetlinkPayload<T>>,
{
    let ask = || -> io::Result<()> {
        let socket = open(protocol)?;
        socket.send(&encode(flags, request), 0)?;
        let mut unread = Ok(());
        receive(&socket, |message| match message {
            Ok(message) => visit(message),
            Err(error) => {
                unread = Err(io::Error::new(io::ErrorKind::InvalidData, error));
                ControlFlow::Continue(())
            }
        })?;
        unread
    };
    ask().map_err(|source| NetlinkError { what, source })
}

fn open(protocol: isize) -> io::Result<Socket> {
    let socket = Socket::new(protocol)?;
    socket.connect(&SocketAddr::new(0, 0))?;
    if protocol == NETLINK_ROUTE {
        // Otherwise the kernel ignores filters, and answers what was not asked.
        socket.set_netlink_get_strict_chk(true)?;
    }
    Ok(socket)
}

fn encode<T>(flags: u16, request: T) -> Vec<u8>
where
    T: NetlinkSerializable + Into<NetlinkPayload<T>>,
{
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    let mut message = NetlinkMessage::new(header, request.into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Receives until the kernel says that this was all, or `visit` has seen enough. Says whether
/// things changed meanwhile.
fn receive<T: NetlinkDeserializable>(
    socket: &Socket,
    mut visit: impl FnMut(Result<T, DecodeError>) -> ControlFlow<()>,
) -> io::Result<bool> {
    let mut changed = false;
    let mut bytes = Vec::with_capacity(BUFFER_BYTES);
    loop {
        bytes.clear();
        socket.recv(&mut bytes, 0)?;
        for message in messages(&bytes) {
            let flow = match message {
                Err(error) => visit(Err(error)),
                Ok(message) => {
                    changed |= message.header.flags & NLM_F_DUMP_INTR != 0;
                    match message.payload {
                        NetlinkPayload::InnerMessage(inner) => visit(Ok(inner)),
                        NetlinkPayload::Done(done) if done.code < 0 => {
                            return Err(io::Error::from_raw_os_error(-done.code));
                        }
                        NetlinkPayload::Error(error) if error.code.is_some() => {
                            return Err(error.to_io());
                        }
                        // An error without a code is an acknowledgement.
                        NetlinkPayload::Done(_) | NetlinkPayload::Error(_) => return Ok(changed),
                        _ => ControlFlow::Continue(()),
                    }
                }
            };
            if flow.is_break() {
                return Ok(changed);
            }
        }
    }
}

/// The messages of a datagram.
pub(super) fn messages<T: NetlinkDeserializable>(
    mut bytes: &[u8],
) -> impl Iterator<Item = Result<NetlinkMessage<T>, DecodeError>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let length = match NetlinkBuffer::new_checked(bytes) {
            Ok(buffer) => buffer.length() as usize,
            Err(error) => {
                bytes = &[];
                return Some(Err(error));
            }
        };
        let (message, _) = bytes.split_at(length);
        let next = length.next_multiple_of(usize::from(NLMSG_ALIGNTO));
        bytes = bytes.get(next..).unwrap_or_default();
        Some(NetlinkMessage::deserialize(message))
    })
}

#[cfg(test)]
mod tests {
    use netlink_packet_route::{RouteNetlinkMessage, link::LinkMessage};
    use netlink_sys::protocols::NETLINK_SOCK_DIAG;

    use super::*;

    #[test]
    fn a_refused_question_is_an_error_and_not_an_empty_answer() {
        let request = RouteNetlinkMessage::SetLink(LinkMessage::default());
        let answer = dump("links", NETLINK_SOCK_DIAG, request);
        let error = answer.err().expect("socket diagnosis sets no links");
        assert_eq!(error.to_string(), "cannot read links from the kernel");
    }

    #[test]
    fn a_message_that_cannot_be_decoded_costs_only_itself() {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST;
        let request = RouteNetlinkMessage::GetLink(LinkMessage::default());
        let mut good = NetlinkMessage::new(header, request.into());
        good.finalize();
        let mut bytes = vec![0; good.buffer_len()];
        good.serialize(&mut bytes);
        // RTM_NEWLINK with a body of two bytes, padded to four.
        let mut bad = vec![18, 0, 0, 0, 16, 0, 0, 0];
        bad.extend([0; 12]);
        let datagram = [&bytes[..], &bad, &bytes, &[1, 2, 3]].concat();

        let read: Vec<_> = messages::<RouteNetlinkMessage>(&datagram).collect();
        let read: Vec<_> = read.iter().map(Result::is_ok).collect();
        assert_eq!(read, [true, false, true, false]);
    }

    proptest::proptest! {
        #[test]
        fn no_datagram_makes_it_panic(bytes in proptest::collection::vec(0_u8.., 0..200)) {
            messages::<RouteNetlinkMessage>(&bytes).count();
        }
    }
}
