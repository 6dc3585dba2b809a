//! What can be configured of the detector: the table `[scan]`.

use std::{fmt::Display, str::FromStr, time::Duration};

use super::ports::PortSet;
use crate::duration::Ttl;

/// What a crossing leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Nothing is counted.
    Off,
    /// What would be dropped passes, is counted and reported.
    #[default]
    Observe,
    /// The source is blocked.
    Enforce,
}

impl Mode {
    /// From the least to the most.
    pub const ALL: [Self; 3] = [Self::Off, Self::Observe, Self::Enforce];

    /// As printed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

/// A text that is no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("mode {0:?} is none of off, observe, enforce")]
pub struct ModeError(String);

impl FromStr for Mode {
    type Err = ModeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mode = Self::ALL.into_iter().find(|mode| mode.name() == text);
        mode.ok_or_else(|| ModeError(text.to_owned()))
    }
}

/// The keys of `[scan]`, by the names they have there. Durations are whole seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What a crossing leads to.
    pub mode: Mode,
    /// Distinct ports not served, within a window, that make a scan.
    pub ports: u32,
    /// The window.
    pub window: Duration,
    /// The first block, and the only one of a source whose address may be forged.
    pub ttl: Duration,
    /// The blocks that follow, for proven sources; each longer than the one before.
    pub escalation: Vec<Duration>,
    /// One offence is forgotten for each such time without another.
    pub forget: Duration,
    /// Distinct ports not served, within a slow window, that make a scan.
    pub slow_ports: u32,
    /// The slow window.
    pub slow_window: Duration,
    /// Served, though no socket here says so.
    pub served: PortSet,
    /// Ports that count more.
    pub bait: PortSet,
    /// As many ports as one of [`Settings::bait`] counts.
    pub bait_weight: u32,
    /// For so long a port that is no longer served is not counted.
    pub grace: Duration,
    /// Bits of an IPv6 address that make one source.
    pub v6_prefix: u8,
    /// Sources blocked at a time.
    pub max_blocks: u32,
    /// Those among them whose address may be forged.
    pub max_unproven: u32,
    /// New blocks in any minute that the kernel writes before their source is proven.
    pub unproven_per_minute: u32,
    /// Blocked sources of a /24 or /48 that become one block; 0 for never.
    pub roll_up: u32,
    /// Also write the classic log.
    pub classic_log: bool,
}

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;
const YEAR: u64 = 52 * WEEK;

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Observe,
            ports: 10,
            window: Duration::from_secs(60),
            ttl: Duration::from_secs(600),
            escalation: [HOUR, DAY, WEEK].map(Duration::from_secs).to_vec(),
            forget: Duration::from_secs(WEEK),
            slow_ports: 20,
            slow_window: Duration::from_secs(HOUR),
            served: PortSet::default(),
            bait: PortSet::default(),
            bait_weight: 5,
            grace: Duration::from_secs(60),
            v6_prefix: 64,
            max_blocks: 10_000,
            max_unproven: 1_000,
            unproven_per_minute: 100,
            roll_up: 32,
            classic_log: false,
        }
    }
}

/// A setting out of its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {value}, but must be {bounds}")]
pub struct SettingsError {
    /// The key in `[scan]`.
    pub key: &'static str,
    value: String,
    bounds: String,
}

/// Steps an escalation may have.
const MAX_STEPS: usize = 16;

impl Settings {
    /// Whether every value is within its bounds.
    ///
    /// # Errors
    /// The first key that is not, with its bounds.
    pub fn validate(&self) -> Result<(), SettingsError> {
        number("ports", self.ports, 2, 64)?;
        number("slow_ports", self.slow_ports, 2, 64)?;
        if self.slow_ports < self.ports {
            let bounds = format!("at least as many as ports, {}", self.ports);
            return Err(refused("slow_ports", self.slow_ports, bounds));
        }
        time("window", self.window, HOUR)?;
        time("slow_window", self.slow_window, DAY)?;
        longer("slow_window", self.slow_window, "window", self.window)?;
        time("ttl", self.ttl, DAY)?;
        if self.escalation.len() > MAX_STEPS {
            let steps = format!("{} steps long", self.escalation.len());
            return Err(refused("escalation", steps, format!("at most {MAX_STEPS}")));
        }
        let mut before = ("ttl", self.ttl);
        for step in &self.escalation {
            time("escalation", *step, YEAR)?;
            longer("escalation", *step, before.0, before.1)?;
            before = ("the step before", *step);
        }
        time("forget", self.forget, YEAR)?;
        time("grace", self.grace, HOUR)?;
        number("bait_weight", self.bait_weight, 1, 20)?;
        number("v6_prefix", u32::from(self.v6_prefix), 48, 128)?;
        number("max_blocks", self.max_blocks, 1, 50_000)?;
        number("max_unproven", self.max_unproven, 0, self.max_blocks)?;
        number("unproven_per_minute", self.unproven_per_minute, 0, 10_000)?;
        if self.roll_up != 0 {
            number("roll_up", self.roll_up, 2, 256)
                .map_err(|error| refused("roll_up", error.value, "0, or 2 to 256".to_owned()))?;
        }
        Ok(())
    }
}

fn refused(key: &'static str, value: impl Display, bounds: String) -> SettingsError {
    SettingsError {
        key,
        value: value.to_string(),
        bounds,
    }
}

fn number(key: &'static str, value: u32, least: u32, most: u32) -> Result<(), SettingsError> {
    match (least..=most).contains(&value) {
        true => Ok(()),
        false => Err(refused(key, value, format!("{least} to {most}"))),
    }
}

/// From a second to `most` seconds.
fn time(key: &'static str, value: Duration, most: u64) -> Result<(), SettingsError> {
    let most = Duration::from_secs(most);
    match (Duration::from_secs(1)..=most).contains(&value) {
        true => Ok(()),
        false => Err(refused(key, shown(value), format!("1s to {}", shown(most)))),
    }
}

fn longer(
    key: &'static str,
    value: Duration,
    than: &str,
    other: Duration,
) -> Result<(), SettingsError> {
    if value > other {
        return Ok(());
    }
    let bounds = format!("longer than {than}, {}", shown(other));
    Err(refused(key, shown(value), bounds))
}

/// As it is written in the configuration, where there is no way to write 0.
fn shown(value: Duration) -> String {
    match value.is_zero() {
        true => "0s".to_owned(),
        false => Ttl::For(value).to_string(),
    }
}

/// What `fw-ctl scan set` said, on top of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Instead of [`Settings::mode`].
    pub mode: Option<Mode>,
    /// Instead of [`Settings::ports`].
    pub ports: Option<u32>,
    /// Instead of [`Settings::window`].
    pub window: Option<Duration>,
    /// Instead of [`Settings::ttl`].
    pub ttl: Option<Duration>,
}

impl Overrides {
    /// These, and of the others what these leave open.
    pub fn or(self, others: Self) -> Self {
        Self {
            mode: self.mode.or(others.mode),
            ports: self.ports.or(others.ports),
            window: self.window.or(others.window),
            ttl: self.ttl.or(others.ttl),
        }
    }

    /// The settings with these on top. A threshold takes the slow one along, and a first block the
    /// steps it outgrows: neither can be set here, and shall not be in the way.
    pub fn over(&self, configured: &Settings) -> Settings {
        let mut settings = configured.clone();
        settings.mode = self.mode.unwrap_or(settings.mode);
        if let Some(ports) = self.ports {
            settings.ports = ports;
            settings.slow_ports = settings.slow_ports.max(ports);
        }
        settings.window = self.window.unwrap_or(settings.window);
        if let Some(ttl) = self.ttl {
            settings.ttl = ttl;
            settings.escalation.retain(|step| *step > ttl);
        }
        settings
    }

    /// The keys of `[scan]` that they take over.
    pub fn names(&self) -> Vec<&'static str> {
        let names = [
            ("mode", self.mode.is_some()),
            ("ports", self.ports.is_some()),
            ("window", self.window.is_some()),
            ("ttl", self.ttl.is_some()),
        ];
        let set = names.into_iter().filter(|(_, set)| *set);
        set.map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests;
