//! Hosts, prefixes and ranges.

use std::net::IpAddr;

use fw_common::{Prefix, prefix::PrefixError};
use ipnet::{Ipv4Subnets, Ipv6Subnets};

/// A text that is neither host, prefix nor range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither host nor prefix.
    #[error(transparent)]
    Prefix(#[from] PrefixError),
    /// One end of a range is no single address.
    #[error("a range is two addresses, like `192.0.2.1-192.0.2.9`")]
    RangeEnd,
    /// The ends are of different families.
    #[error("the two ends of a range are of the same family")]
    RangeFamilies,
    /// The end comes before the beginning.
    #[error("the range ends before it begins")]
    RangeReversed,
}

/// Reads a host, a prefix, or a range `a-b`, which is split into the fewest prefixes. The second
/// value says whether host bits were set and have been cleared.
///
/// # Errors
/// [`AddressError`]
pub fn addresses(text: &str) -> Result<Vec<(Prefix, bool)>, AddressError> {
    let Some((first, last)) = text.split_once('-') else {
        return Ok(vec![Prefix::parse(text)?]);
    };
    if text.contains('/') {
        return Err(AddressError::RangeEnd);
    }
    let (first, _) = Prefix::parse(first)?;
    let (last, _) = Prefix::parse(last)?;
    if last < first && last.family() == first.family() {
        return Err(AddressError::RangeReversed);
    }
    let network =
        |address: IpAddr, length| Prefix::new(address, length).map(|prefix| (prefix, false));
    Ok(match (first.address(), last.address()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => Ipv4Subnets::new(first, last, 0)
            .filter_map(|net| network(net.addr().into(), net.prefix_len()))
            .collect(),
        (IpAddr::V6(first), IpAddr::V6(last)) => Ipv6Subnets::new(first, last, 0)
            .filter_map(|net| network(net.addr().into(), net.prefix_len()))
            .collect(),
        _ => return Err(AddressError::RangeFamilies),
    })
}
