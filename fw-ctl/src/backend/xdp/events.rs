//! Sampled drops, out of the ring buffer.

use std::os::fd::{AsRawFd, RawFd};

use aya::maps::{MapData, RingBuf};
use fw_common::abi::DropEvent;

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
    let (time_ns, rest) = bytes.split_first_chunk()?;
    let (source, rest) = rest.split_first_chunk()?;
    let (destination, rest) = rest.split_first_chunk()?;
    let (ifindex, rest) = rest.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (source_port, rest) = rest.split_first_chunk()?;
    let (destination_port, rest) = rest.split_first_chunk()?;
    let (outer, rest) = rest.split_first_chunk()?;
    let (inner, rest) = rest.split_first_chunk()?;
    let (list, rest) = rest.split_first_chunk()?;
    let ([reason, family, protocol, observed, prefix_length, reserved], _) =
        rest.split_first_chunk()?;
    Some(DropEvent {
        time_ns: u64::from_ne_bytes(*time_ns),
        source: *source,
        destination: *destination,
        ifindex: u32::from_ne_bytes(*ifindex),
        length: u32::from_ne_bytes(*length),
        source_port: u16::from_ne_bytes(*source_port),
        destination_port: u16::from_ne_bytes(*destination_port),
        vlans: [u16::from_ne_bytes(*outer), u16::from_ne_bytes(*inner)],
        list: u16::from_ne_bytes(*list),
        reason: *reason,
        family: *family,
        protocol: *protocol,
        observed: *observed,
        prefix_length: *prefix_length,
        reserved: *reserved,
    })
}
