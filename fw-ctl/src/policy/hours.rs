//! Hours of the week in a time zone.

use std::{collections::BTreeSet, fmt, ops::RangeInclusive, str::FromStr};

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, DateTime, Time, Weekday},
    tz::TimeZone,
};

/// From a time of day up to, but without, another, in whole minutes: `09:00-17:00`. Where the
/// second is not after the first, they go over midnight; where both are the same, they are 24
/// hours. The end of a day is 00:00 of the next, and printed as `24:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    start: Time,
    end: Time,
}

/// Days of the week, at least one: `mon-fri`, `mon,wed,sat-sun`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// Monday is bit 0.
    bits: u8,
}

/// Times on days of the week. Times over midnight belong to the day they begin on.
///
/// They are on while the clocks of the zone show them. So what a clock that is put forward leaves
/// out is left out, and what a clock that is put back shows twice counts twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    times: Times,
    days: Days,
    /// One that has a name.
    zone: TimeZone,
}

/// What is no hours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// Not two times.
    #[error("hours {0:?} are not like 09:00-17:00")]
    Times(String),
    /// Not a time of day.
    #[error("time {0:?} is none from 00:00 to 24:00")]
    Time(String),
    /// `24:00-06:00`
    #[error("24:00 is the end of a day, hours that begin there begin at 00:00")]
    StartsAtEnd,
    /// Not a day, nor two with a dash between them.
    #[error("day {0:?} is none of mon, tue, wed, thu, fri, sat, sun, nor a range like mon-fri")]
    Day(String),
    /// A file of `/etc` or an offset is a zone, but cannot be written down and found again.
    #[error("the time zone has no name that could be kept, give one like Europe/Berlin or UTC")]
    NoZone,
}

/// Enough of what was typed to find it again.
fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

impl FromStr for Times {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || HoursError::Times(shown(text));
        let (start, end) = text.split_once('-').ok_or_else(form)?;
        let minute = |text: &str| minute_of_day(text).ok_or_else(|| HoursError::Time(shown(text)));
        let (start, end) = (minute(start)?, minute(end)?);
        if start == END_OF_DAY {
            return Err(HoursError::StartsAtEnd);
        }
        let time = |minute: u16| {
            let (hour, minute) = (minute % END_OF_DAY / 60, minute % 60);
            Time::new(hour as i8, minute as i8, 0, 0).map_err(|_| form())
        };
        Ok(Self {
            start: time(start)?,
            end: time(end)?,
        })
    }
}

/// The minute `24:00`.
const END_OF_DAY: u16 = 24 * 60;

/// `9:00`, `09:00`, `24:00`
fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, lengths: &[usize]| {
        let good = lengths.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        good.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (number(hour, &[1, 2])?, number(minute, &[2])?);
    let of_day = hour * 60 + minute;
    (minute < 60 && of_day <= END_OF_DAY).then_some(of_day)
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, end) = (self.start, self.end);
        write!(f, "{:02}:{:02}-", start.hour(), start.minute())?;
        match end == Time::midnight() {
            true => f.write_str("24:00"),
            false => write!(f, "{:02}:{:02}", end.hour(), end.minute()),
        }
    }
}

/// As typed and printed; Monday first.
const DAY_NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Days {
    /// Every day.
    pub const ALL: Self = Self { bits: 0x7f };

    fn contains(self, day: Weekday) -> bool {
        self.bits & (1 << day.to_monday_zero_offset()) != 0
    }
}

impl FromStr for Days {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bits = 0;
        for part in text.split(',') {
            let day = |name: &str| {
                DAY_NAMES
                    .iter()
                    .position(|known| known.eq_ignore_ascii_case(name))
                    .ok_or_else(|| HoursError::Day(shown(part)))
            };
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (day(first)?, day(last)?);
            // `sat-mon` goes over the end of the week.
            let count = (last + 7 - first) % 7 + 1;
            for offset in 0..count {
                bits |= 1 << ((first + offset) % 7);
            }
        }
        Ok(Self { bits })
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_in = |day: usize| self.bits & (1 << day) != 0;
        let mut separator = "";
        let mut day = 0;
        while day < DAY_NAMES.len() {
            let run = (day..DAY_NAMES.len())
                .take_while(|next| is_in(*next))
                .count();
            if run > 0 {
                write!(f, "{separator}{}", DAY_NAMES[day])?;
                separator = ",";
            }
            if run > 1 {
                write!(f, "-{}", DAY_NAMES[day + run - 1])?;
            }
            day += run.max(1);
        }
        Ok(())
    }
}

impl Hours {
    /// These times on these days, by the clocks of a zone.
    ///
    /// # Errors
    /// The zone has no name.
    pub fn new(times: Times, days: Days, zone: TimeZone) -> Result<Self, HoursError> {
        match zone.iana_name() {
            None => Err(HoursError::NoZone),
            Some(_) => Ok(Self { times, days, zone }),
        }
    }

    /// The times of day.
    pub const fn times(&self) -> Times {
        self.times
    }

    /// The days they begin on.
    pub const fn days(&self) -> Days {
        self.days
    }

    /// Name of the zone: `Europe/Berlin`.
    pub fn zone_name(&self) -> &str {
        // `new` takes no zone without one.
        self.zone.iana_name().unwrap_or_default()
    }

    /// Whether it is one of these hours.
    pub fn is_on(&self, at: Timestamp) -> bool {
        self.is_shown(self.zone.to_datetime(at))
    }

    /// When that changes next; `None` for never.
    pub fn next_change(&self, at: Timestamp) -> Option<Timestamp> {
        let is_on = self.is_on(at);
        let candidates = self.candidates(at);
        let mut ahead = candidates.range(at..);
        ahead.find(|moment| self.is_on(**moment) != is_on).copied()
    }

    /// Whether a clock that shows this shows one of these hours.
    fn is_shown(&self, clock: DateTime) -> bool {
        let Times { start, end } = self.times;
        let (day, time) = (clock.weekday(), clock.time());
        let (today, yesterday) = (self.days.contains(day), self.days.contains(day.previous()));
        match start < end {
            true => today && (start..end).contains(&time),
            false => today && time >= start || yesterday && time < end,
        }
    }

    /// Moments among which is every change of the next two weeks: where the clock shows `start` or
    /// `end`, each time it does, and where it is put forward or back. Two weeks, because a day of
    /// the week, or its hours, may be left out once.
    fn candidates(&self, at: Timestamp) -> BTreeSet<Timestamp> {
        // A clock that is put back over midnight shows yesterday again.
        const DAYS: RangeInclusive<i32> = -1..=15;
        let today: Date = self.zone.to_datetime(at).date();
        let mut moments = BTreeSet::new();
        for date in DAYS.filter_map(|offset| today.checked_add(offset.days()).ok()) {
            for time in [self.times.start, self.times.end] {
                let clock = self.zone.to_ambiguous_timestamp(date.to_datetime(time));
                moments.extend([clock.earlier(), clock.later()].into_iter().flatten());
            }
        }
        let last = moments.last().copied().unwrap_or(at);
        let jumps = self.zone.following(at).map(|jump| jump.timestamp());
        moments.extend(jumps.take_while(|jump| *jump <= last));
        moments
    }
}

/// `09:00-17:00 mon-fri Europe/Berlin`
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.times, self.days, self.zone_name())
    }
}

#[cfg(test)]
mod tests;
