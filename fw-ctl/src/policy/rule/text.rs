//! Rules as people, files and the database write them.

use fw_common::Prefix;
use jiff::tz::TimeZone;

use super::{Effect, Origin, Rule, Verdict};
use crate::policy::{
    entry::Comment,
    hours::Hours,
    rate::{Adaptive, Limit, Per, Rate},
    time::WallSecs,
};

/// What a rule says, each part as it is written. What is `None` was not said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleText {
    /// `tcp/22`
    pub service: String,
    /// `accept`, `drop` or `limit`.
    pub action: String,
    /// Prefixes.
    pub from: Vec<String>,
    /// `10/minute`
    pub rate: Option<String>,
    /// Connections.
    pub burst: Option<u32>,
    /// `source` or `all`.
    pub per: Option<String>,
    /// `5/minute`
    pub floor: Option<String>,
    /// `100/minute`
    pub ceiling: Option<String>,
    /// `09:00-17:00`
    pub hours: Option<String>,
    /// `mon-fri`
    pub days: Option<String>,
    /// `Europe/Berlin`
    pub zone: Option<String>,
}

/// What is wrong with a rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct RuleError {
    /// Field of [`RuleText`].
    pub field: &'static str,
    /// In words.
    pub reason: String,
}

fn wrong(field: &'static str) -> impl Fn(String) -> RuleError {
    move |reason| RuleError { field, reason }
}

/// A part that must be there, or may.
fn read<T: std::str::FromStr<Err: ToString>>(
    field: &'static str,
    text: &str,
) -> Result<T, RuleError> {
    text.parse()
        .map_err(|error: T::Err| wrong(field)(error.to_string()))
}

impl RuleText {
    /// The rule, of nobody and without a note yet, and what the user should know. `zone` finds a
    /// time zone by its name.
    ///
    /// # Errors
    /// The first part that makes no sense, or does not go with the others.
    pub fn read(
        &self,
        zone: impl FnOnce(&str) -> Option<TimeZone>,
    ) -> Result<(Rule, Vec<String>), RuleError> {
        let mut warnings = Vec::new();
        let service = read("service", &self.service)?;
        let effect = match self.action.as_str() {
            "accept" => Effect::Port(Verdict::Accept),
            "drop" => Effect::Port(Verdict::Drop),
            "limit" => Effect::Limit(self.limit()?),
            other => {
                let reason = format!("{other:?} is none of accept, drop, limit");
                return Err(wrong("action")(reason));
            }
        };
        if let (Effect::Port(_), Some(field)) = (effect, self.said_of_a_limit()) {
            return Err(wrong(field)("only a limit has it".to_owned()));
        }
        let mut sources: Vec<Prefix> = Vec::with_capacity(self.from.len());
        for text in &self.from {
            let (prefix, cleared) =
                Prefix::parse(text).map_err(|error| wrong("from")(format!("{text:?}: {error}")))?;
            if cleared {
                warnings.push(format!("{text} has host bits, {prefix} is taken"));
            }
            sources.push(prefix);
        }
        sources.sort_unstable();
        sources.dedup();
        let rule = Rule {
            service,
            sources,
            effect,
            hours: self.hours(zone)?,
            comment: Comment::default(),
            created: WallSecs(0),
            deadline: None,
            origin: Origin::Local,
        };
        Ok((rule, warnings))
    }

    fn said_of_a_limit(&self) -> Option<&'static str> {
        [
            ("rate", self.rate.is_some()),
            ("burst", self.burst.is_some()),
            ("per", self.per.is_some()),
            ("floor", self.floor.is_some()),
            ("ceiling", self.ceiling.is_some()),
        ]
        .into_iter()
        .find_map(|(field, said)| said.then_some(field))
    }

    fn limit(&self) -> Result<Limit, RuleError> {
        let missing = || wrong("rate")("a limit needs one, like 10/minute".to_owned());
        let rate: Rate = read("rate", self.rate.as_deref().ok_or_else(missing)?)?;
        let burst = self.burst.unwrap_or(Limit::DEFAULT_BURST);
        if !(1..=Limit::MAX_BURST).contains(&burst) {
            let reason = format!("{burst} is not from 1 to {}", Limit::MAX_BURST);
            return Err(wrong("burst")(reason));
        }
        let adaptive = match (&self.floor, &self.ceiling) {
            (None, None) => None,
            (Some(floor), Some(ceiling)) => Some(Adaptive {
                floor: read("floor", floor)?,
                ceiling: read("ceiling", ceiling)?,
            }),
            (Some(_), None) => {
                return Err(wrong("ceiling")("a floor needs one".to_owned()));
            }
            (None, Some(_)) => {
                return Err(wrong("floor")("a ceiling needs one".to_owned()));
            }
        };
        if let Some(Adaptive { floor, ceiling }) = adaptive {
            if floor.unit() != rate.unit() || ceiling.unit() != rate.unit() {
                let reason = "floor, rate and ceiling have the same unit".to_owned();
                return Err(wrong("floor")(reason));
            }
            if !(floor.count()..=ceiling.count()).contains(&rate.count()) {
                let reason = format!("{rate} is not between {floor} and {ceiling}");
                return Err(wrong("rate")(reason));
            }
        }
        let slowest = adaptive.map_or(rate, |bounds| bounds.floor);
        if u64::from(burst) * slowest.interval_ns() > Limit::MAX_FILL_NS {
            let reason =
                format!("at {slowest} it takes more than a day to fill a bucket of {burst}");
            return Err(wrong("burst")(reason));
        }
        Ok(Limit {
            rate,
            burst,
            per: match &self.per {
                Some(per) => read("per", per)?,
                None => Per::Source,
            },
            adaptive,
        })
    }

    fn hours(
        &self,
        zone: impl FnOnce(&str) -> Option<TimeZone>,
    ) -> Result<Option<Hours>, RuleError> {
        let Some(hours) = &self.hours else {
            let without = match (&self.days, &self.zone) {
                (Some(_), _) => "days",
                (None, Some(_)) => "zone",
                (None, None) => return Ok(None),
            };
            let reason = "it goes with hours, like 09:00-17:00".to_owned();
            return Err(wrong(without)(reason));
        };
        let name = self.zone.as_deref().unwrap_or("UTC");
        let unknown = || {
            let shown: String = name.chars().take(64).collect();
            wrong("zone")(format!("{shown:?} is no time zone, Europe/Berlin is one"))
        };
        let zone = zone(name).ok_or_else(unknown)?;
        let days = self.days.as_deref().unwrap_or("mon-sun");
        let hours = Hours::new(read("hours", hours)?, read("days", days)?, zone);
        let hours = hours.map_err(|error| wrong("zone")(error.to_string()))?;
        Ok(Some(hours))
    }
}

impl From<&Rule> for RuleText {
    fn from(rule: &Rule) -> Self {
        let text = Self {
            service: rule.service.to_string(),
            action: rule.effect.name().to_owned(),
            from: rule.sources.iter().map(ToString::to_string).collect(),
            hours: rule.hours.as_ref().map(|hours| hours.times().to_string()),
            days: rule.hours.as_ref().map(|hours| hours.days().to_string()),
            zone: rule
                .hours
                .as_ref()
                .map(|hours| hours.zone_name().to_owned()),
            ..Self::default()
        };
        let Effect::Limit(limit) = rule.effect else {
            return text;
        };
        Self {
            rate: Some(limit.rate.to_string()),
            burst: Some(limit.burst),
            per: Some(limit.per.name().to_owned()),
            floor: limit.adaptive.map(|bounds| bounds.floor.to_string()),
            ceiling: limit.adaptive.map(|bounds| bounds.ceiling.to_string()),
            ..text
        }
    }
}

#[cfg(test)]
mod tests;
