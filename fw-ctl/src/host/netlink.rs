//! One question to the kernel over netlink, and all of its answer.
//!
//! By hand rather than through rtnetlink: the same few lines serve routing, socket diagnosis and
//! generic netlink, and a message that cannot be decoded is told. There it is logged and left out,
//! and a gateway left out is a gateway unguarded.

use std::io;

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
        let socket = Socket::new(protocol)?;
        socket.connect(&SocketAddr::new(0, 0))?;
        if protocol == NETLINK_ROUTE {
            // Otherwise the kernel ignores filters, and answers what was not asked.
            socket.set_netlink_get_strict_chk(true)?;
        }
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let mut message = NetlinkMessage::new(header, request.into());
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);

        let mut tries = 1;
        loop {
            socket.send(&bytes, 0)?;
            let (dump, changed) = receive(&socket)?;
            if !changed || tries == TRIES {
                return Ok(dump);
            }
            tries += 1;
        }
    };
    ask().map_err(|source| NetlinkError { what, source })
}

/// Receives until the kernel says that this was all. The second value says whether things changed
/// meanwhile.
fn receive<T: NetlinkDeserializable>(socket: &Socket) -> io::Result<(Dump<T>, bool)> {
    let mut dump = Dump {
        messages: Vec::new(),
        unread: Vec::new(),
    };
    let mut changed = false;
    let mut bytes = Vec::with_capacity(BUFFER_BYTES);
    loop {
        bytes.clear();
        socket.recv(&mut bytes, 0)?;
        for message in messages(&bytes) {
            let message: NetlinkMessage<T> = match message {
                Ok(message) => message,
                Err(error) => {
                    dump.unread.push(error.to_string());
                    continue;
                }
            };
            changed |= message.header.flags & NLM_F_DUMP_INTR != 0;
            match message.payload {
                NetlinkPayload::InnerMessage(inner) => dump.messages.push(inner),
                NetlinkPayload::Done(done) if done.code < 0 => {
                    return Err(io::Error::from_raw_os_error(-done.code));
                }
                NetlinkPayload::Done(_) => return Ok((dump, changed)),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => (),
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
