//! Prefixes from and to text. Lists have millions of lines, and the standard library takes its
//! time over each; it still has the last word on what is not plain.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Reads `address` or `address/length` where it is written plainly. `None` says nothing: the text
/// may be good all the same.
pub(super) fn read(text: &str) -> Option<(IpAddr, Option<u8>)> {
    let mut rest = text.as_bytes();
    let address = match v4(&mut rest) {
        Some(v4) => IpAddr::V4(v4),
        None => {
            rest = text.as_bytes();
            IpAddr::V6(v6(&mut rest)?)
        }
    };
    let length = match rest {
        [] => None,
        [b'/', length @ ..] => {
            rest = length;
            Some(number(&mut rest)?)
        }
        _ => return None,
    };
    rest.is_empty().then_some((address, length))
}

fn v4(text: &mut &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0; 4];
    for (place, octet) in octets.iter_mut().enumerate() {
        if place > 0 {
            *text = text.strip_prefix(b".")?;
        }
        *octet = number(text)?;
    }
    Some(octets.into())
}

/// Up to 255, without leading zeros.
fn number(text: &mut &[u8]) -> Option<u8> {
    let (first, mut rest) = text.split_first()?;
    let mut value = u16::from(digit(*first)?);
    while let Some((next, behind)) = rest.split_first()
        && let Some(digit) = digit(*next)
    {
        if value == 0 || value > 25 {
            return None;
        }
        (value, rest) = (value * 10 + u16::from(digit), behind);
    }
    *text = rest;
    value.try_into().ok()
}

fn digit(byte: u8) -> Option<u8> {
    byte.is_ascii_digit().then(|| byte - b'0')
}

/// Groups of digits, of which `::` stands for as many zeros as are left out.
fn v6(text: &mut &[u8]) -> Option<Ipv6Addr> {
    let (mut groups, mut count, mut gap) = ([0; 8], 0, None);
    loop {
        if gap.is_none()
            && let Some(rest) = text.strip_prefix(b"::")
        {
            (gap, *text) = (Some(count), rest);
            if !rest.first().is_some_and(u8::is_ascii_hexdigit) {
                break;
            }
        } else if count > 0 {
            let Some(rest) = text.strip_prefix(b":") else {
                break;
            };
            *text = rest;
        }
        *groups.get_mut(count)? = group(text)?;
        count += 1;
    }
    match gap {
        None if count == 8 => {}
        Some(gap) if count < 8 => {
            groups.copy_within(gap..count, 8 - (count - gap));
            groups[gap..8 - (count - gap)].fill(0);
        }
        _ => return None,
    }
    Some(groups.into())
}

/// One to four hexadecimal digits.
fn group(text: &mut &[u8]) -> Option<u16> {
    let (mut value, mut digits) = (0, 0);
    while let Some((next, rest)) = text.split_first()
        && let Some(digit) = char::from(*next).to_digit(16)
        && digits < 4
    {
        (value, digits, *text) = (value << 4 | digit as u16, digits + 1, rest);
    }
    (digits > 0).then_some(value)
}

/// The text of a prefix: at most eight groups of four digits, colons between them, and `/128`.
pub(super) struct Written {
    bytes: [u8; 43],
    length: usize,
}

impl Written {
    /// Of an address, with a length where it is a network. `None` for v4-mapped addresses, which
    /// the standard library writes in a way of its own.
    pub(super) fn of(address: IpAddr, length: Option<u8>) -> Option<Self> {
        let mut written = Self {
            bytes: [0; 43],
            length: 0,
        };
        match address {
            IpAddr::V4(v4) => written.v4(v4),
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => return None,
            IpAddr::V6(v6) => written.v6(v6),
        }
        if let Some(length) = length {
            written.push(b'/');
            written.number(length);
        }
        Some(written)
    }

    /// What was written.
    pub(super) fn text(&self) -> &str {
        // Nothing but ASCII was pushed.
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }

    fn v4(&mut self, address: Ipv4Addr) {
        for (place, octet) in address.octets().into_iter().enumerate() {
            if place > 0 {
                self.push(b'.');
            }
            self.number(octet);
        }
    }

    /// RFC 5952: the first of the longest runs of more than one zero is `::`.
    fn v6(&mut self, address: Ipv6Addr) {
        let groups = address.segments();
        let (mut gap, mut run) = (0..0, 0..0);
        for (place, group) in groups.iter().enumerate() {
            if *group != 0 {
                continue;
            }
            run = if run.end == place { run.start } else { place }..place + 1;
            if run.len() > gap.len().max(1) {
                gap = run.clone();
            }
        }
        for (place, group) in groups.into_iter().enumerate() {
            if gap.contains(&place) {
                if place == gap.start {
                    self.push(b':');
                    self.push(b':');
                }
                continue;
            }
            if place > 0 && place != gap.end {
                self.push(b':');
            }
            self.group(group);
        }
    }

    fn group(&mut self, group: u16) {
        let digits = (16 - group.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            let digit = u32::from(group >> (4 * digit) & 0xf);
            self.push(char::from_digit(digit, 16).unwrap_or_default() as u8);
        }
    }

    fn number(&mut self, number: u8) {
        if number >= 100 {
            self.push(b'0' + number / 100);
        }
        if number >= 10 {
            self.push(b'0' + number / 10 % 10);
        }
        self.push(b'0' + number % 10);
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }
}
