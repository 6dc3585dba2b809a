use super::*;

mod model;

/// `09:00-17:00 mon-fri Europe/Berlin`, as they are printed.
fn hours(text: &str) -> Hours {
    let mut words = text.split(' ');
    let mut word = || words.next().expect("three words");
    Hours::new(
        word().parse().expect("times"),
        word().parse().expect("days"),
        TimeZone::get(word()).expect("a zone"),
    )
    .expect("a zone with a name")
}

/// `2026-03-29T01:30:00+01:00`, with a space for the `T` and without the seconds.
fn moment(text: &str) -> Timestamp {
    let (clock, offset) = text.split_at("2026-03-29 01:30".len());
    let text = format!("{clock}:00{offset}");
    text.parse().expect("a moment")
}

/// The moments at which the hours change between two others, and whether they are on from then.
fn changes(hours: &Hours, from: &str, until: &str) -> Vec<(String, bool)> {
    let next = |at: &Timestamp| hours.next_change(*at);
    std::iter::successors(Some(moment(from)), next)
        .skip(1)
        .take_while(|at| *at <= moment(until))
        .map(|at| {
            let clock = at.to_zoned(hours.zone.clone());
            let shown = clock.strftime("%a %d %H:%M %:z").to_string();
            (shown, hours.is_on(at))
        })
        .collect()
}

fn on_off(changes: &[(&'static str, bool)]) -> Vec<(String, bool)> {
    let owned = |(text, is_on): &(&str, bool)| ((*text).to_owned(), *is_on);
    changes.iter().map(owned).collect()
}

#[test]
fn times_are_read_and_printed_in_one_way() {
    for (typed, printed) in [
        ("09:00-17:00", "09:00-17:00"),
        ("9:05-17:30", "09:05-17:30"),
        ("22:00-06:00", "22:00-06:00"),
        ("22:00-24:00", "22:00-24:00"),
        ("22:00-00:00", "22:00-24:00"),
        ("00:00-24:00", "00:00-24:00"),
        ("0:00-0:00", "00:00-24:00"),
        ("09:00-09:00", "09:00-09:00"),
    ] {
        let times: Times = typed.parse().expect(typed);
        assert_eq!(times.to_string(), printed);
        assert_eq!(printed.parse(), Ok(times));
    }
}

#[test]
fn days_are_read_and_printed_in_one_way() {
    for (typed, printed) in [
        ("mon", "mon"),
        ("mon-fri", "mon-fri"),
        ("MON,Wed,sat-SUN", "mon,wed,sat-sun"),
        ("sun,sat,fri", "fri-sun"),
        ("sat-mon", "mon,sat-sun"),
        ("tue-mon", "mon-sun"),
        ("mon-mon", "mon"),
        ("tue,tue,mon-wed", "mon-wed"),
    ] {
        let days: Days = typed.parse().expect(typed);
        assert_eq!(days.to_string(), printed);
        assert_eq!(printed.parse(), Ok(days));
    }
    assert_eq!("mon-sun".parse(), Ok(Days::ALL));
}

#[test]
fn what_is_no_hours_is_refused_by_name() {
    let times = |text: &str| text.parse::<Times>().map(drop);
    let days = |text: &str| text.parse::<Days>().map(drop);
    for (refused, error) in [
        (times(""), "hours \"\" are not like 09:00-17:00"),
        (times("09:00"), "hours \"09:00\" are not"),
        (times("9-17"), "time \"9\" is none from"),
        (times("09:00-17"), "time \"17\" is none from"),
        (times("09:00-"), "time \"\" is none from"),
        (times("-17:00"), "time \"\" is none from"),
        (times("09:00-24:01"), "time \"24:01\" is none from"),
        (times("09:60-17:00"), "time \"09:60\" is none from"),
        (times("09:00 - 17:00"), "time \"09:00 \" is none from"),
        (times("009:00-17:00"), "time \"009:00\" is none from"),
        (times("09:0-17:00"), "time \"09:0\" is none from"),
        (times("+9:00-17:00"), "time \"+9:00\" is none from"),
        (times("09:00:00-17:00"), "time \"09:00:00\" is none from"),
        (times("99999:00-17:00"), "time \"99999:00\" is none from"),
        (times("09:00-12:00-13:00"), "time \"12:00-13:00\" is none"),
        (times("24:00-06:00"), "begin at 00:00"),
        (days(""), "day \"\" is none of mon"),
        (days("mo"), "day \"mo\" is none of mon"),
        (days("mon,"), "day \"\" is none of mon"),
        (days("mon-"), "day \"mon-\" is none of mon"),
        (days("mon-tue-wed"), "day \"mon-tue-wed\" is none of mon"),
        (days("mon fri"), "day \"mon fri\" is none of mon"),
    ] {
        let refused = refused.expect_err(error).to_string();
        assert!(refused.contains(error), "{error}: {refused}");
    }
}

#[test]
fn a_zone_that_could_not_be_written_down_is_refused() {
    let times: Times = "09:00-17:00".parse().expect("times");
    for zone in [
        TimeZone::fixed(jiff::tz::offset(2)),
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone"),
        TimeZone::unknown(),
    ] {
        let refused = Hours::new(times, Days::ALL, zone);
        assert_eq!(refused, Err(HoursError::NoZone));
    }
    let named = hours("09:00-17:00 mon-fri europe/berlin");
    assert_eq!(named.to_string(), "09:00-17:00 mon-fri Europe/Berlin");
}

#[test]
fn office_hours_open_and_close_by_the_clock_of_their_zone() {
    let office = hours("09:00-17:00 mon-fri Europe/Berlin");
    for (at, is_on) in [
        ("2026-11-20 08:59+01:00", false),
        ("2026-11-20 09:00+01:00", true),
        ("2026-11-20 16:59+01:00", true),
        ("2026-11-20 17:00+01:00", false),
        ("2026-11-21 12:00+01:00", false),
        ("2026-07-20 08:30+02:00", false),
        ("2026-07-20 07:00+00:00", true),
    ] {
        assert_eq!(office.is_on(moment(at)), is_on, "{at}");
    }
    assert_eq!(
        changes(&office, "2026-11-20 00:00+01:00", "2026-11-23 12:00+01:00"),
        on_off(&[
            ("Fri 20 09:00 +01:00", true),
            ("Fri 20 17:00 +01:00", false),
            ("Mon 23 09:00 +01:00", true),
        ])
    );
}

#[test]
fn hours_over_midnight_belong_to_the_day_they_begin_on() {
    let night = hours("22:00-06:00 fri UTC");
    assert_eq!(
        changes(&night, "2026-11-19 00:00+00:00", "2026-11-28 00:00+00:00"),
        on_off(&[
            ("Fri 20 22:00 +00:00", true),
            ("Sat 21 06:00 +00:00", false),
            ("Fri 27 22:00 +00:00", true),
        ])
    );
    // The same time twice is a day, from then on.
    let shifted = hours("09:00-09:00 fri UTC");
    assert_eq!(
        changes(&shifted, "2026-11-19 00:00+00:00", "2026-11-26 00:00+00:00"),
        on_off(&[
            ("Fri 20 09:00 +00:00", true),
            ("Sat 21 09:00 +00:00", false)
        ])
    );
}

#[test]
fn whole_days_run_into_each_other() {
    let weekend = hours("00:00-24:00 sat-sun UTC");
    assert_eq!(
        changes(&weekend, "2026-11-20 00:00+00:00", "2026-11-27 00:00+00:00"),
        on_off(&[
            ("Sat 21 00:00 +00:00", true),
            ("Mon 23 00:00 +00:00", false)
        ])
    );
    for text in [
        "00:00-24:00 mon-sun Europe/Berlin",
        "05:00-05:00 mon-sun UTC",
    ] {
        let always = hours(text);
        let at = moment("2026-03-28 12:00+00:00");
        assert!(always.is_on(at));
        assert_eq!(always.next_change(at), None, "{text}");
    }
}

#[test]
fn what_a_clock_put_forward_leaves_out_is_left_out() {
    // Berlin, 2026-03-29: after 01:59 comes 03:00.
    let (from, until) = ("2026-03-28 12:00+01:00", "2026-03-29 12:00+02:00");
    for (text, expected) in [
        (
            "01:00-02:30 sun Europe/Berlin",
            &[
                ("Sun 29 01:00 +01:00", true),
                ("Sun 29 03:00 +02:00", false),
            ][..],
        ),
        (
            "02:30-05:00 sun Europe/Berlin",
            &[
                ("Sun 29 03:00 +02:00", true),
                ("Sun 29 05:00 +02:00", false),
            ],
        ),
        ("02:00-03:00 sun Europe/Berlin", &[]),
        ("02:15-02:45 sun Europe/Berlin", &[]),
        (
            "22:00-06:00 sat Europe/Berlin",
            &[
                ("Sat 28 22:00 +01:00", true),
                ("Sun 29 06:00 +02:00", false),
            ],
        ),
    ] {
        assert_eq!(
            changes(&hours(text), from, until),
            on_off(expected),
            "{text}"
        );
    }
    // They come again a week later.
    let left_out = hours("02:15-02:45 sun Europe/Berlin");
    assert_eq!(
        left_out.next_change(moment("2026-03-22 12:00+01:00")),
        Some(moment("2026-04-05 02:15+02:00"))
    );
}

#[test]
fn what_a_clock_put_back_shows_twice_counts_twice() {
    // New York, 2026-11-01: after 01:59 comes 01:00.
    let (from, until) = ("2026-10-31 12:00-04:00", "2026-11-01 12:00-05:00");
    for (text, expected) in [
        (
            "00:30-01:30 sun America/New_York",
            &[
                ("Sun 01 00:30 -04:00", true),
                ("Sun 01 01:30 -04:00", false),
                ("Sun 01 01:00 -05:00", true),
                ("Sun 01 01:30 -05:00", false),
            ][..],
        ),
        (
            "01:30-03:00 sun America/New_York",
            &[
                ("Sun 01 01:30 -04:00", true),
                ("Sun 01 01:00 -05:00", false),
                ("Sun 01 01:30 -05:00", true),
                ("Sun 01 03:00 -05:00", false),
            ],
        ),
        (
            "01:00-02:00 sun America/New_York",
            &[
                ("Sun 01 01:00 -04:00", true),
                ("Sun 01 02:00 -05:00", false),
            ],
        ),
    ] {
        assert_eq!(
            changes(&hours(text), from, until),
            on_off(expected),
            "{text}"
        );
    }
}

#[test]
fn a_clock_put_back_by_half_an_hour_is_followed() {
    // Lord Howe, 2026-04-05: after 01:59 comes 01:30.
    let early = hours("01:00-01:45 sun Australia/Lord_Howe");
    assert_eq!(
        changes(&early, "2026-04-04 12:00+11:00", "2026-04-05 12:00+10:30"),
        on_off(&[
            ("Sun 05 01:00 +11:00", true),
            ("Sun 05 01:45 +11:00", false),
            ("Sun 05 01:30 +10:30", true),
            ("Sun 05 01:45 +10:30", false),
        ])
    );
}

#[test]
fn a_clock_put_back_over_midnight_shows_the_day_before_again() {
    // St John's, 2006-10-29: after 00:00 comes 23:01 of Saturday.
    let saturday = hours("00:00-24:00 sat America/St_Johns");
    assert_eq!(
        changes(
            &saturday,
            "2006-10-28 12:00-02:30",
            "2006-10-29 12:00-03:30"
        ),
        on_off(&[
            ("Sun 29 00:00 -02:30", false),
            ("Sat 28 23:01 -03:30", true),
            ("Sun 29 00:00 -03:30", false),
        ])
    );
    // Asked within the minute of Sunday, what comes next is on Saturday.
    let late = hours("23:30-23:45 sat America/St_Johns");
    assert_eq!(
        late.next_change(moment("2006-10-29 00:00-02:30")),
        Some(moment("2006-10-28 23:30-03:30"))
    );
}

#[test]
fn a_day_that_never_was_has_no_hours() {
    // Apia: after Thursday 2011-12-29 23:59 came Saturday 00:00.
    let friday = hours("10:00-11:00 fri Pacific/Apia");
    assert_eq!(
        friday.next_change(moment("2011-12-23 11:00-10:00")),
        Some(moment("2012-01-06 10:00+14:00"))
    );
    let night = hours("22:00-02:00 thu Pacific/Apia");
    assert_eq!(
        changes(&night, "2011-12-29 12:00-10:00", "2011-12-31 12:00+14:00"),
        on_off(&[
            ("Thu 29 22:00 -10:00", true),
            ("Sat 31 00:00 +14:00", false)
        ])
    );
}

#[test]
fn the_ends_of_time_are_no_danger() {
    let office = hours("09:00-17:00 mon-fri Europe/Berlin");
    for at in [Timestamp::MIN, Timestamp::MAX] {
        let change = office.next_change(at);
        assert!(change.is_none_or(|change| change > at), "{change:?}");
    }
}
