//! Lengths and checksums, filled in when a frame is complete.

/// An IP header by its offset.
#[derive(Clone, Copy, Debug)]
pub enum Network {
    V4(usize),
    V6(usize),
}

/// What depends on the bytes behind it. A header reaches to the end of the frame.
#[derive(Clone, Copy, Debug)]
pub enum Field {
    /// Total length and header checksum of the IPv4 header at this offset.
    Ipv4(usize),
    /// Payload length of the IPv6 header at this offset.
    Ipv6(usize),
    /// Length in the UDP header at this offset.
    UdpLength(usize),
    /// The Internet checksum (RFC 1071) of everything from `at`, and of the pseudo header of
    /// `over`.
    Checksum {
        at: usize,
        field: usize,
        over: Option<Network>,
        protocol: u8,
    },
}

impl Field {
    pub fn fill(self, frame: &mut [u8]) {
        let end = frame.len();
        match self {
            Self::Ipv4(at) => {
                put(frame, at + 2, (end - at) as u16);
                let header = usize::from(frame[at] & 0x0f) * 4;
                let sum = checksum(&[&frame[at..at + header]]);
                put(frame, at + 10, sum);
            }
            Self::Ipv6(at) => put(frame, at + 4, (end - at - 40) as u16),
            Self::UdpLength(at) => put(frame, at + 4, (end - at) as u16),
            Self::Checksum {
                at,
                field,
                over,
                protocol,
            } => {
                let length = ((end - at) as u32).to_be_bytes();
                let addresses = match over {
                    Some(Network::V4(ip)) => &frame[ip + 12..ip + 20],
                    Some(Network::V6(ip)) => &frame[ip + 8..ip + 40],
                    None => &[],
                };
                let sum = match over {
                    Some(_) => checksum(&[addresses, &length, &[0, protocol], &frame[at..]]),
                    None => checksum(&[&frame[at..]]),
                };
                put(frame, field, sum);
            }
        }
    }
}

fn put(frame: &mut [u8], at: usize, value: u16) {
    frame[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Over parts of even length, but for the last.
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word.get(1).copied().unwrap_or(0)))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    match !(sum as u16) {
        // The same number, and in UDP the other way of writing it means: no checksum.
        0 => 0xffff,
        sum => sum,
    }
}
