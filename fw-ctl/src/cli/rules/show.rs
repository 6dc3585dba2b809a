//! Rules as they are shown.

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    api::wire::Rule,
    cli::output::{self, escape},
    duration::Ttl,
};

/// A rule in one line.
pub fn describe(rule: &Rule) -> String {
    let mut text = format!("{} {}", escape(&rule.action), escape(&rule.service));
    if !rule.from.is_empty() {
        text += &format!(" from {}", escape(&rule.from.join(", ")));
    }
    if let Some(rate) = rate(rule) {
        text += &format!(", {rate}");
    }
    if let Some(hours) = hours(rule) {
        text += &format!(", {hours}");
    }
    text += &match Ttl::from_secs(rule.ttl_s) {
        Ttl::Never => ", without end".to_owned(),
        left => format!(", {left} left"),
    };
    if !rule.comment.is_empty() {
        text += &format!(": {}", escape(&rule.comment));
    }
    text
}

/// Rules in a table; each source has a line of its own.
pub fn table(rules: &[Rule]) -> String {
    let row = |rule: &Rule| {
        [
            rule.id.to_string(),
            escape(&rule.service).into_owned(),
            escape(&rule.action).into_owned(),
            sources(&rule.from),
            rate(rule).unwrap_or_else(none),
            hours(rule).unwrap_or_else(none),
            next_change(rule).unwrap_or_else(none),
            Ttl::from_secs(rule.ttl_s).to_string(),
            escape(&rule.comment).into_owned(),
        ]
    };
    let header = [
        "ID",
        "SERVICE",
        "ACTION",
        "FROM",
        "RATE NOW",
        "HOURS",
        "NEXT CHANGE",
        "ENDS IN",
        "COMMENT",
    ];
    output::table(header, rules.iter().map(row))
}

fn none() -> String {
    "-".to_owned()
}

fn sources(from: &[String]) -> String {
    let escaped: Vec<_> = from.iter().map(|prefix| escape(prefix)).collect();
    match escaped.is_empty() {
        true => "any".to_owned(),
        false => escaped.join("\n"),
    }
}

/// `42/minute burst 20 per source, from 10/minute to 100/minute`
fn rate(rule: &Rule) -> Option<String> {
    let mut text = rule.rate_now.as_ref().or(rule.rate.as_ref())?.clone();
    if let Some(burst) = rule.burst {
        text += &format!(" burst {burst}");
    }
    if let Some(per) = &rule.per {
        text += &format!(" per {per}");
    }
    if let (Some(floor), Some(ceiling)) = (&rule.floor, &rule.ceiling) {
        text += &format!(", from {floor} to {ceiling}");
    }
    Some(escape(&text).into_owned())
}

/// `09:00-17:00 mon-fri Europe/Berlin`
fn hours(rule: &Rule) -> Option<String> {
    let parts = [rule.hours.as_ref()?.as_str()].into_iter();
    let parts = parts
        .chain(rule.days.as_deref())
        .chain(rule.zone.as_deref());
    let text = parts.collect::<Vec<_>>().join(" ");
    Some(escape(&text).into_owned())
}

/// `off 2026-11-23 17:00 CET`: what its hours will be, by its own clock.
fn next_change(rule: &Rule) -> Option<String> {
    let state = if rule.active { "off" } else { "on" };
    let at = local(rule.next_change?, rule.zone.as_deref());
    Some(format!("{state} {at}"))
}

/// A time to the minute by the clock of a zone; of one that is not known here, in UTC.
fn local(at: Timestamp, zone: Option<&str>) -> String {
    let zone = zone.and_then(|name| TimeZone::get(name).ok());
    let at = at.to_zoned(zone.unwrap_or(TimeZone::UTC));
    at.strftime("%Y-%m-%d %H:%M %Z").to_string()
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use super::*;

    /// A rule for everybody, without hours or end.
    pub fn rule(id: u32, service: &str, action: &str) -> Rule {
        Rule {
            id,
            kind: "port".into(),
            service: service.into(),
            action: action.into(),
            from: Vec::new(),
            rate: None,
            rate_now: None,
            burst: None,
            per: None,
            floor: None,
            ceiling: None,
            hours: None,
            days: None,
            zone: None,
            active: true,
            next_change: None,
            comment: String::new(),
            created_at: Timestamp::UNIX_EPOCH,
            expires_at: None,
            ttl_s: None,
            origin: "local".into(),
        }
    }

    fn limit() -> Rule {
        let some = |text: &str| Some(text.to_owned());
        Rule {
            from: vec!["192.0.2.0/24".into(), "2001:db8::/32".into()],
            rate: some("60/minute"),
            rate_now: some("42/minute"),
            burst: Some(20),
            per: some("source"),
            floor: some("10/minute"),
            ceiling: some("100/minute"),
            ttl_s: Some(5_400),
            comment: "a\x1b[31m".into(),
            ..rule(2, "tcp/443", "limit")
        }
    }

    fn scheduled(zone: &str, active: bool, next: &str) -> Rule {
        Rule {
            hours: Some("09:00-17:00".into()),
            days: Some("mon-fri".into()),
            zone: Some(zone.into()),
            active,
            next_change: Some(next.parse().expect("a time")),
            ..rule(3, "tcp/8080", "accept")
        }
    }

    #[test]
    fn a_table_shows_everything_and_nothing_that_drives_a_terminal() {
        let scheduled = scheduled("Europe/Berlin", true, "2026-11-23T16:00:00Z");
        let text = table(&[rule(1, "tcp/22", "accept"), limit(), scheduled]);
        let lines: Vec<&str> = text.lines().collect();
        let words = |line: usize| lines[line].split("  ").filter(|word| !word.is_empty());
        let words = |line| words(line).map(str::trim).collect::<Vec<_>>();
        assert_eq!(
            words(1),
            ["1", "tcp/22", "accept", "any", "-", "-", "-", "never"]
        );
        assert_eq!(
            words(2),
            [
                "2",
                "tcp/443",
                "limit",
                "192.0.2.0/24",
                "42/minute burst 20 per source, from 10/minute to 100/minute",
                "-",
                "-",
                "1h30m",
                "a\\u{1b}[31m"
            ]
        );
        assert_eq!(words(3), ["2001:db8::/32"], "a source a line");
        assert_eq!(
            words(4)[4..7],
            [
                "-",
                "09:00-17:00 mon-fri Europe/Berlin",
                "off 2026-11-23 17:00 CET"
            ]
        );
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn the_next_change_is_told_by_the_clock_of_the_rule() {
        for (zone, active, next, told) in [
            (
                "Europe/Berlin",
                false,
                "2026-07-01T07:00:00Z",
                "on 2026-07-01 09:00 CEST",
            ),
            (
                "America/New_York",
                true,
                "2026-01-05T22:00:00Z",
                "off 2026-01-05 17:00 EST",
            ),
            (
                "UTC",
                true,
                "2026-01-05T17:00:00Z",
                "off 2026-01-05 17:00 UTC",
            ),
            (
                "Nowhere/At_All",
                true,
                "2026-01-05T17:00:00Z",
                "off 2026-01-05 17:00 UTC",
            ),
        ] {
            let rule = scheduled(zone, active, next);
            assert_eq!(next_change(&rule).as_deref(), Some(told));
        }
        assert_eq!(next_change(&rule(1, "tcp/22", "accept")), None);
    }

    #[test]
    fn a_rule_is_one_line() {
        assert_eq!(
            describe(&limit()),
            "limit tcp/443 from 192.0.2.0/24, 2001:db8::/32, \
             42/minute burst 20 per source, from 10/minute to 100/minute, 1h30m left: a\\u{1b}[31m"
        );
        assert_eq!(
            describe(&scheduled("UTC", true, "2026-01-05T17:00:00Z")),
            "accept tcp/8080, 09:00-17:00 mon-fri UTC, without end"
        );
    }
}
