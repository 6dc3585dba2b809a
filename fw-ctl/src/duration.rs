//! How long an entry lives, as people write it: `90`, `90s`, `10m`, `4h`, `1d`, `1w`, `1h30m`,
//! `never`.

use std::{fmt, str::FromStr, time::Duration};

use crate::policy::time::LONGEST;

/// How long an entry shall live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// Until it is removed.
    Never,
    /// At least a second, at most [`LONGEST`], whole seconds.
    For(Duration),
}

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not of the form at all, or with an unknown unit.
    #[error("a duration is written like `90`, `10m`, `1h30m` or `never`, with the units w d h m s")]
    Form,
    /// `30m1h`, `5m5m`: more likely a slip than a wish.
    #[error("the units of a duration go from the largest to the smallest, each once")]
    Order,
    /// `0`, `0h`: nothing would ever be in force.
    #[error("a duration is at least one second")]
    Zero,
    /// Longer than [`LONGEST`].
    #[error("a duration is at most 100 years, `never` is longer")]
    TooLong,
}

impl Ttl {
    /// Seconds to live; `None` for never.
    pub const fn secs(self) -> Option<u64> {
        match self {
            Self::Never => None,
            Self::For(duration) => Some(duration.as_secs()),
        }
    }

    /// The other direction of [`Ttl::secs`]. Zero is what is left of an entry in its last second,
    /// and is rounded up.
    pub fn from_secs(secs: Option<u64>) -> Self {
        secs.map_or(Self::Never, |secs| {
            Self::For(Duration::from_secs(secs.max(1)))
        })
    }
}

/// Units from the largest to the smallest, with their seconds.
const UNITS: [(u8, u64); 5] = [
    (b'w', 604_800),
    (b'd', 86_400),
    (b'h', 3_600),
    (b'm', 60),
    (b's', 1),
];

impl FromStr for Ttl {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "never" {
            return Ok(Self::Never);
        }
        let secs = match text.bytes().all(|byte| byte.is_ascii_digit()) {
            true => number(text)?,
            false => sum(text)?,
        };
        match secs {
            0 => Err(DurationError::Zero),
            secs if secs > LONGEST.as_secs() => Err(DurationError::TooLong),
            secs => Ok(Self::For(Duration::from_secs(secs))),
        }
    }
}

/// The seconds of a row of numbers with units.
fn sum(mut text: &str) -> Result<u64, DurationError> {
    let mut total = 0_u64;
    let mut units = UNITS.iter();
    while !text.is_empty() {
        let end = text
            .bytes()
            .position(|byte| !byte.is_ascii_digit())
            .ok_or(DurationError::Form)?;
        let unit = text.as_bytes()[end];
        if !UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(DurationError::Form);
        }
        let (_, size) = units
            .find(|(name, _)| *name == unit)
            .ok_or(DurationError::Order)?;
        total = number(&text[..end])?
            .checked_mul(*size)
            .and_then(|secs| total.checked_add(secs))
            .ok_or(DurationError::TooLong)?;
        text = &text[end + 1..];
    }
    Ok(total)
}

/// A row of digits.
fn number(digits: &str) -> Result<u64, DurationError> {
    match digits.is_empty() {
        true => Err(DurationError::Form),
        // Digits only: the one way left to fail is that they are too many.
        false => digits.parse().map_err(|_| DurationError::TooLong),
    }
}

/// Written so that it reads back: `1h30m`, `never`.
impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(mut left) = self.secs() else {
            return f.write_str("never");
        };
        for (unit, size) in UNITS {
            if left >= size {
                write!(f, "{}{}", left / size, char::from(unit))?;
                left %= size;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(text: &str) -> Result<Option<u64>, DurationError> {
        text.parse().map(Ttl::secs)
    }

    #[test]
    fn durations_are_read_in_every_form() {
        for (text, expected) in [
            ("90", 90),
            ("90s", 90),
            ("10m", 600),
            ("4h", 14_400),
            ("1d", 86_400),
            ("1w", 604_800),
            ("1h30m", 5_400),
            ("1w2d3h4m5s", 788_645),
            ("1h0m", 3_600),
            ("007", 7),
            ("36525d", 36_525 * 86_400),
        ] {
            assert_eq!(secs(text), Ok(Some(expected)), "{text}");
        }
        assert_eq!(secs("never"), Ok(None));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_its_reason() {
        use DurationError::{Form, Order, TooLong, Zero};
        for (text, expected) in [
            ("", Form),
            ("m", Form),
            ("h1", Form),
            ("1h30", Form),
            ("1y", Form),
            ("1H", Form),
            ("-5m", Form),
            ("+5", Form),
            ("1.5h", Form),
            (" 5m", Form),
            ("5m ", Form),
            ("1 h", Form),
            ("١m", Form),
            ("5µ", Form),
            ("Never", Form),
            ("neverever", Form),
            ("30m1h", Order),
            ("5m5m", Order),
            ("0", Zero),
            ("0h0m", Zero),
            ("36525d1s", TooLong),
            ("18446744073709551615", TooLong),
            ("18446744073709551616", TooLong),
            ("30500568904944w", TooLong),
            ("30500568904943w99999999999w", Order),
            ("30500568904943w9999999d", TooLong),
        ] {
            assert_eq!(secs(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn the_last_second_of_an_entry_is_a_second() {
        assert_eq!(Ttl::from_secs(Some(0)), Ttl::For(Duration::from_secs(1)));
        assert_eq!(Ttl::from_secs(None), Ttl::Never);
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(secs in 1..=LONGEST.as_secs()) {
            let ttl = Ttl::from_secs(Some(secs));
            prop_assert_eq!(ttl.to_string().parse(), Ok(ttl));
        }

        #[test]
        fn no_text_makes_it_panic(text in "[0-9wdhms ]{0,24}|\\PC{0,12}") {
            let _ = text.parse::<Ttl>();
        }
    }
}
