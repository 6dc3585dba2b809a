//! Hours against the minutes of a week.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

const ZONES: [&str; 8] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Havana",
    "Africa/Casablanca",
    "Asia/Kathmandu",
];

/// Days around which these zones change their clocks.
const DATES: [&str; 8] = [
    "2011-12-29 12:00+00:00",
    "2026-03-08 00:00+00:00",
    "2026-03-28 12:00+00:00",
    "2026-04-04 12:00+00:00",
    "2026-10-24 12:00+00:00",
    "2026-11-01 00:00+00:00",
    "2026-02-15 00:00+00:00",
    "2026-07-01 00:00+00:00",
];

/// Whether the clock, read as a table of the minutes of the week, shows the hours.
fn is_shown(start: u16, end: u16, days: u8, clock: DateTime) -> bool {
    let minute = clock.hour() as i32 * 60 + clock.minute() as i32;
    let this = clock.weekday().to_monday_zero_offset() as i32 * 1440 + minute;
    let length = match end > start {
        true => end - start,
        false => end + 1440 - start,
    };
    (0..7).any(|day| {
        let first = day * 1440 + i32::from(start);
        let since = (this - first).rem_euclid(7 * 1440);
        days & (1 << day) != 0 && since < i32::from(length)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Minute by minute through a week in which a clock is changed.
    #[test]
    fn hours_change_where_next_change_says_and_nowhere_else(
        zone in prop::sample::select(ZONES.to_vec()),
        date in prop::sample::select(DATES.to_vec()),
        start in 0_u16..1440,
        // Often in the small hours, where clocks are changed.
        end in prop_oneof![0_u16..1440, 0_u16..240],
        days in 1_u8..128,
    ) {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let named = (0..7).filter(|day| days & (1 << day) != 0).map(|day| DAY_NAMES[day]);
        let named: Vec<&str> = named.collect();
        let hours = hours(&format!("{}-{} {} {zone}", clock(start), clock(end), named.join(",")));
        let mut at = moment(date);
        let mut was_on = hours.is_on(at);
        let mut next = hours.next_change(at);
        for _ in 0..7 * 1440 {
            at += SignedDuration::from_mins(1);
            let is_on = is_shown(start, end, days, hours.zone.to_datetime(at));
            prop_assert_eq!(hours.is_on(at), is_on, "{} at {}", hours, at);
            prop_assert_eq!(is_on != was_on, next == Some(at), "{} at {}, not {:?}", hours, at, next);
            if next == Some(at) {
                next = hours.next_change(at);
            }
            was_on = is_on;
        }
    }

    #[test]
    fn what_is_printed_reads_back(start in 0_u16..1440, end in 0_u16..=1440, bits in 1_u8..128) {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let times: Times = format!("{}-{}", clock(start), clock(end)).parse().expect("times");
        prop_assert_eq!(times.to_string().parse(), Ok(times));
        let days = Days { bits };
        prop_assert_eq!(days.to_string().parse(), Ok(days));
    }

    #[test]
    fn no_text_makes_it_panic(text in "[0-9:,amonfrisu-]{0,24}|\\PC{0,12}") {
        let _ = text.parse::<Times>();
        let _ = text.parse::<Days>();
    }
}
