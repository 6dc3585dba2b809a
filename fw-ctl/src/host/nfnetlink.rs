//! Messages of netfilter over netlink: a header, and attributes that may hold attributes.

use std::{io, ops::ControlFlow};

use netlink_packet_core::{
    DecodeError, NLA_HEADER_SIZE, NLM_F_ACK, NetlinkDeserializable, NetlinkHeader, NetlinkPayload,
    NetlinkSerializable, NlasIterator,
};
use netlink_sys::protocols::NETLINK_NETFILTER;

use super::netlink::{NetlinkError, walk};

// Numbers of linux/netfilter/nfnetlink.h and nf_tables.h.
const NFTABLES: u8 = 10;
const GET_GENERATION: u8 = 16;
const GENERATION_ID: u16 = 1;

/// The number of the nftables ruleset: each change of it makes another. `None` where the kernel
/// has no nftables. `CAP_NET_ADMIN` is needed, as for everything of netfilter.
///
/// # Errors
/// The kernel does not answer.
pub fn generation() -> Result<Option<u32>, NetlinkError> {
    let mut id = None;
    let request = Message::new(NFTABLES, GET_GENERATION, &[]);
    let what = "the number of the nftables ruleset";
    let answer = walk(what, NETLINK_NETFILTER, NLM_F_ACK, request, |message| {
        id = message.get(GENERATION_ID).and_then(number);
        ControlFlow::Continue(())
    });
    match answer {
        Ok(()) => Ok(id),
        Err(error) if is_absent(&error.source) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A kernel without netfilter has no such protocol, one without nftables no such message.
fn is_absent(error: &io::Error) -> bool {
    [libc::EPROTONOSUPPORT, libc::EINVAL].contains(&error.raw_os_error().unwrap_or(0))
}

/// A message of one of netfilter's subsystems.
pub(super) struct Message {
    kind: u16,
    body: Vec<u8>,
}

/// Address family, version, and two bytes for the subsystem.
const HEADER_BYTES: usize = 4;

impl Message {
    /// A request about every address family, with attributes that are numbers.
    pub(super) fn new(subsystem: u8, message: u8, attributes: &[(u16, u32)]) -> Self {
        let mut body = vec![0; HEADER_BYTES];
        for (kind, value) in attributes {
            body.extend(8_u16.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value.to_be_bytes());
        }
        Self {
            kind: u16::from_be_bytes([subsystem, message]),
            body,
        }
    }

    /// The value of an attribute.
    pub(super) fn get(&self, kind: u16) -> Option<&[u8]> {
        find(self.body.get(HEADER_BYTES..)?, kind)
    }
}

/// The value of an attribute among others.
pub(super) fn find(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let attribute = NlasIterator::new(attributes)
        .flatten()
        .find(|attribute| attribute.kind() == kind)?;
    let length = usize::from(attribute.length());
    attribute.into_inner().get(NLA_HEADER_SIZE..length)
}

/// The number in an attribute.
pub(super) fn number(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        self.body.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&self.body);
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        if payload.len() < HEADER_BYTES {
            return Err("a netfilter message without its header".into());
        }
        Ok(Self {
            kind: header.message_type,
            body: payload.to_vec(),
        })
    }
}

impl From<Message> for NetlinkPayload<Message> {
    fn from(message: Message) -> Self {
        Self::InnerMessage(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_found_by_its_number_and_a_cut_one_is_not() {
        let message = Message::new(NFTABLES, GET_GENERATION, &[(3, 4), (26, 70_000)]);
        assert_eq!(message.kind, 0x0a10);
        assert_eq!(message.get(26).and_then(number), Some(70_000));
        assert_eq!(message.get(3).and_then(number), Some(4));
        assert_eq!(message.get(4), None);
        let cut = &message.body[..message.body.len() - 1];
        let header = NetlinkHeader::default();
        let cut = Message::deserialize(&header, cut).expect("the header is whole");
        assert_eq!(cut.get(3).and_then(number), Some(4));
        assert_eq!(cut.get(26), None);
        assert!(Message::deserialize(&header, &[0; 3]).is_err());
    }
}
