//! How long something lives, as other tools print it.

use jiff::{Timestamp, Zoned, civil::DateTime};

use crate::{duration::Ttl, policy::time::LONGEST};

/// Units of a second and their nanoseconds, the longer names first.
const UNITS: [(&str, u128); 9] = [
    ("ms", 1_000_000),
    ("us", 1_000),
    ("µs", 1_000),
    ("ns", 1),
    ("w", 604_800_000_000_000),
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
];

/// Reads `1d23h59m59s996ms`, as nft prints it, and `3h59m12.5s`, as Go does: seconds, to the
/// nearest. `None` for anything else; what is negative is none either.
pub(super) fn secs(mut text: &str) -> Option<u64> {
    let mut nanos = 0_u128;
    if text.is_empty() {
        return None;
    }
    while !text.is_empty() {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, rest) = text.split_at(end);
        let (name, unit) = UNITS.iter().find(|(name, _)| rest.starts_with(name))?;
        nanos = nanos.checked_add(scaled(number, *unit)?)?;
        text = &rest[name.len()..];
    }
    u64::try_from((nanos + 500_000_000) / 1_000_000_000).ok()
}

/// A decimal number of units, in nanoseconds.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut nanos = whole.parse::<u128>().ok()?.checked_mul(unit)?;
    let mut part = unit;
    for digit in fraction.chars() {
        part /= 10;
        nanos = nanos.checked_add(u128::from(digit.to_digit(10)?) * part)?;
    }
    Some(nanos)
}

/// So many seconds; what is longer than anything that ends has no end.
pub(super) fn ttl(secs: u64) -> Ttl {
    Ttl::from_secs((secs <= LONGEST.as_secs()).then_some(secs))
}

/// What is left at `now` of what lives until `end`; `None` when it has ended.
pub(super) fn left(end: Timestamp, now: &Zoned) -> Option<Ttl> {
    let ahead = end.duration_since(now.timestamp());
    let secs = u64::try_from(ahead.as_millis().saturating_add(500) / 1000).ok()?;
    ahead.is_positive().then(|| ttl(secs))
}

/// Reads a moment as Python prints it: with its zone, or without one, in that of this machine.
/// `None` for anything else.
pub(super) fn moment(text: &str, now: &Zoned) -> Option<Timestamp> {
    let local = || {
        let local: DateTime = text.parse().ok()?;
        Some(local.to_zoned(now.time_zone().clone()).ok()?.timestamp())
    };
    text.parse().ok().or_else(local)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_nft_and_go_print_them() {
        for (text, expected) in [
            ("1d23h59m59s996ms", Some(172_800)),
            ("59m30s", Some(3_570)),
            ("96ms", Some(0)),
            ("500ms", Some(1)),
            ("3h59m12.5s", Some(14_353)),
            ("99999h59m56.45458122s", Some(359_999_996)),
            ("1m25.454574895s", Some(85)),
            ("1µs", Some(0)),
            ("0s", Some(0)),
            ("8w", Some(4_838_400)),
            ("", None),
            ("-5s", None),
            ("5", None),
            ("h", None),
            ("1.2.3s", None),
            ("1x", None),
            ("99999999999999999999999999999999999999999h", None),
        ] {
            assert_eq!(secs(text), expected, "{text}");
        }
    }

    #[test]
    fn what_has_ended_is_none_and_the_last_second_is_one() {
        let now = Timestamp::from_millisecond(10_000)
            .expect("a time")
            .to_zoned(jiff::tz::TimeZone::UTC);
        let at = |ms| left(Timestamp::from_millisecond(ms).expect("a time"), &now);
        assert_eq!(at(9_000), None);
        assert_eq!(at(10_000), None);
        assert_eq!(at(10_100), Some(Ttl::from_secs(Some(1))));
        assert_eq!(at(70_000), Some(Ttl::from_secs(Some(60))));
        assert_eq!(left(Timestamp::MAX, &now), Some(Ttl::Never));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[0-9wdhmsnuµ.]{0,40}|\\PC{0,12}") {
            secs(&text);
        }
    }
}
