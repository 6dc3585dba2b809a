//! How many new connections are too many.

use std::{fmt, str::FromStr};

/// What a rate is counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// `second`
    Second,
    /// `minute`
    Minute,
    /// `hour`
    Hour,
    /// `day`
    Day,
}

impl Unit {
    /// All, shortest first.
    pub const ALL: [Self; 4] = [Self::Second, Self::Minute, Self::Hour, Self::Day];

    /// As printed, and as netfilter's tools take it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// Its length.
    pub const fn secs(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}

/// New connections in a unit of time: `10/minute`. At least one a day, at most
/// [`Rate::MAX_PER_SECOND`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    count: u32,
    unit: Unit,
}

/// A text that is no rate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not `COUNT/UNIT`.
    #[error("rate {0:?} is not like 10/minute; units are second, minute, hour and day")]
    Form(String),
    /// 0, or more than netfilter can count.
    #[error("a rate is at least 1 and at most {max} a second, this is {0}", max = Rate::MAX_PER_SECOND)]
    Range(Rate),
}

impl Rate {
    /// What `hashlimit` still counts.
    pub const MAX_PER_SECOND: u32 = 10_000;

    /// The rate of so many a unit.
    ///
    /// # Errors
    /// None at all, or too many.
    pub fn new(count: u32, unit: Unit) -> Result<Self, RateError> {
        let rate = Self { count, unit };
        let most = u64::from(Self::MAX_PER_SECOND) * u64::from(unit.secs());
        match count == 0 || u64::from(count) > most {
            true => Err(RateError::Range(rate)),
            false => Ok(rate),
        }
    }

    /// How many.
    pub const fn count(self) -> u32 {
        self.count
    }

    /// In what time.
    pub const fn unit(self) -> Unit {
        self.unit
    }

    /// As a number, for comparing rates of different units.
    pub fn per_second(self) -> f64 {
        f64::from(self.count) / f64::from(self.unit.secs())
    }

    /// Nanoseconds in which one more is granted, rounded down; at least 100,000.
    pub const fn interval_ns(self) -> u64 {
        self.unit.secs() as u64 * 1_000_000_000 / self.count as u64
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.unit.name())
    }
}

impl FromStr for Rate {
    type Err = RateError;

    /// `10/minute`, `10/min`, `10/m`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || RateError::Form(text.chars().take(64).collect());
        let (count, unit) = text.split_once('/').ok_or_else(form)?;
        if !count.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(form());
        }
        let named = |candidate: &Unit| !unit.is_empty() && candidate.name().starts_with(unit);
        let unit = Unit::ALL.into_iter().find(named).ok_or_else(form)?;
        Self::new(count.parse().map_err(|_| form())?, unit)
    }
}

/// Whose connections share a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Per {
    /// Each IPv4 address has one, each IPv6 /64 has one.
    Source,
    /// Everybody shares one; in netfilter of iptables, IPv4 and IPv6 have one each.
    All,
}

impl Per {
    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::All => "all",
        }
    }
}

impl FromStr for Per {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Source, Self::All]
            .into_iter()
            .find(|per| per.name() == text)
            .ok_or_else(|| format!("per {text:?} is neither source nor all"))
    }
}

/// Bounds between which a rate adapts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Adaptive {
    /// Never below.
    pub floor: Rate,
    /// Never above.
    pub ceiling: Rate,
}

/// What is too much: a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// How fast the bucket fills; for an adaptive limit, where it starts.
    pub rate: Rate,
    /// How many it holds, from 1 to [`Limit::MAX_BURST`].
    pub burst: u32,
    /// Whose it is.
    pub per: Per,
    /// Bounds, where the rate adapts.
    pub adaptive: Option<Adaptive>,
}

impl Limit {
    /// What `hashlimit` still holds.
    pub const MAX_BURST: u32 = 10_000;
    /// The longest that an empty bucket may take to fill: `hashlimit` counts no further.
    pub const MAX_FILL_NS: u64 = 86_400_000_000_000;
    /// As `limit` of iptables has it.
    pub const DEFAULT_BURST: u32 = 5;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_printed_in_one_way() {
        for (typed, printed, interval_ns) in [
            ("10/minute", "10/minute", 6_000_000_000),
            ("10/m", "10/minute", 6_000_000_000),
            ("3/sec", "3/second", 333_333_333),
            ("1/d", "1/day", 86_400_000_000_000),
            ("10000/second", "10000/second", 100_000),
            ("600000/minute", "600000/minute", 100_000),
        ] {
            let rate: Rate = typed.parse().expect(typed);
            assert_eq!(rate.to_string(), printed);
            assert_eq!(rate.interval_ns(), interval_ns, "{typed}");
        }
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for text in [
            "",
            "10",
            "/minute",
            "10/",
            "10/week",
            "+1/s",
            "-1/s",
            "1.5/s",
            "99999999999/s",
        ] {
            let refused = text.parse::<Rate>().expect_err(text);
            assert!(matches!(refused, RateError::Form(_)), "{text:?}: {refused}");
        }
        for text in ["0/second", "10001/second", "600001/minute"] {
            let refused = text.parse::<Rate>().expect_err(text);
            assert!(
                matches!(refused, RateError::Range(_)),
                "{text:?}: {refused}"
            );
        }
    }
}
