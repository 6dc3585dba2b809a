//! Sampled drops, out of the ring buffer.

use std::os::fd::{AsRawFd, RawFd};

use aya::maps::{MapData, RingBuf};
use fw_common::abi::DropEvent;

use super::fields::Fields;

/// The reading end of the ring; its file descriptor is readable while there are events.
pub struct Events(RingBuf<MapData>);

impl Events {
    /// Over the ring.
    pub fn new(ring: RingBuf<MapData>) -> Self {
        Self(ring)
    }

    /// The next event, if there is one.
    pub fn next_event(&mut self) -> Option<DropEvent> {
        self.0.next().and_then(|bytes| decode(&bytes))
    }
}

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn decode(bytes: &[u8]) -> Option<DropEvent> {
    let mut fields = Fields(bytes);
    // In the order of the layout: fields of a struct expression are evaluated as written.
    Some(DropEvent {
        time_ns: fields.u64()?,
        source: fields.next()?,
        destination: fields.next()?,
        ifindex: fields.u32()?,
        length: fields.u32()?,
        source_port: fields.u16()?,
        destination_port: fields.u16()?,
        vlans: fields.u16s()?,
        list: fields.u16()?,
        reason: fields.u8()?,
        family: fields.u8()?,
        protocol: fields.u8()?,
        observed: fields.u8()?,
        prefix_length: fields.u8()?,
        reserved: fields.u8()?,
    })
}
