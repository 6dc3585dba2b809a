//! What drivers say they can do with XDP, since Linux 6.3.

use std::collections::BTreeMap;

use netlink_packet_core::{
    DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkPayload, NetlinkSerializable,
    NlasIterator,
};
use netlink_sys::protocols::NETLINK_GENERIC;

use super::netlink::{NetlinkError, dump};

/// What a driver can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Run a program itself, before the stack.
    pub native: bool,
    /// Give it packets of several buffers.
    pub frags: bool,
}

// Numbers of linux/genetlink.h and linux/netdev.h.
const CONTROL_FAMILY: u16 = 16;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
const GET_DEVICE: u8 = 1;
const DEVICE_INDEX: u16 = 1;
const DEVICE_XDP_FEATURES: u16 = 3;
const ACT_BASIC: u64 = 1 << 0;
const ACT_RX_SG: u64 = 1 << 5;

/// Features by index of the interface; `None` where the kernel does not tell.
///
/// # Errors
/// [`NetlinkError`]
pub fn xdp_features() -> Result<Option<BTreeMap<u32, Features>>, NetlinkError> {
    let families = ask("netlink families", CONTROL_FAMILY, GET_FAMILY)?;
    let netdev = families
        .iter()
        .find(|family| family.get(FAMILY_NAME) == Some(*b"netdev\0"))
        .and_then(|family| family.get(FAMILY_ID));
    let Some(netdev) = netdev.map(u16::from_ne_bytes) else {
        return Ok(None);
    };
    let devices = ask("XDP features", netdev, GET_DEVICE)?;
    Ok(Some(devices.iter().filter_map(features).collect()))
}

fn features(device: &Generic) -> Option<(u32, Features)> {
    let index = device.get(DEVICE_INDEX).map(u32::from_ne_bytes)?;
    let bits = device.get(DEVICE_XDP_FEATURES).map(u64::from_ne_bytes)?;
    let features = Features {
        native: bits & ACT_BASIC != 0,
        frags: bits & ACT_RX_SG != 0,
    };
    Some((index, features))
}

fn ask(what: &'static str, family: u16, command: u8) -> Result<Vec<Generic>, NetlinkError> {
    let request = Generic {
        family,
        command,
        attributes: BTreeMap::new(),
    };
    Ok(dump(what, NETLINK_GENERIC, request)?.messages)
}

/// A message of a generic netlink family: going out a command, coming in attributes.
struct Generic {
    family: u16,
    command: u8,
    attributes: BTreeMap<u16, Vec<u8>>,
}

/// Command, version, and two bytes of nothing.
const HEADER_BYTES: usize = 4;

impl Generic {
    /// The value of an attribute that has this many bytes.
    fn get<const N: usize>(&self, kind: u16) -> Option<[u8; N]> {
        self.attributes.get(&kind)?.as_slice().try_into().ok()
    }
}

impl NetlinkSerializable for Generic {
    fn message_type(&self) -> u16 {
        self.family
    }

    fn buffer_len(&self) -> usize {
        HEADER_BYTES
    }

    fn serialize(&self, buffer: &mut [u8]) {
        buffer.copy_from_slice(&[self.command, 1, 0, 0]);
    }
}

impl NetlinkDeserializable for Generic {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let Some(([command, ..], attributes)) = payload.split_first_chunk::<HEADER_BYTES>() else {
            return Err("a generic netlink message without its header".into());
        };
        let attributes = NlasIterator::new(attributes)
            .map(|attribute| attribute.map(|one| (one.kind(), one.value().to_vec())));
        Ok(Self {
            family: header.message_type,
            command: *command,
            attributes: attributes.collect::<Result<_, _>>()?,
        })
    }
}

impl From<Generic> for NetlinkPayload<Generic> {
    fn from(message: Generic) -> Self {
        Self::InnerMessage(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_that_loopback_has_no_native_mode() {
        // Linux before 6.3 tells nothing, and that is no error.
        if let Some(features) = xdp_features().expect("the kernel answers") {
            let lo = nix::net::if_::if_nametoindex("lo").expect("every namespace has one");
            let (native, frags) = (false, false);
            assert_eq!(features.get(&lo), Some(&Features { native, frags }));
        }
    }

    #[test]
    fn a_message_cut_short_is_an_error() {
        let header = NetlinkHeader::default();
        assert!(Generic::deserialize(&header, &[1, 1]).is_err());
        assert!(Generic::deserialize(&header, &[1, 1, 0, 0, 9, 0, 1, 0]).is_err());
        let good = Generic::deserialize(&header, &[1, 1, 0, 0, 6, 0, 1, 0, 7, 0, 0, 0]);
        let good = good.expect("one attribute of two bytes");
        assert_eq!(good.get(FAMILY_ID).map(u16::from_le_bytes), Some(7));
        assert_eq!(good.get::<4>(FAMILY_ID), None);
    }
}
